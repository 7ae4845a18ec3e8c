"""Run a command and record what happens around it: board, GPUs, marks, output, exit code.

One thread writes (the caller's); the link, the GPU sampler, the output pump and the wait for the
child have threads of their own and never wait for the disk. The command is sovereign: whatever goes
wrong with the recording is written into the run, and the command goes on and its exit code is
passed through.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermoflop.base.signal_event import SignalEvent
from thermoflop.errors import (
    BoardError,
    CommandNotRunnable,
    InputError,
    ThermoflopError,
    UsageError,
)
from thermoflop.marks import ENVIRONMENT
from thermoflop.pico.ports import is_simulated
from thermoflop.pico.track import HostEvent
from thermoflop.runs import facts
from thermoflop.runs.child.marks import MarksFile
from thermoflop.runs.child.output import ChildLog, OutputPump
from thermoflop.runs.child.process import KILL, Child
from thermoflop.runs.child.program import find_program
from thermoflop.runs.child.signals import Signals
from thermoflop.runs.child.terminal import Terminal
from thermoflop.runs.engines.lines import MOST_BYTES
from thermoflop.runs.engines.printed import read_result
from thermoflop.runs.engines.scrape import Scraper
from thermoflop.runs.folder.control import STOP, Control
from thermoflop.runs.folder.records import Record
from thermoflop.runs.folder.resilient import ResilientStore
from thermoflop.runs.record.account import Account
from thermoflop.runs.record.boards import Boards
from thermoflop.runs.record.clocks import ClockWatch
from thermoflop.runs.record.gate import choose_sensor, wait_until_cool
from thermoflop.runs.record.plan import Plan, Trial, trials
from thermoflop.runs.record.queue import ItemQueue
from thermoflop.runs.record.sources import is_urgent, open_gpus

TURN_S = 0.1  # how late a record may be written and a signal passed on
_SAY_AFTER_S = 1.0  # twice the silence that ends the listening
_ANSWER_S, _LOOK_S = 0.5, 0.01  # for a server's last numbers
_OTHERS_EVERY_S = 0.2  # finding them reads /proc of every process


@dataclass(frozen=True, slots=True)
class Outcome:
    """A recorded command: where its evidence is, and what its caller must know."""

    folder: Path
    exit_code: int
    trials: Sequence[Trial]
    absent: dict[str, str]
    notices: Sequence[str]
    run: dict[str, Any]


def record_command(plan: Plan, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """Record ``plan``; ``say`` gets sentences for people while it goes on."""
    plan.check()
    for argv in (plan.command, plan.against or plan.command):
        find_program(argv[0])
    return _Session(plan, say).run()


class _Session:
    """The state of one wrapped run while it is made."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._say = say
        self._queue = ItemQueue()
        self._wake = SignalEvent()
        self._signals = Signals(self._wake, plan.grace_s)
        self._trials = trials(plan)
        self._clocks = ClockWatch()
        self._enough = False  # says the watcher
        self._terminal: Terminal | None = None  # of the trial that runs

    def run(self) -> Outcome:
        plan = self._plan
        with ExitStack() as stack:
            stack.enter_context(self._signals)
            self._boards = Boards(plan.ports, self._queue)
            stack.callback(self._boards.stop)
            self._gpus, why = open_gpus(plan.gpu, self._queue, plan.rate_hz, plan.gpu_library)
            absent = self._boards.absent | ({} if why is None else {"gpu": why})
            if self._gpus is not None:
                stack.push(self._gpus)
                if self._gpus.is_waiting:
                    self._say(f"{self._gpus.absent}: the command starts, GPUs join when it does")
            if self._boards.all:
                for name, reason in self._boards.absent.items():
                    self._say(f"no {name}: {reason}")
            self._say_what_is_simulated()
            predictions = self._predict(why)
            scraper = None if plan.scrape is None else Scraper(plan.scrape, self._queue)
            self._sensor = (
                choose_sensor(plan.gate, self._boards, self._gpus)
                if plan.gate is not None
                else None
            )
            self._store = ResilientStore(plan.out, plan.name)
            stack.callback(self._store.release)
            self._log = ChildLog(self._store.folder)
            stack.callback(self._log.close)
            self._marks = MarksFile(self._store.folder)
            stack.callback(self._marks.close)
            self._control = Control(self._store.folder) if plan.control else None
            if self._control is not None:
                stack.callback(self._control.close)
            self._account = Account(
                plan, self._trials, self._boards, self._gpus, absent, predictions,
                self._store, self._log, self._marks, self._queue,
            )  # fmt: skip
            self._write_run(None)
            if scraper is not None:
                self._account.scraper = stack.enter_context(scraper)
            return self._record()

    def _say_what_is_simulated(self) -> None:
        pairs = zip(self._boards.names, self._boards.all, strict=True)
        names = [name for name, board in pairs if is_simulated(board.link.target.url)]
        if self._gpus is not None and self._gpus.facts.get("driver") == "simulated":
            names.append("GPU")
        if names:
            self._say(f"{' and '.join(names)} simulated: its figures are no measurement")

    def _predict(self, no_gpu: str | None) -> dict[str, Any] | None:
        """The prediction that the plan wishes for, before anything starts that could be lost."""
        if self._plan.wish is None:
            return None
        from thermoflop.runs.predict import predict

        devices = [] if self._gpus is None else self._gpus.facts["devices"]
        try:
            return predict(self._plan.wish, devices, no_gpu)
        except (InputError, UsageError) as error:
            if not self._plan.wish.is_guess:
                raise
            self._say(str(error))
            return None

    def _record(self) -> Outcome:
        end, why = "done", None
        try:
            self._rest(self._plan.before_s)
            self._series()
            self._rest(self._plan.after_s, until_enough=True)
            if self._signals.received is not None:
                end, why = "stopped", signal.Signals(self._signals.received).name
        except BaseException as error:
            is_ours = isinstance(error, ThermoflopError)
            end, why = "failed", str(error) if is_ours else type(error).__name__
            if self._signals.child is not None:
                self._signals.child.send(KILL)
            raise
        finally:
            run = self._finish(end, why)
        return Outcome(
            folder=self._store.folder,
            exit_code=self._exit_code(),
            trials=self._trials,
            absent=self._account.absences(),
            notices=self._account.notices(),
            run=run,
        )

    def _series(self) -> None:
        for trial in self._trials:
            if self._plan.gate is not None and self._sensor is not None:
                name, read_c = self._sensor
                trial.gate = wait_until_cool(
                    self._plan.gate, name, read_c, self._turn_unless_stopped, self._say
                )
                self._event("gate", {"trial": trial.index, **trial.gate.to_json()})
            if self._signals.received is not None:
                return
            with Terminal() if self._plan.pty else nullcontext() as self._terminal:
                self._run_trial(trial)
            self._terminal = None
            self._write_run(None)
            if trial.exit_code:
                return

    def _run_trial(self, trial: Trial) -> None:
        # a Python that does not flush would say its phases when it ends
        unbuffered = {"PYTHONUNBUFFERED": "1", **os.environ}
        environment = {**unbuffered, ENVIRONMENT: str(self._marks.path.absolute())}
        trial.log_from_bytes = self._log.n_bytes
        self._ask_server()
        self._wake.clear()
        try:
            child = Child(trial.argv, environment, self._wake.set, self._terminal)
        except CommandNotRunnable as error:
            trial.exit_code = error.exit_code
            raise
        self._signals.attach(child)
        pump = OutputPump(child.pipes, self._log, self._queue, child.started_s, self._plan.echo)
        trial.started_s = child.started_s
        if self._account.scraper is not None:
            self._account.scraper.begin(child.started_s)
        who = {"trial": trial.index, "variant": trial.variant, "warmup": trial.warmup}
        self._event("child_start", {**who, "pid": child.pid}, child.started_s)
        while child.is_running() and not self._signals.gives_up:
            self._turn()
            self._signals.check_grace()
        self._note_end(trial, child)
        self._wait_for_others(trial, child)
        self._wait_for_output(trial, pump)
        self._ask_server()
        self._account.left_out += sum(marks.left_out for marks in pump.marks)
        trial.all_ended_s = time.monotonic()
        trial.log_to_bytes = self._log.n_bytes
        self._signals.child = None
        self._turn(0.0)
        self._note_result(trial)
        self._event("trial_end", {**who, "left_behind": trial.left_behind}, trial.all_ended_s)

    def _note_end(self, trial: Trial, child: Child) -> None:
        trial.ended_s, trial.exit_code = child.ended_s, child.exit_code
        trial.signal = child.signal_name
        self._wake.clear()
        detail = {"trial": trial.index, "exit_code": child.exit_code, "signal": child.signal_name}
        self._event("child_end", detail, child.ended_s)

    def _wait_for_others(self, trial: Trial, child: Child) -> None:
        """Go on while a process of the command is left."""
        others = child.others()
        trial.left_behind = len(others)
        if others:
            n = f"{len(others)} process{'es' if len(others) > 1 else ''}"
            self._say(
                f"the command ended with {child.exit_code} and left {n} behind; recording until "
                "they end (Ctrl-C ends them)"
            )
        looked_s = time.monotonic()
        while others and not self._signals.gives_up:
            self._turn()
            self._signals.check_grace()
            if time.monotonic() - looked_s >= _OTHERS_EVERY_S:
                looked_s = time.monotonic()
                others = child.others()

    def _wait_for_output(self, trial: Trial, pump: OutputPump) -> None:
        """Go on while a process that is none of the command's speaks into its output."""
        pump.end_when_quiet()
        from_s, holders = time.monotonic(), list[str]()
        while pump.is_running():
            self._turn()
            late = not holders and time.monotonic() - from_s > _SAY_AFTER_S
            if late and (holders := pump.holders()):
                self._say(
                    f"the command has ended, and {', '.join(holders)} goes on writing to its "
                    "output; recording until that is silent (Ctrl-C twice ends it)"
                )
            if self._signals.wants_end:
                pump.abandon()
        trial.left_behind += len(pump.cut_off or holders)
        self._account.cut_off += pump.cut_off

    def _ask_server(self) -> None:
        """Have what a server did until now noted, if it answers soon."""
        if self._account.scraper is None:
            return
        asked, end_s = self._account.scraper.ask(), time.monotonic() + _ANSWER_S
        while not asked.is_set() and time.monotonic() < end_s and not self._signals.wants_end:
            self._turn(_LOOK_S)

    def _note_result(self, trial: Trial) -> None:
        """What the benchmark program of an engine printed as its result, as a mark at its end."""
        result = read_result(self._log.tail(trial.log_from_bytes, MOST_BYTES))
        if result is not None and trial.ended_s is not None:
            detail = {"by": "engine", "program": result.program, "values": result.values}
            self._event("mark", detail, trial.ended_s)

    def _pause(self) -> None:
        """Ctrl-Z: a span of the record in which neither command nor recorder ran."""
        self._wake.clear()
        self._event("paused", {})
        if self._terminal is not None:
            self._terminal.give_keys_back()
        paused_s = self._signals.stop_here()
        for trial in self._trials:
            if trial.started_s is not None and trial.ended_s is None:
                trial.paused_s += paused_s
        self._event("continued", {"paused_s": round(paused_s, 6)})

    def _turn(self, wait_s: float = TURN_S) -> None:
        """Wait a little, then write down what came in."""
        if wait_s > 0:
            self._wake.wait(wait_s)
        if self._terminal is not None:
            self._terminal.turn()
        if self._signals.received is not None:
            self._wake.clear()  # or a signal would turn the waiting into a busy loop
        self._drain()
        if self._signals.stop_asked:
            self._pause()
        step = self._clocks.look()
        if step is not None:
            self._event("clock_step", step)
        if self._plan.watcher is not None:
            self._enough = not self._plan.watcher.turn(self._boards.first)

    def _drain(self) -> None:
        self._take_in(self._queue.take(0.0))
        while marks := self._marks.take():
            self._take_in(marks)
        for text in self._control.take() if self._control is not None else ():
            self._obey(text)

    def _obey(self, text: str) -> None:
        """An order from outside: to stop, or a command for the board."""
        why = None
        if text == STOP:
            signal.raise_signal(signal.SIGTERM)  # os.kill ends a process of Windows at once
        elif (board := self._boards.first) is None:
            why = "no board"
        else:
            try:
                board.link.write(text.encode("ascii") + b"\n")
            except BoardError as error:
                why = str(error)
        self._event("order", {"text": text, "failed": why})

    def _turn_unless_stopped(self) -> bool:
        self._turn()
        return self._signals.received is None

    def _rest(self, duration_s: float, until_enough: bool = False) -> None:
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s and self._signals.received is None:
            if until_enough and self._enough:
                return
            self._turn(min(TURN_S, max(0.0, end_s - time.monotonic())))

    def _take_in(self, items: Sequence[Record]) -> None:
        for item in items:
            written = self._store.write(item)
            if written:
                self._boards.learn(item)
            if written and self._plan.watcher is not None:
                self._plan.watcher.see(item)
        self._store.sync(now=any(map(is_urgent, items)))

    def _event(self, ev: str, detail: dict[str, Any], mono_s: float | None = None) -> None:
        at_s = time.monotonic() if mono_s is None else mono_s
        self._take_in([HostEvent.at(at_s, ev, detail)])

    def _finish(self, end: str, why: str | None) -> dict[str, Any]:
        self._boards.stop()
        self._drain()
        ended = facts.ended(self._account.start, end, why)
        self._store.close()
        return self._write_run(ended)

    def _exit_code(self) -> int:
        """That of the first trial that failed; 128+n when a signal came between trials."""
        codes = [trial.exit_code for trial in self._trials if trial.exit_code]
        if codes:
            return codes[0]
        unfinished = any(trial.exit_code is None for trial in self._trials)
        if unfinished and self._signals.received is not None:
            return 128 + self._signals.received
        return 0

    def _ended_with(self, ended: dict[str, Any] | None) -> int | None:
        """The exit code as run.json has it: a recorder that failed has none of its command's."""
        failed = ended is None or ended["end"] == "failed"
        return (self._exit_code() if ended else 0) or (None if failed else 0)

    def _write_run(self, ended: dict[str, Any] | None) -> dict[str, Any]:
        run = self._account.to_json(ended, self._ended_with(ended))
        self._store.write_run(run)
        return run
