"""Drain a command's output: into ``child.log`` byte for byte, on to our own, and through KEY=value.

One thread, chunks of 256 KiB and no queue: memory does not grow with the output, and a command that
prints faster than the disk or our own reader takes waits, as it would in any pipe. When the disk is
full the log ends there, the bytes it lacks are counted, and the command goes on undisturbed.
Windows cannot wait for two pipes at once: there each has a thread.
"""

from __future__ import annotations

import os
import select
import selectors
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from thermoflop.base.files import create
from thermoflop.base.processes import holders
from thermoflop.base.threads import start_thread
from thermoflop.pico.track import HostEvent
from thermoflop.runs.child.printed import MERGE_S, PrintedMarks

CHILD_LOG = "child.log"
_CHUNK_BYTES = 256 << 10  # four times what a pipe holds on Linux
_POLL_S = 0.2
_WAITS_FOR_PIPES = hasattr(select, "poll")  # Windows' select takes sockets alone
_QUIET_S = 0.5  # of a pipe that a process outside of the command's session still holds open


class ChildLog:
    """The log file of all trials of a run, appended to; never raises once it is open."""

    def __init__(self, folder: Path) -> None:
        """Create it; StorageError."""
        self.n_bytes = 0
        self.lost_bytes = 0
        self.why: str | None = None
        self._path = folder / CHILD_LOG
        self._fd = create(str(self._path), os.O_WRONLY | os.O_APPEND)

    def write(self, data: bytes) -> None:
        """Append ``data``, or count it as lost."""
        view = memoryview(data)
        while view and self.why is None:
            try:
                done = os.write(self._fd, view)
            except OSError as error:
                self.why = error.strerror or str(error)
                break
            self.n_bytes += done
            view = view[done:]
        self.lost_bytes += len(view)

    def tail(self, from_bytes: int, most_bytes: int) -> bytes:
        """The end of what was written since ``from_bytes``; nothing where it cannot be read."""
        start = max(from_bytes, self.n_bytes - most_bytes)
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                return file.read(most_bytes)
        except OSError:
            return b""

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class OutputPump:
    """Drains the two pipes of one child, or its terminal, until all have ended."""

    def __init__(
        self,
        pipes: Mapping[str, IO[bytes]],
        log: ChildLog,
        emit: Callable[[Sequence[HostEvent]], None],
        started_s: float,
        echo: tuple[int | None, int | None] = (1, 2),
    ) -> None:
        """``emit`` gets the marks of a command that was started at ``started_s``.

        ``echo`` are the file descriptors that get a copy of output and error.
        """
        self.marks = tuple(PrintedMarks(emit, started_s) for _ in pipes)
        self._log = log
        self._selector = selectors.DefaultSelector()
        self._echo: list[int | None] = list(echo)
        self._last_group, self._abandoned = threading.Event(), threading.Event()
        self._links, self._pipes = tuple(pipes), tuple(pipes.values())
        self.cut_off: list[str] = []  # who held a pipe when it was closed
        self._taking = threading.Lock()
        self._heard_s = time.monotonic()
        if _WAITS_FOR_PIPES:
            for which, pipe in enumerate(pipes.values()):
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ, which)
            self._threads = [start_thread("output", self._run)]
        else:
            self._threads = [
                start_thread("output", self._read_to_end, which, pipe)
                for which, pipe in enumerate(pipes.values())
            ]

    def end_when_quiet(self) -> None:
        """Call when all processes of the command have ended: take what is left and stop.

        A process that is none of them may hold a pipe open; as long as it speaks, it is heard.
        """
        self._last_group.set()

    def abandon(self) -> None:
        """Stop, whoever still speaks."""
        self._abandoned.set()

    def is_running(self) -> bool:
        """Whether output may still come."""
        # a thread that waits for a pipe cannot be called back
        silent = not _WAITS_FOR_PIPES and time.monotonic() - self._heard_s > _QUIET_S
        stuck = not _WAITS_FOR_PIPES and self._abandoned.is_set()
        return any(thread.is_alive() for thread in self._threads) and not (silent or stuck)

    def holders(self) -> list[str]:
        """The processes that hold a pipe open, as ``python3 (process 123)``; Linux tells."""
        return [f"{name or 'a program'} (process {pid})" for pid, name in holders(*self._links)]

    def _read_to_end(self, which: int, pipe: IO[bytes]) -> None:
        """All of one pipe, where a thread has to wait for each."""
        try:
            while chunk := os.read(pipe.fileno(), _CHUNK_BYTES):
                self._heard_s = time.monotonic()
                with self._taking:
                    self._take(which, chunk)
        except OSError:  # Windows' way to say that the other end is closed
            pass
        with self._taking:
            self.marks[which].finish()
        pipe.close()

    def _run(self) -> None:
        quiet_from_s = time.monotonic()
        while self._selector.get_map():
            waiting = [marks for marks in self.marks if marks.is_waiting]
            ready = self._selector.select(MERGE_S if waiting else _POLL_S)
            for marks in waiting:
                marks.turn(time.monotonic())
            if ready:
                quiet_from_s = time.monotonic()
            is_quiet = time.monotonic() - quiet_from_s > _QUIET_S
            if self._abandoned.is_set() or (self._last_group.is_set() and is_quiet):
                self.cut_off = self.holders()
                break
            for key, _ in ready:
                self._drain(key)
        for key in list(self._selector.get_map().values()):
            self._close(key)
        self._selector.close()

    def _drain(self, key: selectors.SelectorKey) -> None:
        try:
            chunk = os.read(key.fd, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._close(key)
            return
        self._take(key.data, chunk)

    def _take(self, which: int, chunk: bytes) -> None:
        now_s = time.monotonic()
        self._log.write(chunk)
        self.marks[which].feed(chunk, now_s)
        self._pass_on(which, chunk)

    def _pass_on(self, which: int, chunk: bytes) -> None:
        fd = self._echo[which]
        view = memoryview(chunk)
        while fd is not None and view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                time.sleep(0.005)
            except OSError:  # nobody reads us any more: the log goes on
                self._echo[which] = fd = None

    def _close(self, key: selectors.SelectorKey) -> None:
        self.marks[key.data].finish()
        self._selector.unregister(key.fileobj)
        self._pipes[key.data].close()
