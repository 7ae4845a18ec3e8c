"""How far something long is: work says it, and a terminal may show it, with the time left.

Work that takes over a second wraps its loop in ``tracked``, at any depth: the share that is done is
that of the outer loop, and the inner ones refine it. Nothing is passed along and nothing happens
unless a command has opened ``shown_on`` around the work. Into a pipe goes nothing.
"""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO, TypeVar

    Item = TypeVar("Item")

QUIET_S = 0.5  # what is over sooner shows nothing
BETWEEN_S = 0.2
SOON = 0.02  # below this share the time left would be a guess
COLUMNS = 79

# who is told: a function of the share done (0 to 1) and a word
_told: ContextVar[Callable[[float, str], None] | None] = ContextVar("progress", default=None)
# the part of the whole that the innermost loop is working on
_span: ContextVar[tuple[float, float]] = ContextVar("span", default=(0.0, 1.0))


def tracked(
    items: Sequence[Item], what: str, name: Callable[[Item], str] = lambda _: ""
) -> Iterator[Item]:
    """Yield the items, and say before each how far it is.

    Args:
        items: what is worked on, each taking about as long.
        what: what is done with them, such as ``"fitting"``.
        name: what to call one of them beside ``what``.

    Example:
        >>> list(tracked([1, 2, 3], "adding"))
        [1, 2, 3]
    """
    tell = _told.get()
    if tell is None:
        yield from items
        return
    start, end = _span.get()
    width = (end - start) / max(len(items), 1)
    try:
        for place, item in enumerate(items):
            tell(start + place * width, f"{what} {name(item)}".strip())
            _span.set((start + place * width, start + (place + 1) * width))
            yield item
    finally:
        _span.set((start, end))
        _end_of(start, end, tell)


def _end_of(start: float, end: float, tell: Callable[[float, str], None] | None) -> None:
    """Let the line go when the whole is done, before anything is printed."""
    if tell is not None and (start, end) == (0.0, 1.0):
        tell(1.0, "")


@contextlib.contextmanager
def part(start: float, end: float) -> Iterator[None]:
    """Let the loops inside be the part of the whole from ``start`` to ``end``, 0 to 1."""
    low, high = _span.get()
    _span.set((low + start * (high - low), low + end * (high - low)))
    try:
        yield
    finally:
        _span.set((low, high))
        _end_of(low, high if end == 1.0 else 0.0, _told.get())


def say(done: int, count: int, what: str) -> None:
    """Say that ``done`` of ``count`` are done, for work that is no loop over items."""
    if (tell := _told.get()) is not None:
        start, end = _span.get()
        tell(start + (end - start) * done / max(count, 1), what)


@contextlib.contextmanager
def shown_on(stream: TextIO, dumb: bool = False) -> Iterator[None]:
    """Show the progress of the work inside as one line of a terminal, taken away at the end.

    Args:
        stream: where, such as standard error; nothing is written unless it is a terminal.
        dumb: whether the terminal cannot write over a line: then nothing is written either.
    """
    if dumb or not stream.isatty():
        yield
        return
    line = Line(stream)
    token = _told.set(line.show)
    try:
        yield
    finally:
        _told.reset(token)
        line.clear()


class Line:
    """One line that is written over, with the share done and the time left."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        """Write to ``stream``; ``now`` gives seconds."""
        self._stream, self._now = stream, now
        self._start_s = self._drawn_s = now()
        self._width = 0

    def show(self, share: float, what: str) -> None:
        """Draw the line, unless it was drawn just now; take it away when all is done."""
        at_s = self._now()
        if share >= 1.0:
            self.clear()
            self._start_s = at_s
            return
        if at_s - self._start_s < QUIET_S or (self._width and at_s - self._drawn_s < BETWEEN_S):
            return
        self._drawn_s = at_s
        self._write(f"{100 * share:3.0f} %  {self._left(share, at_s)}  {what}"[:COLUMNS])

    def _left(self, share: float, at_s: float) -> str:
        if share < SOON:
            return "time left: not known yet"
        return f"{duration((at_s - self._start_s) * (1 - share) / share)} left"

    def clear(self) -> None:
        """Take the line away."""
        if self._width:
            self._write("")
            self._stream.write("\r")
            self._width = 0

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone
            self._stream.write("\r" + text.ljust(self._width))
            self._stream.flush()
        self._width = len(text)


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> duration(8.4), duration(95), duration(7300)
        ('8 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
