"""mypy checks the firmware against MicroPython's own modules on the Pico W."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from vm.runner import FIRMWARE, ROOT

HOW = "python -m pip install --target .stubs micropython-rp2-rpi_pico_w-stubs"
needs_stubs = pytest.mark.skipif(
    not (ROOT / ".stubs" / "machine.pyi").is_file() or find_spec("mypy") is None,
    reason=f"the Pico W's type stubs (or mypy) are not installed: {HOW}",
)


def mypy(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--config-file", "tests/firmware_types.ini"]
    return subprocess.run([*command, *map(str, paths)], cwd=ROOT, capture_output=True, text=True)


@needs_stubs
def test_firmware_uses_the_boards_modules_as_they_are() -> None:
    run = mypy(FIRMWARE)
    assert run.returncode == 0, run.stdout + run.stderr


@needs_stubs
def test_the_check_sees_what_the_board_does_not_have(tmp_path: Path) -> None:
    source = tmp_path / "wrong.py"
    source.write_text(
        "import machine, time\n"
        "def f():\n"
        "    machine.Pin(2).valeu(1)\n"
        "    return time.monotonic(), time.ticks_ms()\n",
        encoding="utf-8",
    )
    errors = [line for line in mypy(source).stdout.splitlines() if "error:" in line]
    assert len(errors) == 2, errors
    assert '"valeu"' in errors[0]
    assert '"monotonic"' in errors[1]
