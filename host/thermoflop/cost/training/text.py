"""A training estimate for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.cost.inference.text import plain
from thermoflop.base.units import digits, gigabytes, scaled, seconds, wrapped
from thermoflop.base.record import replace

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.training.train import TrainingEstimate


def training_text(found: TrainingEstimate) -> str:
    """The whole estimate, at most 100 columns wide."""
    lines = [
        (
            f"training {found.model_name} ({found.params:,} parameters) on {found.plan.devices} x "
            f"{found.device.name} ({found.plan.words}), {found.precision.name}"
        ),
        (
            f"batch {found.global_batch} x {found.sequence} tokens, "
            f"micro-batch {found.micro_batch}, recompute {found.recompute}"
        ),
        "",
        *_iteration(found),
        "",
        *_memory(found),
        *_run(found),
        "",
        wrapped(found.provenance),
    ]
    return "\n".join(lines)


def _iteration(found: TrainingEstimate) -> list[str]:
    span, ratio = found.iteration, found.six_n_flops / found.model_flops
    return [
        (
            f"an iteration  {seconds(span.expected_s)} expected, {seconds(span.low_s)} .. "
            f"{seconds(span.high_s)} in 80 %, bound {seconds(span.bound_s)}"
        ),
        (
            f"throughput    {digits(found.tokens_per_s)} tokens/s, "
            f"{digits(found.tokens_per_s / found.plan.devices)} a device"
        ),
        (
            f"MFU {100 * found.mfu:.1f} %, HFU {100 * found.hfu:.1f} % "
            f"(attention {found.attention}); pipeline bubble {100 * found.bubble:.1f} %"
        ),
        (
            f"FLOPs an iteration: {scaled(found.model_flops, 'FLOP')} of the model, "
            f"{scaled(found.hardware_flops, 'FLOP')} with recomputation; "
            f"6N is {100 * ratio:.1f} % of it"
        ),
    ]


def _memory(found: TrainingEstimate) -> list[str]:
    memory = found.memory
    fits = "fits" if memory.fits else f"DOES NOT FIT: {gigabytes(memory.shortfall_bytes)} missing"
    return [
        (
            f"memory a device: {gigabytes(memory.total_bytes)} of "
            f"{gigabytes(memory.capacity_bytes)}, "
            f"{fits}"
        ),
        (
            f"  weights {gigabytes(memory.weight_bytes)}, "
            f"gradients {gigabytes(memory.gradient_bytes)}, "
            f"optimizer {gigabytes(memory.optimizer_bytes)}, activations "
            f"{gigabytes(memory.activation_bytes)} ({memory.form})"
        ),
    ]


def _run(found: TrainingEstimate) -> list[str]:
    if found.days is None or found.train_tokens is None or found.device_hours is None:
        return []
    expected, low, high = found.days
    lines = [
        "",
        (
            f"{scaled(found.train_tokens, '').strip()} tokens: {digits(expected)} days "
            f"({digits(low)} .. {digits(high)}), {digits(found.device_hours)} device hours"
        ),
    ]
    if found.price is not None:
        lines.append(f"  at {found.price_per_device_hour:g} a device hour: {digits(found.price)}")
    return lines


def training_json(found: TrainingEstimate, *, why: bool = False) -> dict[str, Any]:
    """The estimate as one object, with what follows from it; with ``why`` every operator."""
    shown = plain(replace(found, question=None))
    del shown["question"]
    memory = found.memory
    shown["device"] = found.device.name
    shown["memory"] |= {
        "total_bytes": memory.total_bytes,
        "fits": memory.fits,
        "shortfall_bytes": memory.shortfall_bytes,
    }
    follows = ("tokens_per_s", "mfu", "hfu", "days", "device_hours", "price")
    if why:
        from thermoflop.cost.training.why import training_reasons

        assert found.question is not None  # noqa: S101 - every estimate that train makes has one
        shown["why"] = plain(training_reasons(found.question, found.profile)[0])
    return {**shown, **{name: plain(getattr(found, name)) for name in follows}}
