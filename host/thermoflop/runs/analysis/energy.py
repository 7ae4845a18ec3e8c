"""Energy of a stretch of a run, judged before it is shown.

A GPU's own counter is exact where it works, the integral of its power is there for the rest, and
each is the other's check. A counter that is renewed late, or never, loses to the integral where
that explains the difference; where nothing does, neither is believed. Gaps of the recording are not
integrated, and energy of a stretch that was watched in part is no energy of the whole: then there
is no figure but a reason, which names what was seen.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from thermoflop.base.units import scaled
from thermoflop.runs.analysis.believed import is_all, longest_step_s
from thermoflop.runs.analysis.watched import Span, without

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.runs.analysis.columns import Column


# NVIDIA's sensors are good to 5 % (Yang, Adamek and Armour, "Part-time Power Measurements",
# arXiv:2312.02741): twice that is a fault of one of the two, not of their precision.
_TOLERANCE = 0.1
_MOST_UNSEEN_W = 3000.0  # while nobody looked; the largest boards of today have 1,400 W


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules of one GPU between two moments; None where the driver gave no such field.

    ``source`` is which of the two is believed, "counter" or "integral", for ``seen_s`` of the
    ``duration_s`` seconds. ``why`` is set where that is no figure for the whole, and says why;
    ``note`` is what else is to be known.
    """

    counter_j: float | None
    integral_j: float | None
    mean_w: float | None
    max_w: float | None
    watched_s: float
    duration_s: float
    seen_s: float
    source: str | None
    why: str | None
    note: str | None

    @property
    def seen_j(self) -> float | None:
        """What was measured in the ``seen_s`` seconds."""
        return {"counter": self.counter_j, "integral": self.integral_j}.get(self.source or "")

    @property
    def joules(self) -> float | None:
        """Of the whole stretch, its ends beyond the first and last reading as drawn on average.

        None where that is not known.
        """
        seen_j = None if self.why else self.seen_j
        is_short = seen_j is not None and 0 < self.seen_s < self.duration_s
        return seen_j * self.duration_s / self.seen_s if seen_j and is_short else seen_j

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


_NOTHING = "there is no reading of power or energy"
_STILL = "the energy counter stood still"


