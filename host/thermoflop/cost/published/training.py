"""Published rows of training: iterations, and the seconds that one takes on all devices.

Rows state iteration times, tokens a second, or FLOP rates under a convention of their source; all
become seconds of one iteration here. Conventions: Narayanan et al. 2021 count one recomputation of
the layers in their FLOPs (eq. 3: 96 B s L h^2 (1 + s/6h + V/16Lh)).
"""

from __future__ import annotations

from typing import Any

from thermoflop.base.plain import is_number
from thermoflop.base.record import replace
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.nodes import with_network
from thermoflop.cost.hardware.precision import Precision, choose_precision
from thermoflop.cost.published.names import config_of, device_of, model_of
from thermoflop.cost.published.row import Row, Skipped
from thermoflop.cost.training.iteration import EAGER, HALF, Iteration
from thermoflop.cost.training.loss import OWN
from thermoflop.cost.training.overlap import USUAL_OVERLAP, overlap_of, overlaps_of
from thermoflop.cost.training.power import speed_of
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.weights import layers_of
from thermoflop.errors import ThermoflopError
from thermoflop.model.model import Model

# What is in a source's name -> the trainer, and whether its attention keeps scores on the chip.
TRAINERS = (
    ("bigscience", "megatron-deepspeed", False),
    ("llm-foundry", "llm-foundry", True),
    ("torchtitan", "torchtitan", True),
    ("Megatron-Bridge", "megatron-bridge", True),
    ("Megatron-LM README", "megatron-bridge", True),
    ("Narayanan", "megatron-lm", False),
    ("Korthikanti", "megatron-lm", False),
    ("Megatron-LM", "megatron-lm", False),
    ("flash-attention", "flash-attention", True),
    ("MaxText", "maxtext", True),
    ("LLMQ", "llmq", True),
    ("karpathy", "llm.c", True),
)
FORMATS = {
    "mxfp8": "fp8", "fp8-cs": "fp8", "fp8-mx": "fp8", "fp8-cs (fp8-mx)": "fp8", "fp8": "fp8",
    "nvfp4": "nvfp4", "amp_bf16": "bf16", "fp16/bf16": "bf16", "bf16": "bf16", "fp16": "fp16",
    "bf16 + fp32 master": "bf16", "16-bit": "bf16", "fp16 or bf16 (16-bit mixed)": "fp16",
}  # fmt: skip


# Trainers that divide norms and residuals along with tensor parallelism unless told otherwise.
SEQUENCE_PARALLEL = frozenset({"megatron-bridge", "torchtitan"})
# Networks that differ from the makers' systems, GB/s of a device. Jean Zay has 4 Omni-Path links of
# 100 Gbit/s for 8 A100 (bigscience-workshop/bigscience, train/tr11-176B-ml/README.md).
CLUSTERS = (("bigscience", 6.25),)
# Builds that the catalogue's device differs from: bytes a second of memory, watts.
BUILDS = (("llama3_h100_202412_torchtitan", 2.4e12, 500.0),)  # as it says: 96 GB of HBM2e, 500 W
# Runs of Megatron-Bridge whose recipes recompute no layers, by their model, and the devices of
# which they do (scripts/performance/configs: llama/llama31_, kimi/kimi_, deepseek/deepseek_ and
# nemotronh/nemotron_3_workload_base_configs.py). Of latent attention they make queries, keys and
# values again (``mla_up_proj``), below 1 % of an iteration.
KEEP_ALL = {
    "LLAMA3.1_405B": "", "Kimi_K2": "", "DeepSeekV3 (w/o MTP)": "", "DeepSeekV3 (w/ MTP)": "",
    "Nemotron_3_Nano": "H100",
}  # fmt: skip
# What they recompute there: all that experts do (``recompute_modules``: moe, layernorm, core_attn,
# moe_act), of the products of its layers 23 x 80.2 of 2,875 million parameters that a token meets.
AGAIN = {"Nemotron_3_Nano": 0.64}
# Runs whose gradients are summed behind the backward pass where their trainer's others are not, by
# source and devices: of its 8.3B Megatron-LM's README says that PyTorch's wrapper, which does so,
# brings 76 % of linear scaling where its own brings 60 %, and that smaller models are left without.
BEHIND_BACKWARD = (("images/tables.tex", 1024),)
# Stages of ZeRO that a trainer's published runs use unless they say otherwise.
ZERO = {"llm-foundry": 3, "megatron-bridge": 1}


