"""The board's clock converted to the host's, from nothing but the arrival times of its lines.

A line stamped ``up_s`` by the board arrives at ``mono_s`` on the host, late by a delay that is
never negative and now and then close to its minimum. So ``mono_s = offset_s + rate * up_s`` is the
edge of the lower convex hull of all points that spans their mean time: of all lines that no point
lies under, it has the least sum of delays. Nothing is written to the
board. The smallest delay of the path itself cannot be seen by any passive method and is part of
``offset_s``.

Memory is bounded: points live in at most 16 bins of equal width, each kept as its own lower hull;
when the bins run out, neighbours merge and the width doubles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from threading import Lock

RESOLUTION_S = 0.001  # of up_s on the wire
SLOPE_FROM_S = 30.0  # below this span jitter would pass for drift, so the rate is taken as 1
CRYSTAL_PPM = 100.0  # generous for the board's crystal (30 ppm) and the host's together
MIN_RATE = 1e-6  # no simulation runs a million times as fast as the wall clock
NO_CRYSTAL_PPM = 10_000.0  # a crystal is off by 100 at most: a simulated board at another speed
STEADY = 0.05  # of the usual speed: within, a stretch had its lines come evenly
APART_S = 1.0  # beside drift: no machine sleeps for less, and no stretch is evenly so late
NO_CRYSTAL_S = 0.05  # a miss that no jitter explains: a simulated board at another speed

MAX_BEHIND = 64  # what a buffer kept of before comes first, and is less
_MAX_BINS = 16  # with 64 points each: at most 1024 pairs for a run of any length
_MAX_BIN_POINTS = 64
_FIRST_BIN_S = 1.0  # doubled as often as the run outgrows the bins
_FULL_BIN = 5  # points a bin must have seen before its nearest delay says something

Point = tuple[float, float]  # (up_s, mono_s)


@dataclass(frozen=True, slots=True)
class ClockFit:
    """``mono_s = offset_s + rate * up_s`` for one boot, right to about ``error_s``.

    ``error_s`` is the largest distance, over the stretches of the run, by which the line misses the
    promptest arrival of that stretch, plus the resolution of ``up_s``.
    """

    boot: str
    offset_s: float
    rate: float
    error_s: float
    span_s: float
    points: int
    is_apart: bool = False  # no line converts one clock to the other: this machine slept

    @property
    def drift_ppm(self) -> float:
        """By how many microseconds a second the board's clock runs fast."""
        return (1.0 / self.rate - 1.0) * 1e6

    def to_json(self) -> dict[str, object]:
        """The fit as it stands in ``run.json``."""
        return {
            "boot": self.boot,
            "offset_s": round(self.offset_s, 6),
            "drift_ppm": round(self.drift_ppm, 2),
            "error_s": round(self.error_s, 6),
            "span_s": round(self.span_s, 3),
            "points": self.points,
            **({"apart": True} if self.is_apart else {}),
        }


@dataclass(slots=True)
class _Bin:
    hull: list[Point]
    points: int
    first: Point
    last: Point

    @property
    def rate(self) -> float | None:
        """Host's seconds to one of the board's in this stretch; None of too little."""
        up_s = self.last[0] - self.first[0]
        return (self.last[1] - self.first[1]) / up_s if self.points >= _FULL_BIN and up_s else None


