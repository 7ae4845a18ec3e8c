"""The readings of GPUs out of many lines at once: half of what ``json.loads`` takes for them.

Lines that are the same but for their digits share a layout. A layout is looked at once, by the
expression for the usual reading; the numbers of all its lines are then one list of JSON. What is no
number there, or not whole where it should be, is left to who reads single lines.
"""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING

from thermoflop.runs.folder import usual
from thermoflop.runs.gpu.sample import INTEGERS, MEASURED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MARK = b',"src":"gpu",'  # in each of these lines
KEPT = ("temp_c", "power_w", "energy_j", "sm_mhz", "mem_used_bytes")  # of what a reading holds
ROW = ("mono_s", "gpu", *KEPT, "reasons")  # the columns of what is read
_WHOLE = [ROW.index("gpu"), *(ROW.index(name) for name in sorted(INTEGERS))]
_IN_NUMBERS = b"0123456789.-"
_NOT_IN_NUMBERS = bytes(b for b in range(256) if b not in _IN_NUMBERS + b",")
_MOST_LAYOUTS = 1000  # of which something is remembered
_MOST_GPUS = 10_000
_EXACT = float(1 << 53)


class GpuLines:
    """Reads blocks of lines; what it knows of their layouts it keeps."""

    def __init__(self) -> None:
        """No layout is known yet."""
        self._layouts: dict[bytes, tuple[int, list[int]] | None] = {}

    def read(self, lines: list[bytes]) -> tuple[NDArray[np.float64], list[int]]:
        """The readings in ``lines``: one row of ROW each, NaN for what was not given; in the order
        of the lines. And which lines, by number, are none or unusual.
        """
        import numpy as np

        columns, others = self.columns(lines)
        rows = as_rows(columns)
        if rows is None:
            return np.empty((0, len(ROW))), list(range(len(lines)))
        return rows, others

    def columns(self, lines: list[bytes]) -> tuple[list[array[float]], list[int]]:
        """The same, column by column, without numpy; nobody has looked at the numbers yet."""
        alike: dict[bytes, list[int]] = {}
        for number, line in enumerate(lines):
            alike.setdefault(line.translate(None, _IN_NUMBERS), []).append(number)
        columns = [array("d") for _ in ROW]
        order, others = list[int](), list[int]()
        for layout, which in alike.items():
            same = lines if len(alike) == 1 else [lines[number] for number in which]
            if self._append(columns, layout, same):
                order += which
            else:
                others += which
        if len(alike) > 1:
            ranks = sorted(range(len(order)), key=order.__getitem__)
            columns = [array("d", map(column.__getitem__, ranks)) for column in columns]
        return columns, sorted(others)

    def _append(self, columns: list[array[float]], layout: bytes, lines: list[bytes]) -> bool:
        """The numbers of lines of one layout; whether they have any."""
        known = self._known(layout, lines[0])
        if known is None:
            return False
        n, places = known
        numbers = _numbers(lines, n)
        if numbers is None:
            return False
        not_given = array("d", [float("nan")]) * len(lines)
        for column, place in zip(columns, places, strict=True):
            column.extend(not_given if place < 0 else numbers[place::n])
        return True

    def _known(self, layout: bytes, line: bytes) -> tuple[int, list[int]] | None:
        """How many numbers its lines have, and which one each column of ROW is; -1 for none."""
        if layout not in self._layouts:
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts.clear()
            match = usual.gpu_sample(line)
            self._layouts[layout] = None if match is None else _places(match.groups())
        return self._layouts[layout]


def as_rows(columns: list[array[float]]) -> NDArray[np.float64] | None:
    """Columns of ROW as rows; None where one holds what no usual line says."""
    import numpy as np

    rows: NDArray[np.float64] = np.array([np.frombuffer(column) for column in columns]).T
    whole = rows[:, _WHOLE]
    is_whole = np.isnan(whole) | ((whole >= 0) & (whole < _EXACT) & (whole == np.floor(whole)))
    known = np.isfinite(rows[:, 0]) & (rows[:, 1] < _MOST_GPUS)
    return rows if is_whole.all() and known.all() and not np.isinf(rows).any() else None


def _places(groups: tuple[bytes | None, ...]) -> tuple[int, list[int]]:
    """Where the columns of ROW stand among a line's numbers: mono_s, wall_s, gpu, MEASURED."""
    given = ["mono_s", "wall_s", "gpu"]
    given += [name for name, value in zip(MEASURED, groups[2:], strict=True) if value is not None]
    return len(given), [given.index(name) if name in given else -1 for name in ROW]


def _numbers(lines: list[bytes], n: int) -> array[float] | None:
    """The ``n`` numbers of each line; None where one of them is not what JSON calls a number."""
    text = b",".join(lines).translate(None, _NOT_IN_NUMBERS).replace(b",,", b",")
    try:
        numbers = array("d", json.loads(b"[%s]" % text))
    except (ValueError, OverflowError, TypeError):
        return None
    return numbers if len(numbers) == n * len(lines) else None
