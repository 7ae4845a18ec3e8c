"""GPUs read in turn by one thread, at a steady rate by the monotonic clock.

A reading that takes long makes the next one late, not all that follow, and turns that were missed
are counted. A thread that wakes ten times a second for each of eight GPUs costs more than all else
that it does; so where nobody's energy hangs on a reading, one thread reads them all, until one of
them keeps the others waiting: that one stays alone with its thread, and another reads the rest.
When that is long past, one thread reads them all again.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

WAIT_S = 0.5  # for one GPU, until the others are read without it: a busy machine is no lost GPU
LATE_ROUNDS = 5  # in a row that took more than their time, until they are halved
CALM_S = 30.0  # of rounds in a quarter of their time each, until two become one


class Turning(Protocol):
    """Whatever has turns."""

    missed: int

    def turn(self) -> None:
        """Take one; it may never return."""


class Round:
    """Some GPUs, read in turn: a thread calls ``run``, another one now and then ``rest``."""

    def __init__(
        self,
        watches: Sequence[Turning],
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A turn of each, ``every_s`` seconds apart."""
        self.watches = watches
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()  # of who is read by which thread
        self._reading = watches[0]
        self._since_s = math.inf  # while nobody is read
        self._late = 0  # rounds in a row that took more than their time
        self._busy_s = clock()  # when a round last took more than a quarter of it

    def run(self, stop: threading.Event) -> None:
        """Turns until ``stop`` is set, or another round has all of them."""
        due_s = self._clock()
        while self.watches and not stop.wait(max(0.0, due_s - self._clock())):
            self.turn()
            due_s += self._every_s
            late = int((self._clock() - due_s) / self._every_s)
            if late > 0:
                for watch in self.watches:
                    watch.missed += late
                due_s += late * self._every_s

    def turn(self) -> None:
        """One turn of each that is still of this round when it comes to it."""
        watches, begun_s = self.watches, self._clock()
        for watch in watches:
            with self._lock:
                if self.watches is not watches:
                    break
                self._reading, self._since_s = watch, self._clock()
            watch.turn()
        took_s = self._clock() - begun_s
        self._late = self._late + 1 if took_s > self._every_s else 0
        if took_s > self._every_s / 4:
            self._busy_s = self._clock()
        self._since_s = math.inf

    def rest(self) -> Round | None:
        """Those for another thread: all others where one keeps them waiting, and half of them
        where all together take too long."""
        with self._lock:
            if self._clock() - self._since_s > WAIT_S:
                stay = [self._reading]
            elif self._late >= LATE_ROUNDS:
                stay = [*self.watches[: (len(self.watches) + 1) // 2]]
            else:
                return None
            others = [watch for watch in self.watches if watch not in stay]
            if not others:
                return None
            self.watches, self._late = stay, 0
            return Round(others, self._every_s, self._clock)

    def join(self, other: Round) -> bool:
        """Take over those of another round, whose thread then ends; whether it did.

        Only when both were quick for long, and between two rounds of either: nobody is asked by two
        threads at once.
        """
        with self._lock, other._lock:
            if min(self._since_s, other._since_s) < math.inf:
                return False
            if self._clock() - max(self._busy_s, other._busy_s) <= CALM_S:
                return False
            self.watches, other.watches = [*self.watches, *other.watches], []
            return True
