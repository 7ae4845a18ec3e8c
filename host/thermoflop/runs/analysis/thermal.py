"""Heat as a first-order system: time constant, thermal resistance, steady state, with intervals.

``tau * dT/dt = ambient + R * P(t) - T``. For one tau the solution is linear in everything else (the
start, the ambient temperature, R), so tau alone is searched for and the rest solved exactly.
Without a power the same fit is the plain step response ``T = end + (start - end) * exp(-t / tau)``.

The interval is the range of tau whose sum of squares is within the F bound of the best one.
Residuals that follow each other (whole degrees, slow drifts) carry less information than
independent ones: the number of readings is reduced by their correlations first.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.runs.analysis.data import Column

MIN_POINTS = 12
_GRID = 160
_T_95 = 1.96


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

    def to_json(self) -> dict[str, Any]:
        """Rounded, for reports."""
        return {k: _round(v) for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Steady:
    """From ``from_s`` on the temperature stayed within ``within_c`` of ``mean_c``."""

    from_s: float
    mean_c: float
    within_c: float


def fit_step(t_s: Column, temp_c: Column) -> ThermalFit | None:
    """The step response without a power; None when there is too little or no change to fit."""
    return _fit(t_s, temp_c, None)


def fit_power(t_s: Column, power_w: Column, temp_c: Column) -> ThermalFit | None:
    """The response to a measured power, with thermal resistance and ambient temperature."""
    return _fit(t_s, temp_c, power_w)


def _fit(t_s: Column, temp_c: Column, power_w: Column | None) -> ThermalFit | None:
    import numpy as np

    good = np.isfinite(t_s) & np.isfinite(temp_c)
    if power_w is not None:
        good &= np.isfinite(power_w)
        power_w = power_w[good]
    t_s, temp_c = t_s[good] - (t_s[good][0] if good.any() else 0.0), temp_c[good]
    if len(t_s) < MIN_POINTS or t_s[-1] <= 0 or np.ptp(temp_c) == 0:
        return None
    if power_w is not None and np.ptp(power_w) < 0.02 * max(1.0, float(np.max(power_w))):
        power_w = None  # a constant power cannot be told from the ambient temperature

    def solve(tau_s: float) -> tuple[float, Column, Column]:
        columns = _columns(t_s, tau_s, power_w)
        solution, *_ = np.linalg.lstsq(columns, temp_c, rcond=None)
        residual = temp_c - columns @ solution
        return float(residual @ residual), solution.astype(np.float64), residual

    span_s, step_s = float(t_s[-1]), float(np.median(np.diff(t_s)))
    grid = np.geomspace(max(step_s, span_s / 500), span_s * 5, _GRID)
    best = _minimum(grid, lambda tau_s: solve(tau_s)[0])
    squares, solution, residual = solve(best)
    free = _effective(residual) - (len(solution) + 1)
    if free < 2:
        return None
    bound = max(squares, 1e-12) * (1 + _T_95**2 / free)
    low_s, high_s = _interval(grid, best, lambda tau_s: solve(tau_s)[0] <= bound)
    return _result(best, (low_s, high_s), solution, residual, free, (t_s, power_w))


def _columns(t_s: Column, tau_s: float, power_w: Column | None) -> Column:
    """What the temperature is a sum of: the start that fades, the ambient, the power's heat."""
    import numpy as np

    fade = np.exp(-t_s / tau_s)
    if power_w is None:
        return np.column_stack([fade, 1 - fade])
    return np.column_stack([fade, 1 - fade, _response(t_s, power_w, tau_s)])


def _response(t_s: Column, power_w: Column, tau_s: float) -> Column:
    """The power through the first-order filter, exact for a power that is linear in between."""
    import numpy as np

    out = np.zeros_like(power_w)
    steps = np.diff(t_s) / tau_s
    keep = np.exp(-steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        ramp = np.where(steps > 1e-9, (1 - keep) / steps, 1.0)
    inputs = power_w[1:] * (1 - ramp) + power_w[:-1] * (ramp - keep)
    value = 0.0
    for index, (kept, added) in enumerate(zip(keep.tolist(), inputs.tolist(), strict=True)):
        value = value * kept + added
        out[index + 1] = value
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
    """How many independent readings there are: correlations are added up until one is negative."""
    square = float(residual @ residual)
    if square <= 0:
        return float(len(residual))
    total = 1.0
    for lag in range(1, len(residual) // 3):
        correlation = float(residual[lag:] @ residual[:-lag]) / square
        if correlation <= 0:
            break
        total += 2 * correlation
    return len(residual) / total


def _result(
    tau_s: float,
    interval: tuple[float, float],
    solution: Column,
    residual: Column,
    free: float,
    data: tuple[Column, Column | None],
) -> ThermalFit:
    import numpy as np

    t_s, power_w = data
    start_c, level_c = float(solution[0]), float(solution[1])
    r_k_per_w = r_error = None
    end_c = level_c
    if power_w is not None:
        r_k_per_w = float(solution[2])
        columns = _columns(t_s, tau_s, power_w)
        variance = float(residual @ residual) / free
        scale = len(t_s) / (free + 4)
        covariance = np.linalg.pinv(columns.T @ columns) * variance * scale
        r_error = _T_95 * math.sqrt(max(0.0, float(covariance[2, 2])))
        late = t_s >= t_s[-1] - min(tau_s, float(t_s[-1]) / 4)
        end_c = level_c + r_k_per_w * float(np.mean(power_w[late]))
    return ThermalFit(
        tau_s=tau_s,
        tau_low_s=interval[0],
        tau_high_s=interval[1],
        start_c=start_c,
        end_c=end_c,
        r_k_per_w=r_k_per_w,
        r_error_k_per_w=r_error,
        ambient_c=level_c if power_w is not None else None,
        rms_c=math.sqrt(float(residual @ residual) / len(residual)),
        points=len(residual),
        covered=float(t_s[-1]) / tau_s,
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
    for start in np.linspace(0, len(t_s) - MIN_POINTS // 2, 60).astype(int):
        rest_t, rest_c = t_s[start:], temp_c[start:]
        if rest_t[-1] - rest_t[0] < least_s:
            return None
        mean_c = float(np.mean(rest_c))
        slope = float(np.polyfit(rest_t - rest_t[0], rest_c, 1)[0])
        drift_c = abs(slope) * float(rest_t[-1] - rest_t[0])
        if float(np.max(np.abs(rest_c - mean_c))) <= within_c and drift_c < within_c:
            return Steady(float(rest_t[0]), mean_c, within_c)
    return None


def _round(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, 4) if math.isfinite(value) else None
