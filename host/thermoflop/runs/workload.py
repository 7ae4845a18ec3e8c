"""The multiplying process as a source of heat: it is started, watched and stopped here.

Its heat is measured, not assumed: the processor time that the process really used. One processor
kept busy is the full power, as it would be for a small heat sink; so a machine with many cores, a
slow one and one that has other things to do all warm the thermistor.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from thermoflop.errors import ThermoflopError
from thermoflop.runs import multiply

MAX_THREADS = 8
_THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_WINDOW_S = 0.5  # of processor time that counts as now
_STALE_S = 1.0  # a process that has not reported for so long gives no heat
_END_S = 3.0


@dataclass(frozen=True, slots=True)
class Report:
    """``mults`` multiplications and ``cpu_s`` processor seconds in ``t_s`` seconds of work."""

    t_s: float
    cpu_s: float
    mults: int

    @property
    def mults_per_s(self) -> float:
        """Multiplications per second, over all the work so far."""
        return self.mults / self.t_s if self.t_s > 0 else 0.0

    @property
    def busy_cores(self) -> float:
        """Processors kept busy, over all the work so far."""
        return self.cpu_s / self.t_s if self.t_s > 0 else 0.0


def usable_cores() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workload:
    """The process. As a heat source of a simulated board it may be asked from any thread."""

    def __init__(self, full_w: float, threads: int | None = None) -> None:
        """Start it; it loads numpy and waits. One processor is left free for the sampling."""
        self.threads = threads or max(1, min(MAX_THREADS, usable_cores() - 1))
        self.log: list[str] = []  # its output, line by line
        self._full_w = full_w
        self._reports: deque[tuple[float, Report]] = deque(maxlen=100)
        self._last = Report(0.0, 0.0, 0)
        self._ready = threading.Event()
        limits = dict.fromkeys(_THREAD_VARIABLES, str(self.threads))
        self._process = subprocess.Popen(
            # -P: neither our modules beside it nor the user's numpy.py are the ones that are meant
            [sys.executable, "-P", multiply.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **limits},
            text=True,
            start_new_session=True,  # Ctrl-C is for us; we stop it
        )
        self._reader = threading.Thread(target=self._read, name="workload", daemon=True)
        self._reader.start()

    def wait_ready(self, timeout_s: float) -> None:
        """Return when it can start at once; ThermoflopError when it cannot at all."""
        self._ready.wait(timeout_s)
        if not self._is_ready:
            last = self.log[-1].strip() if self.log else "it said nothing"
            raise ThermoflopError(f"the multiplying process did not start: {last}")

    def go(self) -> None:
        """Start to multiply."""
        self._tell("go")

    def finish(self) -> Report:
        """Stop it and wait for its last report."""
        self._tell("stop")
        self.close()
        return self._last

    def close(self) -> None:
        """End the process, whatever it is doing; safe to call twice."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):  # it has gone already
                self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_END_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def last(self) -> Report:
        """The newest report."""
        return self._last

    @property
    def has_died(self) -> bool:
        """Whether it ended without being asked to."""
        return self._process.poll() not in (None, 0)

    def busy_cores(self) -> float:
        """Processors that it keeps busy now."""
        reports = list(self._reports)
        if len(reports) < 2 or time.monotonic() - reports[-1][0] > _STALE_S:
            return 0.0
        newest = reports[-1][1]
        oldest = next(r for _, r in reports if newest.t_s - r.t_s <= _WINDOW_S)
        dt_s = newest.t_s - oldest.t_s
        return (newest.cpu_s - oldest.cpu_s) / dt_s if dt_s > 0 else 0.0

    def watts(self, now_s: float) -> float:
        """The heat it gives now."""
        del now_s
        if self._process.poll() is not None:
            return 0.0
        return self._full_w * min(1.0, self.busy_cores())

    @property
    def _is_ready(self) -> bool:
        return bool(self.log) and self.log[0].strip() == '{"ready": true}'

    def _tell(self, word: str) -> None:
        try:
            assert self._process.stdin is not None  # noqa: S101  it was opened as a pipe
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it has ended; has_died tells the rest
            pass

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  it was opened as a pipe
        for line in self._process.stdout:
            self.log.append(line)
            report = _report(line)
            if report:
                self._reports.append((time.monotonic(), report))
                self._last = report
            self._ready.set()
        self._ready.set()


def _report(line: str) -> Report | None:
    try:
        data: Any = json.loads(line)
        return Report(float(data["t_s"]), float(data["cpu_s"]), int(data["mults"]))
    except (ValueError, KeyError, TypeError):
        return None
