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
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thermoflop.errors import InputError
from thermoflop.pico.clock import ClockFit, ClockFitter
from thermoflop.pico.settings import merge_settings
from thermoflop.pico.track import BadLine, BoardLine, HostEvent
from thermoflop.pico.wire import Hello, Sample, Settings
from thermoflop.runs.analysis.believed import disbelieve
from thermoflop.runs.folder.reader import ReadCounts, RunReader, read_run
from thermoflop.runs.gpu.sample import MEASURED, GpuSample
from thermoflop.runs.summary import Summarizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.float64]
    Stretch = NDArray[np.int_]


@dataclass(slots=True)
class BoardColumns:
    """The board's samples; ``temp_c`` is NaN where the board gave none.

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


@dataclass(slots=True)
class RunData:
    """Everything a run holds, ready for analysis; ``t_s`` are seconds since its start."""

    folder: Path
    run: dict[str, Any]
    start_mono_s: float
    end_s: float
    board: BoardColumns | None
    gpus: dict[int, dict[str, Column]]  # GPU -> column name ("t_s" and MEASURED) -> values
    gpu_samples: list[GpuSample]
    events: list[HostEvent]
    counts: ReadCounts
    bad_lines: int = 0
    disbelieved: dict[int, int] = field(default_factory=dict)  # GPU -> readings that are no power

    @property
    def name(self) -> str:
        """The name it was given."""
        return str(self.run.get("name", self.folder.name))

    @property
    def own(self) -> list[int]:
        """The command's own GPUs: those that run.json names, else all that were read."""
        gpu = self.run.get("gpu")
        own = gpu.get("own") if isinstance(gpu, dict) else None
        is_list = isinstance(own, list) and all(isinstance(each, int) for each in own)
        return list(own or ()) if is_list else list(self.gpus)

    def t_s(self, mono_s: float) -> float:
        """A moment of the monotonic clock on the run's axis."""
        return mono_s - self.start_mono_s


@dataclass(slots=True)
class _Rows:
    """What was read, before it becomes columns."""

    samples: list[tuple[Sample, float]] = field(default_factory=list)
    summarizer: Summarizer = field(default_factory=Summarizer)
    fitters: dict[str, ClockFitter] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    gpu: list[GpuSample] = field(default_factory=list)
    events: list[HostEvent] = field(default_factory=list)
    bad_lines: int = 0
    first_s: float = math.inf
    last_s: float = -math.inf


def load(folder: Path) -> RunData:
    """Read the run in ``folder``; InputError when it is not one."""
    reader = RunReader(folder)
    rows = _Rows()
    for item in reader:
        rows.first_s = min(rows.first_s, item.mono_s)
        rows.last_s = max(rows.last_s, item.mono_s)
        match item:
            case GpuSample():
                rows.gpu.append(item)
            case HostEvent():
                rows.events.append(item)
            case BadLine():
                rows.bad_lines += 1
            case BoardLine():
                _take_board(rows, item)
    try:
        run = read_run(folder)
    except InputError:
        if not rows.events and not rows.gpu and not rows.samples:
            raise
        run = {}  # killed before its first run.json, or that file was damaged: the samples stand
    start_s = _number(run.get("started"), "mono_s")
    start_s = start_s if start_s is not None else min(rows.first_s, rows.last_s)
    end_s = max(0.0, (rows.last_s if rows.last_s > -math.inf else start_s) - start_s)
    gpus = _gpus(rows.gpu, start_s)
    rows.events.sort(key=lambda event: event.mono_s)
    return RunData(
        folder=folder,
        run=run,
        start_mono_s=start_s,
        end_s=end_s,
        board=_board(rows, start_s),
        gpus=gpus,
        disbelieved=_disbelieve(gpus, run),
        gpu_samples=rows.gpu,
        events=rows.events,
        counts=reader.counts,
        bad_lines=rows.bad_lines,
    )


def _take_board(rows: _Rows, item: BoardLine) -> None:
    message = item.message
    if isinstance(message, Settings):
        merge_settings(rows.settings, message.values)
    if isinstance(message, Sample):
        rows.samples.append((message, item.mono_s))
        rows.summarizer.add(message)
    if isinstance(message, Sample | Hello):
        fitter = rows.fitters.setdefault(message.boot, ClockFitter(message.boot))
        fitter.add(message.up_s, item.mono_s)


def _board(rows: _Rows, start_s: float) -> BoardColumns | None:
    import numpy as np

    if not rows.samples:
        return None
    fits = {boot: fit for boot, f in rows.fitters.items() if (fit := f.fit()) is not None}
    t_s = [_place(fits.get(s.boot), s, mono_s) - start_s for s, mono_s in rows.samples]
    longest = max(fits.values(), key=lambda fit: fit.span_s, default=None)
    samples = [sample for sample, _ in rows.samples]
    gaps = [not sample.follows(last) for last, sample in pairwise(samples)]
    return BoardColumns(
        t_s=np.maximum.accumulate(np.array(t_s)),
        temp_c=np.array([math.nan if s.temp_c is None else s.temp_c for s in samples]),
        fan=np.array([float(sample.fan) for sample in samples]),
        stretch=np.cumsum([0, *gaps]),
        fan_duty=rows.summarizer.summary().fan_duty,
        clock_error_s=max((fit.error_s for fit in fits.values()), default=None),
        drift_ppm=longest.drift_ppm if longest is not None else None,
        on_c=_number(rows.settings, "on_c"),
        off_c=_number(rows.settings, "off_c"),
    )


def _place(fit: ClockFit | None, sample: Sample, mono_s: float) -> float:
    """When a sample was taken; one whose stamp is later than its arrival is placed at that."""
    if fit is None or (placed_s := fit.mono_s(sample.up_s)) > mono_s + fit.error_s:
        return mono_s
    return placed_s


def _gpus(samples: list[GpuSample], start_s: float) -> dict[int, dict[str, Column]]:
    import numpy as np

    grouped: dict[int, list[GpuSample]] = {}
    for sample in samples:
        grouped.setdefault(sample.gpu, []).append(sample)
    columns: dict[int, dict[str, Column]] = {}
    for gpu, mine in sorted(grouped.items()):
        mine.sort(key=lambda sample: sample.mono_s)
        table: dict[str, Column] = {"t_s": np.array([s.mono_s - start_s for s in mine])}
        for name in MEASURED:
            values = [getattr(s, name) for s in mine]
            if any(value is not None for value in values):
                table[name] = np.array([math.nan if v is None else float(v) for v in values])
        columns[gpu] = table
    return columns


def devices(run: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """What run.json says of each GPU; nothing where something else is written there."""
    gpu = run.get("gpu")
    listed = gpu.get("devices") if isinstance(gpu, dict) else None
    known = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return {each["index"]: each for each in known if isinstance(each.get("index"), int)}


def _disbelieve(gpus: dict[int, dict[str, Column]], run: dict[str, Any]) -> dict[int, int]:
    """Take out what is no power: what is drawn, summed up or fitted is what is believed."""
    known = devices(run)
    counts = {
        gpu: disbelieve(table["power_w"], _number(known.get(gpu), "power_limit_w"))
        for gpu, table in gpus.items()
        if "power_w" in table
    }
    return {gpu: n for gpu, n in counts.items() if n}


def _number(data: Any, key: str) -> float | None:
    value = data.get(key) if isinstance(data, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
