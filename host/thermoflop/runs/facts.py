"""What is written down about how a run was made: this machine, this code, this command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from thermoflop import __version__

# The folder we stand in may be anybody's, and its .git/config names programs for git to run.
_HARMLESS = {"core.fsmonitor": "false", "core.hooksPath": os.devnull}
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
    status = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
    return {"revision": revision, "changed": bool(_git(*status, settings=_without_filters()))}


def _without_filters() -> dict[str, str]:
    """Settings that empty each filter of the repository: `git status` would run its command.

    A filter of the user's own configuration, such as that of git-lfs, stays.
    """
    words = (_git("config", "--show-scope", "--name-only", "--null", "--list") or "").split("\0")
    names = {
        key.rpartition(".")[0]
        for scope, key in zip(words[::2], words[1::2], strict=False)
        if scope in ("local", "worktree") and key.startswith("filter.")
    }
    values = {"clean": "", "process": "", "required": "false"}
    return {f"{name}.{key}": value for name in names for key, value in values.items()}


def _git(*args: str, settings: Mapping[str, str] | None = None) -> str | None:
    """What git says, run so that nothing in the repository we stand in is executed."""
    environment = {**os.environ, "GIT_ALLOW_PROTOCOL": "none", "GIT_OPTIONAL_LOCKS": "0"}
    pairs = {**_HARMLESS, **(settings or {})}
    for index, (key, value) in enumerate(pairs.items()):
        environment |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    environment["GIT_CONFIG_COUNT"] = str(len(pairs))
    fixed = [word for key, value in _HARMLESS.items() for word in ("-c", f"{key}={value}")]
    try:  # -c, too: git before 2.31 does not know the environment's settings
        done = subprocess.run(
            ["git", *fixed, *args], env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=_GIT_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
