"""How throughput saturates with the batch: where memory-bound turns compute-bound, what fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record
from thermoflop.base.units import digits, gigabytes, seconds, table
from thermoflop.cost.why.table import steps_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.cost.inference.result import Estimate

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


@record
class Saturation:
    """One batch: time of a token, throughput, memory, and what binds the larger part of a step.

    Where one token or none is generated, the prompt is what is timed.
    """

    batch: int
    per_token_s: float
    tokens_per_s: float
    memory_bytes: float
    fits: bool
    binds: str


def saturation(ask: Callable[[int], Estimate], dp: int = 1) -> list[Saturation]:
    """The estimates of growing batches, up to the first two that do not fit."""
    found: list[Saturation] = []
    for batch in BATCHES:
        if batch % dp:
            continue
        one = ask(batch)
        binds = _binding(one)
        memory = one.memory
        later = one.generate > 1
        span = one.per_token if later else one.first_token
        rate = one.decode_tokens_per_s if later else one.prefill_tokens_per_s
        found.append(
            Saturation(
                batch, span.expected_s, rate, memory.total_bytes, bool(memory.fits), binds,
            )
        )  # fmt: skip
        if sum(not row.fits for row in found) >= 2:
            break
    return found


def _binding(one: Estimate) -> str:
    *_, (found, overhead) = steps_of(one).values()
    times: dict[str, float] = {"step": overhead}
    for reason in found:
        times[reason.binds] = times.get(reason.binds, 0.0) + reason.time_s
    return max(times, key=lambda name: times[name])


def saturation_text(rows: list[Saturation]) -> str:
    """A table of them, and the batch at which computing begins to bind."""
    shown = [["batch", "a token", "tokens/s", "memory", "", "bound by"]]
    for row in rows:
        fits = "" if row.fits else "does not fit"
        shown.append(
            [
                str(row.batch), seconds(row.per_token_s), digits(row.tokens_per_s),
                gigabytes(row.memory_bytes), fits, row.binds,
            ]
        )  # fmt: skip
    turn = next((row.batch for row in rows if row.binds == "compute"), None)
    words = "memory binds throughout" if turn is None else f"computing binds from batch {turn} on"
    return f"{table(shown)}\n{words}"
