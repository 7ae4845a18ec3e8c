"""A run folder as columns: board, GPUs, marks and trials on one time axis.

The axis is seconds since the recorder started, by the host's monotonic clock. The board's samples
are placed by its own clock, converted to the host's by the fit of each boot (lower hull of arrival
delays), so they have none of the link's jitter; ``clock_error_s`` says how well. All of it comes
from ``samples.jsonl``; a run whose recorder was killed is read like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import attributes, finite, inside, mappings
from thermoflop.errors import InputError
from thermoflop.pico.ports import is_simulated
from thermoflop.pico.track import HostEvent
from thermoflop.pico.wire import SIMULATED
from thermoflop.runs.analysis.believed import disbelieve, longest_step_s
from thermoflop.runs.analysis.readings import AllReadings
from thermoflop.runs.analysis.rows import BoardRows, read_rows
from thermoflop.runs.folder.reader import ReadCounts, RunReader, read_run
from thermoflop.runs.gpu.throttle import ThrottleSpan

if TYPE_CHECKING:
    from thermoflop.runs.analysis.columns import Column, Stretch


@dataclass(slots=True)
class BoardColumns:
    """One board's samples; ``temp_c`` is NaN where the board gave none.

    ``stretch`` numbers the unbroken stretches: it rises where samples are missing or the board
    restarted. ``fan_duty`` is the fan's share of the time it was watched, 0 to 1.
    """

    t_s: Column
    temp_c: Column
    fan: Column
    stretch: Stretch
    fan_duty: float | None
    clock_error_s: float | None
    drift_ppm: float | None
    on_c: float | None
    off_c: float | None
    name: str = "board"
    is_apart: bool = False  # its clock and the host's are no line: samples stand where they came

    def to_json(self) -> dict[str, Any]:
        """Its figures beside those of its temperature."""
        return attributes(self, "name", "fan_duty", "clock_error_s", "drift_ppm", "on_c", "off_c")


@dataclass(slots=True)
class RunData:
    """Everything a run holds, ready for analysis; ``t_s`` are seconds since its start."""

    folder: Path
    run: dict[str, Any]
    start_mono_s: float
    end_s: float
    boards: dict[int, BoardColumns]  # by its number in the run, the first one 0
    gpus: dict[int, dict[str, Column]]  # GPU -> column name ("t_s" and those of KEPT) -> values
    throttled: list[ThrottleSpan]
    watched_s: dict[int, float]  # GPU -> how long it was known whether it throttled
    events: list[HostEvent]
    counts: ReadCounts
    bad_lines: int = 0
    taken_as_one: int = 1  # readings of a GPU, in a run of more than MOST_READINGS
    disbelieved: dict[int, int] = field(default_factory=dict)  # GPU -> readings that are no power

    @property
    def name(self) -> str:
        """The name it was given."""
        return str(self.run.get("name", self.folder.name))

    @property
    def board(self) -> BoardColumns | None:
        """The first board, which mostly is the only one."""
        return self.boards.get(0)

    @property
    def own(self) -> list[int]:
        """The command's own GPUs: those that run.json names, else all that were read."""
        own = inside(self.run, "gpu", "own")
        is_list = isinstance(own, list) and all(isinstance(each, int) for each in own)
        return list(own or ()) if is_list else list(self.gpus)

    @property
    def own_gpus(self) -> list[dict[str, Column]]:
        """The columns of those among them that were read."""
        return [self.gpus[gpu] for gpu in self.own if gpu in self.gpus]

    @property
    def own_temps(self) -> list[tuple[Column, Column]]:
        """Times and temperatures of those."""
        return [(each["t_s"], each["temp_c"]) for each in self.own_gpus if "temp_c" in each]

    def label(self, source: str) -> str:
        """What stands behind the figures of a GPU or board: that it was simulated, or nothing."""
        kind = "GPU" if source.startswith("GPU") else source
        return " (simulated)" if kind in simulated_sources(self.run) else ""

    def source(self, event: HostEvent) -> str:
        """The name of the board that an event is of; the first one where it says none."""
        number = event.detail.get("board")
        return board_name(self.run, number if isinstance(number, int) else 0)

    def t_s(self, mono_s: float) -> float:
        """A moment of the monotonic clock on the run's axis."""
        return mono_s - self.start_mono_s


