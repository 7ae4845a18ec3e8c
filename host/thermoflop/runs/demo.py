"""The whole chain on a laptop: real work makes real heat in a simulated board, and a run of it.

The firmware is the real one, its chip is not: the heat under the thermistor is the processor time
that the multiplying process uses on this machine. The board has been on for a minute when the demo
opens it, as a board on a desk has, so that its fan has stopped and may start. Three stages follow:
rest, work, and cooling until the fan has stopped.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thermoflop.errors import StorageError, ThermoflopError
from thermoflop.pico.simulated import desk
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.heat import FULL_W
from thermoflop.pico.simulated.options import Options
from thermoflop.pico.track import BoardLine
from thermoflop.pico.wire import Sample
from thermoflop.runs.multiply import LAYER
from thermoflop.runs.recorder import Progress, RunResult, record
from thermoflop.runs.store import RUN
from thermoflop.runs.workload import Report, Workload

WORK_S = 10.0
SHAPES = "GPT-2 small's layer over 128 tokens"
UPTIME_S = 59.0  # the board says who it is once a minute, so soon after we open it
REST_S = 2.0
AFTER_S = 1.5  # shown after the fan has stopped
MORE_WORK_S = 6.0  # when the fan has not started by then
MOST_COOLING_S = 16.0
READY_S = 10.0


@dataclass(frozen=True, slots=True)
class DemoResult:
    """A finished demo; times are seconds since the first sample, None for what did not happen."""

    run: RunResult
    work: Report
    threads: int
    fan_on_s: float | None
    fan_off_s: float | None
    interrupted: bool

    @property
    def fan_worked(self) -> bool:
        """Whether the fan started because of the work, and stopped after it."""
        return self.fan_on_s is not None and self.fan_off_s is not None

    def work_json(self) -> dict[str, Any]:
        """The work as it stands in ``run.json`` and in ``demo --json``."""
        return {
            "what": SHAPES,
            "products": [{**asdict(product), "mults": product.mults} for product in LAYER],
            "threads": self.threads,
            "seconds": self.work.t_s,
            "cpu_seconds": self.work.cpu_s,
            "mults": self.work.mults,
            "mults_per_s": self.work.mults_per_s,
            "fan_on_s": self.fan_on_s,
            "fan_off_s": self.fan_off_s,
        }


class Director:
    """Moves from stage to stage as the samples come, by the board's own clock."""

    def __init__(self, workload: Workload, work_s: float, stop: threading.Event) -> None:
        """``stop`` is set when the demo is over."""
        self.stage = "rest"
        self.fan_on_s: float | None = None
        self.fan_off_s: float | None = None
        self.work = Report(0.0, 0.0, 0)
        self.workload = workload
        self._work_s = work_s
        self._stop = stop
        self._start_s: float | None = None
        self._stage_s = 0.0

    def see(self, sample: Sample) -> None:
        """The next sample."""
        if self._start_s is None:
            self._start_s = sample.up_s
        now_s = round(sample.up_s - self._start_s, 3)
        if sample.fan and self.stage == "work" and self.fan_on_s is None:
            self.fan_on_s = now_s
        if not sample.fan and self.fan_on_s is not None and self.fan_off_s is None:
            self.fan_off_s = now_s
        self._move(now_s, now_s - self._stage_s)

    def _move(self, now_s: float, in_stage_s: float) -> None:
        match self.stage:
            case "rest" if in_stage_s >= REST_S:
                self.workload.go()
                self._enter("work", now_s)
            case "work" if self._worked_enough(in_stage_s) or self.workload.has_died:
                self.work = self.workload.finish()
                self._enter("cool", now_s)
            case "cool" if self._cooled_enough(now_s, in_stage_s):
                self._enter("done", now_s)
                self._stop.set()

    def _worked_enough(self, in_stage_s: float) -> bool:
        if self.fan_on_s is None:
            return in_stage_s >= self._work_s + MORE_WORK_S
        return in_stage_s >= self._work_s

    def _cooled_enough(self, now_s: float, in_stage_s: float) -> bool:
        if self.fan_on_s is None or in_stage_s >= MOST_COOLING_S:
            return True
        return self.fan_off_s is not None and now_s >= self.fan_off_s + AFTER_S

    def _enter(self, stage: str, now_s: float) -> None:
        self.stage = stage
        self._stage_s = now_s


def demo(
    out: Path,
    *,
    work_s: float = WORK_S,
    on_line: Callable[[BoardLine, Director], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    workload: Workload | None = None,
    speed: float = 1.0,
) -> DemoResult:
    """Play it and record it under ``out``; ``stop`` ends it early, with what there is.

    ``speed`` is the board's time to ours; another ``workload`` may take the place of the usual.
    """
    asked = stop or threading.Event()
    name = f"demo-{secrets.token_hex(3)}"
    workload = workload or Workload(FULL_W)
    try:
        workload.wait_ready(READY_S)
        director = Director(workload, work_s, asked)
        board = SimulatedBoard(Options(uptime_s=UPTIME_S, speed=speed), heat=workload)
        url = desk.put(name, board)

        def see(item: BoardLine) -> None:
            if isinstance(item.message, Sample):
                director.see(item.message)
            if on_line is not None:
                on_line(item, director)

        result = record(url, out, name="demo", on_line=see, on_progress=on_progress, stop=asked)
    finally:
        workload.close()
        desk.remove(name)
    return _result(result, director, workload)


def _result(run: RunResult, director: Director, workload: Workload) -> DemoResult:
    if workload.has_died and director.work.mults == 0:
        raise ThermoflopError(f"the multiplying process failed: {workload.log[-1].strip()}")
    result = DemoResult(
        run=run,
        work=workload.last,
        threads=workload.threads,
        fan_on_s=director.fan_on_s,
        fan_off_s=director.fan_off_s,
        interrupted=director.stage != "done",
    )
    _keep(run.folder, "".join(workload.log), result.work_json())
    return result


def _keep(folder: Path, log: str, work: dict[str, Any]) -> None:
    """Add what the work did to the run: its output, and its figures in ``run.json``."""
    path = folder / RUN
    part = folder / (RUN + ".part")
    try:
        (folder / "child.log").write_text(log, encoding="utf-8")
        run = json.loads(path.read_text(encoding="utf-8"))
        part.write_text(json.dumps({**run, "work": work}, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
