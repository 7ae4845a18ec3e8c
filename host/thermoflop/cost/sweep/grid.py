"""What a sweep is of: every combination, in one order, cut into parts of so many rows.

A part is a slice of the sizes of one cell, that is of one model on one device in one format and
layout. Number and content of every part follow from the grid alone, so that parts can be made in
any order, on any machine, twice.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thermoflop.base.files import read_toml
from thermoflop.base.record import fields_of, record
from thermoflop.base.written import read_number
from thermoflop.cost.inference.arguments import GENERATE, PROMPT
from thermoflop.errors import InputError, UsageError, printable

ROWS = 100_000  # of a part: some 6 MB on disk, a second to make
MOST_SIZES = 1_000_000  # of one list
MOST_ROWS = 10**12
PUBLISHED = "published"  # among the formats: that of the checkpoint


@record
class Cell:
    """One model on one device in one format and layout; ``dtype`` None is as published."""

    model: str
    device: str
    dtype: str | None
    tp: int
    pp: int
    dp: int
    ep: int


@record
class Grid:
    """A sweep; ``sizes`` of each list stand in the order in which they were given.

    Attributes:
        models: names, or paths of configurations.
        devices: names of devices.
        dtypes: number formats; None, or "published", for the one that the checkpoint has.
        tp: ways to split layers; pp, dp, ep likewise.
        batch: sequences in all.
        prompt: tokens of each prompt.
        generate: tokens generated after each.
        profile: the engine's rates; None for the bound's generic ones.
        rows: rows of a part.
    """

    models: tuple[str, ...]
    devices: tuple[str, ...]
    dtypes: tuple[str | None, ...] = (None,)
    tp: tuple[int, ...] = (1,)
    pp: tuple[int, ...] = (1,)
    dp: tuple[int, ...] = (1,)
    ep: tuple[int, ...] = (1,)
    batch: tuple[int, ...] = (1,)
    prompt: tuple[int, ...] = (PROMPT,)
    generate: tuple[int, ...] = (GENERATE,)
    profile: str | None = None
    rows: int = ROWS

    @property
    def sizes(self) -> int:
        """Combinations of batch, prompt and generation."""
        return len(self.batch) * len(self.prompt) * len(self.generate)

    @property
    def cells(self) -> int:
        """Combinations of everything else."""
        return math.prod(map(len, self._lists))

    @property
    def _lists(self) -> tuple[tuple[Any, ...], ...]:
        return (self.models, self.devices, self.dtypes, self.tp, self.pp, self.dp, self.ep)

    @property
    def parts_of_a_cell(self) -> int:
        """How many parts the sizes of a cell are cut into."""
        return -(-self.sizes // self.rows)

    @property
    def parts(self) -> int:
        """Parts in all."""
        return self.cells * self.parts_of_a_cell

    @property
    def total_rows(self) -> int:
        """Rows in all."""
        return self.cells * self.sizes

    def part(self, number: int) -> tuple[Cell, range]:
        """The cell of a part, and which of its sizes are in it."""
        at, slice_number = divmod(number, self.parts_of_a_cell)
        chosen: list[Any] = []
        for values in reversed(self._lists):
            at, index = divmod(at, len(values))
            chosen.append(values[index])
        first = slice_number * self.rows
        return Cell(*reversed(chosen)), range(first, min(first + self.rows, self.sizes))

    def to_json(self) -> dict[str, Any]:
        """As it stands in ``_sweep.json``."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in fields_of(self).items()
        }


