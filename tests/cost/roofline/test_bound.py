"""The bound of a step and of a generation, from round numbers worked out by hand."""

from __future__ import annotations

import pytest
from kit.made_up import BANDWIDTH, DEVICE, LAYERS, LINK, PEAK, decoder, rates
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.arguments import Workload
from thermoflop.cost.inference.question import Question, answer
from thermoflop.cost.roofline.bound import (
    Limits,
    Piece,
    Sums,
    bound_decode_s,
    bound_s,
    limits_of,
    sums_of,
)
from thermoflop.cost.roofline.decode import segments
from thermoflop.cost.work.network import collective_work
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.work import Work

LIMITS = Limits(1000.0, 100.0, 10.0, 50.0)


def work(kind: str, times: int = 1, **changes: float) -> Work:
    """An operator of whole numbers: 7 FLOPs, 11 of one element each, 13, 17 and 19 bytes."""
    sizes = {"flops": 7.0, "element_flops": 11.0, "weight_bytes": 13.0, "kv_bytes": 17.0,
             "activation_bytes": 19.0, **changes}  # fmt: skip
    return Work(kind, "layer", kind, kind, times, sizes["flops"], sizes["element_flops"],
                sizes["weight_bytes"], sizes["kv_bytes"], sizes["activation_bytes"], 1)  # fmt: skip


def test_only_what_cannot_be_saved_is_summed():
    """Contractions, attention and scans compute; norms may be free, but read; activations stay."""
    works = [work("contraction", 2), work("attention", 3), work("scan"), work("element-wise", 5),
             work("network", 4)]  # fmt: skip
    assert sums_of(works) == Sums(6 * 7, 11 * 13, 11 * 17, 4 * 19)


@pytest.mark.parametrize(
    ("sums", "stages", "sequences", "seconds"),
    [
        (Sums(4000, 100, 100, 1), 1, 1, 4000 / 1000),  # computing: moving takes 1.5 s
        (Sums(400, 500, 250, 1), 1, 1, (500 + 250 - 50) / 100),  # moving, less what stays on chip
        (Sums(400, 500, 250, 90), 1, 1, 90 / 10),  # sending
        (Sums(4000, 100, 100, 1), 2, 8, 4000 / 2 / 1000),  # two stages work at once
        (Sums(4000, 100, 100, 1), 4, 3, 4000 / 3 / 1000),  # no more than there are sequences
        (Sums(4000, 100, 100, 1), 4, 0, 4000 / 1000),
        (Sums(1, 500, 200, 1), 2, 2, (500 + 200 / 2 - 50) / 100),  # weights are read by every stage
        (Sums(1, 100, 100, 100), 2, 2, 100 / 2 / 10),
    ],
)
def test_a_bound_is_the_longest_of_computing_moving_and_sending(sums, stages, sequences, seconds):
    limits = replace(LIMITS, stages=stages)
    assert bound_s(sums, limits, sequences) == pytest.approx(seconds, rel=1e-12)


def test_the_limits_of_a_device_are_those_of_its_sheet():
    found = limits_of(replace(DEVICE, cache_bytes=5e6), PEAK, 3)
    assert found == Limits(PEAK, BANDWIDTH, LINK, 5e6, 3)


def test_a_switch_that_adds_halves_what_an_all_reduce_sends():
    """1 GiB among 8 H100 took 4,007.8 us (TensorRT-LLM 1.3, measured by NVIDIA): twice 7/8 of it
    over 450 GB/s would be 4,175.7 us."""
    limits = limits_of(find_device("h100"), PEAK)
    sent = sums_of([collective_work("all-reduce", 1, "all-reduce", 2**30, 8, steps=3.0)])
    assert sent.wire_bytes == 2 * 7 / 8 * 2**30
    assert sent.wire_bytes / 450e9 > 4007.8e-6 > bound_s(sent, limits, 1)
    assert bound_s(sent, limits, 1) == pytest.approx(sent.wire_bytes / 900e9)


@pytest.mark.parametrize(
    ("start", "steps", "end"), [(0, 9, 4), (3, 40, 17), (90, 5, 17), (0, 1, 4)]
)
def test_the_bound_of_a_generation_is_the_sum_of_the_bounds_of_its_steps(start, steps, end):
    """Computing passes moving on the way, and the cache stops growing at a window."""

    def works_at(cached: int) -> list[Work]:
        held = min(cached, end)
        return [work("attention", 3, flops=100.0 * held, kv_bytes=20.0 * held),
                work("contraction", 2, flops=50.0, weight_bytes=60.0)]  # fmt: skip

    by_steps = sum(
        max((300 * held + 100) / 1000, (60 * held + 3 * 13 + 120 + 2 * 17 - 50) / 100)
        for held in (min(start + step, end) for step in range(steps))
    )
    pieces = [
        Piece(count, sums_of(works_at(first)), sums_of(works_at(last)))
        for first, last, count in segments(start, steps, (end,))
    ]
    found = bound_decode_s(pieces, LIMITS, 1)
    assert found == pytest.approx(by_steps, rel=1e-12)


@pytest.mark.parametrize(("pp", "overlap"), [(1, 1), (2, 2)])
def test_a_step_of_a_full_server_carries_its_share_of_prompts(pp, overlap):
    """8 sequences of 20 tokens: 8/20 of a prompt of 100 a step. Products are all that takes time;
    a prompt's tokens may be in both stages at once."""
    device = replace(DEVICE, bandwidth_bytes_s=1e30, link_bytes_s=1e30)
    model = decoder()
    workload = Workload(8, 100, 20, 0)
    question = Question("", model, device, Layout(1, pp), choose_precision("bf16"), workload,
                        "token", True)  # fmt: skip
    bound = answer(question, rates()).bound_s
    alone = answer(replace(question, mixes_prefill=False), rates()).bound_s
    table = model.operators(1, 100, attention="causal", logits="last")
    products = {"contraction", "scan"}
    flops = sum(row.flops for row in table if row.kind in products)
    assert bound - alone == pytest.approx(8 / 20 * flops / PEAK / overlap, rel=1e-9)
    assert LAYERS == 2  # so that both stages have one
