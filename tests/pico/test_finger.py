"""The finger test as a state machine: each way it can end, with the board's own time."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from thermoflop.pico.setup.finger import DONE, HOLD, FingerTest, likely_part
from thermoflop.pico.setup.guide import fan_fault
from thermoflop.pico.wire import Sample

DEFAULTS = {"on_c": 29.0, "off_c": 28.0, "min_on_s": 5.0, "min_off_s": 5.0}
Course = Callable[[float], float | None]


def code_of(ohm: float) -> int:
    """The converter's code of a thermistor of so many ohm above a resistor of 10k."""
    return round(4095 * 10_000 / (ohm + 10_000))


class Bench:
    """A board that reads what it is told, five times a second, with a thermostat."""

    def __init__(self, raw: int = 2000, mode: str = "auto", broken: int | None = None) -> None:
        """``broken`` is what the fan is, whatever the temperature."""
        self.test = FingerTest(DEFAULTS)
        self._raw, self._mode, self._broken = raw, mode, broken
        self._up_s, self._fan = 100.0, 0

    def run(self, seconds: float, course: Course, flags: tuple[str, ...] = ()) -> FingerTest:
        """So many seconds of readings."""
        start_s = self._up_s
        while self._up_s < start_s + seconds:
            temp_c = course(self._up_s - start_s)
            if temp_c is not None and temp_c >= 29.0:
                self._fan = 1
            elif temp_c is not None and temp_c <= 28.0:
                self._fan = 0
            fan = self._fan if self._broken is None else self._broken
            args = ("3fa2c1", 1, self._up_s, temp_c, self._raw, fan, self._mode, flags, 0)
            self.test.feed(Sample(*args))
            self._up_s += 0.2
        return self.test

    def until_held(self, rest_c: float = 24.0) -> FingerTest:
        """A calm start, up to the moment of the finger."""
        self.run(5.4, lambda _: rest_c)
        assert self.test.is_resting
        self.test.await_off(DEFAULTS)
        self.run(1.0, lambda _: rest_c)
        return self.test


def warming(to_c: float, from_c: float = 24.0) -> Course:
    """Towards a temperature with a time constant of 3 s."""
    return lambda s: to_c + (from_c - to_c) * math.exp(-s / 3.0)


def test_held_it_starts_let_go_it_stops_and_the_test_is_passed() -> None:
    bench = Bench()
    test = bench.until_held()
    assert test.stage == HOLD
    test.held()
    bench.run(8.0, warming(33.0))
    bench.run(20.0, warming(24.0, from_c=32.4))
    figures = test.figures
    assert (test.stage, test.fault) == (DONE, None)
    assert figures.rest_c == pytest.approx(24.0)
    # 33 - 9 exp(-t/3) is 29 at t = 3 ln(9/4) = 2.43 s
    assert figures.on_after_s == pytest.approx(2.43, abs=0.3)
    assert figures.off_c is not None
    assert figures.off_c <= 28.0


@pytest.mark.parametrize(
    ("course", "broken", "name"),
    [
        (warming(20.0), None, "swapped"),
        (lambda _: 24.0, None, "no rise"),
        (warming(26.0), None, "no start"),
        (warming(33.0), 0, "fan stays off"),
    ],
)
def test_what_goes_wrong_while_it_is_held_is_named(
    course: Course, broken: int | None, name: str
) -> None:
    bench = Bench(broken=broken)
    bench.until_held()
    fault = bench.run(70.0, course).fault
    assert fault is not None
    assert fault.name == name
    assert fault.remedy


@pytest.mark.parametrize(("end_c", "said"), [(24.0, "the fan goes on"), (31.0, "it still reads")])
def test_a_fan_that_does_not_stop_is_named(end_c: float, said: str) -> None:
    bench = Bench()
    bench.until_held()
    bench.run(8.0, warming(33.0))
    bench._broken = 1
    fault = bench.run(200.0, warming(end_c, 32.4)).fault
    assert fault is not None
    assert fault.name == "fan stays on"
    assert said in fault.text