class ClockFitter:
    """Collects (up_s, mono_s) pairs of one boot and fits the line through them."""

    def __init__(self, boot: str) -> None:
        """``boot`` is the id of the boot whose clock this is; a reboot needs a new fitter."""
        self.boot = boot
        self._lock = Lock()  # one thread adds, another asks
        self._bins: dict[int, _Bin] = {}
        self._bin_s = _FIRST_BIN_S
        self._start_s: float | None = None
        self._last_s = 0.0
        self._points = 0
        self._sum_s = 0.0  # of up_s - start: the mean time picks the edge
        self._held: Point | None = None  # the newest, until the next one confirms it
        self._behind: list[Point] = []  # that run backwards, and forwards among themselves

    def add(self, up_s: float, mono_s: float) -> None:
        """One line stamped ``up_s`` arrived at ``mono_s``.

        A stamp is believed when the next one does not run backwards: one corrupted line in 65,536
        passes its CRC, and a single stamp that is too high would end the fit of its boot. When
        MAX_BEHIND in a row run backwards, it is what was believed that was wrong.
        """
        with self._lock:
            held = self._held
            if held is None or up_s >= held[0]:
                if held is not None:
                    self._add(*held)
                self._held, self._behind = (up_s, mono_s), []
            elif self._start_s is None or up_s >= self._last_s:
                self._held, self._behind = (up_s, mono_s), []
            else:
                self._fall_behind((up_s, mono_s))

    def _fall_behind(self, point: Point) -> None:
        """Count a stamp that runs backwards; start anew when there are too many."""
        if self._behind and point[0] < self._behind[-1][0]:
            self._behind.clear()
        self._behind.append(point)
        if len(self._behind) > MAX_BEHIND:
            points, self._behind = self._behind, []
            self._bins, self._bin_s, self._start_s = {}, _FIRST_BIN_S, None
            self._points, self._sum_s = 0, 0.0
            for each in points[:-1]:
                self._add(*each)
            self._held = points[-1]

    def _add(self, up_s: float, mono_s: float) -> None:
        if self._start_s is None:
            self._start_s = up_s
        self._last_s = up_s
        self._points += 1
        self._sum_s += up_s - self._start_s
        index = int((up_s - self._start_s) / self._bin_s)
        while index >= _MAX_BINS:
            self._merge_bins()
            index = int((up_s - self._start_s) / self._bin_s)
        slot = self._bins.get(index)
        if slot is None:
            slot = self._bins[index] = _Bin([], 0, (up_s, mono_s), (up_s, mono_s))
        slot.last = (up_s, mono_s)
        _push(slot.hull, (up_s, mono_s))
        if len(slot.hull) > _MAX_BIN_POINTS:
            _thin(slot.hull)
        slot.points += 1

    def fit(self) -> ClockFit | None:
        """The line through the points believed so far, or None before the first point."""
        with self._lock:
            if self._start_s is None and self._held is not None:
                self._add(*self._held)  # of a board that has said only this
                self._held = None
            return self._fit()

    def _fit(self) -> ClockFit | None:
        if self._start_s is None:
            return None
        hull: list[Point] = []
        for index in sorted(self._bins):
            for point in self._bins[index].hull:
                _push(hull, point)
        span_s = self._last_s - self._start_s
        offset_s, rate, miss_s = self._line(hull, span_s)
        return ClockFit(
            boot=self.boot,
            offset_s=offset_s,
            rate=rate,
            error_s=RESOLUTION_S + miss_s,
            span_s=span_s,
            points=self._points,
            is_apart=self._is_apart(offset_s, rate, span_s),
        )

    def _is_apart(self, offset_s: float, rate: float, span_s: float) -> bool:
        """Whether most stretches have another speed than the line, or one of that speed lies off
        it. Lines that were held back came at once, and say nothing."""
        known = [(slot, each) for slot in self._bins.values() if (each := slot.rate) is not None]
        usual = median(each for _, each in known) if known else rate
        if abs(1.0 / rate - 1.0) > NO_CRYSTAL_PPM * 1e-6 and abs(rate - usual) > STEADY * usual:
            return True
        steady = [slot for slot, each in known if abs(each - usual) <= STEADY * usual]
        is_still = usual <= MIN_RATE  # all came at once
        return (
            not is_still and _miss_s(steady, offset_s, rate) > APART_S + span_s * CRYSTAL_PPM * 1e-6
        )

    def _line(self, hull: list[Point], span_s: float) -> tuple[float, float, float]:
        """Offset, rate, and by how much the line misses the worst stretch, in seconds."""
        assert self._start_s is not None  # noqa: S101 - for the type checker
        offset_s = min(mono_s - up_s for up_s, mono_s in hull)
        steady_s = _miss_s(self._bins.values(), offset_s, 1.0) + span_s * CRYSTAL_PPM * 1e-6
        if len(hull) < 2 or (span_s < SLOPE_FROM_S and steady_s < NO_CRYSTAL_S):
            return offset_s, 1.0, steady_s
        mean_s = self._start_s + self._sum_s / self._points
        right = next((i for i, p in enumerate(hull) if p[0] >= mean_s and i > 0), len(hull) - 1)
        (up_a, mono_a), (up_b, mono_b) = hull[right - 1], hull[right]
        rate = (mono_b - mono_a) / (up_b - up_a)
        if rate <= MIN_RATE:  # all in one burst: their arrival says nothing about the speed
            return offset_s, 1.0, steady_s
        offset_s = mono_a - rate * up_a
        return offset_s, rate, _miss_s(self._bins.values(), offset_s, rate)

    def _merge_bins(self) -> None:
        merged: dict[int, _Bin] = {}
        for index in sorted(self._bins):
            slot = self._bins[index]
            into = merged.setdefault(index // 2, _Bin([], 0, slot.first, slot.last))
            into.last = slot.last
            into.points += slot.points
            for point in slot.hull:
                _push(into.hull, point)
            _thin(into.hull)
        self._bins = merged
        self._bin_s *= 2


def _push(hull: list[Point], point: Point) -> None:
    """Add ``point`` on the right of a lower hull, dropping the points that it hides."""
    if hull and point[0] <= hull[-1][0]:
        if point[1] >= hull[-1][1]:
            return
        hull.pop()
    while len(hull) >= 2 and _is_above(hull[-2], hull[-1], point):
        hull.pop()
    hull.append(point)


def _miss_s(stretches: Iterable[_Bin], offset_s: float, rate: float) -> float:
    """By how much a line misses the worst of these stretches, in seconds."""
    misses = [
        min(mono_s - offset_s - rate * up_s for up_s, mono_s in slot.hull)
        for slot in stretches
        if slot.points >= _FULL_BIN
    ]
    return max([0.0, *misses])


def _is_above(a: Point, b: Point, c: Point) -> bool:
    """Whether ``b`` lies on or above the line from ``a`` to ``c``."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0


def _thin(hull: list[Point]) -> None:
    """Keep a hull bounded by dropping the inner points that bend it least."""

    def bend(i: int) -> float:
        a, b, c = hull[i - 1], hull[i], hull[i + 1]
        return a[1] + (b[0] - a[0]) * (c[1] - a[1]) / (c[0] - a[0]) - b[1]

    while len(hull) > _MAX_BIN_POINTS:
        del hull[min(range(1, len(hull) - 1), key=bend)]
