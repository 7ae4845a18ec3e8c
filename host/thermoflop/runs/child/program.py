"""Which program a command means, and why one that is there cannot be started.

What the system says of a script is said of its interpreter: "No such file or directory" of a file
that is there. So the first line is read, and the interpreter named.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from thermoflop.errors import CommandNotFound, CommandNotRunnable

_MAX_FIRST_LINE = 256  # of which Linux reads as many
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=").match


def find_program(name: str) -> str:
    """The path of a program; one sentence and the exit code of a shell when there is none."""
    path = shutil.which(name)
    if path:
        return path
    if os.sep in name and Path(name).exists():
        raise CommandNotRunnable(f"{name} cannot be run: it is not an executable file")
    hint = "check its spelling and PATH"
    if _ASSIGNMENT(name):
        hint = f"to set a variable, write env before it: record -- env {name} COMMAND"
    raise CommandNotFound(f"there is no command {name!r}: {hint}")


def refusal(name: str, error: OSError) -> CommandNotRunnable:
    """Why the system did not start a program, in one sentence."""
    return CommandNotRunnable(f"{name} cannot be run: {_why(name, error)}")


def _why(name: str, error: OSError) -> str:
    said = error.strerror or str(error)
    head = _first_bytes(shutil.which(name) or name)
    if head is None:
        return said
    if not head.startswith(b"#!"):
        if error.errno == errno.ENOEXEC:
            return "it is no program of this machine, and no script whose first line begins with #!"
        missing = error.errno == errno.ENOENT and head.startswith(b"\x7fELF")
        return "the loader that it was built for is not there" if missing else said
    line = head[2:].split(b"\n")[0].decode("utf-8", "replace")
    if line.endswith("\r"):
        return "its first line ends as lines of Windows do, with a carriage return"
    words = line.split()
    if not words:
        return "its first line, #!, names no interpreter"
    path = Path(words[0])
    if not path.exists():
        return f"its interpreter {words[0]} (its first line says) is not there"
    if not os.access(path, os.X_OK) or path.is_dir():
        return f"its interpreter {words[0]} (its first line says) is not an executable file"
    return f"{said} (its interpreter is {words[0]})"


def _first_bytes(path: str) -> bytes | None:
    if not Path(path).is_file():
        return None
    try:
        with Path(path).open("rb") as file:
            return file.read(_MAX_FIRST_LINE)
    except OSError:
        return None
