"""A phase of a run cut into equal blocks, and what each figure adds up to in every block.

Time within the phase is counted through: where it came several times in a trial, its windows lie
one behind the other. Each figure is a sum over a sum (degrees over readings, tokens over seconds),
so that blocks add up to the figure of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermoflop.runs.analysis.coverage import of_gpus
from thermoflop.runs.analysis.energy import Meter
from thermoflop.runs.analysis.phases import pauses
from thermoflop.runs.analysis.throughput import Step, steps

if TYPE_CHECKING:
    from thermoflop.runs.analysis.columns import Column
    from thermoflop.runs.analysis.data import RunData
    from thermoflop.runs.analysis.figures import Analysis
    from thermoflop.runs.analysis.phases import Window

# key, name, unit and how many of the unit make one of what is added up
FIGURES = (
    ("gpu_c", "GPU temperature, mean", "°C", 1.0),
    ("board_c", "board temperature, mean", "°C", 1.0),
    ("tokens_per_s", "tokens a second", "tokens/s", 1.0),
    ("joules_per_token", "energy of a token", "J/token", 1.0),
    ("power_w", "GPU power, mean", "W", 1.0),
    ("clock_mhz", "GPU clock, mean", "MHz", 1.0),
    ("throttled", "time throttled", "%", 100.0),
)


@dataclass(slots=True)
class Sums:
    """Of each block, the sum above and the one below; ``n`` readings or steps are in them."""

    over: Column
    under: Column
    n: int
    step: float = 0.0  # what the figure is rounded to, one might say

    @property
    def figure(self) -> float:
        """That of all blocks together."""
        return float(self.over.sum() / self.under.sum())

    def fills(self, blocks: int) -> bool:
        """Whether each of so many blocks has something below."""
        return bool((self.merged(blocks)[1] > 0).all())

    def merged(self, blocks: int) -> tuple[Column, Column]:
        """The sums of fewer blocks; their number divides that of these."""
        over, under = (each.reshape(blocks, -1).sum(axis=1) for each in (self.over, self.under))
        return over, under


class Stretch:
    """The first ``length_s`` seconds of the windows of a phase, cut into ``blocks``."""

    def __init__(
        self, analysis: Analysis, windows: Sequence[Window], length_s: float, blocks: int
    ) -> None:
        """``windows`` are of one run, with times, in order."""
        self._data: RunData = analysis.data
        self.own_temps = analysis.data.own_temps
        self._blocks, self._length_s = blocks, length_s
        self._phases = [row.window for row in analysis.phases]
        self._spans = [span for span in analysis.spans if span.gpu in analysis.data.own]
        self._windows: list[tuple[Window, float, float]] = []  # each with its offset and its end
        edges_s = np.linspace(0.0, length_s, blocks + 1)
        starts, ends, cells, offset_s = [], [], [], 0.0
        for window in windows:
            left_s = length_s - offset_s
            if left_s <= 0:
                break
            end_s = min(window.end_s, window.start_s + left_s)
            self._windows.append((window, offset_s, end_s))
            inside = edges_s[(edges_s > offset_s) & (edges_s < offset_s + end_s - window.start_s)]
            cuts_s = np.r_[window.start_s, inside - offset_s + window.start_s, end_s]
            middles_s = (cuts_s[1:] + cuts_s[:-1]) / 2 - window.start_s + offset_s
            starts.append(cuts_s[:-1])
            ends.append(cuts_s[1:])
            cells.append(np.minimum((middles_s / length_s * blocks).astype(int), blocks - 1))
            offset_s += end_s - window.start_s
        self._starts_s, self._ends_s = np.concatenate(starts), np.concatenate(ends)
        self._cells = np.concatenate(cells)

    def sums(self) -> dict[str, Sums]:
        """By key of ``FIGURES``, what is known."""
        known, seconds = dict[str, Sums](), self._seconds()
        for key in ("gpu_c", "board_c", "power_w", "clock_mhz"):
            columns = self._columns(key)
            if columns is not None:
                known |= self._readings(key, *columns)
        made = [step for step in self._steps() if step.tokens > 0]
        tokens = self._tokens()
        if made and tokens.sum() > 0:
            known["tokens_per_s"] = Sums(tokens, seconds, len(made))
            joules = self._joules(known.get("power_w"))
            if joules is not None:
                power = known["power_w"]
                # at both ends the energy is known no better than between two readings
                edges_j = math.sqrt(2) * power.figure * float(seconds.sum()) / power.n
                n = min(len(made), power.n)
                known["joules_per_token"] = Sums(joules, tokens, n, edges_j / float(tokens.sum()))
        if any(gpu in self._data.watched_s for gpu in self._data.own) and self._is_watched():
            known["throttled"] = Sums(self._throttled(), seconds, self._blocks * 4)
        return known

    def peak(self, *, of_gpus: bool) -> tuple[float, float] | None:
        """The highest temperature of the command's own GPUs, or of the board, and what it is
        rounded to: within one repetition that which its report has."""
        board = self._columns("board_c")
        peaks = []
        for t_s, temp_c in self.own_temps if of_gpus else [] if board is None else [board]:
            values = temp_c[np.isfinite(temp_c) & (self.places(t_s) >= 0)]
            if len(values):
                peaks.append((float(values.max()), _step(values)))
        return max(peaks, default=None)

    def curve(self, key: str) -> tuple[Column, Column] | None:
        """What was read of a figure, at seconds of the phase; None where it was not."""
        columns = self._columns(key)
        if key == "tokens_per_s":
            made = [step for step in self._steps() if step.tokens > 0]
            ends = [at for step in made[:1] for at in (step.start_s, step.end_s)]
            middles = [(step.start_s + step.end_s) / 2 for step in made]
            at_s = np.array(ends if len(made) == 1 else middles)
            rates = np.array([step.tokens_per_s for step in made])
            columns = (at_s, np.resize(rates, len(at_s))) if made else None
        if columns is None:
            return None
        places = self.places(columns[0])
        inside = places >= 0
        return (places[inside], columns[1][inside]) if inside.any() else None

    def _steps(self) -> list[Step]:
        return [step for window, _, _ in self._windows for step in self._steps_of(window)]

    def _steps_of(self, window: Window) -> list[Step]:
        """Those of the phases inside, where they make all of its tokens: what comes with the mark
        that begins a phase is made after it, as one would not see from the notes alone."""
        own = steps(window)
        inside = [
            step
            for phase in self._phases
            if window.start_s <= phase.start_s and phase.end_s <= window.end_s
            for step in steps(phase)
        ]
        sums = [sum(step.tokens for step in each) for each in (own, inside)]
        return inside if inside and math.isclose(*sums) else own

    def _columns(self, key: str) -> tuple[Column, Column] | None:
        """A sensor's times on the run's axis and its values."""
        board, own = self._data.board, self._data.own_gpus
        if key == "board_c":
            return None if board is None else (board.t_s, board.temp_c)
        if key == "gpu_c":
            return self._hottest()
        if key == "power_w" and own and self._is_watched() and all(key in each for each in own):
            return own[0]["t_s"], _total(own, key)
        if key == "clock_mhz" and own and "sm_mhz" in own[0]:
            return own[0]["t_s"], own[0]["sm_mhz"]
        return None

    def places(self, t_s: Column) -> Column:
        """Where moments of the run lie within the phase, in its seconds; -1 outside."""
        places = np.full(len(t_s), -1.0)
        for window, offset_s, end_s in self._windows:
            first, last = np.searchsorted(t_s, [window.start_s, end_s])
            places[first:last] = t_s[first:last] - window.start_s + offset_s
        return places

    def _is_watched(self) -> bool:
        """Whether each own GPU was read all the time: a sum without one is no sum."""
        spans = [(window.start_s, end_s) for window, _, end_s in self._windows]
        return all(each.of(spans).is_whole for each in of_gpus(self._data).values())

    def _hottest(self) -> tuple[Column, Column] | None:
        """Of the command's own GPU that was hottest over the phase."""
        means = []
        for gpu, (t_s, temp_c) in enumerate(self.own_temps):
            inside = np.isfinite(temp_c) & (self.places(t_s) >= 0)
            if inside.any():
                means.append((float(temp_c[inside].mean()), gpu))
        return self.own_temps[max(means)[1]] if means else None

    def _readings(self, key: str, t_s: Column, values: Column) -> dict[str, Sums]:
        places = self.places(t_s)
        inside = np.isfinite(values) & (places >= 0)
        if not inside.any():
            return {}
        cells = (places[inside] / self._length_s * self._blocks).astype(int)
        cells = np.minimum(cells, self._blocks - 1)
        over = np.bincount(cells, values[inside], self._blocks).astype(float)
        under = np.bincount(cells, minlength=self._blocks).astype(float)
        return {key: Sums(over, under, int(inside.sum()), _step(values[inside]))}

    def _seconds(self) -> Column:
        """Those in which the command ran: none of a time in which it was stopped."""
        seconds = self._ends_s - self._starts_s
        for pause_s, on_s in pauses(self._data):
            both = np.minimum(self._ends_s, on_s) - np.maximum(self._starts_s, pause_s)
            seconds = seconds - np.maximum(both, 0.0)
        return self._summed(seconds)

    def _summed(self, amounts: Column) -> Column:
        return np.bincount(self._cells, amounts, self._blocks).astype(float)

    def _between(self, at_s: Sequence[float], reached: Sequence[float]) -> Column:
        """Of what has grown to ``reached`` at these moments, the part that each block has."""
        ends, starts = (np.interp(t_s, at_s, reached) for t_s in (self._ends_s, self._starts_s))
        return self._summed(ends - starts)

    def _tokens(self) -> Column:
        at_s, reached = [0.0], [0.0]
        for step in self._steps():
            at_s += [step.start_s, step.end_s]
            reached += [reached[-1], reached[-1] + step.tokens]
        return self._between(at_s, reached)

    def _throttled(self) -> Column:
        """Seconds in which any of the GPUs throttled."""
        at_s, reached = [0.0], [0.0]
        for span in sorted(self._spans, key=lambda span: span.start_s):
            start_s = max(span.start_s, at_s[-1])
            if span.end_s > start_s:
                at_s += [start_s, span.end_s]
                reached += [reached[-1], reached[-1] + span.end_s - start_s]
        return self._between(at_s, reached)

    def _joules(self, power: Sums | None) -> Column | None:
        """The energy that was judged for the whole, over the blocks as the power was."""
        own = self._data.own_gpus
        if power is None or len(own) < len(self._data.own) or not (power.under > 0).all():
            return None
        meters = [Meter(columns) for columns in own]
        total_j = 0.0
        for window, _, end_s in self._windows:
            for meter in meters:
                joules = meter.energy(window.start_s, end_s).joules
                if joules is None:
                    return None
                total_j += joules
        drawn: Column = power.over / power.under * self._seconds()
        return drawn * (total_j / drawn.sum()) if drawn.sum() > 0 else None


def _total(own: Sequence[dict[str, Column]], name: str) -> Column:
    """The sum over GPUs, at the moments at which the first was read."""
    total: Column = own[0][name].copy()
    for columns in own[1:]:
        total += np.interp(own[0]["t_s"], columns["t_s"], columns[name])
    return total


def _step(values: Column) -> float:
    """1 where all are whole, as a GPU's degrees are."""
    return 1.0 if (values == np.round(values)).all() else 0.0