class Meter:
    """The readings of one GPU, to be asked for the energy of many stretches."""

    def __init__(self, columns: dict[str, Column]) -> None:
        """``columns`` are those of one GPU in ``RunData.gpus``."""
        import numpy as np

        self._power_t_s, self._power_w = _good(columns, "power_w")
        self._counter_t_s, self._counter_j = _good(columns, "energy_j")
        steps_s = np.diff(columns["t_s"])
        self._step_s = float(np.median(steps_s)) if len(steps_s) else 0.0
        self._longest_s = longest_step_s(self._power_t_s)
        self._counter_longest_s = longest_step_s(self._counter_t_s)
        self._stands_s = 0.0  # the longest time that the counter did not change
        if len(t_s := self._counter_t_s):
            renewed_s = t_s[1:][np.diff(self._counter_j) != 0]
            self._stands_s = float(np.diff(np.r_[t_s[0], renewed_s, t_s[-1]]).max())

    def energy(self, start_s: float, end_s: float, pauses: Sequence[Span] = ()) -> Energy:
        """The energy between two moments of the run, without that of its ``pauses``, judged."""
        pieces = without(start_s, end_s, pauses)
        if len(pieces) > 1:  # of what is shorter than two steps there is no reading
            pieces = [piece for piece in pieces if piece[1] - piece[0] >= 2 * self._step_s]
        duration_s = sum(to_s - from_s for from_s, to_s in pieces)
        power = _joined([self._power(*piece) for piece in pieces])
        counted = [self._counted(*piece) for piece in pieces]
        counter_s = sum(seconds for _, seconds in counted)
        each_j = [joules for joules, _ in counted if joules is not None]
        counter_j = sum(each_j) if pieces and len(each_j) == len(pieces) else None
        source, why, note = self._judge(power, counter_j)
        seen_s = {"counter": counter_s, "integral": power.watched_s}.get(source or "", 0.0)
        if duration_s <= 0:
            source, why, note = None, "it has no length", None
        elif source and not is_all(seen_s, duration_s, self._step_s, len(pieces)):
            joules = counter_j if source == "counter" else power.joules
            why = f"{joules:.4g} J in {seen_s:.1f} of {duration_s:.1f} s watched"
        return Energy(
            counter_j=counter_j,
            integral_j=power.joules,
            mean_w=None if power.joules is None else power.joules / power.watched_s,
            max_w=power.max_w,
            watched_s=power.watched_s,
            duration_s=duration_s,
            seen_s=seen_s,
            source=source,
            why=why,
            note=note,
        )

    def _judge(
        self, power: _Power, counter_j: float | None
    ) -> tuple[str | None, str | None, str | None]:
        """Which of the two is believed, why neither is, and what is to be known besides."""
        if counter_j is None:
            known = power.joules is not None
            return ("integral", None, None) if known else (None, _NOTHING, None)
        if power.joules is None or power.max_w is None:
            return ("counter", None, None) if counter_j > 0 else (None, _STILL, None)
        counted_j = self._counted_in(power.steps)
        apart_j = abs(counted_j - power.joules)
        allowed_j = _TOLERANCE * power.joules + 2 * self._step_s * power.max_w
        if apart_j <= allowed_j and counted_j > 0:
            return "counter", None, None
        if apart_j <= allowed_j + self._stands_s * power.max_w:
            stood = f"{_STILL} for {self._stands_s:.1f} s while it drew power"
            return "integral", None, f"{stood}: the integral of its power is shown"
        counted, integral = scaled(counted_j, "J"), scaled(power.joules, "J")
        why = f"its counter says {counted}, the integral of its power {integral}"
        return None, why, None

    def _power(self, start_s: float, end_s: float) -> _Power:
        """The power around a stretch, integrated over what was watched of it."""
        import numpy as np

        t_s, power_w = _around(self._power_t_s, self._power_w, start_s, end_s)
        if not len(t_s):
            return _Power()
        seen = np.diff(t_s) <= self._longest_s
        at_s = np.clip(t_s, start_s, end_s)
        at_w = np.interp(at_s, t_s, power_w)
        steps_s = np.diff(at_s)[seen]
        if not steps_s.any():
            return _Power()
        joules = float(steps_s @ ((at_w[1:] + at_w[:-1]) / 2)[seen])
        steps = at_s[:-1][seen], at_s[1:][seen]
        max_w = float(np.max(np.r_[at_w[:-1][seen], at_w[1:][seen]]))
        return _Power(joules, float(np.sum(steps_s)), max_w, steps)

    def _counted(self, start_s: float, end_s: float) -> tuple[float | None, float]:
        """The counter's difference and the time it is of; None after a reset.

        None also where a gap may hide one: where a driver that was loaded anew could have counted
        as much as it shows after that.

        It counts on while nobody reads it, but how much of that was before an end of the stretch
        nobody knows: an end within a gap is moved to the reading that is in the stretch.
        """
        import numpy as np

        t_s, counter_j = _around(self._counter_t_s, self._counter_j, start_s, end_s)
        is_gap = np.diff(t_s) > self._counter_longest_s
        if len(is_gap) and is_gap[0] and start_s > t_s[0]:
            t_s, counter_j, is_gap = t_s[1:], counter_j[1:], is_gap[1:]
        if len(is_gap) and is_gap[-1] and end_s < t_s[-1]:
            t_s, counter_j, is_gap = t_s[:-1], counter_j[:-1], is_gap[:-1]
        may_be_new = is_gap & (counter_j[1:] <= np.diff(t_s) * _MOST_UNSEEN_W)
        if len(t_s) < 2 or np.any(np.diff(counter_j) < 0) or np.any(may_be_new):
            return None, 0.0
        ends_j = np.interp([start_s, end_s], t_s, counter_j)
        return float(ends_j[1] - ends_j[0]), float(min(end_s, t_s[-1]) - max(start_s, t_s[0]))

    def _counted_in(self, steps: tuple[Column, Column]) -> float:
        import numpy as np

        from_j, to_j = (np.interp(t_s, self._counter_t_s, self._counter_j) for t_s in steps)
        return float(np.sum(to_j - from_j))


@dataclass(frozen=True, slots=True)
class _Power:
    joules: float | None = None
    watched_s: float = 0.0
    max_w: float | None = None
    steps: Any = ()  # two columns: where each step begins and where it ends


def _joined(parts: Sequence[_Power]) -> _Power:
    """The power of several stretches; what is not known of one of them was not watched."""
    import numpy as np

    known = [part for part in parts if part.joules is not None and part.max_w is not None]
    if not known:
        return _Power()
    return _Power(
        joules=sum(part.joules or 0.0 for part in known),
        watched_s=sum(part.watched_s for part in known),
        max_w=max(part.max_w or 0.0 for part in known),
        steps=tuple(
            np.concatenate(each) for each in zip(*(part.steps for part in known), strict=True)
        ),
    )


def _good(columns: dict[str, Column], name: str) -> tuple[Column, Column]:
    """A column's finite values with their times."""
    import numpy as np

    values = columns.get(name)
    if values is None:
        return np.empty(0), np.empty(0)
    good = np.isfinite(values)
    if good.all():
        return columns["t_s"], values  # of a long run no copy
    return columns["t_s"][good], values[good]


def _around(t_s: Column, values: Column, start_s: float, end_s: float) -> tuple[Column, Column]:
    """The readings of a stretch with one more on either side; none where they do not overlap."""
    import numpy as np

    if len(t_s) < 2 or end_s <= t_s[0] or start_s >= t_s[-1]:
        return t_s[:0], values[:0]
    first = max(0, int(np.searchsorted(t_s, start_s, "right")) - 1)
    last = int(np.searchsorted(t_s, end_s)) + 1
    return t_s[first:last], values[first:last]