def grid_of(values: dict[str, Any], where: str = "the sweep") -> Grid:
    """A grid out of plain values, as of TOML or JSON: lists, single values, or ranges as text.

    A range is ``first:last`` or ``first:last:step``, both ends in it; ``*factor`` in place of the
    step multiplies. InputError, naming the place, for what makes no sense.

    Example:
        >>> grid_of({"models": "gpt2", "devices": ["h100"], "batch": "1:64:*4"}).batch
        (1, 4, 16, 64)
    """
    known = set(Grid.__annotations__)
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"{where}: {unknown[0]!r} is not known; expected {', '.join(sorted(known))}"
        )
    made: dict[str, Any] = {}
    for name, value in values.items():
        if name in ("models", "devices", "dtypes"):
            made[name] = _names(f"{where}: {name}", value)
        elif name == "profile":
            made[name] = value
        elif name == "rows":
            (made[name],) = _numbers(f"{where}: {name}", value)
        else:
            made[name] = _numbers(f"{where}: {name}", value)
    for name in ("models", "devices"):
        if not made.get(name):
            raise InputError(f"{where}: {name} are missing")
    grid = Grid(**made)
    if grid.total_rows > MOST_ROWS:
        raise InputError(f"{where} has {grid.total_rows:,} rows: expected at most {MOST_ROWS:,}")
    return grid


def read_grid(path: Path) -> Grid:
    """The grid in a TOML file. InputError for one that cannot be read or makes no sense."""
    return grid_of(read_toml(path), printable(str(path)))


def _names(where: str, value: Any) -> tuple[str | None, ...]:
    each = value if isinstance(value, list | tuple) else [value]
    if where.endswith("dtypes"):
        each = [None if one == PUBLISHED else one for one in each]
    elif None in each:
        raise InputError(f"{where} are missing")
    if not each or not all(isinstance(one, str) or one is None for one in each):
        raise InputError(f"{where} is {json.dumps(value)[:60]}: expected names")
    if len(set(each)) < len(each):
        raise InputError(f"{where} names {next(o for o in each if each.count(o) > 1)} twice")
    return tuple(each)


def _numbers(where: str, value: Any) -> tuple[int, ...]:
    each = value if isinstance(value, list | tuple) else [value]
    numbers = list(itertools.chain.from_iterable(_range(where, one) for one in each))
    if not 0 < len(numbers) <= MOST_SIZES:
        raise InputError(f"{where}: {len(numbers):,} values; expected 1 to {MOST_SIZES:,}")
    if len(set(numbers)) < len(numbers):
        raise InputError(f"{where} has a value twice")
    if min(numbers) < 1 and not where.endswith(": generate"):
        raise InputError(f"{where} has {min(numbers)}: expected whole numbers of 1 or more")
    return tuple(numbers)


def _range(where: str, value: Any) -> Sequence[int]:
    """One number, or the numbers of ``first:last[:step]``."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return [value]
    text = value if isinstance(value, str) else ""
    first, *rest = text.split(":")
    last, step = (*rest, "1")[:2] if rest else (first, "1")
    factor = step.removeprefix("*")
    kilo = 1024 if where.endswith((": prompt", ": generate")) else 1000
    written = [read_number(each, kilo) for each in (first, last, factor)]
    whole = [each for each in written if isinstance(each, int) and 0 <= each < 10**15]
    if len(whole) < len(written):
        raise InputError(
            f"{where} is {json.dumps(value)[:60]}: expected whole numbers, or first:last:step"
        )
    low, high, by = whole
    if len(rest) > 2 or by < 1 or low > high or (step != factor and (by < 2 or low < 1)):
        raise InputError(f"{where}: {text[:60]!r} is no range: expected first:last:step")
    if step == factor:
        if (high - low) // by >= MOST_SIZES:
            raise InputError(f"{where}: {text[:60]!r} has more than {MOST_SIZES:,} values")
        return range(low, high + 1, by)
    return list(itertools.takewhile(lambda n: n <= high, (low * by**k for k in itertools.count())))


def shard_of(text: str) -> tuple[int, int]:
    """Which of how many in ``3/16``, counted from 1. UsageError for anything else."""
    which, sign, of = text.partition("/")
    if not sign or not which.isdecimal() or not of.isdecimal() or not 0 < int(which) <= int(of):
        raise UsageError(f"--shard {text!r}: expected I/N with I from 1 to N, such as 3/16")
    return int(which), int(of)
