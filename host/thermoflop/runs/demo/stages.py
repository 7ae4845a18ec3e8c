"""The whole chain on a laptop: a prediction, a real benchmark, a simulated board and GPU.

First the best rates of this machine are measured, for a second; from them comes the prediction.
Then a decoder of distilgpt2's shape runs on numpy under ``record``. The processor time it really
uses is the heat: in a simulated board that runs the real firmware, and in a simulated GPU. The
board has been on for a minute when the demo opens it, as a board on a desk has, so that its fan has
stopped and may start. Recording goes on until the fan has stopped again.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thermoflop.base.rolling import RollingRate
from thermoflop.bench.limits import processor_cache_bytes
from thermoflop.cost.hardware.device import Device
from thermoflop.errors import ThermoflopError
from thermoflop.pico.simulated import registry as desk
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.heat import FULL_W
from thermoflop.pico.simulated.options import Options
from thermoflop.pico.track import BoardLine, Counters, HostEvent
from thermoflop.pico.wire import Sample
from thermoflop.runs.demo import decoder
from thermoflop.runs.folder.records import Record
from thermoflop.runs.predict import Wish
from thermoflop.runs.record.boards import BoardSource
from thermoflop.runs.record.plan import Plan
from thermoflop.runs.record.session import Outcome, record_command
from thermoflop.runs.record.sources import simulated_library

WORK_S = 10.0
UPTIME_S = 59.0  # the board says who it is once a minute, so soon after we open it
REST_S = 2.0
AFTER_S = 1.5  # shown after the fan has stopped
MOST_COOLING_S = 16.0
RATES_TIMEOUT_S = 60.0
MAX_THREADS = 8
_WINDOW_S = 0.5  # of processor time that counts as now
_STALE_S = 3.0  # a benchmark that has said nothing for so long gives no heat
_CACHE_BYTES = 64e6  # of a processor that does not tell


class Stage:
    """Looks on while the run is made: what stage it is in, how busy the benchmark is, the fan.

    As a source of heat it may be asked from any thread. Times are seconds of the board's clock
    since its first sample, None for what did not happen: when the fan first started because of the
    work, and when it last stopped.
    """

    def __init__(self, on_line: Callable[[BoardLine, Stage], None] | None) -> None:
        """``on_line`` gets each line of the board as it is written."""
        self.name = "rest"
        self.fan_on_s: float | None = None
        self.fan_off_s: float | None = None
        self.tokens = 0.0
        self.counters = Counters()
        self._on_line = on_line
        self._first_s: float | None = None
        self._now_s = 0.0
        self._ended_s = math.inf
        self._busy = RollingRate(_WINDOW_S)  # processors
        self._heard_s = -math.inf

    def busy_cores(self) -> float:
        """Processors that the benchmark keeps busy now."""
        is_fresh = time.monotonic() - self._heard_s <= _STALE_S
        return self._busy.per_s if is_fresh and self.name == "work" else 0.0

    def watts(self, now_s: float) -> float:
        """The benchmark's heat in watts: one processor kept busy is the full power."""
        del now_s
        return FULL_W * min(1.0, self.busy_cores())

    def see(self, item: Record) -> None:
        """Take an item that was written to the run."""
        if isinstance(item, HostEvent):
            self._event(item)
        if isinstance(item, BoardLine):
            if isinstance(item.message, Sample):
                self._sample(item.message)
            if self._on_line is not None:
                self._on_line(item, self)

    def turn(self, board: BoardSource | None) -> bool:
        """Whether the recording goes on: until the fan has stopped, or cannot start any more."""
        if board is not None:
            self.counters = board.link.tracker.counters
        if self.fan_on_s is None or self.fan_off_s is None:
            return self.name != "cool" or self.fan_on_s is not None
        return self._now_s < max(self.fan_off_s, self._ended_s) + AFTER_S

    def _event(self, event: HostEvent) -> None:
        if event.ev == "child_start":
            self.name = "work"
            self._used(event.mono_s, 0.0)
        elif event.ev == "child_end":
            self.name, self._ended_s = "cool", self._now_s
        elif event.ev == "mark":
            values = event.detail.get("values") or {}
            cpu_s, tokens = values.get("cpu_s"), values.get("tokens")
            self.tokens += tokens if isinstance(tokens, float) else 0.0
            # its last output may be read after it has ended
            if isinstance(cpu_s, float) and self.name == "work":
                self._used(event.mono_s, cpu_s)

    def _used(self, at_s: float, cpu_s: float) -> None:
        """The benchmark used ``cpu_s`` of processor time since its last note."""
        self._heard_s = at_s
        self._busy.add(at_s, cpu_s)

    def _sample(self, sample: Sample) -> None:
        if self._first_s is None:
            self._first_s = sample.up_s
        self._now_s = now_s = round(sample.up_s - self._first_s, 3)
        if sample.fan and self.name != "rest" and self.fan_on_s is None:
            self.fan_on_s = now_s
        if sample.fan:
            self.fan_off_s = None
        elif self.fan_on_s is not None and self.fan_off_s is None:
            self.fan_off_s = now_s


