"""The demo's stages follow the board, whatever the machine can give it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from thermoflop.errors import ThermoflopError
from thermoflop.runs.demo import Director, demo
from thermoflop.runs.workload import Report, Workload

SPEED = 20.0


class Pretend(Workload):
    """A machine that gives a fixed heat from ``go`` to ``finish``."""

    def __init__(self, watts: float) -> None:
        self.threads = 1
        self.log = ["pretended\n"]
        self._full_w = watts
        self._works = False
        self._last = Report(0.0, 0.0, 0)

    def wait_ready(self, timeout_s: float) -> None:
        pass

    def go(self) -> None:
        self._works = True

    def finish(self) -> Report:
        self._works = False
        self._last = Report(10.0, 9.0, 5_000_000_000)
        return self._last

    def close(self) -> None:
        self._works = False

    @property
    def has_died(self) -> bool:
        return False

    def watts(self, now_s: float) -> float:
        return self._full_w if self._works else 0.0


@pytest.mark.parametrize("watts", [30.0, 12.0, 8.0])
def test_a_fast_and_a_slow_machine_both_start_the_fan(tmp_path: Path, watts: float) -> None:
    result = demo(tmp_path, workload=Pretend(watts), speed=SPEED)
    assert result.fan_worked
    assert not result.interrupted
    assert result.fan_on_s is not None
    assert result.fan_off_s is not None
    assert result.fan_on_s + 5.0 <= result.fan_off_s + 0.2  # its minimum time
    assert result.fan_off_s < 26.0  # all of it within half a minute
    assert result.run.counters.lost_samples == 0
    assert result.run.summary.fan_switches == 2


def test_a_machine_without_heat_is_told_and_does_not_hang(tmp_path: Path) -> None:
    result = demo(tmp_path, workload=Pretend(1.0), speed=SPEED)
    assert not result.fan_worked
    assert not result.interrupted
    assert result.run.end == "stopped"


def test_the_run_keeps_what_the_work_did(tmp_path: Path) -> None:
    result = demo(tmp_path, workload=Pretend(30.0), speed=SPEED)
    run = json.loads((result.run.folder / "run.json").read_text())
    assert run["work"]["mults"] == 5_000_000_000
    assert run["work"]["mults_per_s"] == 500_000_000
    assert run["board"]["settings"]["on_c"] == 29.0
    assert (result.run.folder / "child.log").read_text() == "pretended\n"


def test_it_can_be_stopped_at_any_moment(tmp_path: Path) -> None:
    stop = threading.Event()
    seen: list[str] = []

    def see(_: object, director: Director) -> None:
        seen.append(director.stage)
        if director.stage == "work":
            stop.set()

    result = demo(tmp_path, workload=Pretend(30.0), speed=SPEED, on_line=see, stop=stop)
    assert result.interrupted
    assert set(seen) == {"rest", "work"}


def test_two_demos_at_once_do_not_meet(tmp_path: Path) -> None:
    folders: list[Path] = []

    def play() -> None:
        folders.append(demo(tmp_path, workload=Pretend(30.0), speed=SPEED).run.folder)

    threads = [threading.Thread(target=play) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 2


def test_a_process_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thermoflop.runs.workload.sys.executable", "/bin/echo")
    workload = Workload(30.0)
    try:
        with pytest.raises(ThermoflopError, match="did not start"):
            workload.wait_ready(10.0)
    finally:
        workload.close()