def load(folder: Path) -> RunData:
    """Read the run in ``folder``; InputError when it is not one."""
    reader = RunReader(folder)
    rows = read_rows(reader)
    try:
        run = read_run(folder)
    except InputError:
        if rows.first_s == math.inf:
            raise
        run = {}  # killed before its first run.json, or that file was damaged: the samples stand
    start_s = finite(inside(run, "started", "mono_s"))
    start_s = start_s if start_s is not None else min(rows.first_s, rows.last_s)
    end_s = max(0.0, (rows.last_s if rows.last_s > -math.inf else start_s) - start_s)
    gpus = {n: each.to_columns(start_s) for n, each in sorted(rows.gpus.gpus.items())}
    throttled, watched_s = _throttled(rows.gpus, gpus)
    rows.events.sort(key=lambda event: event.mono_s)
    return RunData(
        folder=folder,
        run=run,
        start_mono_s=start_s,
        end_s=end_s,
        boards={
            number: columns
            for number, each in sorted(rows.boards.items())
            if (columns := _board(each, start_s, board_name(run, number))) is not None
        },
        gpus=gpus,
        disbelieved=_disbelieve(gpus, run),
        throttled=throttled,
        watched_s=watched_s,
        taken_as_one=rows.gpus.taken_as_one,
        events=rows.events,
        counts=reader.counts,
        bad_lines=rows.bad_lines,
    )


def _throttled(
    readings: AllReadings, gpus: dict[int, dict[str, Column]]
) -> tuple[list[ThrottleSpan], dict[int, float]]:
    """The spans of all GPUs in order of time, and how long each was watched."""
    spans, watched_s = list[ThrottleSpan](), dict[int, float]()
    for gpu, columns in gpus.items():
        longest_s = longest_step_s(columns["t_s"])
        found, watched_s[gpu] = readings.gpus[gpu].throttled(gpu, columns, longest_s)
        spans += found
        del columns["reasons"]
    return sorted(spans, key=lambda span: (span.start_s, span.gpu)), watched_s


def board_name(run: Mapping[str, Any], number: int) -> str:
    """What tells a board of this run from its others; one alone is the board."""
    listed = run.get("boards")
    known = listed if isinstance(listed, list) else []
    name = inside(known[number], "name") if 0 <= number < len(known) else None
    return name if isinstance(name, str) and name else f"board {number + 1}" if number else "board"


def _board(rows: BoardRows, start_s: float, name: str) -> BoardColumns | None:
    import numpy as np

    if not rows.up_s:
        return None
    known = {boot: fit for boot, f in rows.fitters.items() if (fit := f.fit()) is not None}
    fits = {boot: fit for boot, fit in known.items() if not fit.is_apart}
    longest = max(fits.values(), key=lambda fit: fit.span_s, default=None)
    return BoardColumns(
        t_s=np.maximum.accumulate(rows.t_s(fits) - start_s),
        temp_c=np.array(rows.temp_c),
        fan=np.array(rows.fan),
        stretch=np.cumsum(rows.is_after_gap(), dtype=np.int_),
        fan_duty=rows.fan_duty(),
        clock_error_s=max((fit.error_s for fit in fits.values()), default=None),
        drift_ppm=longest.drift_ppm if longest is not None else None,
        on_c=finite(rows.settings.get("on_c")),
        off_c=finite(rows.settings.get("off_c")),
        name=name,
        is_apart=len(fits) < len(known),
    )


def devices(run: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """What run.json says of each GPU; nothing where something else is written there."""
    listed = mappings(run, "gpu", "devices")
    return {each["index"]: each for each in listed if isinstance(each.get("index"), int)}


def simulated_sources(run: dict[str, Any]) -> list[str]:
    """Which boards and GPUs were simulated, by name, as the run's own facts say."""
    boards = run.get("boards")
    each = boards if isinstance(boards, list) else [run]
    names = [board_name(run, n) for n, facts in enumerate(each) if _is_simulated(facts)]
    return names + ["GPU"] * (inside(run, "gpu", "driver") == "simulated")


def simulated(run: dict[str, Any]) -> str:
    """The same in words; empty where nothing was simulated."""
    return " and ".join(simulated_sources(run))


def _is_simulated(facts: Any) -> bool:
    """By its port, or because it says so itself: behind TCP or a terminal only it can tell."""
    url, name = inside(facts, "port", "url"), inside(facts, "board", "hello", "board")
    by_port = isinstance(url, str) and is_simulated(url)
    return by_port or (isinstance(name, str) and name.endswith(SIMULATED))


def _disbelieve(gpus: dict[int, dict[str, Column]], run: dict[str, Any]) -> dict[int, int]:
    """Take out what is no power: what is drawn, summed up or fitted is what is believed."""
    known = devices(run)
    counts = {
        gpu: disbelieve(table["power_w"], finite(inside(known.get(gpu), "power_limit_w")))
        for gpu, table in gpus.items()
        if "power_w" in table
    }
    return {gpu: n for gpu, n in counts.items() if n}
