"""Signals that reach the recorder while a command runs, passed on to the whole command.

Ctrl-C once for each press (the second one as SIGTERM, the third as SIGKILL); SIGTERM, SIGHUP and
SIGQUIT (Ctrl-\\) as SIGTERM, and SIGKILL when the grace is over. Windows has the first two, and
SIGBREAK (Ctrl-Break), which counts as SIGTERM.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any, Self

from thermoflop.runs.child.process import KILL, Child


class Signals:
    """Forwards signals to the command that is running, in the caller's main thread."""

    NUMBERS = tuple(
        getattr(signal, name)
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
        if hasattr(signal, name)
    )

    def __init__(self, wake: threading.Event, grace_s: float) -> None:
        self.child: Child | None = None
        self.received: int | None = None
        self.kill_at_s: float | None = None
        self._wake = wake
        self._grace_s = grace_s
        self._presses = 0
        self._pending: signal.Signals | None = None  # came while the command was being started
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self.NUMBERS:
                if signal.getsignal(number) is signal.SIG_IGN:  # nohup, or a script's background
                    continue
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        self.received = number
        self._wake.set()
        self._presses += number == signal.SIGINT
        if number == signal.SIGINT and self._presses == 1:
            self._send(signal.SIGINT)
        elif number == signal.SIGINT and self._presses > 2:
            self._send(KILL)
        else:
            self._send(signal.SIGTERM)
            if self.kill_at_s is None:
                self.kill_at_s = time.monotonic() + self._grace_s

    def check_grace(self) -> None:
        """Kill a command that has ignored SIGTERM for too long."""
        if self.kill_at_s is not None and time.monotonic() >= self.kill_at_s:
            self.kill_at_s = None
            self._send(KILL)

    def _send(self, number: signal.Signals) -> None:
        if self.child is not None:
            self.child.send(number)
        else:
            self._pending = number

    def attach(self, child: Child) -> None:
        """From now on signals go to ``child``; one that came too early reaches it now."""
        self.child = child
        if self._pending is not None:
            number, self._pending = self._pending, None
            child.send(number)
