"""One thread that reads every port for which the system can tell when something came (Linux).

With a thread for each of a hundred boards, handing the interpreter from one to the next costs more
than all of the reading. Where there is no epoll, or a port that it does not know, a link has a
thread of its own.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable

from thermoflop.base.threads import start_thread


class Drain:
    """Calls ``on_ready`` of each port that has something to read, in one thread."""

    def __init__(self) -> None:
        """Nothing runs before the first port is added."""
        self._ready: dict[int, Callable[[], None]] = {}
        self._lock = threading.RLock()  # held while a port is read
        self._poll = select.epoll() if hasattr(select, "epoll") else None
        self._thread: threading.Thread | None = None

    def add(self, handle: int, on_ready: Callable[[], None]) -> bool:
        """Whether the port with this file descriptor is watched from now on.

        ``on_ready`` must not raise, and must read or remove what is there.
        """
        if self._poll is None:
            return False
        with self._lock:
            try:
                self._poll.register(handle, select.EPOLLIN)
            except OSError:  # a plain file, or closed by now
                return False
            self._ready[handle] = on_ready
            if self._thread is None:
                self._thread = start_thread("drain", self._run)
        return True

    def remove(self, handle: int, on_ready: Callable[[], None]) -> None:
        """Forget a port; when this returns, it is not being read any more."""
        with self._lock:
            if self._poll is not None and self._ready.get(handle) == on_ready:
                del self._ready[handle]
                try:
                    self._poll.unregister(handle)
                except OSError:  # closed already
                    return

    def _run(self) -> None:
        assert self._poll is not None  # noqa: S101 - for the type checker
        while True:
            for handle, _ in self._poll.poll():
                with self._lock:
                    if on_ready := self._ready.get(handle):
                        on_ready()


DRAIN = Drain()
