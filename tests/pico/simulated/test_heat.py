"""Heat comes from a script, a file or the machine; nonsense is refused in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from thermoflop.errors import InputError, UsageError
from thermoflop.pico.simulated import heat


def test_a_step_holds_until_the_next() -> None:
    script = heat.parse_script("0 0W, 5 30W, 20 0W")
    assert [script.watts(t) for t in (-1.0, 0.0, 4.99, 5.0, 19.9, 20.0, 1e9)] == [
        0,
        0,
        0,
        30,
        30,
        0,
        0,
    ]


def test_nothing_before_the_first_step() -> None:
    assert heat.parse_script("5 30W").watts(4.0) == 0


def test_a_power_alone_holds_always() -> None:
    assert heat.parse_script("12.5W").watts(100.0) == 12.5


def test_every_starts_anew() -> None:
    script = heat.parse_script("5 30W, 15 0W every 40")
    assert [script.watts(t) for t in (-35.0, 4.0, 6.0, 16.0, 44.0, 46.0, 96.0)] == [
        0,
        0,
        30,
        0,
        0,
        30,
        0,
    ]


@pytest.mark.parametrize(
    "text",
    ["", "x", "5 9W, 4 3W", "5 9W 6", "0 2000W", "0 1W every 0", "5 -3W", "every 4", "1 nanW"],
)
def test_a_script_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        heat.parse_script(text)


def test_a_file_may_have_comments_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "heat.txt"
    path.write_text("# a day\n0 1W\n5 30W # noon\n\n20 0W\nevery 40\n")
    assert heat.parse_heat(str(path)).watts(46.0) == 30


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match="nowhere"):
        heat.parse_heat("nowhere.txt")


def test_a_text_longer_than_a_file_name_is_refused_in_a_sentence() -> None:
    for text in ("9" * 5000, "x" * 5000):
        with pytest.raises((UsageError, InputError)):
            heat.parse_heat(text)


def test_off_is_no_heat() -> None:
    assert heat.parse_heat("off").watts(5.0) == 0


def test_cpu_is_the_share_of_busy_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"mono": 100.0, "busy": 50.0}
    monkeypatch.setattr(heat.time, "monotonic", lambda: clock["mono"])
    monkeypatch.setattr(heat.os, "cpu_count", lambda: 4)
    load = heat.MachineLoad(30.0, busy=lambda: clock["busy"])
    for _ in range(40):  # two of four processors, for ten seconds
        clock["mono"] += 0.25
        clock["busy"] += 0.5
        load.watts(0.0)
    assert load.watts(0.0) == pytest.approx(15.0, rel=1e-6)


def test_cpu_never_exceeds_full_power(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"mono": 100.0, "busy": 0.0}
    monkeypatch.setattr(heat.time, "monotonic", lambda: clock["mono"])
    load = heat.MachineLoad(30.0, busy=lambda: clock["busy"])
    for step in (1e9, -1e9, 1e9):  # a counter that jumps, as after a suspend
        clock["mono"] += 1
        clock["busy"] += step
        assert 0 <= load.watts(0.0) <= 30


def test_the_real_machine_can_be_read() -> None:
    assert 0 <= heat.parse_heat("cpu", 10.0).watts(0.0) <= 10


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin", "FIFO", "LARGE"])
def test_a_heat_file_without_end_is_neither_waited_for_nor_read(tmp_path: Path, path: str) -> None:
    """A device, a pipe that nobody writes, and a file far larger than any script."""
    named = tmp_path / path if path.isalpha() else Path(path)
    if path == "FIFO":
        os.mkfifo(named)
    if path == "LARGE":
        named.write_text("0 0W\n" * 100_000)
    with pytest.raises(InputError, match="a file with one that can be read"):
        heat.parse_heat(str(named))
