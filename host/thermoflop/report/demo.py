"""What ``thermoflop demo`` shows while it goes on: plain lines, or the picture of ``watch``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from thermoflop.pico.track import Board, BoardLine, Counters
from thermoflop.pico.wire import Event, Hello, Sample, Settings
from thermoflop.report.live import Live, plain_line
from thermoflop.runs.demo import SHAPES, DemoResult, Director
from thermoflop.runs.recorder import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live as Screen

STAGES = {
    "rest": "at rest",
    "work": "multiplying",
    "cool": "cooling down",
    "done": "done",
}
_WINDOW_S = 30.0
_LINE_EVERY_S = 1.0


class DemoLines:
    """One line a second, and one for each event."""

    def __init__(self, file: TextIO) -> None:
        """``file`` takes the lines."""
        self._file = file
        self._start_s: float | None = None
        self._due_s = 0.0

    def see(self, item: BoardLine, director: Director) -> None:
        """The next line of the board."""
        if isinstance(item.message, Event):
            print(plain_line(item), file=self._file, flush=True)
        if not isinstance(item.message, Sample):
            return
        if self._start_s is None:
            self._start_s = item.mono_s
        now_s = item.mono_s - self._start_s
        if now_s >= self._due_s:
            self._due_s += _LINE_EVERY_S
            print(f"{now_s:4.0f} s  {_state(item.message, director)}", file=self._file, flush=True)


class DemoPicture:
    """A frame for each sample, as large as the terminal."""

    def __init__(self, console: Console, screen: Screen) -> None:
        """``screen`` shows what is drawn."""
        self._console = console
        self._screen = screen
        self._live = Live("simulated board", _WINDOW_S)
        self._board = Board()
        self._counters = Counters()

    def progress(self, progress: Progress) -> None:
        """The link's counters, about once a second."""
        self._counters = progress.counters

    def see(self, item: BoardLine, director: Director) -> None:
        """The next line of the board."""
        from rich.console import Group
        from rich.text import Text

        self._live.add([item])
        match item.message:
            case Hello():
                self._board.hello = item.message
            case Settings():
                self._board.settings.update(item.message.values)
            case Sample():
                columns, rows = self._console.size
                lines = self._live.render(columns, rows - 1, self._board, self._counters, True)
                stage = Text(f" this machine: {_doing(director)}", "bold", no_wrap=True)
                stage.truncate(columns, overflow="ellipsis")
                self._screen.update(Group(*lines, stage), refresh=True)


def work_lines(result: DemoResult) -> list[str]:
    """What the machine did and what the fan made of it, for people."""
    work = result.work
    rate = f"{work.mults_per_s / 1e9:.2f} G multiplications/s for {work.t_s:.1f} s"
    lines = [
        f"{'work':<12} {rate}, {work.busy_cores:.1f} processors busy",
        f"{'counted':<12} {work.mults:,} in products of {SHAPES}",
    ]
    if result.fan_on_s is None:
        lines.append(
            f"{'cause':<12} the fan did not start: the work got {work.busy_cores:.2f} processors, "
            "too little to warm the thermistor"
        )
    elif result.fan_off_s is None:
        lines.append(f"{'cause':<12} the fan started at {result.fan_on_s:.1f} s and still ran")
    else:
        lines.append(
            f"{'cause':<12} the work's heat started the fan at {result.fan_on_s:.1f} s; "
            f"it stopped at {result.fan_off_s:.1f} s"
        )
    return lines


def _state(sample: Sample, director: Director) -> str:
    temp = "no reading" if sample.temp_c is None else f"{sample.temp_c:.2f} °C"
    fan = "fan on " if sample.fan else "fan off"
    return f"{temp}  {fan}  {_doing(director)}"


def _doing(director: Director) -> str:
    words = STAGES[director.stage]
    rate = director.workload.last.mults_per_s
    return f"{words}, {rate / 1e9:.2f} G/s" if director.stage == "work" and rate else words
