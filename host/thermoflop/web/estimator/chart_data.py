"""Chart data: roofline, latency and throughput against the batch, memory."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING

from thermoflop.cost.reports.roofline import roofline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from thermoflop.base.sheet import Figure
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.reports.roofline import Dot


def charts_of(estimate: Estimate, grown: Estimate, memory: Sequence[Figure]) -> dict[str, Any]:
    """Plain lists and numbers: points of the roof and of the operators, curves, parts of a bar.

    ``grown`` is the estimate at growing batches; ``memory`` are the figures of the memory's grid.
    """
    *parts, _, capacity = memory
    return {
        "roof": _roof(estimate),
        "batches": _batches(grown, later=estimate.generate > 1),
        "memory": {
            "parts": [[part.label, part.value] for part in parts],
            "capacity_gb": capacity.value,
        },
    }


def _roof(estimate: Estimate) -> dict[str, Any]:
    roof = roofline(estimate)
    return {
        "name": roof.name,
        "corners": [list(corner) for corner in roof.corners],
        "steps": {title: _merged(dots) for title, dots in roof.dots.items()},
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


def _batches(grown: Estimate, *, later: bool) -> dict[str, Any]:
    """Latency and rate against the batch: of decoding if there is any, else of the prompt."""
    span = grown.per_token if later else grown.first_token
    rate = grown.decode_tokens_per_s if later else grown.prefill_tokens_per_s
    rows = zip(
        grown.batch.tolist(), span.expected_s.tolist(), span.low_s.tolist(), span.high_s.tolist(),
        span.bound_s.tolist(), rate.tolist(), grown.memory.fits.tolist(), strict=True,
    )  # fmt: skip
    return {
        "what": "each token" if later else "first token",
        "rows": [
            [int(batch), 1e3 * expected, 1e3 * low, 1e3 * high, 1e3 * bound, tokens_s, bool(fits)]
            for batch, expected, low, high, bound, tokens_s, fits in rows
        ],
    }
