"""Attention what-ifs: MHA, GQA(g), MQA and MLA(r) of one model side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import Any

from thermoflop.base.record import fields_of, record, replace
from thermoflop.base.sheet import Figure, figure, figures_of
from thermoflop.base.units import gigabytes, table, wrapped
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.inference.arguments import as_model, checked_whole
from thermoflop.cost.inference.capacity import fit
from thermoflop.cost.inference.estimate import estimate
from thermoflop.cost.inference.result import Estimate, estimate_json, estimate_sheet, first_of
from thermoflop.cost.work.share import Share
from thermoflop.cost.work.steps import decode_step, middle_context
from thermoflop.cost.work.weights import stage_share
from thermoflop.cost.work.work import weights_of
from thermoflop.errors import UsageError
from thermoflop.model.architecture.cache import cache_elements
from thermoflop.model.architecture.mixers import Attention, LatentAttention, Mixer
from thermoflop.model.model import Model
from thermoflop.model.operators.step import Step


@record
class Variant:
    """One form of attention of a model, made by ``compare``. Numbers are scalars.

    Attributes:
        name: the form: ``MHA``, ``GQA(8)``, ``MQA`` or ``MLA(512)``.
        params: parameters of the model in this form.
        kv_bytes_per_token: bytes of cache for each token of a sequence, in bf16.
        decode_bytes: bytes that one device reads in the middle decode step, in the formats of the
            run.
        largest_batch: sequences that fit in memory, as ``fit`` says.
        estimate: time, memory and energy.

    Example:
        >>> import thermoflop as tf
        >>> mha, gqa, mqa, mla = tf.compare(tf.load_model("llama-3-8b"), "h100")
        >>> mqa.kv_bytes_per_token, mha.kv_bytes_per_token == 32 * mqa.kv_bytes_per_token
        (16384, True)
    """

    name: str
    params: int
    kv_bytes_per_token: int
    decode_bytes: float
    largest_batch: int
    estimate: Estimate


def changed(model: Model, name: str, change: Callable[[Attention], Mixer]) -> Model:
    """The model with every self-attention changed. UsageError where there is none to change."""
    heads_of(model)
    stacks = []
    for stack in model.description.stacks:
        runs = []
        for run in stack.runs:
            layer = run.layer
            if isinstance(layer.mixer, Attention) and stack.role == "decoder":
                layer = replace(layer, mixer=change(layer.mixer))
            runs.append(replace(run, layer=layer))
        stacks.append(replace(stack, runs=tuple(runs)))
    description = replace(model.description, stacks=tuple(stacks))
    return replace(model, name=f"{model.name} as {name}", description=description, stored=None)


def grouped(attention: Attention, groups: int) -> Mixer:
    """The same with ``groups`` key heads."""
    if groups < 1 or attention.heads % groups:
        raise UsageError(f"gqa={groups} does not divide the {attention.heads} heads")
    return replace(attention, kv_heads=groups)


def _with_all_heads(attention: Attention) -> Mixer:
    """The same with a key head for each head."""
    return grouped(attention, attention.heads)


def _near_an_eighth(heads: int) -> int | None:
    """What divides the heads and is nearest to an eighth of them, the less of two; None where
    nothing lies between one key head, which is MQA, and all of them."""
    divisors = (groups for groups in range(2, heads) if heads % groups == 0)
    return min(divisors, key=lambda groups: abs(groups - heads / 8), default=None)


def latent(attention: Attention, rank: int) -> Mixer:
    """A latent of ``rank`` in its place; keys get half a head of rotated dimensions beside."""
    if rank < 1:
        raise UsageError(f"mla={rank!r} makes no sense: expected the rank of a latent >= 1")
    width = attention.head_dim
    return LatentAttention(
        hidden=attention.hidden, heads=attention.heads, kv_rank=rank, nope=width,
        rope=max(1, width // 2), value_dim=width,
    )  # fmt: skip


def heads_of(model: Model) -> tuple[int, int]:
    """Query and key heads of the first attention to words."""
    for stack in model.description.stacks:
        for run in stack.runs:
            if isinstance(run.layer.mixer, Attention) and stack.role == "decoder":
                return run.layer.mixer.heads, run.layer.mixer.kv_heads
    is_latent = any(isinstance(mixer, LatentAttention) for mixer in model.description.mixers)
    own = ": it has MLA's latent" if is_latent else ""
    raise UsageError(
        f"{model.name} has no attention with heads of keys and values, whose number is changed "
        f"here{own}; expected a model with such heads, as llama-3-8b is"
    )


def forms_of(model: Model, groups: int | None, rank: int) -> dict[str, Model]:
    """The model in every form of attention that it can have, by the form's name."""
    heads, kv_heads = heads_of(model)
    if groups is None:
        groups = kv_heads if 1 < kv_heads < heads else _near_an_eighth(heads)
    forms: dict[str, Callable[[Attention], Mixer]] = {
        "MHA": _with_all_heads  # layers of one model may have different numbers of them
    }
    if groups is not None:
        forms[f"GQA({groups})"] = partial(grouped, groups=groups)
    forms["MQA"] = partial(grouped, groups=1)
    forms[f"MLA({rank})"] = partial(latent, rank=rank)
    return {name: changed(model, name, change) for name, change in forms.items()}


