"""Throttle reasons: decoded, the harmless ones left out, and weighted by time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermoflop.runs.analysis.readings import AllReadings
from thermoflop.runs.folder.gpu_lines import KEPT
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.gpu.throttle import (
    ThrottleSpan,
    decode,
    seconds_by_reason,
    throttling,
    within,
)


def at(mono_s: float, reasons: int | None, gpu: int = 0) -> GpuSample:
    """A sample that says nothing but its reasons."""
    return GpuSample(mono_s, 0.0, gpu, reasons=reasons)


def spans(samples: list[GpuSample]) -> list[ThrottleSpan]:
    """The throttled spans of samples that are at most two seconds apart."""
    readings = AllReadings()
    for sample in samples:
        readings.add(sample.gpu, sample.mono_s, [math.nan] * len(KEPT), sample.reasons)
    readings.settle()
    return [
        span
        for gpu, mine in readings.gpus.items()
        for span in mine.throttled(gpu, mine.to_columns(0.0), 2.0)[0]
    ]


@pytest.mark.parametrize("mask", [0x000, 0x001, 0x002, 0x100, 0x103])
def test_idle_application_clocks_and_display_are_no_throttling(mask: int) -> None:
    """They say that nobody asked for more."""
    assert throttling(mask) == ()


def test_every_documented_bit_has_a_name_and_an_unknown_one_its_number() -> None:
    """Nothing is swallowed."""
    assert decode(0x0FF)[-1] == "power_brake"
    assert decode(1 << 11) == ("bit_11",)
    assert throttling(0x001 | 0x004 | 0x020) == ("power_cap", "sw_thermal")


def test_a_reason_holds_until_the_next_sample() -> None:
    """Spans are weighted by time, not by samples."""
    throttled = spans([at(0.0, 0), at(1.0, 4), at(1.1, 4), at(2.5, 0x24), at(3.0, 0)])
    assert [(s.start_s, s.end_s, s.reasons) for s in throttled] == [
        (1.0, 2.5, ("power_cap",)),
        (2.5, 3.0, ("power_cap", "sw_thermal")),
    ]
    assert seconds_by_reason(throttled) == pytest.approx({"power_cap": 2.0, "sw_thermal": 0.5})


def test_a_hole_in_the_samples_belongs_to_no_reason() -> None:
    """A GPU that was lost throttled for nobody knows how long."""
    assert spans([at(0.0, 4), at(60.0, 4)]) == []
    assert spans([at(0.0, None), at(0.1, 4)]) == []


def test_gpus_are_kept_apart() -> None:
    """Interleaved samples of two GPUs give each its own span."""
    mixed = [at(t / 10, 4 if g else 0x20, g) for t in range(5) for g in (0, 1)]
    throttled = spans(mixed)
    assert {(s.gpu, s.reasons, round(s.duration_s, 3)) for s in throttled} == {
        (0, ("sw_thermal",), 0.4),
        (1, ("power_cap",), 0.4),
    }


@pytest.mark.parametrize("n_gpus", [8, 9, 64])
def test_a_gpu_that_throttles_throughout_has_one_span_however_many_gpus(n_gpus: int) -> None:
    """60 s at 10 Hz: 600 samples of each GPU are one span of 59.9 s each."""
    found = spans([at(t / 10, 4, g) for t in range(600) for g in range(n_gpus)])
    assert sorted(s.gpu for s in found) == list(range(n_gpus))
    assert {round(s.duration_s, 3) for s in found} == {59.9}


def test_a_span_goes_on_while_the_spans_of_others_come_and_go() -> None:
    """GPU 0 throttles from 0 to 10 s; GPU 1 in 50 of the 100 steps, each a span of its own."""
    found = spans([at(t / 10, 4 if g == 0 else 4 * (t % 2), g) for t in range(101) for g in (0, 1)])
    assert [(s.start_s, s.end_s) for s in found if s.gpu == 0] == [(0.0, 10.0)]
    assert sum(s.gpu == 1 for s in found) == 50


def test_only_the_part_within_counts() -> None:
    """A phase is charged for its own seconds."""
    throttled = spans([at(0.0, 4), at(1.0, 4), at(2.0, 0)])
    assert [(s.start_s, s.end_s) for s in within(throttled, 0.5, 1.25)] == [(0.5, 1.25)]


@given(
    st.lists(st.tuples(st.floats(0.01, 1.5), st.sampled_from([0, 1, 4, 0x20, 0x24])), max_size=60)
)
def test_throttled_time_is_the_sum_over_samples(steps: list[tuple[float, int]]) -> None:
    """However spans are joined, their total is that of the samples."""
    now_s, samples, expected_s = 0.0, [], 0.0
    for wait_s, mask in steps:
        samples.append(at(now_s, mask))
        now_s += wait_s
        expected_s += wait_s * (mask & ~1 != 0)
    samples.append(at(now_s, 0))
    assert sum(s.duration_s for s in spans(samples)) == pytest.approx(expected_s)
