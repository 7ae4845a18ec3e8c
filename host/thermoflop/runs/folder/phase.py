"""The phase that a run is in and its tokens a second, read from the end of its samples file while
it is written."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from thermoflop.base.files import open_plain
from thermoflop.base.plain import inside
from thermoflop.pico.lines import LineSplitter
from thermoflop.pico.track import HostEvent
from thermoflop.runs.folder.reader import parse, samples_path

_FROM_END_BYTES = 1 << 20  # of a run that was going on before: some minutes of eight GPUs
_MOST_AT_ONCE_BYTES = 8 << 20
_RATE_OVER_S = 10.0
_MARK = b'"ev":"mark"'


class PhaseFollower:
    """Reads what was appended since the last call; nothing of it stays open between two."""

    def __init__(self, folder: Path) -> None:
        """Looks at nothing yet."""
        self.phase: str | None = None  # None: no phase is named
        self._tokens: deque[tuple[float, float]] = deque()  # of the phase's notes, with their time
        self._path = samples_path(folder)
        self._at: int | None = None
        self._splitter = LineSplitter(1 << 16)

    def look(self) -> str | None:
        """The phase by now. Raises OSError where the file went away."""
        with os.fdopen(open_plain(str(self._path)), "rb", 0) as file:
            size = os.fstat(file.fileno()).st_size
            if self._at is None:
                self._at = max(0, size - _FROM_END_BYTES)
            self._at = max(self._at, size - _MOST_AT_ONCE_BYTES)
            file.seek(self._at)
            while chunk := file.read(max(0, min(1 << 18, size - self._at))):
                self._at += len(chunk)
                for line in self._splitter.feed(chunk):
                    if isinstance(line, bytes) and _MARK in line:
                        self._take(line)
        return self.phase

    def _take(self, line: bytes) -> None:
        event = parse(line)
        if isinstance(event, HostEvent) and event.ev == "mark" and "phase" in event.detail:
            name = event.detail["phase"]
            self.phase = None if name is None else str(name)
            self._tokens.clear()
        if isinstance(event, HostEvent) and event.ev == "mark":
            self._note(event)

    def _note(self, event: HostEvent) -> None:
        """Keep the tokens of a note: they were made since the note before."""
        tokens = inside(event.detail, "values", "tokens")
        if "phase" in event.detail:  # tokens said here are those of the whole phase
            self._tokens.append((event.mono_s, 0.0))
        elif isinstance(tokens, int | float) and 0 < tokens < 1e12:
            self._tokens.append((event.mono_s, float(tokens)))
            while self._tokens[0][0] < event.mono_s - _RATE_OVER_S and len(self._tokens) > 2:
                self._tokens.popleft()

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens a second of the last seconds of this phase; None where it notes none."""
        if len(self._tokens) < 2 or self._tokens[-1][0] <= self._tokens[0][0]:
            return None
        made = sum(tokens for _, tokens in self._tokens) - self._tokens[0][1]
        return made / (self._tokens[-1][0] - self._tokens[0][0])