@dataclass(frozen=True, slots=True)
class DemoResult:
    """A finished demo."""

    outcome: Outcome
    stage: Stage
    threads: int

    @property
    def fan_worked(self) -> bool:
        """Whether the fan started because of the work, and stopped after it."""
        return self.stage.fan_on_s is not None and self.stage.fan_off_s is not None

    @property
    def interrupted(self) -> bool:
        """Whether somebody ended it early."""
        return bool(self.outcome.run["ended"]["end"] != "done")


def demo(
    out: Path,
    *,
    work_s: float = WORK_S,
    on_line: Callable[[BoardLine, Stage], None] | None = None,
    command: Sequence[str] | None = None,
    device: Device | None = None,
    speed: float = 1.0,
) -> DemoResult:
    """Predict, run and record the benchmark with a simulated board and GPU, under ``out``.

    Ctrl-C ends it early and keeps what was recorded. The benchmark runs for ``work_s`` seconds;
    ``speed`` is the board's time over real time, ``command`` stands in for the benchmark, and
    ``device`` for this machine's measured rates. ThermoflopError where the benchmark fails.
    """
    threads = max(1, min(MAX_THREADS, _usable_cores() - 1))  # one is left for the recording
    if device is None:
        device = this_machine(threads)
    name = f"demo-{secrets.token_hex(3)}"
    stage = Stage(on_line)
    board = SimulatedBoard(Options(uptime_s=UPTIME_S, speed=speed), heat=stage)
    plan = Plan(
        command=command or benchmark(threads, "--seconds", str(work_s)),
        out=out,
        name="demo",
        port=desk.put(name, board),
        gpu_library=simulated_library(lambda _: min(1.0, stage.busy_cores())),
        before_s=REST_S / speed,
        after_s=MOST_COOLING_S / speed,
        labels={"board": "simulated", "gpu": "simulated"},
        wish=Wish(decoder.MODEL, device, {
            "prompt": decoder.PROMPT, "generate": decoder.GENERATE, "dtype": "fp32",
        }),
        echo=(None, None),
        watcher=stage,
    )  # fmt: skip
    try:
        outcome = record_command(plan)
    finally:
        desk.remove(name)
    if outcome.exit_code and outcome.run["ended"]["end"] == "done":
        log = (outcome.folder / "child.log").read_text(encoding="utf-8", errors="replace")
        last = log.strip().rpartition("\n")[2][:200] or "it said nothing"
        raise ThermoflopError(f"the benchmark failed with exit code {outcome.exit_code}: {last}")
    return DemoResult(outcome, stage, threads)


def benchmark(threads: int, *options: str) -> list[str]:
    """The command line of the benchmark; -P: a numpy.py of the user's is not the one meant."""
    return [sys.executable, "-P", "-m", decoder.__name__, "--threads", str(threads), *options]


def this_machine(threads: int) -> Device:
    """This machine as a device, by the best rates it shows now; ThermoflopError says why not."""

    try:
        done = subprocess.run(
            benchmark(threads, "--rates"), capture_output=True, check=True, timeout=RATES_TIMEOUT_S
        )
        rates: dict[str, float] = json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
        raise ThermoflopError(f"this machine's rates could not be measured: {last}") from error
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ThermoflopError(f"this machine's rates could not be measured: {error}") from error
    return Device(
        name=f"this machine's processor, {threads} thread{'s' if threads > 1 else ''}",
        memory_bytes=_memory_bytes(),
        bandwidth_bytes_s=rates["bytes_per_s"],
        peaks={"fp32": rates["flops_per_s"]},
        vendor="CPU",
        cache_bytes=processor_cache_bytes() or _CACHE_BYTES,
        source="its best rates in numpy, measured just before",
        confidence="own",
    )


def _usable_cores() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):  # Windows has no sysconf
        return 8e9
