"""From measurements to the tables and the spread of a profile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import exp, log, sqrt
from statistics import median, stdev
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thermoflop.bench.calibrate.grid import Node

# The 90 % quantiles of Student's t by degrees of freedom: 80 % lie between minus and plus it.
_T = {1: 3.08, 2: 1.89, 3: 1.64, 4: 1.53, 5: 1.48, 6: 1.44, 7: 1.41, 8: 1.40, 10: 1.37, 15: 1.34,
      30: 1.31}  # fmt: skip
LEAST_DEVIATION = 0.06  # of the logarithm: a machine's own drift from one minute to another
_ENOUGH = 8  # ratios, to tell a disturbed one from the others
_WIDEST = log(20)  # of an interval to either side: two ratios can say anything
AGREE = 1.12  # times that differ by more are taken a third time
_LEAST_SHARE = 0.05  # of a call is its loops, whatever its fixed part is taken to be


def tables(measured: Iterable[tuple[Node, float]], fixed: dict[str, float]) -> dict[str, Any]:
    """The tables as they stand in a profile, from seconds of each node's calls.

    Where a node is missing because its call would have been too long, it is taken to run at the
    rate of the largest one measured at that size (or, failing that, of the next smaller size).
    """
    by_key: dict[str, dict[tuple[float, float], float]] = {}
    for node, seconds in measured:
        apart = max(seconds - fixed.get(node.key, 0.0), _LEAST_SHARE * seconds)
        by_key.setdefault(node.key, {})[node.rows, node.size] = apart / node.loops
    return {key: _table(seconds_at) for key, seconds_at in by_key.items()}


def _table(seconds_at: dict[tuple[float, float], float]) -> dict[str, Any]:
    rows = sorted({row for row, _ in seconds_at})
    sizes = sorted({size for _, size in seconds_at})
    seconds = [[seconds_at.get((row, size), 0.0) for size in sizes] for row in rows]
    for index, row in enumerate(rows):
        for column, size in enumerate(sizes):
            if seconds[index][column]:
                continue
            if index and seconds[index - 1][column]:
                seconds[index][column] = seconds[index - 1][column] * row / rows[index - 1]
            elif column and seconds[index][column - 1]:
                seconds[index][column] = seconds[index][column - 1] * size / sizes[column - 1]
            else:
                seconds[index][column] = min(value for value in seconds_at.values())
    return {"rows": rows, "sizes": sizes, "seconds": seconds}


def spread(ratios: Sequence[float]) -> tuple[float, float, int]:
    """An 80 % interval of the next ratio of measured to expected, and how many it rests on.

    Student's t on the logarithms. A deviation below ``LEAST_DEVIATION`` is not believed: minutes
    later a machine differs by more. What lies four robust deviations off was disturbed, and is left
    out, where there are enough to tell.
    """
    logs = [log(ratio) for ratio in ratios]
    centre = median(logs)
    # 1.4826 median absolute deviations are one standard deviation of a normal distribution
    robust = max(1.4826 * median(abs(value - centre) for value in logs), LEAST_DEVIATION)
    if len(logs) >= _ENOUGH:
        logs = [value for value in logs if abs(value - centre) <= 4 * robust]
    count = len(logs)
    middle = sum(logs) / count
    deviation = max(stdev(logs) if count > 1 else 0.25, LEAST_DEVIATION)
    freedom = max(key for key in _T if key <= max(1, count - 1))
    reach = min(_WIDEST, _T[freedom] * deviation * sqrt(1 + 1 / count))
    middle = min(_WIDEST, max(-_WIDEST, middle))
    return exp(middle - reach), exp(middle + reach), count


def agreed(first: float, second: float, again: Callable[[], float]) -> float:
    """One time from two taken minutes apart: their mean, or the middle of three if they differ."""
    if max(first, second) <= AGREE * min(first, second):
        return sqrt(first * second)
    return median([first, second, again()])
