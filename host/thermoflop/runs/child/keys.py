"""``KEY=value`` lines in a command's output, such as ``phase=decode`` or ``tokens=64 loss=2.31``.

A line counts when every word of it is KEY=value. ``phase`` begins a phase; everything else are
numbers (or words) that belong to the phase that is running. A flood is bounded: once a second has
had ``MAX_PER_S`` such lines, the rest of its lines are counted and not looked at.
"""

from __future__ import annotations

import math
import re
from typing import Any

MAX_PER_S = 100  # ten times what the sampler reads: more tells the report nothing
MAX_LINE_BYTES = 512  # a line of figures is shorter; a dump of a tensor is not
MAX_WORDS = 16  # more is prose or a table

_IS_LINE = re.compile(rb"(?:[A-Za-z_][A-Za-z0-9_.]{0,63}=[\x21-\x7e]{1,128})(?:[ \t]+|$)").match
_WORD = re.compile(r"([A-Za-z_][A-Za-z0-9_.]{0,63})=([\x21-\x7e]{1,128})")


def parse_keys(line: bytes) -> dict[str, float | str] | None:
    """The keys and values of a line, or None when it is not made of them."""
    if b"=" not in line or len(line) > MAX_LINE_BYTES or not _IS_LINE(line):
        return None
    words = line.decode("ascii", "replace").split()
    matches = [_WORD.fullmatch(word) for word in words]
    if len(words) > MAX_WORDS or not all(matches):
        return None
    return {match[1]: _value(match[2]) for match in matches if match}


def _value(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


class KeyLines:
    """Finds KEY=value lines in a stream of chunks, in bounded memory and time."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.passed_over = 0
        self._rest = b""
        self._skipping = False
        self._second = -1
        self._count = 0

    def feed(self, chunk: bytes, now_s: float) -> list[dict[str, Any]]:
        """The KEY=value lines that ``chunk`` completes."""
        if b"=" not in chunk and b"=" not in self._rest:
            self._keep_tail(chunk)
            return []
        *lines, tail = (self._rest + chunk).split(b"\n")
        if self._skipping and lines:
            del lines[0]
            self._skipping = False
        self._rest = tail
        if len(tail) > MAX_LINE_BYTES:
            self._rest, self._skipping = b"", True
        kept: list[dict[str, Any]] = []
        for index, line in enumerate(lines):
            if self._is_over(now_s):
                self.passed_over += len(lines) - index
                break
            keys = parse_keys(line.rstrip(b"\r"))
            if keys is not None:
                kept.append(keys)
                self._count += 1
        return kept

    def _keep_tail(self, chunk: bytes) -> None:
        """The start of the next line, when there is no ``=`` in sight."""
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            self._rest, self._skipping = tail, False
        else:
            self._rest += head or tail
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest, self._skipping = b"", True

    def _is_over(self, now_s: float) -> bool:
        """Whether this second has had its share."""
        second = math.floor(now_s)
        if second != self._second:
            self._second, self._count = second, 0
        return self._count >= MAX_PER_S
