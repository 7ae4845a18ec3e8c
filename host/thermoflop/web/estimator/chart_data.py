"""Chart data: roofline, latency and throughput against the batch, memory."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

from thermoflop.cost.reports.pictures import Dot, roofline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from thermoflop.base.sheet import Figure
    from thermoflop.cost.inference.result import Estimate


def charts_of(
    estimate: Estimate, grown: Estimate, memory: Sequence[Figure], first: str
) -> dict[str, Any]:
    """Plain lists and numbers: points of the roof and of the operators, curves, parts of a bar.

    ``grown`` is the estimate at growing batches; ``memory`` are the figures of the memory's grid;
    ``first`` is what comes of a prompt that was read.
    """
    *parts, _, capacity = memory
    return {
        "roof": _roof(estimate),
        "batches": _batches(grown, "each token" if estimate.generate > 1 else first),
        "memory": {
            "parts": [[part.label, part.value] for part in parts],
            "capacity_gb": capacity.value,
        },
    }


def _roof(estimate: Estimate) -> dict[str, Any]:
    roof = roofline(estimate)
    steps = {title: _merged(dots) for title, dots in roof.dots.items()}
    place_labels([dot for dots in steps.values() for dot in dots], roof.corners)
    return {
        "name": roof.name,
        "corners": [list(corner) for corner in roof.corners],
        "steps": steps,
    }


def _merged(dots: Iterable[Dot]) -> list[list[Any]]:
    """Intensity, rate, names, what binds, a label; operators that fall on each other are one."""
    places: dict[tuple[float, float], list[Dot]] = {}
    for dot in dots:
        place = (round(4 * log10(dot.intensity)), round(4 * log10(dot.tflops_s)))
        places.setdefault(place, []).append(dot)
    merged = []
    for group in places.values():
        names = list(dict.fromkeys(dot.name for dot in group))
        label = names[0] if len(names) == 1 else f"{names[0]} +{len(names) - 1}"
        first = group[0]
        merged.append([first.intensity, first.tflops_s, ", ".join(names), first.binds, label])
    return merged


_PLOT_PX = 590, 260  # on a screen of 1280; on a phone labels that meet are hidden
_LETTER_PX, _LINE_PX, _DOT_PX = 7.0, 13.0, 6.0


def place_labels(dots: Sequence[list[Any]], corners: Iterable[tuple[float, float]]) -> None:
    """Append to each dot the side on which its label stands: the first on which it meets neither
    another dot nor a label, and not the roof if there is one such; "" where there is none, and
    pointing at the dot tells its names."""
    points = [(log10(dot[0]), log10(dot[1])) for dot in dots]
    ends = points + [(log10(x), log10(y)) for x, y in corners]
    places = []
    for axis, length in enumerate(_PLOT_PX):
        first, last = floor(min(e[axis] for e in ends)), ceil(max(e[axis] for e in ends))
        places.append([length * (e[axis] - first) / max(1, last - first) for e in ends])
    all_centres = list(zip(*places, strict=True))
    centres, roof = all_centres[: len(dots)], _boxes_along(all_centres[len(dots) :])
    taken = [(x - _DOT_PX, y - _DOT_PX, x + _DOT_PX, y + _DOT_PX) for x, y in centres]
    for dot, (x, y), own in zip(dots, centres, list(taken), strict=True):
        wide, high = _LETTER_PX * len(dot[4]), _LINE_PX / 2
        boxes = {
            "right": (x + 7, y - high, x + 7 + wide, y + high),
            "left": (x - 7 - wide, y - high, x - 7, y + high),
            "top": (x - wide / 2, y + 7, x + wide / 2, y + 7 + _LINE_PX),
            "bottom": (x - wide / 2, y - 7 - _LINE_PX, x + wide / 2, y - 7),
        }
        free = [side for side, box in boxes.items() if _is_free(box, taken, own)]
        clear = (side for side in free if _is_free(boxes[side], roof, own))
        side = next(clear, next(iter(free), ""))
        taken += [boxes[side]] if side else []
        dot.append(side)


_Box = tuple[float, float, float, float]


def _boxes_along(corners: Sequence[tuple[float, float]]) -> list[_Box]:
    """Small boxes on a line, closer together than a label is high."""
    boxes = []
    for (x, y), (to_x, to_y) in pairwise(corners):
        steps = ceil(max(abs(to_x - x), abs(to_y - y)) / 12)
        for step in range(steps + 1):
            at_x, at_y = x + (to_x - x) * step / steps, y + (to_y - y) * step / steps
            boxes.append((at_x - 1, at_y - 1, at_x + 1, at_y + 1))
    return boxes


def _is_free(box: _Box, taken: Iterable[_Box], own: _Box) -> bool:
    """Whether a label stands inside the plot and on nothing but its own dot."""
    left, low, right, high = box
    inside = left >= 0 and low >= 0 and right <= _PLOT_PX[0] and high <= _PLOT_PX[1]
    return inside and not any(
        left < other[2] and other[0] < right and low < other[3] and other[1] < high
        for other in taken
        if other != own
    )


def _batches(grown: Estimate, what: str) -> dict[str, Any]:
    """Latency and rate against the batch: of decoding if there is any, else of the prompt."""
    later = what == "each token"
    span = grown.per_token if later else grown.first_token
    rate = grown.decode_tokens_per_s if later else grown.prefill_tokens_per_s
    rows = zip(
        grown.batch.tolist(), span.expected_s.tolist(), span.low_s.tolist(), span.high_s.tolist(),
        span.bound_s.tolist(), rate.tolist(), grown.fits.tolist(), strict=True,
    )  # fmt: skip
    return {
        "what": what,
        "rows": [
            [int(batch), 1e3 * expected, 1e3 * low, 1e3 * high, 1e3 * bound, tokens_s, bool(fits)]
            for batch, expected, low, high, bound, tokens_s, fits in rows
        ],
    }
