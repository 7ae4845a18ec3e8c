"""The readings of a run's GPUs as columns of numbers, in bounded memory however long the run.

Up to ``MOST_READINGS`` are kept one by one. In a longer run 2, 4, 8, ... neighbours become one:
power, clock and counter by their mean at the mean of their times, which keeps the integral of the
power and the line of the counter; temperature and memory by the highest, and of the reasons for
throttling the first.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from typing import TYPE_CHECKING

from thermoflop.runs.folder.gpu_lines import KEPT
from thermoflop.runs.gpu.throttle import ThrottleSpan, throttling

if TYPE_CHECKING:
    from thermoflop.runs.analysis.columns import Column

MOST_READINGS = 3 << 18  # of all GPUs, at 56 bytes each; 48 minutes of eight at 10 Hz are 230,000
_BLOCK = 1 << 16  # readings that are looked at together
_NAMES = ("t_s", *KEPT, "reasons")
_HIGHEST, _FIRST = ("temp_c", "mem_used_bytes"), ("reasons",)


class GpuReadings:
    """What was read of one GPU: a part that is settled, and the newest as they came."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._settled = [array("d") for _ in _NAMES]
        self._newest = [array("d") for _ in _NAMES]
        self._appends = [column.append for column in self._newest]
        self._masks: dict[int | None, int] = {}  # reasons -> their number, which is kept

    def __len__(self) -> int:
        """Settled ones."""
        return len(self._settled[0])

    def add(self, t_s: float, values: list[float], reasons: int | None) -> None:
        """A reading: the values of KEPT, NaN for what the driver did not give."""
        number = self._masks.setdefault(reasons, len(self._masks))
        for append, value in zip(self._appends, (t_s, *values, number), strict=True):
            append(value)

    def add_many(self, rows: Column) -> None:
        """Readings: "t_s", the GPU, KEPT and the reasons of each, NaN for none."""
        import numpy as np

        known, which = np.unique(rows[:, -1], return_inverse=True)
        masks = [None if np.isnan(mask) else int(mask) for mask in known]
        numbers = np.array([self._masks.setdefault(mask, len(self._masks)) for mask in masks])
        columns = [rows[:, 0], *rows[:, 2:-1].T, numbers.astype(float)[which]]
        for newest, column in zip(self._newest, columns, strict=True):
            newest.frombytes(column.tobytes())

    def settle(self, taken_as_one: int, at_end: bool) -> None:
        """Take so many of the newest as one each; at the end also those that are fewer."""
        n = len(self._newest[0]) - (0 if at_end else len(self._newest[0]) % taken_as_one)
        for name, newest, settled in zip(_NAMES, self._newest, self._settled, strict=True):
            settled.frombytes(_merged(name, newest[:n], taken_as_one))
            del newest[:n]

    def halve(self) -> None:
        """Take two of the settled ones as one each."""
        for name, settled in zip(_NAMES, self._settled, strict=True):
            settled[:] = array("d", _merged(name, settled, 2))

    def to_columns(self, start_s: float) -> dict[str, Column]:
        """The settled ones in order of time, "t_s" since ``start_s``; only what was given.

        "reasons" are numbers of what ``throttled`` knows.
        """
        import numpy as np

        each = {name: np.frombuffer(c) for name, c in zip(_NAMES, self._settled, strict=True)}
        table = {name: column for name, column in each.items() if not np.isnan(column).all()}
        if not (np.diff(table["t_s"]) >= 0).all():
            order = np.argsort(table["t_s"], kind="stable")
            table = {name: column[order] for name, column in table.items()}
        return {**table, "t_s": table["t_s"] - start_s}

    def throttled(
        self, gpu: int, columns: dict[str, Column], longest_s: float
    ) -> tuple[list[ThrottleSpan], float]:
        """The spans of one or more reasons in what ``to_columns`` gave, and the seconds watched.

        A reason holds from the reading that showed it to the next one, and over no silence longer
        than ``longest_s``: that belongs to nobody.
        """
        import numpy as np

        names = [None if mask is None else throttling(mask) for mask in self._masks]
        kinds = list(dict.fromkeys(names))
        t_s, numbers = columns["t_s"], columns["reasons"][:-1].astype(int)
        kind = np.array([kinds.index(each) for each in names])[numbers]
        steps_s = np.diff(t_s)
        is_known = np.array([each is not None for each in kinds])[kind]
        watched = (steps_s > 0) & (steps_s <= longest_s) & is_known
        hot = np.flatnonzero(watched & np.array([bool(each) for each in kinds])[kind])
        ends = np.flatnonzero((np.diff(hot) > 1) | (np.diff(kind[hot]) != 0))
        pairs = zip(np.r_[0, ends + 1], np.r_[ends, len(hot) - 1], strict=True)
        spans = [
            ThrottleSpan(gpu, float(t_s[hot[a]]), float(t_s[hot[b] + 1]), kinds[kind[hot[a]]] or ())
            for a, b in pairs
            if len(hot)
        ]
        return spans, float(steps_s[watched].sum())


def _merged(name: str, column: array[float], n: int) -> bytes:
    """Each ``n`` neighbours of a column as one; what is not known does not count."""
    import numpy as np

    if n == 1 or not column:
        return column.tobytes()
    starts = np.arange(0, len(column), n)
    values = np.array(column)
    if name in _FIRST:
        return values[starts].tobytes()
    if name in _HIGHEST:
        return np.fmax.reduceat(values, starts).tobytes()
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        sums = np.add.reduceat(np.where(known, values, 0.0), starts)
        return (sums / np.add.reduceat(known.astype(float), starts)).tobytes()


class AllReadings:
    """The readings of all GPUs of a run; ``settle`` before they are looked at."""

    def __init__(self) -> None:
        """Nothing yet: each is taken for itself."""
        self.gpus: defaultdict[int, GpuReadings] = defaultdict(GpuReadings)
        self.taken_as_one = 1
        self._waiting: list[Column] = []
        self._newest = 0

    def add(self, gpu: int, t_s: float, values: list[float], reasons: int | None) -> None:
        """A reading of a GPU, as ``GpuReadings.add`` takes it."""
        self._sort_in()
        self.gpus[gpu].add(t_s, values, reasons)
        self._count(1)

    def add_many(self, rows: Column) -> None:
        """Readings of any GPUs, as ``GpuReadings.add_many`` takes them."""
        while len(rows):  # in how many parts they come says nothing: what is taken as one would
            free = _BLOCK - self._newest
            self._waiting.append(rows[:free])
            self._count(min(free, len(rows)))
            rows = rows[free:]

    def _sort_in(self) -> None:
        """Give each GPU what waits."""
        import numpy as np

        if self._waiting:
            rows = np.concatenate(self._waiting)
            self._waiting.clear()
            for gpu in np.unique(rows[:, 1]):
                self.gpus[int(gpu)].add_many(rows[rows[:, 1] == gpu])

    def _count(self, n: int) -> None:
        self._newest += n
        if self._newest >= _BLOCK:
            self.settle(at_end=False)

    def settle(self, at_end: bool = True) -> None:
        """Take in the newest ones, and take more as one where they are too many."""
        self._sort_in()
        self._newest = 0
        for readings in self.gpus.values():
            readings.settle(self.taken_as_one, at_end)
        while sum(map(len, self.gpus.values())) > MOST_READINGS:
            self.taken_as_one *= 2
            for readings in self.gpus.values():
                readings.halve()