def test_a_fan_that_runs_from_the_start_is_named_before_the_finger() -> None:
    bench = Bench(broken=1)
    test = bench.until_held()
    assert test.fault is None
    bench.run(40.0, lambda _: 24.0)
    assert test.fault is not None
    assert test.fault.name == "fan stays on"


@pytest.mark.parametrize(
    ("part_ohm", "reads_c", "name", "part"),
    [(22_000.0, 7.7, "too cold at rest", "22k"), (4_700.0, 40.5, "too warm at rest", "4.7k")],
)
def test_another_part_than_the_one_set_is_named(
    part_ohm: float, reads_c: float, name: str, part: str
) -> None:
    """R(23 °C) = R25 exp(3950 (1/296.15 - 1/298.15))."""
    raw = code_of(part_ohm * math.exp(3950 * (1 / 296.15 - 1 / 298.15)))
    fault = Bench(raw).run(6.0, lambda _: reads_c).fault
    assert fault is not None
    assert fault.name == name
    assert f"a part of {part} reads so" in fault.text


@pytest.mark.parametrize("side", ["high", "low"])
def test_the_part_is_guessed_on_either_side_and_not_where_none_fits(side: str) -> None:
    ohm = 100_000 * math.exp(3950 * (1 / 296.15 - 1 / 298.15))
    raw = code_of(ohm) if side == "high" else 4095 - code_of(ohm)
    assert "100k reads so" in likely_part(raw, {"side": side})
    assert likely_part(raw, {"side": side, "r25_ohm": 100_000}) == ""
    assert likely_part(0, {}) == likely_part(4095, {}) == ""


@pytest.mark.parametrize(
    ("flag", "seconds", "is_named"),
    [("open", 2.0, False), ("open", 3.6, True), ("fast", 12.0, False), ("fast", 16.0, True),
     ("new_one", 3.6, True), ("settings", 3.6, True)],
)  # fmt: skip
def test_a_fault_of_the_board_is_named_when_it_lasts(
    flag: str, seconds: float, is_named: bool
) -> None:
    fault = Bench().run(seconds, lambda _: 24.0, (flag,)).fault
    assert (fault is not None) == is_named
    assert fault is None or (fault.name == flag and fault.remedy)


@pytest.mark.parametrize("mode", ["safe", "on", "off"])
def test_a_fan_that_does_not_follow_the_temperature_is_named(mode: str) -> None:
    fault = Bench(mode=mode).run(1.0, lambda _: 24.0).fault
    assert fault is not None
    assert fault.name == mode


@pytest.mark.parametrize(
    ("rest_c", "changes", "on_c"),
    [
        (24.0, {}, None),
        (28.0, {}, 30.0),  # the room is too warm for 29
        (30.4, {}, 32.0),  # no more than a finger has
        (24.0, {"on_c": 60.0, "off_c": 55.0}, 26.0),  # no finger gets there
        (24.0, {"off_c": 20.0}, 26.0),  # it would never stop
        (24.0, {"min_off_s": 600.0}, 26.0),
    ],
)
def test_thresholds_that_no_finger_reaches_are_replaced_for_the_test(
    rest_c: float, changes: dict[str, float], on_c: float | None
) -> None:
    test = FingerTest(DEFAULTS | changes)
    test.figures.rest_c = rest_c
    new = test.thresholds()
    assert new.get("on_c") == on_c
    assert not new or rest_c < new["off_c"] < new["on_c"] <= 32.0


@pytest.mark.parametrize(
    ("turns", "stops", "name"),
    [(True, True, None), (True, False, "fan never stops"), (False, True, "fan does not run"),
     (False, False, "fan inverted")],
)  # fmt: skip
def test_what_a_person_sees_of_the_fan_names_its_fault(
    turns: bool, stops: bool, name: str | None
) -> None:
    fault = fan_fault(turns, stops)
    assert (fault and fault.name) == name
