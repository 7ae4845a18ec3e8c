"""What is written down about how a run was made: this machine, this code, this command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from typing import Any

from thermoflop import __version__

_GIT_TIMEOUT_S = 5.0  # a work tree on a slow network file system


def host_facts() -> dict[str, Any]:
    """The machine and the interpreter."""
    return {
        "node": platform.node(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "thermoflop": __version__,
    }


def now() -> dict[str, Any]:
    """This moment on the wall clock (Unix seconds and UTC text) and the monotonic one."""
    wall_s = time.time()
    utc = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_s))
    return {"utc": utc, "wall_s": round(wall_s, 3), "mono_s": round(time.monotonic(), 6)}


def ended(start: dict[str, Any], end: str, why: str | None) -> dict[str, Any]:
    """This moment as the end of a run that began at ``start``: how, why, and after how long."""
    end_now = now()
    duration_s = round(float(end_now["mono_s"]) - float(start["mono_s"]), 6)
    return {**end_now, "end": end, "why": why, "duration_s": duration_s}


def command_line() -> list[str]:
    """How this process was called."""
    return list(sys.orig_argv)


def git_revision() -> dict[str, Any] | None:
    """The revision of the folder we stand in, and whether it was changed; None outside of git."""
    revision = _git("rev-parse", "HEAD")
    if revision is None:
        return None
    return {"revision": revision, "changed": bool(_git("status", "--porcelain", "-uno"))}


def _git(*args: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *args], capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
