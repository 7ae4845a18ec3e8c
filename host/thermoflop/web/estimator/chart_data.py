"""The data of the pictures: roofline, latency and throughput against batch, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.cost.reports.roofline import roofline

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.inference.result import Estimate
    from thermoflop.web.estimator.corrected import Computed


def charts_of(asked: Computed, grown: Estimate) -> dict[str, Any]:
    """Plain lists and numbers: points of the roof and of the operators, curves, parts of a bar."""
    return {
        "roof": _roof(asked),
        "batches": _batches(asked.found, grown),
        "memory": _memory(asked.found),
    }


def _roof(asked: Computed) -> dict[str, Any]:
    roof = roofline(asked.found)
    return {
        "corners": [list(corner) for corner in roof.corners],
        "steps": {
            title: [[dot.intensity, dot.tflops_s, dot.name, dot.binds] for dot in dots]
            for title, dots in roof.dots.items()
        },
    }


def _batches(found: Estimate, grown: Estimate) -> dict[str, Any]:
    """Where one token or none is generated, the prompt is what is timed."""
    later = found.generate > 1
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


def _memory(found: Estimate) -> dict[str, Any]:
    memory = found.memory
    return {
        "parts": [
            ["weights", memory.weight_bytes / 1e9],
            ["cache", memory.kv_bytes / 1e9],
            ["activations", memory.activation_bytes / 1e9],
            ["reserve", memory.reserve_bytes / 1e9],
        ],
        "capacity_gb": memory.capacity_bytes / 1e9,
    }
