"""An event that a signal's handler may set.

A handler runs in the main thread, between two of its steps. ``threading.Event.set`` in it waits for
ever when that thread holds the event's lock just then, in ``wait`` or ``clear``; to put something
into a ``queue.SimpleQueue`` takes no lock that it could wait for (Python's documentation of
``queue``: its ``put`` is reentrant).
"""

from __future__ import annotations

import contextlib
import threading
import time
from queue import Empty, SimpleQueue


class SignalEvent(threading.Event):
    """A ``threading.Event`` that may be set in a signal's handler."""

    def __init__(self) -> None:
        super().__init__()
        self._has_come = False
        self._calls = SimpleQueue[None]()

    def is_set(self) -> bool:
        """Whether it was set since it was made or cleared."""
        return self._has_come

    def set(self) -> None:
        """Wake everyone who waits."""
        self._has_come = True
        self._calls.put(None)

    def clear(self) -> None:
        """Be as one that nobody has set."""
        self._has_come = False
        with contextlib.suppress(Empty):
            while True:
                self._calls.get_nowait()
        if self._has_come:  # set meanwhile, and that call may be among those taken
            self._calls.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or for ``timeout`` seconds; whether it is set."""
        end_s = None if timeout is None else time.monotonic() + timeout
        with contextlib.suppress(Empty):
            while not self._has_come:
                left_s = None if end_s is None else max(0.0, end_s - time.monotonic())
                self._calls.get(timeout=left_s)
                if self._has_come:
                    self._calls.put(None)  # for the next who waits
        return self._has_come
