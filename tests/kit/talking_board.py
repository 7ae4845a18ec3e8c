"""A board that talks by itself, on a pseudo-terminal."""

from __future__ import annotations

import threading
from typing import Self

from kit.board_lines import Pty, introduction, sample_line


class TalkingBoard:
    """A board on a pseudo-terminal that says a sample every 20 ms."""

    def __init__(self) -> None:
        self.pty = Pty()
        self.temp_c = 25.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._talk)

    def _talk(self) -> None:
        seq = 0
        while not self._stop.wait(0.02):
            self.pty.say(introduction() * (seq % 8 == 0))
            self.pty.say(sample_line(seq, temp_c=self.temp_c))
            seq += 1

    def unplug(self) -> None:
        """Stop talking and close both ends."""
        self._stop.set()
        self._thread.join()
        self.pty.unplug()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._stop.is_set():
            self.unplug()
