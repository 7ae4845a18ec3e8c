"""What ``thermoflop demo`` shows while it goes on: plain lines, or the picture of ``watch``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from thermoflop.pico.settings import merge_settings
from thermoflop.pico.track import Board, BoardLine
from thermoflop.pico.wire import Event, Hello, Sample, Settings
from thermoflop.report.terminal.plain import plain_line
from thermoflop.runs.demo.decoder import MODEL
from thermoflop.runs.demo.stages import DemoResult, Stage

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live as Screen

STAGES = {
    "rest": "at rest",
    "work": "benchmark",
    "cool": "cooling down",
}
_WINDOW_S = 30.0
_LINE_EVERY_S = 1.0


class DemoLines:
    """One line a second, and one for each event."""

    def __init__(self, file: TextIO) -> None:
        """Lines are written to ``file``."""
        self._file = file
        self._start_s: float | None = None
        self._due_s = 0.0

    def see(self, item: BoardLine, stage: Stage) -> None:
        """Show the next line of the board."""
        if isinstance(item.message, Event):
            print(plain_line(item), file=self._file, flush=True)
        if not isinstance(item.message, Sample):
            return
        if self._start_s is None:
            self._start_s = item.mono_s
        now_s = item.mono_s - self._start_s
        if now_s >= self._due_s:
            self._due_s += _LINE_EVERY_S
            print(f"{now_s:4.0f} s  {_state(item.message, stage)}", file=self._file, flush=True)


class DemoPicture:
    """A frame for each sample, as large as the terminal."""

    def __init__(self, console: Console, screen: Screen) -> None:
        """Frames are drawn on ``screen``, as large as ``console``."""
        from thermoflop.report.terminal.live import Live

        self._console = console
        self._screen = screen
        self._live = Live("simulated board", _WINDOW_S)
        self._board = Board()

    def see(self, item: BoardLine, stage: Stage) -> None:
        """Show the next line of the board."""
        from rich.console import Group
        from rich.text import Text

        self._live.add([item])
        match item.message:
            case Hello():
                self._board.hello = item.message
            case Settings():
                merge_settings(self._board.settings, item.message.values)
            case Sample():
                columns, rows = self._console.size
                lines = self._live.render(columns, rows - 1, self._board, stage.counters, True)
                status = Text(f" this machine: {_doing(stage)}", "bold", no_wrap=True)
                status.truncate(columns, overflow="ellipsis")
                self._screen.update(Group(*lines, status), refresh=True)


def work_lines(result: DemoResult) -> list[str]:
    """What the machine did and what the fan made of it, for people."""
    stage, trial = result.stage, result.outcome.trials[0]
    lasted = "no time" if trial.duration_s is None else f"{trial.duration_s:.1f} s"
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    what = f"{MODEL}'s shape on numpy, {threads}"
    lines = [f"{'benchmark':<12} {what}: {stage.tokens:.0f} tokens, read or generated, in {lasted}"]
    if stage.fan_on_s is None and result.interrupted:
        lines.append(f"{'cause':<12} the fan did not start: the demo was stopped before")
    elif stage.fan_on_s is None:
        lines.append(
            f"{'cause':<12} the fan did not start: the benchmark got too little processor time to "
            "warm the thermistor"
        )
    elif stage.fan_off_s is None:
        lines.append(f"{'cause':<12} the fan started at {stage.fan_on_s:.1f} s and still ran")
    else:
        lines.append(
            f"{'cause':<12} the work's heat started the fan at {stage.fan_on_s:.1f} s; "
            f"it stopped at {stage.fan_off_s:.1f} s"
        )
    return lines


def _state(sample: Sample, stage: Stage) -> str:
    temp = "no reading" if sample.temp_c is None else f"{sample.temp_c:.2f} °C"
    fan = "fan on " if sample.fan else "fan off"
    return f"{temp}  {fan}  {_doing(stage)}"


def _doing(stage: Stage) -> str:
    doing = STAGES[stage.name]
    if stage.name != "work":
        return doing
    return f"{doing}, {stage.busy_cores():.1f} processors busy, {stage.tokens:.0f} tokens"