def compare(
    model: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device,
    groups: int | None = None,
    rank: int = 512,
    **options: Any,
) -> list[Variant]:
    """A model with MHA, GQA, MQA and MLA in the place of its attention, side by side.

    Args:
        model: a ``Model`` with heads of keys and values, or what ``load_model`` takes: a path, a
            dictionary or a name.
        hardware: a ``Device``, or what ``find_device`` takes: a name such as ``h100``, or the path
            of a TOML file.
        groups: key-value heads of the grouped form. None: the model's own, or what divides its
            heads and is nearest to an eighth of them, 2 at least.
        rank: dimensions of the latent of MLA, 512 by default.
        **options: the other arguments of ``estimate``, by name.

    Returns:
        The four forms in that order, on the same device and sizes; no grouped one where nothing
        but 1 and all divides the heads (Falcon 7B has 71).

    Raises:
        UsageError: as ``estimate`` does, and for a model without such attention or a bad
            ``groups``.
        InputError: for a device that is not known.

    Example:
        >>> import thermoflop as tf
        >>> forms = tf.compare("llama-3-8b", "h100", batch=16)
        >>> [form.name for form in forms]
        ['MHA', 'GQA(8)', 'MQA', 'MLA(512)']
        >>> forms[1].params  # Llama 3 as it is
        8030261248
    """
    rank = checked_whole("rank", rank, 1)
    groups = None if groups is None else checked_whole("groups", groups, 1)
    forms = forms_of(as_model(model), groups, rank)
    return [variant_of(name, form, hardware, options) for name, form in forms.items()]


_FIT = (
    "devices", "tp", "pp", "dp", "ep", "cp", "batch", "prompt", "generate", "dtype", "kv_dtype",
    "page", "images", "audio", "encoder", "profile",
)  # fmt: skip


def variant_of(
    name: str,
    model: Model,
    hardware: str | Device,
    options: dict[str, Any],
    known: Estimate | None = None,
) -> Variant:
    """One form on a device; ``known`` is its estimate with these options where there is one."""
    estimated = estimate(model, hardware, **options) if known is None else known
    capacity = fit(model, hardware, **{key: options[key] for key in _FIT if key in options})
    plan, precision = estimated.plan, estimated.precision
    share = estimated.setting.share
    on_stage = stage_share(share.description, plan.pp)
    token_bytes = cache_elements(share.description, 1) * precision.kv_bytes * on_stage / plan.cp
    middle = middle_context(estimated.prompt, estimated.generate)
    read_bytes = _read_bytes(share, decode_step(middle, estimated.batch / plan.dp)) * on_stage
    return Variant(
        name, model.params, round(token_bytes), read_bytes, capacity.largest_batch, estimated
    )


def _read_bytes(share: Share, step: Step) -> float:
    """Bytes that the devices of one tensor-parallel rank read in a step, over all its stages."""
    precision, total = share.precision, 0.0
    for operator in share.operators(step):
        moved = operator.moved
        weights, _ = weights_of(operator, moved, precision, share.element_bytes)
        cache = moved.kv_read * precision.kv_bytes / share.plan.cp
        total += operator.times * (weights + moved.read * precision.activation_bytes + cache)
    return total


def variant_figures(variants: list[Variant]) -> list[dict[str, Figure]]:
    """The figures of each form by key: those of its estimate, and what a comparison adds."""
    return [_figures(variant, variants[0].estimate.per_token.expected_s) for variant in variants]


def _figures(variant: Variant, mha_s: float) -> dict[str, Figure]:
    estimated, batch = variant.estimate, variant.largest_batch
    added = [
        figure("model.params", "", variant.params, "parameters", f"{variant.params / 1e9:.3f} G"),
        token_bytes(estimated),
        figure("fit.batch", "", batch, "sequences", f"{batch:,}"),
    ]
    if estimated.generate > 1:
        ratio = mha_s / estimated.per_token.expected_s
        text = f"{ratio:.2f} ×"
        added.append(figure("faster", "", ratio, "times", text, why="token.expected"))
    return {each.key: each for each in (*figures_of(estimate_sheet(estimated)), *added)}


def token_bytes(estimated: Estimate) -> Figure:
    """Bytes that one token adds to the cache of the whole model, in the run's format."""
    elements = estimated.setting.model.kv_bytes(1, dtype="fp8")  # one byte an element
    size = float(elements) * estimated.precision.kv_bytes
    return figure("model.kv", "cache of a token", size, "B", f"{size:,.0f} B")


_ROWS = (
    ("each token", "token.expected"),
    ("  bound", "token.bound"),
    ("tokens/s", "rate.decode"),
    ("times faster than MHA", "faster"),
    ("largest batch", "fit.batch"),
)


def compare_text(variants: list[Variant]) -> str:
    """The forms in columns, at most 100 columns wide."""
    first, figures = variants[0].estimate, variant_figures(variants)

    def row(label: str, key: str) -> list[str]:
        return [label, *(form[key].text.removesuffix(f" {label}").rstrip(" ×") for form in figures)]

    rows = [
        ["", *(variant.name for variant in variants)],
        row("parameters", "model.params"),
        ["KV bytes a token", *(f"{variant.kv_bytes_per_token:,}" for variant in variants)],
        row("cache a device", "memory.cache"),
        ["bytes read a token", *(gigabytes(variant.decode_bytes) for variant in variants)],
        row(first_of(first.setting.model), "first.expected"),
        *(row(label, key) for label, key in _ROWS if key in figures[0]),
    ]
    title = (
        f"{first.model_name.removesuffix(' as MHA')} on {first.plan.devices} x "
        f"{first.device.name}, batch {first.batch}, {first.prompt} + {first.generate} tokens, "
        f"{first.precision.label}; bytes are of one device"
    )
    return f"{wrapped(title)}\n\n{table(rows)}\n\n{wrapped(first.provenance)}"


def compare_json(variants: list[Variant]) -> list[dict[str, Any]]:
    """The forms as objects."""
    return [
        {**fields_of(variant), "estimate": estimate_json(variant.estimate)} for variant in variants
    ]
