"""Heat as a first-order system: time constant, thermal resistance, steady state, with intervals.

``tau * dT/dt = ambient + R * P(t) - T``. For one tau the solution is linear in everything else (the
start, the ambient temperature, R), so tau alone is searched for and the rest solved exactly.
Without a power the same fit is the plain step response ``T = end + (start - end) * exp(-t / tau)``.

The interval is the range of tau whose sum of squares is within the F bound of the best one.
Residuals that follow each other (whole degrees, slow drifts) carry less information than
independent ones: the number of readings is reduced by their correlations first. What the power did
between two readings is not known: it is taken to be linear, to stay until the next one, and to have
changed right after the last; the best of the three is the fit, and the interval holds all three.
A fit that leaves more than a tenth of the temperature's variance unexplained is none: noise, or a
heat that this model does not know (a fan that started).

A long run is fitted through the means of equal stretches of time, so that a day takes no longer
than an hour; ``points`` counts them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermoflop.runs.analysis.compare import t_95
from thermoflop.runs.analysis.difference import independent

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.runs.analysis.columns import Column

MIN_POINTS = 12  # four for each of three unknowns
MOST_POINTS = 4000  # eight within the shortest time constant that is looked for, span / 500
_GRID = 64  # a factor of 1.13 between neighbours over span / 500 to 5 spans
LEAST_EXPLAINED = 0.9  # of the variance; white noise explains near 0
_HOLDS = (None, 0.0, 1.0)  # the power between two readings: linear, as before, as after


@dataclass(frozen=True, slots=True)
class ThermalFit:
    """A first-order fit; ``tau_low_s`` to ``tau_high_s`` is the 95 % interval of ``tau_s``.

    ``r_k_per_w`` and ``ambient_c`` need a power that varies; ``end_c`` is where the temperature
    would settle. ``covered`` is the length of the record in time constants: below about 1.5 the end
    is an extrapolation.
    """

    tau_s: float
    tau_low_s: float
    tau_high_s: float
    start_c: float
    end_c: float
    r_k_per_w: float | None
    r_error_k_per_w: float | None
    ambient_c: float | None
    rms_c: float
    points: int
    covered: float

    @property
    def is_resistance_known(self) -> bool:
        """Whether it can be told from nothing; else the record was too short, or the power too
        even."""
        resistance, error = self.r_k_per_w, self.r_error_k_per_w
        return resistance is not None and error is not None and error < resistance


@dataclass(frozen=True, slots=True)
class Steady:
    """From ``from_s`` on the temperature stayed within ``within_c`` of ``mean_c``."""

    from_s: float
    mean_c: float
    within_c: float


def fit_heat(t_s: Column, temp_c: Column, power_w: Column | None = None) -> ThermalFit | None:
    """The step response; of a measured power with thermal resistance and ambient temperature.

    None when there is too little or no change to fit.
    """
    import numpy as np

    good = np.isfinite(t_s) & np.isfinite(temp_c)
    if power_w is not None:
        good &= np.isfinite(power_w)
        power_w = power_w[good]
    t_s, temp_c = t_s[good] - (t_s[good][0] if good.any() else 0.0), temp_c[good]
    if len(t_s) < MIN_POINTS or t_s[-1] <= 0 or np.ptp(temp_c) == 0:
        return None
    t_s, temp_c, power_w = _thinned(t_s, temp_c, power_w)
    if power_w is not None and np.ptp(power_w) < 0.02 * max(1.0, float(np.max(power_w))):
        power_w = None  # a constant power cannot be told from the ambient temperature

    holds = (None,) if power_w is None else _HOLDS
    fits = [_search(t_s, temp_c, power_w, hold) for hold in holds]
    known = [fit for fit in fits if fit is not None]
    unexplained = min((fit.squares for fit in known), default=math.inf)
    if len(known) < len(fits) or unexplained > (1 - LEAST_EXPLAINED) * _squares(temp_c):
        return None
    return _result(known, (t_s, power_w))


def _thinned(
    t_s: Column, temp_c: Column, power_w: Column | None
) -> tuple[Column, Column, Column | None]:
    """The means of at most MOST_POINTS equal stretches of time; what is shorter stays as it is."""
    import numpy as np

    if len(t_s) <= MOST_POINTS:
        return t_s, temp_c, power_w
    stretch = np.minimum((t_s / t_s[-1] * MOST_POINTS).astype(np.int64), MOST_POINTS - 1)
    n = np.bincount(stretch)
    some = n > 0

    def means(values: Column) -> Column:
        result: Column = np.bincount(stretch, values)[some] / n[some]
        return result

    return means(t_s), means(temp_c), None if power_w is None else means(power_w)


def _squares(temp_c: Column) -> float:
    import numpy as np

    return float(np.sum((temp_c - temp_c.mean()) ** 2))


@dataclass(slots=True)
class _Found:
    """The best tau under one assumption about the power between its readings, and its range."""

    tau_s: float
    low_s: float
    high_s: float
    solution: Column
    residual: Column
    columns: Column
    free: float  # degrees of freedom, correlations taken off

    @property
    def squares(self) -> float:
        return float(self.residual @ self.residual)

    @property
    def error(self) -> Column:
        """The 95 % half-widths of the solution."""
        import numpy as np

        scale = self.squares / self.free * len(self.residual) / (self.free + 4)
        covariance = np.linalg.pinv(self.columns.T @ self.columns) * scale
        widths: Column = t_95(int(self.free)) * np.sqrt(np.maximum(0.0, np.diag(covariance)))
        return widths


def _search(
    t_s: Column, temp_c: Column, power_w: Column | None, hold: float | None
) -> _Found | None:
    import numpy as np

    def solve(tau_s: float) -> tuple[float, Column, Column, Column]:
        columns = _columns(t_s, tau_s, power_w, hold)
        solution, *_ = np.linalg.lstsq(columns, temp_c, rcond=None)
        residual = temp_c - columns @ solution
        return float(residual @ residual), solution.astype(np.float64), residual, columns

    span_s, step_s = float(t_s[-1]), float(np.median(np.diff(t_s)))
    grid = np.geomspace(max(step_s, span_s / 500), span_s * 5, _GRID)
    best = _minimum(grid, lambda tau_s: solve(tau_s)[0])
    squares, solution, residual, columns = solve(best)
    free = _effective(residual) - (len(solution) + 1)
    if free < 2:
        return None
    bound = max(squares, 1e-12) * (1 + t_95(int(free)) ** 2 / free)
    low_s, high_s = _interval(grid, best, lambda tau_s: solve(tau_s)[0] <= bound)
    return _Found(best, low_s, high_s, solution, residual, columns, free)


def _columns(t_s: Column, tau_s: float, power_w: Column | None, hold: float | None) -> Column:
    """What the temperature is a sum of: the start that fades, the ambient, the power's heat."""
    import numpy as np

    fade = np.exp(-t_s / tau_s)
    if power_w is None:
        return np.column_stack([fade, 1 - fade])
    return np.column_stack([fade, 1 - fade, _response(t_s, power_w, tau_s, hold)])


