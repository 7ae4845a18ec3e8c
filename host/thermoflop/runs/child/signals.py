"""Signals that reach the recorder while a command runs, passed on to the whole command.

Ctrl-C once for each press (the second one as SIGTERM, the third as SIGKILL); SIGTERM, SIGHUP and
SIGQUIT (Ctrl-\\) as SIGTERM, and SIGKILL when the grace is over. Windows has the first two, and
SIGBREAK (Ctrl-Break), which counts as SIGTERM. Ctrl-Z stops command and recorder, and what
continues the recorder (fg, bg) continues both: the command, in a session of its own, would get
neither.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType
from typing import Any, Self

from thermoflop.base.signal_event import SignalEvent
from thermoflop.runs.child.process import KILL, Child

_STOP = getattr(signal, "SIGTSTP", None)  # Windows has no such thing
_GOES_S = 1.0  # what SIGKILL does not end in that time is somebody else's, or waits for a disk


class Signals:
    """Forwards signals to the command that is running, in the caller's main thread."""

    NUMBERS = tuple(
        getattr(signal, name)
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
        if hasattr(signal, name)
    )

    def __init__(self, wake: SignalEvent, grace_s: float) -> None:
        self.child: Child | None = None
        self.received: int | None = None
        self.kill_at_s: float | None = None
        self.stop_asked = False
        self._killed_s: float | None = None
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
            if _STOP is not None and signal.getsignal(_STOP) is not signal.SIG_IGN:
                self._before[_STOP] = signal.signal(_STOP, self._handle_stop)
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
            self._kill()
        else:
            self._send(signal.SIGTERM)
            if self.kill_at_s is None:
                self.kill_at_s = time.monotonic() + self._grace_s

    @property
    def wants_end(self) -> bool:
        """Whether the command was asked to end by more than one Ctrl-C."""
        return self.kill_at_s is not None or self._killed_s is not None

    @property
    def gives_up(self) -> bool:
        """Whether it was killed and had the time to go: what is left cannot be ended by us."""
        return self._killed_s is not None and time.monotonic() - self._killed_s > _GOES_S

    def _handle_stop(self, *_: object) -> None:
        """Ctrl-Z: the command stops at once, the recorder when it has written that down."""
        self.stop_asked = True
        if self.child is not None:
            self.child.send(signal.SIGSTOP)
        self._wake.set()

    def stop_here(self) -> float:
        """Stop this process until it is continued, then the command; the seconds between."""
        from_s = time.monotonic()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.stop_asked = False
        if self.child is not None:
            self.child.send(signal.SIGCONT)
        stopped_s = time.monotonic() - from_s
        if self.kill_at_s is not None:
            self.kill_at_s += stopped_s
        return stopped_s

    def check_grace(self) -> None:
        """Kill a command that has ignored SIGTERM for too long."""
        if self.kill_at_s is not None and time.monotonic() >= self.kill_at_s:
            self.kill_at_s = None
            self._kill()

    def _kill(self) -> None:
        if self._killed_s is None:
            self._killed_s = time.monotonic()
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
