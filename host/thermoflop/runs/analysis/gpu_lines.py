"""The readings of GPUs out of many lines at once: half of what ``json.loads`` takes for them.

Lines that are the same but for their digits share a layout. A layout is looked at once, by the
expression for the usual reading; the numbers of all its lines are then one list of JSON. What is no
number there, or not whole where it should be, is left to who reads single lines.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from thermoflop.runs.analysis.readings import KEPT
from thermoflop.runs.folder import usual
from thermoflop.runs.gpu.sample import INTEGERS, MEASURED

if TYPE_CHECKING:
    from thermoflop.runs.analysis.columns import Column

MARK = b',"src":"gpu",'  # in each of these lines
ROW = ("mono_s", "gpu", *KEPT, "reasons")  # the columns of what is read
_WHOLE = [ROW.index("gpu"), *(ROW.index(name) for name in sorted(INTEGERS))]
_IN_NUMBERS = b"0123456789.-"
_NOT_IN_NUMBERS = bytes(b for b in range(256) if b not in _IN_NUMBERS + b",")
_MOST_LAYOUTS = 1000  # of which something is remembered
_EXACT = float(1 << 53)


class GpuLines:
    """Reads blocks of lines; what it knows of their layouts it keeps."""

    def __init__(self) -> None:
        """No layout is known yet."""
        self._layouts: dict[bytes, tuple[int, list[int]] | None] = {}

    def read(self, lines: list[bytes]) -> tuple[Column, list[bytes]]:
        """The readings in ``lines``: one row of ROW each, NaN for what was not given; in order of
        time. And the lines that are none, or unusual.
        """
        import numpy as np

        alike: dict[bytes, list[bytes]] = {}
        for line in lines:
            alike.setdefault(line.translate(None, _IN_NUMBERS), []).append(line)
        tables, others = [np.empty((0, len(ROW)))], list[bytes]()
        for layout, same in alike.items():
            table = self._table(layout, same)
            if table is None:
                others += same
            else:
                tables.append(table)
        rows: Column = np.concatenate(tables)
        return rows[np.argsort(rows[:, 0], kind="stable")], others

    def _table(self, layout: bytes, lines: list[bytes]) -> Column | None:
        import numpy as np

        known = self._known(layout, lines[0])
        numbers = None if known is None else _numbers(lines, known[0])
        if known is None or numbers is None:
            return None
        table: Column = np.full((len(lines), len(ROW)), np.nan)
        for column, place in enumerate(known[1]):
            if place >= 0:
                table[:, column] = numbers[:, place]
        whole = table[:, _WHOLE]
        is_whole = np.isnan(whole) | ((whole >= 0) & (whole < _EXACT) & (whole == np.floor(whole)))
        return table if is_whole.all() and (table[:, 1] < 10_000).all() else None

    def _known(self, layout: bytes, line: bytes) -> tuple[int, list[int]] | None:
        """How many numbers its lines have, and which one each column of ROW is; -1 for none."""
        if layout not in self._layouts:
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts.clear()
            match = usual.gpu_sample(line)
            self._layouts[layout] = None if match is None else _places(match.groups())
        return self._layouts[layout]


def _places(groups: tuple[bytes | None, ...]) -> tuple[int, list[int]]:
    """Where the columns of ROW stand among a line's numbers: mono_s, wall_s, gpu, MEASURED."""
    given = ["mono_s", "wall_s", "gpu"]
    given += [name for name, value in zip(MEASURED, groups[2:], strict=True) if value is not None]
    return len(given), [given.index(name) if name in given else -1 for name in ROW]


def _numbers(lines: list[bytes], n: int) -> Column | None:
    """The ``n`` numbers of each line; None where one of them is not what JSON calls a number."""
    import numpy as np

    text = b",".join(lines).translate(None, _NOT_IN_NUMBERS).replace(b",,", b",")
    try:
        numbers: Column = np.array(json.loads(b"[%s]" % text), dtype=np.float64)
    except (ValueError, OverflowError):
        return None
    return numbers.reshape(-1, n) if numbers.size == n * len(lines) else None
