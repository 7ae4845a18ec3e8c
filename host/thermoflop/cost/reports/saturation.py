"""Throughput against the batch: where memory-bound turns compute-bound, and what fits."""

from __future__ import annotations

from collections.abc import Callable

from thermoflop.base.record import record
from thermoflop.base.units import digits, gigabytes, seconds, table
from thermoflop.cost.inference.result import Estimate, counted_bytes
from thermoflop.cost.why.table import steps_of

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


@record
class Saturation:
    """One batch: time of a token, throughput, memory as the engine divides it (where that is known)
    and whether it fits, and what binds the larger part of a step.

    Where one token or none is generated, the prompt is what is timed.
    """

    batch: int
    per_token_s: float
    tokens_per_s: float
    memory_bytes: float
    fits: bool
    binds: str


def saturation(estimate_at: Callable[[int], Estimate], dp: int = 1) -> list[Saturation]:
    """Estimates of growing batches, up to the first two that do not fit."""
    rows: list[Saturation] = []
    for batch in BATCHES:
        if batch % dp:
            continue
        estimate = estimate_at(batch)
        binds = _binding(estimate)
        memory_bytes = counted_bytes(estimate)
        later = estimate.generate > 1
        span = estimate.per_token if later else estimate.first_token
        rate = estimate.decode_tokens_per_s if later else estimate.prefill_tokens_per_s
        fits = bool(estimate.fits)
        rows.append(Saturation(batch, span.expected_s, rate, memory_bytes, fits, binds))
        if sum(not row.fits for row in rows) >= 2:
            break
    return rows


def _binding(estimate: Estimate) -> str:
    *_, (reasons, overhead) = steps_of(estimate).values()
    times: dict[str, float] = {"step": overhead}
    for reason in reasons:
        times[reason.binds] = times.get(reason.binds, 0.0) + reason.time_s
    return max(times, key=lambda name: times[name])


def saturation_text(rows: list[Saturation]) -> str:
    """A table of the batches, and the first one that is bound by compute."""
    cells = [["batch", "a token", "tokens/s", "memory", "", "bound by"]]
    for row in rows:
        fits = "" if row.fits else "does not fit"
        cells.append(
            [
                str(row.batch), seconds(row.per_token_s), digits(row.tokens_per_s),
                gigabytes(row.memory_bytes), fits, row.binds,
            ]
        )  # fmt: skip
    turn = next((row.batch for row in rows if row.binds == "compute"), None)
    where = "at none of these batches" if turn is None else f"from batch {turn} on"
    return f"{table(cells)}\ncomputing binds {where}"
