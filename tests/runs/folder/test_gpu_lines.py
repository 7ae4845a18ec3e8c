"""Many lines of GPUs at once: what one line says is what it says among others."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermoflop.runs.folder.gpu_lines import ROW, GpuLines
from thermoflop.runs.folder.reader import parse
from thermoflop.runs.folder.store import encode
from thermoflop.runs.gpu.sample import INTEGERS, MEASURED, GpuSample

READING = GpuSample(
    12.5, 1.75e9, 3, temp_c=61, power_w=284.112, energy_j=1e6, mem_used_bytes=1 << 36, reasons=4
)
whole = st.none() | st.integers(0, 1 << 40)
number = st.none() | st.floats(-1e6, 1e9, allow_nan=False)
samples = st.builds(
    GpuSample,
    st.floats(0, 1e6),
    st.just(1.75e9),
    st.integers(0, 9999),
    **{name: whole if name in INTEGERS else number for name in MEASURED},
)


def row(sample: GpuSample) -> list[float]:
    """What the table of readings holds of one."""
    values = [getattr(sample, name) for name in ROW]
    return [math.nan if value is None else float(value) for value in values]


def as_sets(lines: list[bytes]) -> tuple[list[list[float]], list[list[float]]]:
    """The rows that were read at once, and those of the lines read one by one, both in order."""
    table, others = GpuLines().read(lines)
    rest = [item for n in others if isinstance(item := parse(lines[n]), GpuSample)]
    one_by_one = [item for line in lines if isinstance(item := parse(line), GpuSample)]
    return (
        sorted([*table.tolist(), *map(row, rest)], key=repr),
        sorted(map(row, one_by_one), key=repr),
    )


@given(st.lists(samples, min_size=1, max_size=20))
def test_readings_of_any_fields_are_those_of_single_lines(readings: list[GpuSample]) -> None:
    """To the last bit, whichever fields each of them has."""
    at_once, one_by_one = as_sets([encode(each)[:-1] for each in readings])
    np.testing.assert_array_equal(at_once, one_by_one)


@given(st.lists(st.tuples(st.integers(60, 190), st.sampled_from(b'0123456789.-,:e{}" \0x'))))
def test_a_damaged_line_counts_for_what_it_is_alone(damage: list[tuple[int, int]]) -> None:
    """A byte replaced here and there: a number is no longer one, or another, or no line at all."""
    lines = [encode(replace(READING, mono_s=float(n)))[:-1] for n in range(4)]
    for n, (at, byte) in enumerate(damage):
        line = bytearray(lines[n % 4])
        line[at % len(line)] = byte
        lines[n % 4] = bytes(line)
    at_once, one_by_one = as_sets(lines)
    np.testing.assert_array_equal(at_once, one_by_one)


@pytest.mark.parametrize(
    "text", [b"061", b"-061", b".5", b"1.", b"-.5", b"--1", b"1-2", b"1.2.3", b"", b"-", b"1,2"]
)
def test_what_json_calls_no_number_is_left_to_who_reads_single_lines(text: bytes) -> None:
    """Among good lines of the same layout."""
    good = encode(READING)[:-1]
    bad = good.replace(b'"temp_c":61', b'"temp_c":' + text)
    table, others = GpuLines().read([good, bad, good])
    assert 1 in others
    assert len(table) + len(others) == 3


@pytest.mark.parametrize("text", [b"1e999", b"-1e999", b"NaN", b"Infinity"])
@pytest.mark.parametrize("key", [b'"mono_s":12.500000', b'"mem_used_bytes":68719476736'])
def test_what_is_not_finite_is_no_time_and_no_amount(key: bytes, text: bytes) -> None:
    """``json`` reads these; a run does not reach to the end of time."""
    line = encode(READING)[:-1].replace(key, key.partition(b":")[0] + b":" + text)
    assert text in line
    assert parse(line) is None


def test_a_gpu_an_amount_or_a_reason_that_is_no_whole_number_is_left_to_single_lines() -> None:
    """``"gpu":1.5`` is no GPU, whatever it looks like with its digits taken away."""
    good = encode(READING)[:-1]
    bad = [
        good.replace(b'"gpu":3', b'"gpu":1.5'),
        good.replace(b'"reasons":4', b'"reasons":-4'),
        good.replace(b'"mem_used_bytes":6871', b'"mem_used_bytes":6.71'),
    ]
    table, others = GpuLines().read([*bad, good])
    assert others == [0, 1, 2, 3]
    assert len(table) == 0


def test_the_readings_come_in_the_order_of_their_lines_whatever_their_fields() -> None:
    """Neighbours are taken as one later: they have to be neighbours."""
    each = [replace(READING, mono_s=float(n), temp_c=None if n % 2 else 61) for n in range(10)]
    table, _ = GpuLines().read([encode(sample)[:-1] for sample in each])
    assert table[:, 0].tolist() == [float(n) for n in range(10)]