def _response(t_s: Column, power_w: Column, tau_s: float, hold: float | None) -> Column:
    """The power through the first-order filter, exact for what it is taken to be in between.

    ``hold`` None: linear; 0: as it was at the reading before; 1: as at the one after.
    """
    import numpy as np

    out = np.zeros_like(power_w)
    steps = np.diff(t_s) / tau_s
    keep = np.exp(-steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        ramp = np.where(steps > 1e-9, (1 - keep) / steps, 1.0)
    if hold is None:
        inputs = power_w[1:] * (1 - ramp) + power_w[:-1] * (ramp - keep)
    else:
        inputs = (power_w[1:] * hold + power_w[:-1] * (1 - hold)) * (1 - keep)
    grown = np.exp(t_s[1:] / tau_s)  # at most e^500: _search looks no further down than span / 500
    out[1:] = np.cumsum(inputs * grown) / grown
    return out


def _minimum(grid: Column, cost: Callable[[float], float]) -> float:
    """The best of a grid, refined by golden section between its neighbours."""
    import numpy as np

    costs = np.array([cost(float(tau_s)) for tau_s in grid])
    at = int(np.argmin(costs))
    low, high = float(grid[max(0, at - 1)]), float(grid[min(len(grid) - 1, at + 1)])
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if cost(left) < cost(right):
            high = right
        else:
            low = left
    return (low + high) / 2


def _interval(grid: Column, best: float, inside: Callable[[float], bool]) -> tuple[float, float]:
    """How far tau may go on either side; the grid's end where nothing stops it."""

    def edge(outer: list[float], limit: float) -> float:
        near = best
        for tau_s in outer:
            if not inside(tau_s):
                far = tau_s
                for _ in range(30):
                    middle = (near + far) / 2
                    near, far = (middle, far) if inside(middle) else (near, middle)
                return near
            near = tau_s
        return limit

    below = [float(tau_s) for tau_s in grid[::-1] if tau_s < best]
    above = [float(tau_s) for tau_s in grid if tau_s > best]
    return edge(below, float(grid[0])), edge(above, math.inf)


def _effective(residual: Column) -> float:
    """How many independent readings there are.

    The smaller of two estimates: correlations added up until one is negative, and those of a first-
    order autoregression.
    """
    n = len(residual)
    square = float(residual @ residual)
    if square <= 0:
        return float(n)
    total = 1.0
    for lag in range(1, n // 3):
        correlation = float(residual[lag:] @ residual[:-lag]) / square
        if correlation <= 0:
            break
        total += 2 * correlation
    return min(n / total, independent([residual]))


def _result(fits: list[_Found], data: tuple[Column, Column | None]) -> ThermalFit:
    """The assumption that fits best, with an interval that holds the others' too."""
    import numpy as np

    t_s, power_w = data
    best = min(fits, key=lambda fit: fit.squares)
    start_c, level_c = float(best.solution[0]), float(best.solution[1])
    r_k_per_w = r_error = None
    end_c = level_c
    if power_w is not None:
        r_k_per_w = float(best.solution[2])
        r_error = max(abs(float(f.solution[2]) - r_k_per_w) + float(f.error[2]) for f in fits)
        late = t_s >= t_s[-1] - min(best.tau_s, float(t_s[-1]) / 4)
        end_c = level_c + r_k_per_w * float(np.mean(power_w[late]))
    return ThermalFit(
        tau_s=best.tau_s,
        tau_low_s=min(fit.low_s for fit in fits),
        tau_high_s=max(fit.high_s for fit in fits),
        start_c=start_c,
        end_c=end_c,
        r_k_per_w=r_k_per_w,
        r_error_k_per_w=r_error,
        ambient_c=level_c if power_w is not None else None,
        rms_c=math.sqrt(best.squares / len(best.residual)),
        points=len(best.residual),
        covered=float(t_s[-1]) / best.tau_s,
    )


def steady_state(t_s: Column, temp_c: Column, within_c: float = 1.0) -> Steady | None:
    """From when on the temperature stayed near its final level for a fifth of the time or more.

    Within ``within_c`` of the mean of what follows, and with a drift over that time that is less
    than ``within_c``; None when it never settled.
    """
    import numpy as np

    good = np.isfinite(temp_c)
    t_s, temp_c = t_s[good], temp_c[good]
    if len(t_s) < MIN_POINTS:
        return None
    least_s = 0.2 * (t_s[-1] - t_s[0])
    highest_c, lowest_c = (f.accumulate(temp_c[::-1])[::-1] for f in (np.maximum, np.minimum))
    for start in np.linspace(0, len(t_s) - MIN_POINTS // 2, 60).astype(int):
        if t_s[-1] - t_s[start] < least_s:
            return None
        if highest_c[start] - lowest_c[start] > 2 * within_c:
            continue  # spares a long record its means and lines
        rest_t, rest_c = t_s[start:], temp_c[start:]
        mean_c = float(np.mean(rest_c))
        centred_s = rest_t - np.mean(rest_t)
        slope = float(centred_s @ rest_c / (centred_s @ centred_s))  # of the line by least squares
        drift_c = abs(slope) * float(rest_t[-1] - rest_t[0])
        if float(np.max(np.abs(rest_c - mean_c))) <= within_c and drift_c < within_c:
            return Steady(float(rest_t[0]), mean_c, within_c)
    return None
