"""Standard output and standard error as a command may find them: closed, ASCII only, full."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from contextlib import contextmanager

from thermoflop.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LONG_BYTES = 10_000_000  # two seconds or so
_CANNOT_TAKE_MORE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}


def prepare() -> None:
    """Lead closed streams nowhere; let an encoding without °C print a question mark for it."""
    _occupy()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(errors="replace")


def interrupts() -> None:
    """From now on Ctrl-C is an exception again, where ``__main__`` let it end the process."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _occupy() -> None:
    """Keep the three standard numbers from being given to a file of a run."""
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > 2:
            os.close(number)
            return


def tell(text: str) -> None:
    """Say something beside the results, on standard error; what it quotes steers no terminal."""
    print(printable(text), file=sys.stderr, flush=True)


def show_progress(text: str) -> None:
    """Replace the line of progress on a terminal; empty: take it away. Into a pipe nothing goes."""
    if sys.stderr.isatty() and not is_dumb():
        with contextlib.suppress(OSError):  # the terminal may be gone
            print(f"\r\x1b[K{printable(text)}", end="", file=sys.stderr, flush=True)


def is_dumb() -> bool:
    """Whether the terminal says that it can only be printed to, line by line."""
    return os.environ.get("TERM", "").lower() in ("dumb", "unknown")


@contextmanager
def reading(folders: Sequence[Path]) -> Iterator[None]:
    """On a terminal, say how much of long runs is read while that lasts."""
    sizes = [path.stat().st_size for each in folders if (path := each / "samples.jsonl").is_file()]
    if sum(sizes) < _LONG_BYTES:
        yield
        return
    show_progress(f"reading {sum(sizes) / 1e6:.0f} MB of samples ...")
    try:
        yield
    finally:
        show_progress("")


def is_full(error: OSError) -> bool:
    """Whether this is what a write to a full disk says."""
    return error.errno in _CANNOT_TAKE_MORE


def forget_output() -> None:
    """Let what standard output still holds go nowhere, so that nothing fails at exit."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
