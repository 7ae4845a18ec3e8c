"""The time of an operator from its terms, each filled in by hand, and what binds it."""

from __future__ import annotations

import numpy as np
import pytest
from kit.made_up import DEVICE
from thermoflop.base.record import replace
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.estimate import estimate
from thermoflop.cost.reports.pictures import roofline
from thermoflop.cost.roofline.curves import Curves, Table
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.cost.roofline.rates import Rates, fastest_peak
from thermoflop.cost.work.work import Work

PEAK, BANDWIDTH, LINK, CORES, ATTENTION = 1e6, 1e4, 1e3, 2e3, 5e5
EFFICIENCY = Efficiency(
    matmul=0.5, attention=0.25, weights=0.8, cache=0.4, activations=0.2, link=0.5, m_half=3.0,
    kernel_gap_s=0.125, step_s=7.0, sequence_s=0.5, collective_s=0.75,
    weight_bytes_per_core_cycle=4.0, launch_overhead_s=2.0, q_half=2.0, tile_penalty=0.1,
)  # fmt: skip
RATES = Rates(PEAK, BANDWIDTH, LINK, CORES, ATTENTION, EFFICIENCY, graphs=False, host=3.0)


def work(kind: str, times: int = 1, uneven: float = 0.0, launches: int = 1) -> Work:
    return Work(kind, "layer", kind, kind, times, 4000.0, 500.0, 160.0, 80.0, 40.0, launches,
                uneven=uneven)  # fmt: skip


# Weights pass the memory and the cores; the cache and activations the memory alone.
MOVING = 160 / (0.8 * BANDWIDTH) + 160 / (4 * CORES) + 80 / (0.4 * BANDWIDTH)
MOVING += 40 / (0.2 * BANDWIDTH)


@pytest.mark.parametrize(
    ("kind", "uneven", "computing"),
    [
        # 3 rows of padding besides, a tenth more where sides are uneven, all at half the peak
        ("contraction", 0.0, (4000 + 3 * 500) / (0.5 * PEAK)),
        ("contraction", 1.0, (4000 + 3 * 500 + 0.1 * 4000) / (0.5 * PEAK)),
        ("attention", 1.0, (4000 + 2 * 500) / (0.25 * ATTENTION)),
        ("scan", 0.0, (4000 + 2 * 500) / (0.25 * ATTENTION)),
        ("element-wise", 0.0, 0.0),
        ("normalization", 0.0, 0.0),
        ("gather", 0.0, 0.0),
    ],
)
def test_an_operator_takes_its_gap_and_the_longer_of_computing_and_moving(kind, uneven, computing):
    found = work(kind, 3, uneven)
    assert RATES.compute_s(found) == pytest.approx(computing, rel=1e-12)
    assert RATES.memory_s(found) == pytest.approx(MOVING, rel=1e-12)
    assert RATES.gap_s(found) == 0.125
    assert RATES.operator_s(found) == pytest.approx(3 * (max(computing, MOVING) + 0.125), rel=1e-12)


def test_a_collective_takes_its_bytes_and_its_steps():
    found = replace(work("network", 2), flops=6.0)
    sending = 40 / (0.5 * LINK) + 6 * 0.75
    assert RATES.operator_s(found) == pytest.approx(2 * sending, rel=1e-12)
    assert RATES.gap_s(found) == 6 * 0.75  # of its steps, no gap before a kernel


def test_a_step_is_its_operators_or_their_launches_and_what_it_costs_besides():
    works = [work("contraction", 2), work("attention", 1, launches=2)]
    device = sum(RATES.operator_s(each) for each in works)
    launching = (2 * 1 + 1 * 2) * 2.0 * 3.0
    assert RATES.host_s(works) == launching
    assert RATES.waiting_s(works) == pytest.approx(launching - device)
    assert RATES.step_s(works, 4) == pytest.approx(launching + 7 + 4 * 0.5)
    assert RATES.step_s(works, 4, recorded=True) == pytest.approx(device + 7 + 4 * 0.5)
    quick = Rates(PEAK, BANDWIDTH, LINK, CORES, ATTENTION,
                  replace(EFFICIENCY, launch_overhead_s=1e-9))  # fmt: skip
    assert quick.step_s(works, 4) == pytest.approx(device + 7 + 4 * 0.5)
    assert quick.waiting_s(works) == 0


def test_a_host_that_waits_for_its_products_hides_no_launch():
    works = [work("contraction", 2), work("attention", 1, launches=2)]
    waits = Rates(PEAK, BANDWIDTH, LINK, CORES, ATTENTION, EFFICIENCY, graphs=False, host=3.0,
                  waits=True)  # fmt: skip
    device, launching = RATES.device_s(works), RATES.host_s(works)
    assert waits.step_s(works, 4) == pytest.approx(device + launching + 7 + 4 * 0.5)
    assert waits.waiting_s(works) == launching


