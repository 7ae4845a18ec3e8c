"""Rules that must hold for any sequence of readings, times, faults and commands."""

from __future__ import annotations

from typing import Any

from cpython_machine import Space
from hypothesis import given, settings
from hypothesis import strategies as st
from vm import runner

FIRMWARE = Space(runner.suite_files())
thermostat = FIRMWARE.load("thermostat")
faults = FIRMWARE.load("faults")
defaults = FIRMWARE.load("settings").defaults
wire = FIRMWARE.load("wire")

TICKS = st.integers(1, 5000)
TEMPS = st.integers(-60_000, 140_000)
SENSOR_FAULTS = st.sampled_from([0, 0, 0, 0, faults.OPEN, faults.FAST, faults.STALE, faults.PIN])


def machine(min_on_ms: int, min_off_ms: int, start_ms: int) -> Any:
    values = defaults() | {"min_on_s": min_on_ms, "min_off_s": min_off_ms}
    return thermostat.Thermostat(values, start_ms & 0x3FFFFFFF)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(TICKS, TEMPS), max_size=200),
    st.integers(0, 30_000),
    st.integers(0, 30_000),
    st.integers(0, 2**31),
)
def test_no_readings_switch_the_fan_faster_than_the_minimum_times(
    readings: list[tuple[int, int]], min_on_ms: int, min_off_ms: int, now_ms: int
) -> None:
    state = machine(min_on_ms, min_off_ms, now_ms)
    fan, since_ms = 1, now_ms
    for dt_ms, temp_mc in readings:
        now_ms += dt_ms
        if state.step(now_ms & 0x3FFFFFFF, temp_mc, 0) != fan:
            # heat above the maximum is the one reading that may start the fan early
            early = state.fan and temp_mc >= state.t_max_mc
            assert early or now_ms - since_ms >= (min_on_ms if fan else min_off_ms)
            fan, since_ms = state.fan, now_ms


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TICKS, TEMPS, SENSOR_FAULTS, st.integers(0, 9)), max_size=200))
def test_the_fan_is_never_off_with_a_fault_a_latched_fault_or_above_the_maximum(
    ticks: list[tuple[int, int, int, int]],
) -> None:
    state = machine(0, 0, 0)
    now_ms, bad_ms = 0, -(10**9)
    for dt_ms, temp_mc, found, command in ticks:
        now_ms += dt_ms
        if command == 1:
            state.override(0, 100_000)
        elif command == 2:
            state.auto()
        fan = state.step(now_ms, temp_mc, found)
        if found:
            bad_ms = now_ms
        if not fan:
            assert not found
            assert now_ms - bad_ms >= thermostat.GOOD_MS
            assert temp_mc < state.t_max_mc


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=2000))
def test_no_bytes_from_the_host_harm_the_reader(data: bytes) -> None:
    reader = wire.LineReader()
    for byte in data + b"\n!1 id\n":
        text = reader.feed(byte)
        if text is not None:
            wire.split_command(text)
    assert text == "1 id"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400), st.text(max_size=40))
def test_any_text_leaves_a_line_of_at_most_256_bytes_that_the_host_accepts(
    text: str, more: str
) -> None:
    from thermoflop.pico import wire as host_wire

    line = wire.Line()
    line.start("log").text("boot", "3fa2c1").text("text", text)
    length = line.text("more", more).end()
    assert length <= 256
    message = host_wire.decode(bytes(line.buf[: length - 1]))
    assert isinstance(message, host_wire.Log), message
