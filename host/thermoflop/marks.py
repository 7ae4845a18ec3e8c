"""Tell the recorder around this process what it is doing: ``tf.mark("prefill", tokens=2048)``.

A mark begins a phase that lasts until the next mark or the end of the run; numbers given with it,
or later with ``note``, belong to that phase. Under ``thermoflop record`` each is one line, appended
in one write to the file that the environment names, stamped with the monotonic clock of the moment
it was called. Outside of a recording a mark does nothing, and it never raises because of the file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT = "THERMOFLOP_MARKS"
_fd: int | None = None  # -1: there is no recorder


def mark(name: str | None, **values: float | str) -> None:
    """Begin a phase now. It lasts until the next mark, or the end of the run.

    Outside of a recording this does nothing, and it never raises because of its file.

    Args:
        name: the phase's name. None: end the phase that is running.
        **values: numbers and texts that belong to the phase, by name: ``tokens`` gives tokens a
            second in the report; ``flops``, ``bytes`` and ``peak_flops_per_s`` give utilization.

    Example:
        >>> import thermoflop as tf
        >>> tf.mark("prefill", tokens=2048)
        >>> tf.mark(None)
    """
    if _fd == -1 or not _ready():
        return
    _write({"phase": name, **({"values": values} if values else {})})


def note(**values: float | str) -> None:
    """Add numbers to the phase that is running, such as tokens after a step.

    Outside of a recording this does nothing, and it never raises because of its file.

    Args:
        **values: numbers and texts by name, as in ``mark``; notes of one phase add up.

    Example:
        >>> import thermoflop as tf
        >>> tf.note(tokens=64)
    """
    if _fd == -1 or not _ready():
        return
    _write({"values": values})


@contextmanager
def phase(name: str, **values: float | str) -> Iterator[None]:
    """A phase for the length of a ``with`` block.

    Args:
        name: the phase's name.
        **values: numbers and texts that belong to it, as in ``mark``.

    Returns:
        A context manager; the phase ends with the block, also where that raises.

    Example:
        >>> import thermoflop as tf
        >>> with tf.phase("decode", tokens=64):
        ...     pass
    """
    mark(name, **values)
    try:
        yield
    finally:
        mark(None)


def _ready() -> bool:
    """Whether there is a recorder; opens its file at the first mark of a process.

    A forked child shares the file: every line is one append. (A process forked before its parent's
    first mark opens it by itself.)
    """
    global _fd
    if _fd is None:
        path = os.environ.get(ENVIRONMENT)
        try:
            flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
            _fd = os.open(path, flags) if path else -1
        except OSError:
            _fd = -1
    return _fd != -1


def _write(data: dict[str, object]) -> None:
    line = {"mono_s": round(time.monotonic(), 6), "pid": os.getpid(), **data}
    try:
        text = json.dumps(line, separators=(",", ":"), default=str) + "\n"
        os.write(_fd or -1, text.encode())
    except (OSError, ValueError):  # a full disk or a circular value must not end the benchmark
        return
