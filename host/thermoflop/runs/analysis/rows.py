"""What the lines of a run say, gathered before it becomes columns on one time axis."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thermoflop.pico.clock import ClockFit, ClockFitter
from thermoflop.pico.lines import Overlong
from thermoflop.pico.settings import merge_settings
from thermoflop.pico.track import BadLine, BoardLine, HostEvent
from thermoflop.pico.wire import Hello, Sample, Settings, frame_fault
from thermoflop.runs.analysis.readings import AllReadings
from thermoflop.runs.folder import usual
from thermoflop.runs.folder.gpu_lines import KEPT, MARK, GpuLines
from thermoflop.runs.folder.gpu_table import GpuTable, Tabled
from thermoflop.runs.folder.reader import RunReader
from thermoflop.runs.folder.records import FurtherLine, Record
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.summary import LONGEST_PERIOD_S

if TYPE_CHECKING:
    from thermoflop.runs.analysis.columns import Column, Stretch


@dataclass(slots=True)
class BoardRows:
    """What was read of a board, before it becomes columns: its samples as numbers, of which a day
    takes a tenth of the memory of objects."""

    fitters: dict[str, ClockFitter] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    boots: dict[str, int] = field(default_factory=dict)
    boot: array[int] = field(default_factory=lambda: array("l"))
    up_s: array[float] = field(default_factory=lambda: array("d"))
    seq: array[int] = field(default_factory=lambda: array("q"))
    mono_s: array[float] = field(default_factory=lambda: array("d"))
    temp_c: array[float] = field(default_factory=lambda: array("d"))
    fan: array[float] = field(default_factory=lambda: array("d"))

    def take(self, item: BoardLine) -> None:
        message = item.message
        if isinstance(message, Sample):
            temp_c = math.nan if message.temp_c is None else message.temp_c
            place = (message.boot, message.seq, message.up_s, item.mono_s)
            self.sample(*place, temp_c, message.fan)
        elif isinstance(message, Hello):
            self._stamp(message.boot, message.up_s, item.mono_s)
        elif isinstance(message, Settings):
            merge_settings(self.settings, message.values)

    def sample(
        self, boot: str, seq: int, up_s: float, mono_s: float, temp_c: float, fan: int
    ) -> None:
        self.boot.append(self.boots.setdefault(boot, len(self.boots)))
        self.seq.append(seq)
        self.up_s.append(up_s)
        self.mono_s.append(mono_s)
        self.temp_c.append(temp_c)
        self.fan.append(fan)
        self._stamp(boot, up_s, mono_s)

    def _stamp(self, boot: str, up_s: float, mono_s: float) -> None:
        fitter = self.fitters.get(boot)
        if fitter is None:
            fitter = self.fitters[boot] = ClockFitter(boot)
        fitter.add(up_s, mono_s)

    def is_after_gap(self) -> Stretch:
        """1 where a sample does not follow the one before: ``Sample.follows``."""
        import numpy as np

        seq, boot = np.array(self.seq), np.array(self.boot)
        is_after_gap: Stretch = np.r_[0, (np.diff(seq) != 1) | (np.diff(boot) != 0)]
        return is_after_gap

    def fan_duty(self) -> float | None:
        """The fan's share of the time that it was watched, as ``Summarizer`` has it."""
        import numpy as np

        steps_s = np.diff(np.array(self.up_s))
        known = (self.is_after_gap()[1:] == 0) & (steps_s >= 0) & (steps_s <= LONGEST_PERIOD_S)
        watched_s = float(steps_s[known].sum())
        fan_s = float(steps_s[known] @ np.array(self.fan)[:-1][known])
        return fan_s / watched_s if watched_s else None

    def t_s(self, fits: dict[str, ClockFit]) -> Column:
        """When they were taken; without a fit, or with a stamp later than that, when they came."""
        import numpy as np

        t_s, up_s, boot = np.array(self.mono_s), np.array(self.up_s), np.array(self.boot)
        for name, number in self.boots.items():
            if name in fits:
                fit, came_s = fits[name], t_s[boot == number]
                taken_s = fit.offset_s + fit.rate * up_s[boot == number]
                is_late = taken_s > came_s + fit.error_s
                t_s[boot == number] = np.where(is_late, came_s, taken_s)
        return t_s


@dataclass(slots=True)
class Rows:
    """What was read, before it becomes columns."""

    boards: dict[int, BoardRows] = field(default_factory=lambda: {0: BoardRows()})
    gpus: AllReadings = field(default_factory=AllReadings)
    events: list[HostEvent] = field(default_factory=list)
    bad_lines: int = 0
    first_s: float = math.inf
    last_s: float = -math.inf

    def span(self, from_s: float, to_s: float) -> None:
        """What was read reaches from there to there."""
        self.first_s, self.last_s = min(self.first_s, from_s), max(self.last_s, to_s)

    def take(self, item: Record) -> None:
        """What is not usual, or of another board."""
        match item:
            case BoardLine():
                self.boards[0].take(item)
            case GpuSample():
                values = [math.nan if (v := getattr(item, n)) is None else v for n in KEPT]
                self.gpus.add(item.gpu, item.mono_s, values, item.reasons)
            case HostEvent():
                self.events.append(item)
            case FurtherLine(number, BoardLine() as line):
                self.boards.setdefault(number, BoardRows()).take(line)
            case BadLine() | FurtherLine():
                self.bad_lines += 1


def read_rows(reader: RunReader) -> Rows:
    """All lines in their order; readings of GPUs, which are nearly all, many at once.

    What comes out is the same whether their numbers were read here or while recording.
    """
    rows, gpu_lines = Rows(), GpuLines()
    with closing(GpuTable(reader.path)) as table:
        for block in reader.blocks(table):
            if isinstance(block, Tabled):
                _take_in(rows, reader, block.others, block.rows)
            else:
                _read_lines(rows, reader, block, gpu_lines)
    rows.gpus.settle()
    return rows


def _read_lines(
    rows: Rows, reader: RunReader, lines: list[bytes | Overlong], gpu_lines: GpuLines
) -> None:
    """Lines as they came; readings of GPUs at once, or in their order where one is unusual."""
    of_gpus, others = list[bytes](), list[bytes | Overlong]()
    for line in lines:
        if isinstance(line, bytes) and MARK in line:
            of_gpus.append(line)
        else:
            others.append(line)
    readings, unusual = gpu_lines.read(of_gpus)
    _take_in(rows, reader, *((lines, readings[:0]) if unusual else (others, readings)))


def _take_in(
    rows: Rows, reader: RunReader, lines: Sequence[bytes | Overlong], readings: Column
) -> None:
    for line in lines:
        _read_line(rows, reader, line)
    if len(readings):
        rows.gpus.add_many(readings)
        rows.span(float(readings[:, 0].min()), float(readings[:, 0].max()))
        reader.counts.records += len(readings)


def _read_line(rows: Rows, reader: RunReader, line: bytes | Overlong) -> None:
    """One line that is no usual reading of a GPU."""
    match = usual.board_sample(line) if isinstance(line, bytes) else None
    if match and frame_fault(match[2]) is None:
        boot, seq, up_s, temp_c, _, fan = match.groups()[2:8]
        mono_s = float(match[1])
        rows.boards[0].sample(boot.decode(), int(seq), float(up_s), mono_s, float(temp_c), int(fan))
        reader.counts.records += 1
    else:
        item = reader.item(line)
        if item is None:
            return
        rows.take(item)
        mono_s = item.mono_s
    rows.span(mono_s, mono_s)
