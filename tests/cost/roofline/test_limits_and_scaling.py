"""Times under a changed sheet: twice a rate halves what it binds, and nothing else.

Also experts' terms, and generations of which links, memory and computing bind each a part.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from kit.decode_loop import loop_decode_s
from kit.made_up import DEVICE, decoder
from thermoflop.base.record import replace
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.roofline.bound import Limits, Piece, bound_decode_s, sums_of
from thermoflop.cost.roofline.decode import Line, decode_s, positive_sum, segments
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.cost.roofline.rates import Rates, fastest_products, peak_said
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.steps import decode_step
from thermoflop.cost.work.work import Work, window_ends

NEVER = float("inf")
SHEET = {"peak_flops_s": 1e6, "bandwidth_bytes_s": 1e4, "link_bytes_s": 1e3, "core_hz": NEVER,
         "attention_flops_s": 5e5, "network_bytes_s": 1e2}  # fmt: skip


def work(kind: str, **changes: float) -> Work:
    sizes = {"flops": 4000.0, "row_flops": 500.0, "weight_bytes": 160.0, "kv_bytes": 80.0,
             "activation_bytes": 40.0, **changes}  # fmt: skip
    return Work("w", "layer", "g", kind, 1, **sizes)


def seconds(one: Work, *, efficiency: Efficiency | None = None, **sheet: float) -> float:
    rates = Rates(**{**SHEET, **sheet}, efficiency=efficiency or Efficiency())
    return float(rates.operator_s(one))


@pytest.mark.parametrize(
    ("one", "binding", "took"),
    [
        (work("contraction", flops=1e6), "peak_flops_s", 1.0),
        (work("contraction"), "bandwidth_bytes_s", 280 / 1e4),
        (work("attention", flops=1e6), "attention_flops_s", 2.0),
        (work("scan", flops=1e6), "attention_flops_s", 2.0),
        (work("normalization"), "bandwidth_bytes_s", 280 / 1e4),
        (work("network", flops=3.0, weight_bytes=0.0, kv_bytes=0.0), "link_bytes_s", 40 / 1e3),
        (work("network", flops=3.0, far_bytes=30.0), "network_bytes_s", 30 / 1e2),
    ],
)  # fmt: skip
def test_a_time_is_halved_by_twice_the_rate_that_binds_and_by_no_other(one, binding, took):
    assert seconds(one) == pytest.approx(took)
    for rate, value in SHEET.items():
        twice = seconds(one, **{rate: 2 * value})
        assert twice == pytest.approx(took / 2 if rate == binding else took), rate


def test_products_of_experts_have_rates_of_their_own_and_pay_padding_at_those():
    """At a quarter of the peak, with three rows and a tenth for uneven sides; weights at half of
    the bandwidth, all else as in other products."""
    efficiency = Efficiency(
        matmul=0.5, weights=0.8, cache=0.4, activations=0.2, m_half=3.0, tile_penalty=0.1,
        expert_matmul=0.25, expert_weights=0.5, kernel_gap_s=2.0, weight_bytes_per_core_cycle=4.0,
    )  # fmt: skip
    rates = Rates(1e6, 1e4, 1e3, 2e3, 5e5, efficiency)
    one = replace(work("contraction"), group="experts", uneven=1.0, launches=3)
    assert rates.compute_s(one) == pytest.approx((4000 + 3 * 500 + 0.1 * 4000) / (0.25 * 1e6))
    moving = 160 / (0.5 * 1e4) + 160 / (4 * 2e3) + 80 / (0.4 * 1e4) + 40 / (0.2 * 1e4)
    assert rates.memory_s(one) == pytest.approx(moving)
    assert rates.gap_s(one) == 6
    other = replace(one, group="mlp")
    assert rates.compute_s(other) == pytest.approx(rates.compute_s(one) / 2)
    assert rates.memory_s(other) == pytest.approx(moving - 160 / (0.5 * 1e4) + 160 / (0.8 * 1e4))
    router = replace(one, kind="gather")  # of the experts, and no product
    assert rates.compute_s(router) == 0


def test_a_launch_costs_the_host_one_unless_it_is_slower():
    works = [work("contraction", launches=2), work("attention")]
    efficiency = Efficiency(launch_overhead_s=2.0)
    assert Rates(**SHEET, efficiency=efficiency).host_s(works) == 3 * 2
    assert Rates(**SHEET, efficiency=efficiency, host=8.0).host_s(works) == 3 * 2 * 8


@pytest.mark.parametrize(
    ("peaks", "dtype", "products"),
    [
        ({"bf16": 1e14}, "bf16", (1e14, "bf16")),
        ({"fp4": 9e14, "fp8": 4e14}, "nvfp4", (9e14, "fp4")),
        ({"fp16": 1e14, "fp8": 2e14, "int8": 3e14}, "q8_0", (3e14, "int8")),
        ({"fp16": 1e14, "fp8": 2e14, "fp4": 4e14}, "awq", (4e14, "fp4")),
        ({"fp8": 2e14, "int8": 1e14}, "fp8", (2e14, "fp8")),
        ({"fp8": 2e14, "int8": 1e14, "fp4": 4e14}, "fp8", (2e14, "fp8")),  # 8 bits are no 4
        ({"tf32": 5e13, "fp8": 2e14}, "tf32", (5e13, "tf32")),
    ],
)  # fmt: skip
def test_the_fastest_products_are_named_with_their_peak(peaks, dtype, products):
    device = replace(DEVICE, peaks=peaks, half_accumulate_flops_s=None)
    assert fastest_products(device, choose_precision(dtype)) == products
    said = peak_said(device, choose_precision(dtype))
    assert said == f"{products[0] / 1e12:.3g} TFLOP/s {products[1]}".replace("50 TF", "50.0 TF")


@pytest.mark.parametrize("link", [1e9, 20.0, 1.0])
@pytest.mark.parametrize("peak", [1e9, 1e3, 30.0])
def test_the_bound_of_a_generation_over_links_is_what_its_parts_come_to(link, peak):
    """Sending overlaps the whole of the rest: the links bind all steps, or none."""

    def works_at(cached: float) -> list[Work]:
        held = min(cached, 12.0)
        return [work("attention", flops=100 * held, kv_bytes=5 * held, weight_bytes=0.0),
                work("network", flops=1.0, activation_bytes=7.0)]  # fmt: skip

    limits = Limits(peak, 10.0, link, 2.0)
    steps = [min(float(cached), 12.0) for cached in range(3, 23)]
    rest = sum(max(100 * held / peak, (5 * held - 2) / 10) for held in steps)
    sent = 20 * 7 / link
    pieces = [
        Piece(count, sums_of(works_at(first)), sums_of(works_at(last)))
        for first, last, count in segments(3, 20, (12,))
    ]
    found = bound_decode_s(pieces, limits, 1)
    assert found == pytest.approx(max(rest, sent), rel=1e-12)
    two = bound_decode_s(pieces, replace(limits, stages=2), 2)
    rest = sum(max(100 * held / peak / 2, (5 * held / 2 - 2) / 10) for held in steps)
    assert two == pytest.approx(max(rest, sent / 2), rel=1e-12)


def test_what_goes_to_other_nodes_is_no_part_of_the_bound():
    near = sums_of([work("network", activation_bytes=40.0, far_bytes=30.0)])
    assert (near.wire_bytes, near.flops, near.kv_bytes, near.weight_bytes) == (10.0, 0, 0, 0)


def test_a_line_is_an_arithmetic_series():
    line = Line(3.0, 11.0, 5)
    values = [3.0, 5.0, 7.0, 9.0, 11.0]
    assert (line.total(), line.rise) == (sum(values), 2.0)
    assert [line.until(count).total() for count in range(1, 6)] == [
        sum(values[:count]) for count in range(1, 6)
    ]
    one = Line(3.0, 3.0, 1)
    assert (one.total(), one.rise, one.until(0).total()) == (3.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "values",
    [[5, 3, 1, -1, -3], [-3, -1, 1, 3, 5], [4, 0, -4], [-4, 0, 4], [2, -1], [-1, 2], [7], [-7],
     [1, 2, 3], [-1, -2], [3, 1, -1]],
)  # fmt: skip
def test_the_positive_part_of_a_falling_or_rising_line_is_summed(values):
    summed = sum(max(value, 0) for value in values)
    assert positive_sum(float(values[0]), float(values[-1]), len(values)) == summed
    arrays = (np.array([float(each)]) for each in (values[0], values[-1], len(values)))
    assert list(positive_sum(*arrays)) == [summed]


def test_pieces_of_a_generation_meet_at_the_windows():
    assert segments(3, 20, (12, 40)) == [(3, 11, 9), (12, 22, 11)]
    assert segments(3, 20, (2, 3)) == [(3, 22, 20)]
    assert segments(3, 40, (12, 40, 41)) == [(3, 11, 9), (12, 39, 28), (40, 40, 1), (41, 42, 2)]
    assert segments(3, 0, (12,)) == []
    arrays = segments(np.array([3, 50]), np.array([20, 4]), (12,))
    assert [[list(map(int, each)) for each in piece] for piece in arrays] == [
        [[3, 50], [11, 50], [9, 0]], [[12, 50], [22, 53], [11, 4]],
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_a_generation_takes_what_its_steps_take_at_any_balance_of_rates(seed):
    """Rates drawn over seven decades, a host that is waited for, windows that fill on the way;
    numbers and arrays."""
    draw = Random(seed)

    def any_rate(low: float, high: float) -> float:
        return 10 ** draw.uniform(low, high)

    efficiency = Efficiency(
        matmul=draw.uniform(0.1, 0.9), attention=draw.uniform(0.01, 0.9),
        weights=draw.uniform(0.1, 0.9), cache=draw.uniform(0.01, 0.9),
        m_half=draw.uniform(0, 64), q_half=draw.uniform(0, 8), kernel_gap_s=any_rate(-9, -5),
        step_s=any_rate(-6, -3), sequence_s=any_rate(-7, -4), launch_overhead_s=any_rate(-9, -4),
        weight_bytes_per_core_cycle=any_rate(0, 3),
    )  # fmt: skip
    speeds = Rates(any_rate(9, 13), any_rate(8, 12), 1e11, any_rate(8, 11), any_rate(8, 13),
                   efficiency, graphs=False, host=draw.choice([1.0, 8.0]))  # fmt: skip
    model = decoder(model_type="mistral", sliding_window=draw.randint(10, 90))
    share = Share(model.description, Layout(), choose_precision("bf16"))
    ends, start, steps = window_ends(model.description), draw.randint(0, 60), draw.randint(1, 80)

    def works_at(cached: float) -> list[Work]:
        return share.works(decode_step(cached, 2))

    loop = loop_decode_s(works_at, start, steps, 2, speeds)
    assert decode_s(works_at, start, steps, 2, speeds, ends) == pytest.approx(loop, rel=1e-9)
    many = decode_s(works_at, np.array([float(start)] * 2), np.array([float(steps)] * 2), 2,
                    speeds, ends)  # fmt: skip
    assert many == pytest.approx([loop] * 2, rel=1e-9)
