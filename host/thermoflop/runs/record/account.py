"""What is known of a run while it is made: the facts of run.json, and what went wrong."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from thermoflop.runs import facts
from thermoflop.runs.child.marks import MARKS, MarksFile
from thermoflop.runs.child.output import ChildLog
from thermoflop.runs.engines.scrape import Scraper
from thermoflop.runs.folder.resilient import ResilientStore
from thermoflop.runs.gpu.own import VARIABLES, asked_gpus, own_gpus
from thermoflop.runs.gpu.sampler import GpuSampler
from thermoflop.runs.record.boards import Boards
from thermoflop.runs.record.plan import Plan, Trial
from thermoflop.runs.record.queue import ItemQueue


@dataclass(slots=True)
class Account:
    """The parts of a run that have something to say of it."""

    plan: Plan
    trials: Sequence[Trial]
    boards: Boards
    gpus: GpuSampler | None
    absent: dict[str, str]
    predictions: dict[str, Any] | None
    store: ResilientStore
    log: ChildLog
    marks: MarksFile
    queue: ItemQueue
    start: dict[str, Any] = field(default_factory=facts.now)
    git: dict[str, Any] | None = field(default_factory=facts.git_revision)
    left_out: int = 0  # phases
    scraper: Scraper | None = None
    cut_off: list[str] = field(default_factory=list)  # who held an output when it was closed

    def _own(self) -> dict[str, Any]:
        devices = self.gpus.facts["devices"] if self.gpus is not None else []
        return own_gpus(devices, asked_gpus(self.plan.gpu), os.environ).to_json()

    def absences(self) -> dict[str, str]:
        """Why a source is absent by now: NVML may answer late, or never."""
        why = None if self.gpus is None else self.gpus.absent
        return self.absent if why is None else {**self.absent, "gpu": why}

    def notices(self) -> list[str]:
        """What went wrong with the recording, in sentences."""
        notices = []
        if self.store.lost:
            notices.append(f"{self.store.lost} records could not be written: {self.store.why}")
        elif self.store.why:
            notices.append(self.store.why)
        if self.log.lost_bytes:
            notices.append(f"child.log lacks its last {self.log.lost_bytes} bytes: {self.log.why}")
        notices += [
            f"{name}, not of the command's session, kept its output open: what it wrote after the "
            "command's end is not all recorded"
            for name in self.cut_off
        ]
        if self.queue.dropped:
            notices.append(f"{self.queue.dropped} records were dropped: the disk was too slow")
        if self.marks.bad:
            notices.append(f"{self.marks.bad} lines of {MARKS} were no marks and do not count")
        notices += [
            f"trial {trial.index} started at {trial.gate.to_c} °C: the cool-down gate timed out"
            for trial in self.trials
            if trial.gate is not None and not trial.gate.reached
        ]
        notices += self.boards.notices()
        if self.gpus is not None:
            notices += self.gpus.notices()
        if self.scraper is not None and (text := self.scraper.notice()):
            notices.append(text)
        return notices

    def to_json(self, ended: dict[str, Any] | None, exit_code: int | None) -> dict[str, Any]:
        """Everything that run.json holds, as it stands now."""
        plan, gpus = self.plan, self.gpus
        return {
            "kind": "record",
            "name": plan.name,
            "command": list(plan.command),
            "against": list(plan.against) if plan.against is not None else None,
            "recorder": facts.command_line(),
            "pid": os.getpid(),
            "labels": dict(plan.labels),
            "git": self.git,
            "host": facts.host_facts(),
            "started": self.start,
            "ended": ended,
            "exit_code": exit_code,
            "trials": [trial.to_json() for trial in self.trials],
            "absent": self.absences(),
            "predictions": self.predictions,
            "gpu": None if gpus is None or gpus.absent else {**gpus.to_json(), **self._own()},
            "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
            "output": {
                "bytes": self.log.n_bytes,
                "lost_bytes": self.log.lost_bytes,
                "lines_not_looked_at": 0,
                "phases_left_out": self.left_out,
            },
            "marks": {"taken": self.marks.marks, "bad": self.marks.bad},
            "not_written": {"items": self.store.lost, "why": self.store.why},
            "dropped_items": self.queue.dropped,
            "notices": self.notices(),
            **self.boards.to_json(),
        }
