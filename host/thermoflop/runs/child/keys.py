"""``KEY=value`` lines in a command's output, such as ``phase=decode`` or ``tokens=64 loss=2.31``.

A line counts when every word of it is KEY=value, as a person sees it: colours and indentation are
taken off, and of a line that is redrawn with carriage returns what it said last counts. ``phase``
begins a phase; everything else are numbers (or words) that belong to the phase that is running.
"""

from __future__ import annotations

import math
import re

from thermoflop.base.written import read_number

MAX_LINE_BYTES = 512  # a line of figures is shorter; a dump of a tensor is not
MAX_RAW_BYTES = 4096  # the same with its colours
MAX_WORDS = 16  # more is prose or a table
_MAX_KNOWN = 4096  # lines whose meaning is remembered: a flood says few different ones

# CSI, OSC (ended by BEL or ESC \), and the two and three byte sequences of ECMA-48 and tput sgr0
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
_IS_LINE = re.compile(rb"(?:[A-Za-z_][A-Za-z0-9_.]{0,63}=[\x21-\x7e]{1,128})(?:[ \t]+|$)").match
_WORD = re.compile(r"([A-Za-z_][A-Za-z0-9_.]{0,63})=([\x21-\x7e]{1,128}?)[,;]?")
_COUNTS = ("tokens", "flops", "bytes", "_per_s", "requests", "steps")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?(?:[eE][+-]?\d+)?").fullmatch

_AMOUNTS = ("tokens", "flops", "bytes")  # what is added up: never below nothing

Keys = dict[str, float | str]


def parse_keys(line: bytes) -> Keys | None:
    """The keys and values of a line, or None when it is not made of them."""
    line = line.rstrip(b"\r").rpartition(b"\r")[2]
    if b"=" not in line or len(line) > MAX_RAW_BYTES:
        return None
    if b"\x1b" in line:
        line = _ESCAPES.sub(b"", line)
    line = line.strip()
    if len(line) > MAX_LINE_BYTES or not _IS_LINE(line):
        return None
    words = line.decode("ascii", "replace").split()
    matches = [_WORD.fullmatch(word) for word in words]
    if len(words) > MAX_WORDS or not all(matches):
        return None
    return {match[1]: _value(match[1], match[2]) for match in matches if match}


def _value(key: str, text: str) -> float | str:
    """A number, also one that is written ``32k`` or ``1.5M`` where the key is that of a count or a
    rate (k is 1,000: nothing here is a length); elsewhere a letter may be part of a name. A count
    of tokens below 0 is none."""
    written = None
    if key.lower().endswith(_COUNTS) and text[-1].isalpha():
        written = read_number(text)
    try:
        if written is None:
            written = float(text.replace(",", "") if _GROUPED(text) else text)
        number = float(written)
    except (ValueError, OverflowError):
        return text
    return number if math.isfinite(number) and not below_nothing(key, number) else text


def below_nothing(key: str, number: float) -> bool:
    """Whether it is a count of tokens, FLOPs or bytes, and one that cannot be."""
    return number < 0 and (key in _AMOUNTS or key.endswith("_tokens"))


class KeyLines:
    """Finds KEY=value lines in a stream of chunks, in bounded memory and time."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._rest = b""
        self._skipping = False
        self._known: dict[bytes, Keys | None] = {}

    def feed(self, chunk: bytes) -> list[Keys]:
        """The KEY=value lines that ``chunk`` completes; they are not to be changed."""
        if b"=" not in chunk and b"=" not in self._rest:
            _, newline, tail = chunk.rpartition(b"\n")
            self._skipping = self._skipping and not newline
            self._keep(tail if newline else self._rest + chunk)
            return []
        *lines, tail = (self._rest + chunk).split(b"\n")
        if self._skipping and lines:
            lines[0] = _redrawn(lines[0]) or b""
            self._skipping = False
        self._keep(tail)
        return [keys for line in lines if b"=" in line and (keys := self._meaning(line))]

    def finish(self) -> list[Keys]:
        """The last line, which nothing ended."""
        keys = None if self._skipping else parse_keys(self._rest)
        self._rest = b""
        return [] if keys is None else [keys]

    def _meaning(self, line: bytes) -> Keys | None:
        try:
            return self._known[line]
        except KeyError:
            keys = parse_keys(line)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        if len(line) <= MAX_LINE_BYTES:
            self._known[line] = keys
        return keys

    def _keep(self, tail: bytes) -> None:
        """The start of the next line: what a carriage return has overwritten is gone."""
        last = _redrawn(tail)
        if last is not None:
            tail, self._skipping = last, False
        if self._skipping or len(tail) > MAX_RAW_BYTES:
            tail, self._skipping = tail[-1:] if tail.endswith(b"\r") else b"", True
        self._rest = tail


def _redrawn(line: bytes) -> bytes | None:
    """What a line says after its last carriage return; None of one that was not redrawn."""
    _, returned, last = line.rstrip(b"\r").rpartition(b"\r")
    return last + b"\r" * line.endswith(b"\r") if returned else None
