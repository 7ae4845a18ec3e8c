"""The demo's stages follow the board, whatever the machine can give it."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from thermoflop.cost.hardware.device import Device
from thermoflop.errors import ThermoflopError
from thermoflop.pico.simulated.heat import FULL_W
from thermoflop.pico.track import HostEvent
from thermoflop.runs.demo.stages import DemoResult, Stage, demo, this_machine
from thermoflop.runs.folder.reader import read_run

SPEED = 20.0
DEVICE = Device("a machine of tests", 8e9, 10e9, {"fp32": 100e9})
# so many seconds of ours, with a note of the processor time at every twentieth
PRETEND = """
import sys, time
cores = float(sys.argv[1])
print("phase=decode", flush=True)
last, end = time.monotonic(), time.monotonic() + float(sys.argv[2])
while last < end:
    time.sleep(0.05)
    now = time.monotonic()
    print(f"tokens=1 cpu_s={cores * (now - last):.6f}", flush=True)
    last = now
"""


def play(out: Path, watts: float, board_s: float = 24.0, **options: Any) -> DemoResult:
    """A benchmark that uses just the processor time that makes so much heat, for so long."""
    words = [sys.executable, "-c", PRETEND, str(watts / FULL_W), str(board_s / SPEED)]
    return demo(out, command=words, device=DEVICE, speed=SPEED, **options)


@pytest.mark.parametrize(("watts", "board_s"), [(30.0, 24.0), (12.0, 60.0)])
def test_a_fast_and_a_slow_machine_both_start_the_fan(
    tmp_path: Path, watts: float, board_s: float
) -> None:
    result = play(tmp_path, watts, board_s)
    assert result.fan_worked
    assert not result.interrupted
    assert result.stage.fan_on_s is not None
    assert result.stage.fan_off_s is not None
    assert result.stage.fan_on_s + 5.0 <= result.stage.fan_off_s + 0.2  # its minimum time
    assert result.outcome.run["counters"]["lost_samples"] == 0
    assert result.outcome.run["summary"]["fan_switches"] % 2 == 0


def test_a_machine_without_heat_is_told_and_does_not_hang(tmp_path: Path) -> None:
    result = play(tmp_path, 0.5)
    assert not result.fan_worked
    assert not result.interrupted
    assert result.stage.fan_on_s is None


def test_the_run_has_prediction_board_gpu_and_what_the_work_did(tmp_path: Path) -> None:
    result = play(tmp_path, 30.0)
    run = read_run(result.outcome.folder)
    assert run["board"]["settings"]["on_c"] == 29.0
    assert run["predictions"]["hardware"] == DEVICE.name
    assert run["predictions"]["reads_gpus"] is False
    assert "Simulated GPU" in run["gpu"]["devices"][0]["name"]
    assert run["labels"] == {"board": "simulated", "gpu": "simulated"}
    assert result.stage.tokens >= 5
    assert "phase=decode" in (result.outcome.folder / "child.log").read_text()


def test_the_heat_follows_the_benchmarks_processor_time(tmp_path: Path) -> None:
    """Nothing before it starts and after it ends, and in between what it says it used."""
    seen: list[tuple[str, float]] = []

    def see(_: object, stage: Stage) -> None:
        seen.append((stage.name, stage.watts(0.0)))

    play(tmp_path, 15.0, on_line=see)
    assert median(watts for _, watts in seen if watts > 0) == pytest.approx(15.0, rel=0.2)
    assert {watts for name, watts in seen if name != "work"} == {0.0}


def test_what_the_benchmark_said_last_gives_no_heat_after_its_end() -> None:
    """Its end is known at once, its output is read when there is time."""
    stage = Stage(None)
    now_s = time.monotonic()
    told = {"values": {"cpu_s": 1.0, "tokens": 1.0}}
    stage.see(HostEvent(now_s, 0.0, "child_start", {}))
    stage.see(HostEvent(now_s + 1, 0.0, "mark", told))
    assert stage.watts(0.0) == FULL_W
    stage.see(HostEvent(now_s + 2, 0.0, "child_end", {}))
    stage.see(HostEvent(now_s + 3, 0.0, "mark", told))
    assert stage.watts(0.0) == 0.0
    assert stage.tokens == 2.0


def test_a_benchmark_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ThermoflopError, match="exit code 3: no numpy here"):
        demo(
            tmp_path, command=["sh", "-c", "echo no numpy here; exit 3"], device=DEVICE, speed=SPEED
        )


def test_two_demos_at_once_do_not_meet(tmp_path: Path) -> None:
    folders: list[Path] = []
    threads = [
        threading.Thread(target=lambda: folders.append(play(tmp_path, 30.0).outcome.folder))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 2


def test_rates_that_cannot_be_measured_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thermoflop.runs.demo.stages.sys.executable", "/bin/false")
    with pytest.raises(ThermoflopError, match="could not be measured"):
        this_machine(1)
