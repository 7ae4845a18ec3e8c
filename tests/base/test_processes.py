"""Processes as the system lists them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from thermoflop.base.processes import holders

_RENAMED = """
import ctypes, sys
ctypes.CDLL(None).prctl(15, b"\\x1b[2J\\nsh", 0, 0, 0)  # PR_SET_NAME
file = open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open")
def test_the_name_that_a_holder_of_a_file_gave_itself_steers_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.touch()
    command = [sys.executable, "-c", _RENAMED, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert list(holders(str(path))) == [(child.pid, r"\x1b[2J\nsh")]
        child.communicate()
