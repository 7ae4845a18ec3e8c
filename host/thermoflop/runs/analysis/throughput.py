"""Tokens a second over time, what heat and throttling did to them, and MFU and MBU.

A run says its tokens with ``tf.note(tokens=...)`` after a step (they were made since the note
before), before each step (they are made until the next note), or once with the mark that begins a
phase (they are made over all of it). FLOPs and bytes come the same way, as ``flops=`` and
``bytes=``, or as ``flops_per_token=`` and ``bytes_per_token=``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import finite
from thermoflop.runs.analysis.phases import Window
from thermoflop.runs.gpu.throttle import ThrottleSpan, within

if TYPE_CHECKING:
    from thermoflop.runs.analysis.columns import Column

_AT_START_S = 0.02  # a note so soon after the mark that begins a phase came with it
_T_95 = 1.96  # two-sided 95 % point of the normal distribution


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch in which a phase made tokens; an amount that was not noted is 0."""

    phase: str
    start_s: float
    end_s: float
    tokens: float
    flops: float
    n_bytes: float

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.end_s - self.start_s

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second."""
        return self.tokens / self.duration_s


@dataclass(frozen=True, slots=True)
class Lost:
    """What throttling took from one phase: tokens that its own free rate would have made.

    ``by`` is "tokens" when both rates were seen in the run, "clock" when only the clock tells.
    ``share`` is of what would have been made; ``error`` its 95 % half-width where there is one.
    """

    phase: str
    by: str
    throttled_s: float
    free_per_s: float | None
    throttled_per_s: float | None
    lost_tokens: float | None
    share: float
    error: float | None


def steps(window: Window) -> list[Step]:
    """The stretches of a phase that have tokens, FLOPs or bytes; none where it has no times."""
    if window.untimed:
        return []
    noted = [
        (note.t_s, amounts)
        for note in window.notes
        if (amounts := _amounts(note.sums, window.last)) != (0, 0, 0)
    ]
    if not any(t_s - window.start_s > _AT_START_S for t_s, _ in noted):
        whole = _amounts({**window.last, **window.sums}, window.last)
        if whole == (0, 0, 0) or window.duration_s <= 0:
            return []
        return [Step(window.name, window.start_s, window.end_s, *whole)]
    over_all = _over_all(noted, window)
    at_s: dict[float, tuple[float, ...]] = {}
    for t_s, amounts in _at_their_ends(noted, window):
        before = at_s.get(t_s, (0.0, 0.0, 0.0))
        own = (0.0 if over else a for a, over in zip(amounts, over_all, strict=True))
        at_s[t_s] = tuple(a + b for a, b in zip(before, own, strict=True))
    ends_s = [window.start_s, *at_s]
    all_s = ends_s[-1] - window.start_s
    made = []
    for start_s, end_s in pairwise(ends_s):
        share = (end_s - start_s) / all_s
        spread = (a + share * over for a, over in zip(at_s[end_s], over_all, strict=True))
        made.append(Step(window.name, start_s, end_s, *spread))
    return made


def _over_all(noted: list[tuple[float, tuple[float, float, float]]], window: Window) -> list[float]:
    """What is noted with the mark that begins a phase and never after it: made over all of it."""
    late = [amounts for t_s, amounts in noted if t_s - window.start_s > _AT_START_S]
    total = [sum(each) for each in zip(*(amounts for _, amounts in noted), strict=True)]
    return [0.0 if any(each[kind] for each in late) else total[kind] for kind in range(3)]


def _at_their_ends(
    noted: list[tuple[float, tuple[float, float, float]]], window: Window
) -> list[tuple[float, tuple[float, float, float]]]:
    """Amounts with the moments at which they were made; none is left out.

    A phase that notes tokens as it begins, and no longer as it ends, notes what comes next: each
    amount is made by the next note. Else what stands at the start belongs to the first stretch.
    """
    later = [t_s for t_s, _ in noted if t_s - window.start_s > _AT_START_S]
    early = len(noted) - len(later)
    ends_s = [later[0]] * early + later
    if (
        any(tokens for _, (tokens, _, _) in noted[:early])
        and window.end_s - later[-1] > _AT_START_S
    ):
        ends_s = [later[0]] * early + [*later[1:], window.end_s]
    return [(t_s, amounts) for t_s, (_, amounts) in zip(ends_s, noted, strict=True)]


# what is drawn as a share of a peak: its name, the amount of a step, the noted peak, its words
SHARES = (
    ("MFU", "flops", "peak_flops_per_s", "peak FLOP rate"),
    ("MBU", "n_bytes", "peak_bytes_per_s", "peak bandwidth"),
)


def shares_of_peak(window: Window, amount: str, peak: str) -> list[tuple[Step, float]]:
    """The stretches of a phase, each with its share of a peak; none where no peak was noted."""
    top = _amount(window.last, peak)
    if top <= 0:
        return []
    return [(step, getattr(step, amount) / step.duration_s / top) for step in steps(window)]


def over_peak(windows: Sequence[Window]) -> list[str]:
    """A sentence for each peak that a stretch was above, which no device is: nothing to draw."""
    said = []
    for name, amount, peak, words in SHARES:
        shares = [s for window in windows for _, s in shares_of_peak(window, amount, peak)]
        over = [share for share in shares if share > 1]
        if over:
            most = f"{100 * max(over):.4g} %"
            said.append(
                f"{name}: {len(over)} of {len(shares)} stretches show up to {most} of the {words}, "
                "which no device does; they are not drawn. Tokens noted in bursts, or too low a "
                "peak, look like this"
            )
    return said


def _amounts(values: dict[str, Any], last: dict[str, Any]) -> tuple[float, float, float]:
    tokens = _amount(values, "tokens")
    flops = _amount(values, "flops") or tokens * _amount(last, "flops_per_token")
    n_bytes = _amount(values, "bytes") or tokens * _amount(last, "bytes_per_token")
    return tokens, flops, n_bytes


def _amount(values: dict[str, Any], key: str) -> float:
    value = values.get(key, 0.0)
    return finite(value) or 0.0


def lost_to_throttling(
    made: Sequence[Step], spans: Sequence[ThrottleSpan], columns: dict[str, Column] | None
) -> list[Lost]:
    """Phase by phase: tokens = free rate x free time + throttled rate x throttled time."""
    losses = []
    for phase in dict.fromkeys(step.phase for step in made):
        mine = [step for step in made if step.phase == phase and step.tokens > 0]
        cut_s = [throttled_s(spans, step.start_s, step.end_s) for step in mine]
        if sum(cut_s) <= 0:
            continue
        lost = _by_tokens(phase, mine, cut_s) or _by_clock(phase, mine, spans, columns)
        if lost is not None:
            losses.append(lost)
    return losses


def throttled_s(spans: Iterable[ThrottleSpan], start_s: float, end_s: float) -> float:
    """Seconds between two moments in which at least one GPU throttled (spans on the same axis)."""
    total_s, until_s = 0.0, -math.inf
    for span in sorted(within(spans, start_s, end_s), key=lambda span: span.start_s):
        if span.end_s > until_s:
            total_s += span.end_s - max(span.start_s, until_s)
            until_s = span.end_s
    return total_s


def _by_tokens(phase: str, mine: list[Step], cut_s: list[float]) -> Lost | None:
    import numpy as np

    cut = np.array(cut_s)
    free = np.array([step.duration_s for step in mine]) - cut
    tokens = np.array([step.tokens for step in mine])
    if len(mine) < 4 or free.sum() < 0.02 * (free.sum() + cut.sum()):
        return None
    columns = np.column_stack([free, cut])
    normal = columns.T @ columns
    if np.linalg.cond(normal) > 1e8:
        return None
    rates = np.linalg.solve(normal, columns.T @ tokens)
    residual = tokens - columns @ rates
    variance = float(residual @ residual) / max(1, len(mine) - 2)
    spread = np.linalg.inv(normal) * variance
    free_rate, slow_rate = float(rates[0]), float(rates[1])
    if free_rate <= 0:
        return None
    time_s = float(cut.sum())
    would = free_rate * float(free.sum() + cut.sum())
    share = (free_rate - slow_rate) * time_s / would
    # of the ratio of the two rates, by the delta method
    gradient = np.array([slow_rate / free_rate**2, -1 / free_rate])
    error = _T_95 * math.sqrt(max(0.0, float(gradient @ spread @ gradient)))
    part = time_s / float(free.sum() + cut.sum())
    lost = (free_rate - slow_rate) * time_s
    return Lost(phase, "tokens", time_s, free_rate, slow_rate, lost, share, error * part)


def _by_clock(
    phase: str, mine: list[Step], spans: Sequence[ThrottleSpan], columns: dict[str, Column] | None
) -> Lost | None:
    """Where every step was throttled: by how much the clock was below the fastest one seen."""
    import numpy as np

    if columns is None or "sm_mhz" not in columns:
        return None
    t_s, mhz = columns["t_s"], columns["sm_mhz"]
    inside = np.zeros(len(t_s), dtype=bool)
    for step in mine:
        inside |= (t_s >= step.start_s) & (t_s <= step.end_s)
    top = float(np.nanmax(mhz))
    if not inside.any() or top <= 0:
        return None
    share = 1 - float(np.nanmean(mhz[inside])) / top
    time_s = sum(throttled_s(spans, step.start_s, step.end_s) for step in mine)
    return Lost(phase, "clock", time_s, None, None, None, share, None)


@dataclass(frozen=True, slots=True)
class HeatEffect:
    """Throughput against temperature within one phase: a straight line, with 95 % half-width."""

    phase: str
    points: int
    from_c: float
    to_c: float
    per_k: float  # share of the mean throughput per kelvin
    error_per_k: float


def heat_effect(made: Sequence[Step], t_s: Column, temp_c: Column) -> list[HeatEffect]:
    """How throughput went with temperature; it shows a tendency, not a cause."""
    import numpy as np

    good = np.isfinite(temp_c)
    t_s, temp_c = t_s[good], temp_c[good]
    effects = []
    for phase in dict.fromkeys(step.phase for step in made):
        mine = [s for s in made if s.phase == phase and s.tokens > 0]
        if len(mine) < 8 or len(t_s) < 2:
            continue
        at_c = np.interp([(s.start_s + s.end_s) / 2 for s in mine], t_s, temp_c)
        rate = np.array([s.tokens_per_s for s in mine])
        rate /= rate.mean()
        centred = at_c - at_c.mean()
        spread = float(centred @ centred)
        if np.ptp(at_c) < 2.0:
            continue
        slope = float(centred @ rate) / spread
        residual = rate - rate.mean() - slope * centred
        error = _T_95 * math.sqrt(float(residual @ residual) / (len(mine) - 2) / spread)
        low_c, high_c = float(at_c.min()), float(at_c.max())
        effects.append(HeatEffect(phase, len(mine), low_c, high_c, slope, error))
    return effects
