"""Energy of a stretch of a run: the GPU's own counter, with the integral of power as a check.

A driver's counter steps in intervals of its own, so over a short stretch the two may differ by a
step; ``check`` is their ratio. Gaps of the recording are not integrated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from thermoflop.runs.analysis.gaps import longest_step_s

if TYPE_CHECKING:
    from thermoflop.runs.analysis.data import Column


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules of one GPU between two moments; None where the driver gave no such field."""

    counter_j: float | None
    integral_j: float | None
    mean_w: float | None
    max_w: float | None
    watched_s: float

    @property
    def joules(self) -> float | None:
        """The counter's, or else the integral."""
        return self.counter_j if self.counter_j is not None else self.integral_j

    @property
    def check(self) -> float | None:
        """Integral over counter; 1 when they agree."""
        if not self.counter_j or self.integral_j is None:
            return None
        return self.integral_j / self.counter_j

    def to_json(self) -> dict[str, Any]:
        """Rounded, with what follows from it."""
        data = {**asdict(self), "joules": self.joules, "check": self.check}
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in data.items()}


def energy(columns: dict[str, Column], start_s: float, end_s: float) -> Energy:
    """The energy of one GPU between two moments of the run."""
    integral_j, watched_s, max_w = _integral(columns, start_s, end_s)
    return Energy(
        counter_j=_counted(columns, start_s, end_s),
        integral_j=integral_j,
        mean_w=integral_j / watched_s if integral_j is not None and watched_s > 0 else None,
        max_w=max_w,
        watched_s=watched_s,
    )


def _counted(columns: dict[str, Column], start_s: float, end_s: float) -> float | None:
    """The counter's difference, interpolated at the edges; None after a reset."""
    import numpy as np

    if "energy_j" not in columns:
        return None
    good = np.isfinite(columns["energy_j"])
    t_s, counter_j = columns["t_s"][good], columns["energy_j"][good]
    if len(t_s) < 2 or end_s <= t_s[0] or start_s >= t_s[-1] or np.any(np.diff(counter_j) < 0):
        return None
    ends = np.interp([start_s, end_s], t_s, counter_j)
    return float(ends[1] - ends[0])


def _integral(
    columns: dict[str, Column], start_s: float, end_s: float
) -> tuple[float | None, float, float | None]:
    import numpy as np

    if "power_w" not in columns:
        return None, 0.0, None
    good = np.isfinite(columns["power_w"])
    t_s, power_w = columns["t_s"][good], columns["power_w"][good]
    if len(t_s) < 2 or end_s <= t_s[0] or start_s >= t_s[-1]:
        return None, 0.0, None
    step_s = longest_step_s(t_s)
    first, last = np.searchsorted(t_s, start_s, "right") - 1, np.searchsorted(t_s, end_s) + 1
    t_s, power_w = t_s[max(0, first) : last], power_w[max(0, first) : last]
    seen = np.diff(t_s) <= step_s
    at_s = np.clip(t_s, start_s, end_s)
    at_w = np.interp(at_s, t_s, power_w)
    steps_s = np.diff(at_s)[seen]
    if not steps_s.any():
        return None, 0.0, None
    means_w = ((at_w[1:] + at_w[:-1]) / 2)[seen]
    return float(steps_s @ means_w), float(np.sum(steps_s)), float(np.max(at_w))
