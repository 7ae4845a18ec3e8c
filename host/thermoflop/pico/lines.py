"""Bytes of a stream as lines, in bounded memory whatever arrives."""

from __future__ import annotations

from dataclasses import dataclass

from thermoflop.pico.wire import MAX_LINE_BYTES


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line that grew past the limit: how long it was, and how it began."""

    n_bytes: int
    head: bytes


class LineSplitter:
    """Cuts chunks of bytes into lines, in bounded memory whatever arrives."""

    def __init__(self, limit_bytes: int = MAX_LINE_BYTES) -> None:
        """``limit_bytes`` counts the newline."""
        self._limit_bytes = limit_bytes
        self._tail = b""
        self._dropped_bytes = 0  # of a line that is already too long

    @property
    def pending_bytes(self) -> int:
        """Bytes that came after the last newline."""
        return len(self._tail) + self._dropped_bytes

    @property
    def pending(self) -> bytes:
        """How the line that is not finished yet begins."""
        return self._tail

    def feed(self, chunk: bytes) -> list[bytes | Overlong]:
        """The lines that ``chunk`` completes, without their newlines."""
        parts = (self._tail + chunk).split(b"\n")
        self._tail = parts.pop()
        lines: list[bytes | Overlong] = list(parts)
        if self._dropped_bytes and parts:
            lines[0] = Overlong(len(parts[0]) + self._dropped_bytes, parts[0][: self._limit_bytes])
            self._dropped_bytes = 0
        are_long = max(map(len, parts), default=0) >= self._limit_bytes
        for index, line in enumerate(parts if are_long else ()):
            n_bytes = len(line.removesuffix(b"\r"))  # MicroPython's text ends in both
            if n_bytes >= self._limit_bytes and isinstance(lines[index], bytes):
                lines[index] = Overlong(len(line), line[: self._limit_bytes])
        excess = len(self._tail) - self._limit_bytes
        if excess > 0:
            self._tail = self._tail[: self._limit_bytes]
            self._dropped_bytes += excess
        return lines

    def reset(self) -> int:
        """Forget what came after the last newline; how many bytes that was."""
        n_bytes = self.pending_bytes
        self._tail = b""
        self._dropped_bytes = 0
        return n_bytes
