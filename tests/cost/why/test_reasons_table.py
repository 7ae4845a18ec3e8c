"""The table of a step's operators: times, shares, what binds, and the classes of work."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.base.units import seconds
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.cost.roofline.rates import Rates
from thermoflop.cost.why.operator import time_lines
from thermoflop.cost.why.table import formula_text, reasons, reasons_text, shares_by_class
from thermoflop.cost.work.work import Work

# 1 FLOP and 1 byte take 1 ms; a kernel starts after another.
RATES = Rates(1e3, 1e3, 1e3, 1e30, 1e3, Efficiency(kernel_gap_s=1e-3))
WORKS = [
    Work("product", "layer", "mlp", "contraction", 2, 8.0, 0.0, 3.0, 0.0, 1.0),
    Work("norm", "layer", "norm", "normalization", 1, 0.0, 0.0, 0.0, 0.0, 5.0, 1, 6.0),
    Work("send", "network", "network", "network", 1, 4.0, 0.0, 0.0, 0.0, 2.0, 0),
]


@pytest.mark.parametrize(("near", "far"), [(8.0, 2.0), (2.0, 8.0)])
def test_a_collective_takes_the_slower_of_its_links_and_its_steps(near, far):
    """1 ms a byte on either; six steps of half a second."""
    rates = Rates(1e3, 1e3, 1e3, 1e3, 1e3, Efficiency(collective_s=0.5),
                  network_bytes_s=1e3)  # fmt: skip
    work = Work("send", "network", "network", "network", 3, 6.0, 0.0, 0.0, 0.0, near + far, 0,
                far_bytes=far)  # fmt: skip
    lines = time_lines(work, SimpleNamespace(rates=rates))
    once = rates.operator_s(replace(work, times=1))
    assert once == pytest.approx(max(rates.compute_s(work), rates.memory_s(work)) + 3.0)
    assert rates.compute_s(work) != rates.memory_s(work)
    assert lines[-1] == f"time = 3 x {seconds(once)} = {seconds(3 * once)}"


def test_an_operator_is_explained_with_its_flops_its_bytes_and_their_rates():
    """8 FLOPs and two rows of padding to 4 each at 1/4 of 1 kFLOP/s; 3 bytes at a half, 2 of the
    cache at 1/5 and 1 at 1/10 of 1 kB/s, and at 4 bytes a cycle of 0.5 Hz those of the weights."""
    efficiency = Efficiency(
        matmul=0.25, weights=0.5, cache=0.2, activations=0.1, kernel_gap_s=1e-3, m_half=2.0,
        weight_bytes_per_core_cycle=4.0,
    )  # fmt: skip
    rates = Rates(1e3, 1e3, 1e3, 0.5, 1e3, efficiency)
    work = Work("product", "layer", "mlp", "contraction", 3, 8.0, 4.0, 3.0, 2.0, 1.0, 2)
    computing, moving = (8 + 2 * 4) / 250, (3 / 0.5 + 2 / 0.2 + 1 / 0.1) / 1e3 + 3 / (4 * 0.5)
    total = seconds(3 * (2e-3 + moving))
    memory = "memory = (weights/e + cache/e + activations/e) / bandwidth + weights / what the cores"
    moved = "(3.00 B/0.50 + 2.00 B/0.20 + 1.00 B/0.10) / 1.00 kB/s + 3.00 B / 2.00 B/s"
    assert time_lines(work, SimpleNamespace(rates=rates)) == (
        "compute = (FLOP + padding) / (peak x e)",
        f"  = (8.00 FLOP + 8.00 FLOP) / (1.00 kFLOP/s x 0.25) = {seconds(computing)}",
        f"{memory} take in",
        f"  = {moved} = {seconds(moving)}",
        "launch = 2 x 1.00 ms = 2.00 ms",
        "time = times x (launch + max(compute, memory))",
        f"  = 3 x (2.00 ms + max({seconds(computing)}, {seconds(moving)})) = {total}",
    )


@pytest.mark.parametrize(("computing", "moving"), [(1.0, 3.0), (3.0, 1.0)])
def test_a_measured_operator_takes_the_longer_of_both_and_its_launch(computing, moving):
    rates = SimpleNamespace(
        compute_s=lambda _: computing, memory_s=lambda _: moving, gap_s=lambda _: 0.5,
        operator_s=lambda work: work.times * 3.5, curves=object(),
    )  # fmt: skip
    assert time_lines(WORKS[0], SimpleNamespace(rates=rates)) == (
        "time = times x (launch + measured time at its size, read between measured sizes)",
        "  = 2 x (500 ms + 3.00 s) = 7.00 s",
    )


@pytest.fixture(scope="module")
def found():
    return reasons(WORKS, RATES)


def test_an_operator_has_its_flops_bytes_and_times_of_all_occurrences(found):
    product, norm, send = found
    assert (product.flops, product.bytes, product.intensity) == (16, 8, 2)
    assert product.time_s == pytest.approx(2 * (8e-3 + 1e-3))
    assert (norm.flops, norm.bytes) == (6, 5)
    assert norm.time_s == pytest.approx(5e-3 + 1e-3)
    # what stands in a collective's flops are its steps
    assert (send.flops, send.bytes, send.binds) == (0, 2, "network")
    assert (product.binds, norm.binds) == ("compute", "memory")


def test_shares_of_classes_are_of_all_flops_and_of_all_time(found):
    shares = shares_by_class(found)
    assert shares["contraction"] == pytest.approx((16 / 22, 18 / 26))
    assert shares["normalization"] == pytest.approx((6 / 22, 6 / 26))
    assert shares["network"] == pytest.approx((0, 2 / 26))
    assert shares_by_class([]) == {}
    twice = shares_by_class([*found, found[0]])
    assert twice["contraction"] == pytest.approx((32 / 38, 36 / 44))


def test_a_table_of_a_step_adds_the_host_to_its_operators(found):
    """26 ms of operators and 14 ms besides: 40 ms in all."""
    title, _, *rows = reasons_text("a step", found, 14e-3).splitlines()
    assert title == "a step: 40.0 ms"
    table = [row.split() for row in rows]
    assert table[0][:4] == ["product", "contraction", "2", "16.0"]
    assert table[0][-4:] == ["18.0", "ms", "45.0", "compute"]
    assert table[1][-4:] == ["6.00", "ms", "15.0", "memory"]
    assert table[3] == ["host", "and", "scheduler", "14.0", "ms", "35.0", "step"]
    assert "  contraction: 72.73 % of FLOPs, 69.2 % of time" in rows


def test_what_takes_less_than_a_twentieth_of_a_percent_is_left_out(found):
    text = reasons_text("a step", found, 5.0)
    assert "product" in text
    assert "norm " in text
    assert "send" not in text  # 2 ms of 5.026 s


@pytest.mark.parametrize(
    ("gpu", "profile", "peaks"),
    [
        # 148 cores at 1.965 GHz, 16 exponentials each for 512 FLOPs: 2.38 PFLOP/s, with 2.25 1.64
        ("b200", "vllm", ["(2.25 PFLOP/s x e) in products of matrices left in 16 bits",
                          "(1.64 PFLOP/s x e) in attention, its exponentials included"]),
        ("mi300x", "vllm",
         ["(1.31 PFLOP/s x e) in products of matrices left in 16 bits and attention"]),
        ("b200", "vllm@0.11", ["(2.25 PFLOP/s x e) in attention"]),
    ],
)  # fmt: skip
def test_every_peak_that_an_operator_is_divided_by_stands_in_the_formula(gpu, profile, peaks):
    found = tf.estimate("llama-3-8b", gpu, profile=profile, dtype="fp8")
    text = formula_text(found.setting)
    assert [line.strip() for line in text.splitlines() if line.strip().startswith("(")] == peaks
