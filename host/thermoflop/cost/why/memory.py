"""Why memory, what fits, and energy are what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.explanation import Explanation
from thermoflop.base.units import digits, gigabytes, scaled, seconds, table, wrapped
from thermoflop.cost.hardware.metal import metal_bytes
from thermoflop.cost.inference.what_fits import Fit, context_text, describe_devices
from thermoflop.cost.memory import (
    RESERVE_BYTES,
    RESERVE_SHARE,
    STATE_BYTES,
    TOKENS_IN_FLIGHT,
    shared_bytes,
    tokens_in_flight,
    uniform,
)
from thermoflop.cost.work.weights import Checkpoint, stage_share, weights_held
from thermoflop.errors import UsageError
from thermoflop.model.architecture.cache import cache_elements, states_kept

if TYPE_CHECKING:
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.work.share import Share


def why_memory(estimate: Estimate, key: str, capacity: Fit | None = None) -> Explanation:
    """What is behind a number of memory, size or energy. UsageError for a key that names none."""
    if key.startswith("fit.") and capacity is not None:
        return _fit(capacity, key)
    known = {
        "memory.weights": _weights, "memory.cache": _cache, "memory.activations": _activations,
        "memory.reserve": _reserve, "memory.total": _total, "model.params": _params,
        "model.kv": _kv, "energy.power": _power, "energy.token": _energy, "energy.run": _energy,
        "energy.rise": _rise,
    }  # fmt: skip
    if key not in known or (key.startswith("energy.") and estimate.energy is None):
        raise UsageError(f"{key!r:.60} names no number of this estimate")
    return known[key](estimate, key)


def _weights(estimate: Estimate, _key: str) -> Explanation:
    return why_weights(estimate.setting.share, float(estimate.memory.weight_bytes))


def why_fit(capacity: Fit) -> str:
    """What the weights of a run that was asked for are made of."""
    share = capacity.room[0].share(capacity.plan)
    return explained(why_weights(share, float(capacity.memory.weight_bytes)))


def explained(reason: Explanation) -> str:
    """An explanation for the terminal, at most 100 columns wide."""
    title = f"{reason.title}: {reason.value}"
    rows = [list(reason.columns), *(list(row) for row in reason.rows)]
    listed = [table(rows)] if reason.rows else []
    return "\n".join([title, *listed, *(wrapped(note) for note in reason.notes)])


def why_weights(share: Share, size_bytes: float) -> Explanation:
    """What the weights of a share are made of: groups, their formats, and what stays wide."""
    precision = share.precision
    wide = "" if share.checkpoint is None else f"{8 * share.checkpoint.wide:g} bits"
    sums: dict[tuple[str, str], list[float]] = {}
    for each in weights_held(share.description, share.checkpoint or uniform(share)):
        if each.part.parameters:
            stored = "" if each.stored is None else str(each.stored)
            add = sums.setdefault((each.part.group, stored), [0.0, 0.0])
            add[0] += float(each.sets * each.part.parameters)
            add[1] += each.sets * each.bytes_each
    rows: list[tuple[str, ...]] = [
        (group, f"{count:,.0f}", scaled(size, "B"), stored or wide)
        for (group, stored), (count, size) in sorted(sums.items(), key=lambda each: -each[1][1])
    ]
    head: tuple[str, ...] = ("group", "parameters", "bytes", "stored in")
    notes = _stored_notes(share.checkpoint)
    if share.checkpoint is None:
        head, rows = head[:3], [row[:3] for row in rows]
        notes = [
            (
                f"{precision.name}: {precision.weight_bits:g} bits in the layers' matrices, "
                f"{precision.kept_bits:g} in tables, head, norms and biases"
            )
        ]
    if share.plan.pp > 1:
        notes.append("the fullest pipeline stage; the table is all stages together")
    value = gigabytes(size_bytes)
    formula = ("weights = sum of parameters x bits / 8, on one device", f"  = {value}")
    return Explanation("weights", value, formula, head, tuple(rows), "", tuple(notes))


def _stored_notes(checkpoint: Checkpoint | None) -> list[str]:
    """What a checkpoint leaves wide by name, in the words of its files."""
    if checkpoint is None:
        return []
    quantization = checkpoint.quantization
    notes = [f"quantized by {quantization.method}, scales and zero points included"]
    if quantization.wide:
        some = ", ".join(quantization.wide[:8])
        rest = len(quantization.wide) - 8
        more = f" and {rest:,} more" if rest > 0 else ""
        notes.append(f"left wide by name: {some}{more}")
    return notes


def _cache(estimate: Estimate, _key: str) -> Explanation:
    setting = estimate.setting
    description, plan = setting.share.description, estimate.plan
    tokens = estimate.prompt + estimate.generate
    held = cache_elements(description, tokens, 0, estimate.memory.page_tokens)
    states = states_kept(description)
    batch, width = estimate.batch / plan.dp, setting.precision.kv_bytes
    stage = stage_share(description, plan.pp)
    value = gigabytes(estimate.memory.kv_bytes)
    lines = (
        "cache = (cached elements x their bytes + states x theirs) x sequences"
        + (" x share of the fullest stage" if plan.pp > 1 else ""),
        f"  = ({held:,.0f} x {width:g} B + {states:,.0f} x {STATE_BYTES:g} B) x {batch:g}"
        + (f" x {stage:.3g}" if plan.pp > 1 else ""),
        f"  = {estimate.memory.kv_bytes:,.0f} B = {value}",
    )
    notes = (
        (
            f"keys and values of {tokens:,} tokens on one device, windows and latents as the model "
            "has them, and recurrent states"
        ),
    )
    return Explanation("cache", value, lines, notes=notes)


def _activations(estimate: Estimate, _key: str) -> Explanation:
    value = gigabytes(estimate.memory.activation_bytes)
    share, batch = estimate.setting.share, estimate.batch / estimate.plan.dp
    tokens = tokens_in_flight(share, estimate.prompt, batch)
    lines = (
        "activations = tokens in flight x widest layer x bytes + logits in fp32",
        f"  = {value}, with {tokens:,.0f} tokens in flight",
    )
    read = f"serving engines read at most {TOKENS_IN_FLIGHT:,} prompt tokens at once"
    encodes = estimate.setting.model.is_encoder
    notes = ("an encoder reads all of its batch at once" if encodes else read,)
    return Explanation("activations", value, lines, notes=notes)


def _reserve(estimate: Estimate, _key: str) -> Explanation:
    setting = estimate.setting
    value = gigabytes(estimate.memory.reserve_bytes)
    memory_bytes = setting.device.memory_bytes
    whole = gigabytes(shared_bytes(memory_bytes))
    lines = (
        f"reserve = {RESERVE_BYTES / 1e9:g} GB + {RESERVE_SHARE:.0%} of the device's memory",
        f"  = {RESERVE_BYTES / 1e9:g} GB + {RESERVE_SHARE:g} x {whole} = {value}",
    )
    if setting.device.vendor == "Apple":
        whole, limit = gigabytes(memory_bytes), gigabytes(metal_bytes(memory_bytes))
        lines = (
            f"reserve = {RESERVE_BYTES / 1e9:g} GB + what Metal keeps from the GPU",
            f"  = {RESERVE_BYTES / 1e9:g} GB + {whole} - {limit} = {value}",
        )
    notes = ("an assumption: contexts of driver and libraries, workspaces, fragmentation",)
    return Explanation("reserve", value, lines, notes=notes)


def _total(estimate: Estimate, _key: str) -> Explanation:
    memory = estimate.memory
    parts = (memory.weight_bytes, memory.kv_bytes, memory.activation_bytes, memory.reserve_bytes)
    value, has = gigabytes(memory.total_bytes), gigabytes(memory.capacity_bytes)
    verdict = f"{value} <= {has}: it fits"
    if not memory.fits:
        verdict = f"{value} > {has}: {gigabytes(memory.shortfall_bytes)} missing"
    lines = (
        "together = weights + cache + activations + reserve",
        f"  = {' + '.join(gigabytes(part) for part in parts)} = {value}",
        verdict,
    )
    return Explanation("memory of the fullest device", value, lines, notes=("GB is 1e9 bytes",))


def _params(estimate: Estimate, _key: str) -> Explanation:
    setting = estimate.setting
    model = setting.model
    rows = tuple((group, f"{count:,}") for group, count in model.params_by_group.items())
    value = f"{model.params:,}"
    lines = ("parameters = sum over the layers, tables and head", f"  = {value}")
    notes = (f"{model.active_params:,} of them are active on a token", *model.notes)
    return Explanation("parameters", value, lines, ("group", "parameters"), rows, "", notes)


def _kv(estimate: Estimate, _key: str) -> Explanation:
    setting = estimate.setting
    held = cache_elements(setting.model.description, 1, windowed=False)
    width = estimate.precision.kv_bytes
    value = f"{held * width:,.0f} B"
    lines = (
        "cache of a token = elements in all layers x bytes of an element",
        f"  = {held:,} x {width:g} B = {value}",
    )
    return Explanation("cache of one token of one sequence", value, lines)


def _power(estimate: Estimate, _key: str) -> Explanation:
    energy = estimate.energy
    assert energy is not None  # noqa: S101
    value = f"{digits(energy.power_w)} W"
    between = f"{digits(energy.power_low_w)} .. {digits(energy.power_high_w)} W"
    lines = (f"power = {energy.assumption.partition(';')[0]}", f"  = {value}")
    return Explanation(
        "power of one device", value, lines, notes=(f"80 % interval {between}", energy.assumption)
    )


def _energy(estimate: Estimate, key: str) -> Explanation:
    energy = estimate.energy
    assert energy is not None  # noqa: S101
    whole = f"{digits(energy.energy_j)} J"
    lines = [
        "energy = devices x power x time",
        (
            f"  = {estimate.plan.devices} x {digits(energy.power_w)} W x "
            f"{seconds(estimate.total.expected_s)} = {whole}"
        ),
    ]
    title, value = "energy of the run", whole
    if key == "energy.token":
        title, value = "energy of a token", f"{digits(energy.per_token_j)} J"
        each = "generated tokens" if estimate.generate else "sequences"
        tokens = estimate.batch * max(estimate.generate, 1)
        lines += [f"a token = energy / (batch x {each})", f"  = {whole} / {tokens:,} = {value}"]
    between = f"{digits(energy.energy_low_j)} .. {digits(energy.energy_high_j)} J"
    notes = (f"80 % interval of the run {between}", energy.assumption)
    return Explanation(title, value, tuple(lines), notes=notes)


def _rise(estimate: Estimate, key: str) -> Explanation:
    setting = estimate.setting
    energy, resistance = estimate.energy, setting.device.thermal_resistance_c_per_w
    if energy is None or energy.rise_c is None or resistance is None:
        raise UsageError(f"{key} has no number: the thermal resistance is not known")
    value = f"{digits(energy.rise_c)} °C"
    lines = ("rise = power x thermal resistance",
             f"  = {digits(energy.power_w)} W x {resistance:g} °C/W = {value}")  # fmt: skip
    return Explanation("steady temperature above the coolant", value, lines)


def _fit(capacity: Fit, key: str) -> Explanation:
    memory = gigabytes(capacity.memory.capacity_bytes)
    rule = f"weights + cache + activations + reserve <= {memory} on the fullest device"
    known = {
        "fit.batch": ("largest batch at this context", f"{capacity.largest_batch:,}", ()),
        "fit.context": ("longest context at this batch", context_text(capacity),
                        ("never longer than the positions that the model has",)),
        "fit.devices": ("fewest devices for this", describe_devices(capacity),
                        ("heads are divided over up to 8 devices, layers beyond",)),
    }  # fmt: skip
    if key not in known:
        raise UsageError(f"{key!r:.60} names no number of this estimate")
    title, value, more = known[key]
    lines = f"the {title.partition(' ')[0]} for which", f"  {rule}"
    return Explanation(title, value, lines, notes=(capacity.memory.assumption, *more))
