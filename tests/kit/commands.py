"""Run the command line as a user does: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "host"), os.environ.get("PYTHONPATH")])),
    "PYTHONUNBUFFERED": "1",
}


def command(*words: str) -> list[str]:
    """The words with the program before them."""
    return [sys.executable, "-m", "thermoflop", *words]


def start(*words: str) -> subprocess.Popen[bytes]:
    """A process that runs on, its outputs in pipes."""
    return subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    )


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """A finished process."""
    return subprocess.run(
        command(*words), capture_output=True, text=True, timeout=60, env=ENVIRONMENT, check=False
    )