def training_row(raw: dict[str, Any]) -> Row:
    """The iteration that a raw row timed. Skipped, with the reason, where it cannot be compared."""
    device = _device(raw)
    shape, model = _model(raw)
    trainer, fused = trainer_of(f"{raw.get('engine') or ''} {raw.get('source') or ''}")
    sequence = int(raw.get("seq_len") or 0)
    assumed: list[str] = []
    if not sequence:
        raise Skipped("sequence length unknown")
    precision = _precision(raw, device)
    device = with_network(device, None, _network_gb_s(raw))
    divided = bool(raw.get("sequence_parallel", trainer in SEQUENCE_PARALLEL))
    plan = replace(
        _plan(raw, assumed, sequence=divided), overlap=_overlap(raw, trainer),
        node_size=device.network.node_size,
    )  # fmt: skip
    batch = float(raw.get("global_batch") or 0)
    if not batch:
        batch = _batch(raw, sequence, plan)
        assumed.append("global batch")
    micro = float(raw.get("micro_batch") or 0)
    if raw.get("micro_batch_confidence") == "assumed" and trainer == "torchtitan":
        micro = batch / plan.dp / plan.pp  # as many as stages, its default at the time
    if not micro:
        micro = 4.0
        assumed.append("micro batch")
    recompute, known = _recompute(raw, trainer, device)
    if raw.get("activation_recompute") is None:
        assumed.append("recomputation")
    half = trainer == "torchtitan" and recompute == "selective"  # its policy for operators
    virtual = _interleaved(raw, model, plan)
    iteration = Iteration(
        trainer, model, device, plan, precision, batch,
        min(micro, batch / plan.dp), sequence, virtual,
        "none" if half else recompute, fused, _zero(raw, trainer), HALF if half else 0.0,
        compiled=bool(raw.get("compiled", trainer not in EAGER)), by_operator=half,
        loss=OWN.get(trainer, "full"),
    )  # fmt: skip
    hidden = overlaps_of(trainer, plan, virtual, precision)
    hidden |= {"tensor_overlap": USUAL_OVERLAP} if raw.get("async_tp") else {}
    iteration = replace(iteration, **hidden)
    if not known:
        share = AGAIN.get(str(raw.get("model"))) if trainer == "megatron-bridge" else None
        share = _recomputed(iteration) if share is None else share
        iteration = replace(iteration, recomputed=share)
    return Row(
        str(raw.get("id", "")), str(raw.get("source", "")), str(raw.get("model", "")), "iteration",
        _seconds(raw, shape, batch, sequence, plan.devices), iteration, True, ", ".join(assumed),
    )  # fmt: skip


def _recompute(raw: dict[str, Any], trainer: str, device: Device) -> tuple[str, bool]:
    """What a run recomputes, and whether that is known: said by its row or by its recipe, or all
    of it by the trainers that did."""
    if raw.get("activation_recompute") is not None:
        return str(raw["activation_recompute"]), True
    apart = KEEP_ALL.get(str(raw.get("model"))) if trainer == "megatron-bridge" else None
    if apart is not None and not (apart and device.name.startswith(apart)):
        return "none", True
    full = trainer in ("megatron-lm", "megatron-deepspeed")
    return ("full" if full else "none"), full


def _overlap(raw: dict[str, Any], trainer: str) -> float:
    """The share of the replicas' traffic that a run hid behind computing."""
    run = str(raw.get("source")), raw.get("gpu_count")
    if any(source in run[0] and devices == run[1] for source, devices in BEHIND_BACKWARD):
        return USUAL_OVERLAP
    return overlap_of(trainer)