@pytest.mark.parametrize(
    ("changes", "binds"),
    [
        ({"flops": 1e6}, "compute"),
        ({"flops": 1.0, "row_flops": 0.0, "weight_bytes": 1e5}, "memory"),
        ({"flops": 1.0, "row_flops": 0.0, "weight_bytes": 1.0, "kv_bytes": 1.0}, "launch"),
        ({"kind": "network"}, "network"),
    ],
)
def test_what_takes_the_larger_part_binds(changes, binds):
    assert RATES.binding(replace(work("contraction"), **changes)) == binds


@pytest.mark.parametrize(
    ("dtype", "peaks", "half", "best"),
    [
        ("bf16", {"bf16": 100e12}, None, 100e12),
        ("bf16", {"bf16": 100e12}, 150e12, 150e12),
        ("fp16", {"fp16": 100e12, "fp8": 200e12}, 150e12, 150e12),  # no 8 bits for 16-bit weights
        ("fp8", {"bf16": 100e12, "fp8": 200e12}, 150e12, 200e12),
        ("int4", {"bf16": 100e12, "fp16": 100e12, "int8": 190e12}, None, 190e12),
        ("int4", {"fp16": 100e12, "int8": 90e12}, None, 100e12),
        ("fp32", {"fp32": 10e12, "fp16": 100e12}, 150e12, 10e12),
    ],
)
def test_the_bound_may_use_the_fastest_unit_that_the_weights_allow(dtype, peaks, half, best):
    device = replace(DEVICE, peaks=peaks, half_accumulate_flops_s=half)
    assert fastest_peak(device, choose_precision(dtype)) == best


TABLE = Table((1.0, 4.0), (10.0, 1000.0), ((1.0, 100.0), (16.0, 64.0)))


@pytest.mark.parametrize(
    ("rows", "size", "seconds"),
    [
        (1, 10, 1.0),
        (4, 1000, 64.0),
        (1, 100, 10.0),  # half way in logarithms: the root of 1 x 100
        (2, 10, 4.0),
        (2, 100, (10 * 32) ** 0.5),  # the root of what is at both ends, 10 and the root of 16 x 64
        (8, 10, 32.0),  # beyond the largest: at its rate
        (4, 3000, 192.0),
        (0.5, 10, 1.0),  # below the smallest: as long as that
        (1, 1, 1.0),
    ],
)
def test_a_table_is_read_along_straight_lines_in_logarithms(rows, size, seconds):
    assert TABLE.at(rows, size) == pytest.approx(seconds, rel=1e-12)
    assert TABLE.at(np.array([rows]), size) == pytest.approx([seconds], rel=1e-12)


@pytest.mark.parametrize(
    "grid",
    [
        ((), (1.0,), ()),
        ((1.0,), (1.0, 2.0), ((1.0,),)),
        ((2.0, 1.0), (1.0,), ((1.0,), (1.0,))),
        ((0.0, 1.0), (1.0,), ((1.0,), (1.0,))),
        ((1.0,), (1.0,), ((0.0,),)),
        ((1.0,), (1.0,), ((2e6,),)),
    ],
)
def test_a_grid_that_is_none_is_refused(grid):
    with pytest.raises(ValueError, match="table"):
        Table(*grid)


def test_without_a_table_an_operator_streams_its_bytes():
    curves = Curves({}, {}, 0.1, 1.5, 1e3)
    assert curves.seconds(work("contraction")) == pytest.approx(1.5 * (160 + 80 + 40) / 1e3)
    measured = Rates(PEAK, BANDWIDTH, LINK, CORES, ATTENTION, Efficiency(), curves)
    slow = 1.5 * 280 / 1e3
    # 4000 FLOPs take 4 ms, 280 bytes 28: the roofline says that moving binds
    assert measured.memory_s(work("contraction")) == pytest.approx(slow)
    assert measured.compute_s(work("contraction")) == pytest.approx(slow * 4 / 28)
    assert measured.compute_s(work("normalization")) == 0


def test_bound_and_roof_have_one_peak_which_is_named():
    """An RTX 4090's bf16 and fp16: 165.2 summed in fp32, 330.3 in fp16 (Ada whitepaper v2.02)."""
    estimated = estimate("gpt2", "rtx-4090", batch=8)
    roof = roofline(estimated)
    assert max(y for _, y in roof.corners) == pytest.approx(330.3)
    assert estimated.setting.limits.peak_flops_s == pytest.approx(330.3e12)
    assert roof.name == "roof: data sheet, 330 TFLOP/s fp16 summed in fp16"
    assert "bound: data sheet (330 TFLOP/s fp16 summed in fp16)" in str(estimated)
    assert "(989 TFLOP/s bf16)" in str(estimate("gpt2", "h100"))  # H100 data sheet: 1,979 sparse
