"""A recording that obeys: orders reach the board through the run's folder, and are noted there."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit import commands
from thermoflop.errors import InputError
from thermoflop.runs.folder import control
from thermoflop.runs.folder import index as shelf
from thermoflop.runs.folder.reader import RunReader
from thermoflop.runs.folder.store import RunStore, is_being_written

WAIT = "import time, signal, sys; signal.signal(15, lambda *_: sys.exit(0)); time.sleep(60)"


def started(out: Path, *options: str) -> tuple[subprocess.Popen[bytes], Path]:
    """A recording of a simulated board that goes on, and its folder."""
    words = ["record", *options, "--port", "sim://?uptime=60", "--gpu", "none", "--out", str(out)]
    process = commands.start(*words, "--", sys.executable, "-c", WAIT)
    end_s = time.monotonic() + 30
    while time.monotonic() < end_s:
        for folder in out.glob("*"):
            if (
                is_being_written(folder)
                and b"child_start" in (folder / "samples.jsonl").read_bytes()
            ):
                return process, folder
        time.sleep(0.05)
    raise AssertionError("the recording did not start")


def test_orders_reach_the_board_and_stop_ends_the_run_in_order(tmp_path: Path) -> None:
    process, folder = started(tmp_path, "--control")
    control.order(folder, "!77 fan on 30")
    control.order(folder, "what is this")
    end_s = time.monotonic() + 20
    while b'"id":77,"ok":true' not in (folder / "samples.jsonl").read_bytes():
        assert time.monotonic() < end_s
        time.sleep(0.05)
    with pytest.raises(InputError, match="is being recorded"):
        shelf.delete(folder, tmp_path)
    control.order(folder, control.STOP)
    assert process.wait(timeout=30) == 0
    process.communicate()
    run = json.loads((folder / "run.json").read_text())
    assert run["ended"]["end"] == "stopped"
    orders = [i.detail["text"] for i in RunReader(folder) if getattr(i, "ev", "") == "order"]
    assert orders == ["!77 fan on 30", "stop"]
    assert not (folder / control.CONTROL).exists()
    with pytest.raises(InputError, match="takes no orders"):
        control.order(folder, control.STOP)


def test_a_recording_without_control_takes_no_orders(tmp_path: Path) -> None:
    process, folder = started(tmp_path)
    with pytest.raises(InputError, match="takes no orders"):
        control.order(folder, control.STOP)
    process.terminate()
    process.communicate(timeout=30)


def test_a_run_is_being_written_until_its_store_is_closed(tmp_path: Path) -> None:
    store = RunStore(tmp_path, "lock")
    assert is_being_written(store.folder)
    assert is_being_written(store.folder)  # looking takes no lock away
    store.close()
    assert not is_being_written(store.folder)
    assert not is_being_written(tmp_path / "no such run")