def _interleaved(raw: dict[str, Any], model: Model, plan: Layout) -> int:
    """Stages that a device holds. Narayanan et al. 2021, section 5.1, use the interleaved schedule
    without saying how many: the fewest that divide the layers of a stage."""
    stated = raw.get("vp") or raw.get("interleave")
    if stated or plan.pp == 1 or "Narayanan" not in str(raw.get("source")):
        return int(stated or 1)
    each = max(1, layers_of(model.description) // plan.pp)
    return next((chunks for chunks in range(2, each) if each % chunks == 0), each)


def _zero(raw: dict[str, Any], trainer: str) -> int:
    """The stage of ZeRO; fully sharded where the row counts the devices of FSDP."""
    return 3 if raw.get("fsdp") else int(raw.get("zero_stage") or ZERO.get(trainer, 0))


def _recomputed(iteration: Iteration) -> float:
    """The share of layers that must have been recomputed for a run that was measured to fit.

    Where a source does not say what it recomputes: as little as its memory allows.
    """
    from thermoflop.cost.training.memory import training_memory

    kept = training_memory(iteration)
    least = training_memory(replace(iteration, recompute="full"))
    saved = kept.total_bytes - least.total_bytes
    return kept.shortfall_bytes / saved if kept.shortfall_bytes < saved else 1.0


def trainer_of(source: str) -> tuple[str, bool]:
    """The trainer behind a source, and whether its attention is fused."""
    for word, name, fused in TRAINERS:
        if word.lower() in source.lower():
            return name, fused
    return "other", True


def _device(row: dict[str, Any]) -> Device:
    device, source = device_of(row), str(row.get("source"))
    for word, bandwidth_bytes_s, power_w in BUILDS:
        if word in source and device.power_w:
            slower = speed_of(power_w, device.power_w)
            peaks = {format_: slower * peak for format_, peak in device.peaks.items()}
            device = replace(device, bandwidth_bytes_s=bandwidth_bytes_s, peaks=peaks)
    return device


def _model(row: dict[str, Any]) -> tuple[dict[str, Any], Model]:
    """The shape and the model: of its shape, else of the catalogue by its name."""
    from thermoflop.model.load import load_model

    try:
        shape = _shape(row)
    except Skipped:
        if row.get("shape") or row.get("hidden"):
            raise
        name = str(row.get("model")).partition(" (")[0].lower().replace("_", "-")
        return {}, model_of({"model": name})
    return shape, load_model(config_of(shape))


def _network_gb_s(row: dict[str, Any]) -> float | None:
    """GB/s of a device to other nodes where the cluster is known; None: the device's default."""
    source = str(row.get("source"))
    return next((rate for word, rate in CLUSTERS if word in source), None)


def _shape(row: dict[str, Any]) -> dict[str, Any]:
    """The shape of the model; heads of 128 dimensions where their number is not stated."""
    shape = dict(row.get("shape") or {})
    for key in ("hidden", "layers", "heads", "ffn", "vocab", "gated", "kv_heads", "head_dim"):
        if key not in shape and row.get(key) is not None:
            shape[key] = row[key]
    hidden, params = shape.get("hidden"), row.get("params_b")
    if hidden and params and not shape.get("layers"):
        rest = params * 1e9 - shape.get("vocab", 50304) * hidden
        if rest < 6 * hidden**2:  # half a layer
            raise Skipped("its width leaves no layer of its parameters")
        shape["layers"] = round(rest / (12 * hidden**2))
    if not hidden or not shape.get("layers"):
        raise Skipped("shape unknown")
    if not shape.get("experts_per_token") and (shape.get("experts") or (row.get("ep") or 1) > 1):
        raise Skipped("mixtures of experts: shape incomplete")
    shape.setdefault("heads", _likely_heads(hidden, int(row.get("tp") or 1)))
    shape.setdefault("ffn", 4 * hidden)
    shape.setdefault("vocab", 50304)
    if hidden % shape["heads"] and "head_dim" not in shape:
        shape["heads"] = _likely_heads(hidden, int(row.get("tp") or 1))
    return shape


def _likely_heads(hidden: int, tp: int) -> int:
    """A number of heads that divides the width and ``tp`` divides, nearest to 128 dimensions."""
    possible = [heads for heads in range(tp, hidden, tp) if hidden % heads == 0]
    return min(possible or [1], key=lambda heads: abs(heads - hidden / 128))


def _precision(row: dict[str, Any], device: Device) -> Precision:
    name = FORMATS.get(str(row.get("precision")).lower())
    if name is None:
        raise Skipped("format unknown")
    if name == "bf16" and "bf16" not in device.peaks:
        name = "fp16"
    try:
        precision = choose_precision(name)
        device.peak(precision.compute)
    except ThermoflopError as error:
        raise Skipped(f"format: {error}") from error
    return precision


def _plan(row: dict[str, Any], assumed: list[str], *, sequence: bool) -> Layout:
    """The plan; what the degrees leave over of the devices is data parallel."""
    devices = int(row.get("gpu_count") or 0)
    if not devices:
        raise Skipped("number of devices unknown")
    tp, pp, cp = (int(row.get(name) or 1) for name in ("tp", "pp", "cp"))
    if row.get("tp") is None and row.get("pp") is None and row.get("dp") is None:
        assumed.append("parallelism")
    dp = max(1, devices // (tp * pp * cp))
    return Layout(tp, pp, dp, int(row.get("ep") or 1), cp, sequence and tp > 1)


def _batch(row: dict[str, Any], sequence: int, plan: Layout) -> float:
    tokens = row.get("tokens_per_step")
    if not tokens and row.get("batch_tokens_m"):
        tokens = row["batch_tokens_m"] * 1e6
    return max(float(plan.dp), round(float(tokens) / sequence)) if tokens else 4.0 * plan.dp


def narayanan_flops(shape: dict[str, Any], batch: float, sequence: int) -> float:
    """FLOPs of an iteration with one recomputation of the layers (Narayanan et al. 2021, eq. 3)."""
    hidden, layers, vocab = shape["hidden"], shape["layers"], shape["vocab"]
    rest = 1 + sequence / (6 * hidden) + vocab / (16 * layers * hidden)
    return float(96.0 * batch * sequence * layers * hidden**2 * rest)


def _seconds(
    row: dict[str, Any], shape: dict[str, Any], batch: float, sequence: int, devices: int
) -> float:
    """Seconds of one iteration."""
    metric, value = str(row.get("metric")), row.get("value")
    if not is_number(value) or not value > 0:
        raise Skipped("no measured value")
    if row.get("iteration_time_s") or metric == "iteration_time_s":
        return float(row.get("iteration_time_s") or value)
    if row.get("iteration_time_ms") or metric == "iteration_time_ms":
        return float(row.get("iteration_time_ms") or value) / 1e3
    tokens = batch * sequence
    if row.get("tokens_per_s_per_gpu"):
        return tokens / (float(row["tokens_per_s_per_gpu"]) * devices)
    if metric == "tokens_per_s":
        return tokens / float(value)
    if metric == "achieved_tflops_per_gpu" and "Narayanan" in str(row.get("source")):
        return narayanan_flops(shape, batch, sequence) / (float(value) * 1e12 * devices)
    raise Skipped(f"metric {metric[:50]!r} is not a time, or its convention is not known")


TRAINING_METRICS = frozenset(
    {
        "iteration_time_s", "iteration_time_ms", "achieved_tflops_per_gpu", "model_tflops_per_gpu",
        "tokens_per_s_per_gpu", "tokens_per_s", "mfu_pct", "gpu_hours", "train_minutes",
        "train_days", "total_train_flops", "gpu_hours_per_300B_tokens",
    }
)  # fmt: skip


def is_training(row: object) -> bool:
    """Whether a row measures training: by its metric, or by a key that only training has."""
    if not isinstance(row, dict):
        return False
    return row.get("metric") in TRAINING_METRICS or "global_batch" in row or "train_tokens_b" in row
