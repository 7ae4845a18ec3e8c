"""The processes of this machine, as far as Linux tells of them under /proc."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from thermoflop.errors import printable

_PROC = Path("/proc")


def read_text(path: Path) -> str:
    """What a small file of the system says; "" where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def processes() -> list[int]:
    """Their numbers; none where the system has no such table."""
    names = os.listdir(_PROC) if _PROC.is_dir() else ()  # noqa: PTH208
    return [int(name) for name in names if name.isdigit()]


def name_of(process: int) -> str:
    """The name that a process gave itself, safe for a terminal; "" of one that has ended."""
    return printable(read_text(_PROC / str(process) / "comm")).replace("\n", r"\n")


def stat_of(process: int) -> list[str]:
    """Its state, parent, group, session and so on, as proc(5) has them; none where it has ended."""
    # the name in brackets before them may hold anything
    return read_text(_PROC / str(process) / "stat").rpartition(")")[2].split()


def holders(*files: str) -> Iterator[tuple[int, str]]:
    """The other processes that have one of these files open; those of other users are not seen."""
    for process in processes():
        if process != os.getpid() and not _open_files(process).isdisjoint(files):
            yield process, name_of(process)


def _open_files(process: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):  # it ended, or is somebody else's
        for entry in os.scandir(_PROC / str(process) / "fd"):
            with contextlib.suppress(OSError):
                found.add(os.readlink(entry.path))  # noqa: PTH115
    return found
