"""NVML that never returns, in a process of its own: Ctrl-C ends the command, the run is whole."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kit.commands import ENVIRONMENT, command
from thermoflop.runs.folder.reader import read_run

PYNVML = """
import time
class NVMLError(Exception): pass
def block(*_): time.sleep(3600)
def nvmlInit(): INIT
def nvmlShutdown(): block()
def nvmlSystemGetDriverVersion(): return "550.54"
def nvmlDeviceGetCount(): return 1
def nvmlDeviceGetHandleByIndex(index): return index
def __getattr__(name): return block
"""
CHILD = """
import sys, time
try:
    print("up", flush=True)
    time.sleep(3600)
except KeyboardInterrupt:
    print("phase=end", flush=True)
    sys.exit(9)
"""


@pytest.mark.parametrize("init", ["block()", "pass"])
def test_ctrl_c_ends_the_command_while_nvml_hangs(tmp_path: Path, init: str) -> None:
    """At its start, or when a GPU is read: the child's code, its output and the reason are kept."""
    (tmp_path / "pynvml.py").write_text(PYNVML.replace("INIT", init))
    path = f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}"
    words = ("record", "--port", "none", "--no-report", "--out", str(tmp_path / "runs"), "--")
    recorder = subprocess.Popen(
        command(*words, sys.executable, "-c", CHILD),
        env={**ENVIRONMENT, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert recorder.stdout is not None
    assert recorder.stdout.readline() == b"up\n"
    recorder.send_signal(signal.SIGINT)
    try:
        out, err = recorder.communicate(timeout=20)  # NVML would take an hour
    finally:
        recorder.kill()
    assert recorder.returncode == 9, err.decode()
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "child.log").read_bytes() == b"up\nphase=end\n" == b"up\n" + out
    run = read_run(folder)
    assert run["ended"]["end"] == "stopped"
    assert run["exit_code"] == run["trials"][0]["exit_code"] == 9
    assert "NVML has not answered" in str(run["absent"]) or "no answer" in str(run["notices"])
