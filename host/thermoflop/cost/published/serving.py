"""Published rows of inference: what the metric of each measured, as a question and seconds.

A raw row is a JSON object with ``engine``, ``gpu_key`` or ``gpu``, ``precision``, ``metric``,
``value``, ``batch``, ``input_len``, ``output_len`` and ``shape``.
"""

from __future__ import annotations

import re
from typing import Any

from thermoflop.base.plain import is_between
from thermoflop.base.record import replace
from thermoflop.cost.engines.abilities import kind_of_weights
from thermoflop.cost.engines.engine import find_engine
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.inference.arguments import Workload
from thermoflop.cost.inference.formats import choose_formats
from thermoflop.cost.inference.question import Question
from thermoflop.cost.published.names import (
    SHORT_PROMPT,
    TASK_PROMPTS,
    device_of,
    model_of,
    precision_of,
    published_in_4_bits,
)
from thermoflop.cost.published.row import Row, Skipped
from thermoflop.cost.work.shard import shard
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.weights import Checkpoint
from thermoflop.errors import ThermoflopError
from thermoflop.model.model import Model

# Names of the same quantity, all in milliseconds.
TOKEN_METRICS = frozenset({
    "decode_ms_per_token", "per_token_latency_ms", "inter_token_latency_ms", "itl_ms", "tpot_ms",
    "median_itl_ms", "mean_itl_ms", "median_tpot_ms", "mean_tpot_ms", "time_per_output_token_ms",
})  # fmt: skip
PREFILL_METRICS = frozenset({
    "first_token_latency_ms", "encoder_forward_latency_ms", "ttft_ms", "time_to_first_token_ms",
    "median_ttft_ms", "mean_ttft_ms", "prefill_ms", "prefill_latency_ms",
})  # fmt: skip

# Steps for which InferenceX's recipes of Llama 3 70B on TensorRT-LLM hold prompts back at 1,024 +
# 1,024 tokens and fewer than 8 devices (batch_wait_timeout_iters in 70b_fp8_b200_trt_slurm.sh,
# 70b_fp8_h200_trt_slurm.sh and 70b_fp4_b200_trt_slurm.sh of SemiAnalysisAI/InferenceX; those of
# other models set none). Their lengths are drawn from 0.8 to 1 of the nominal ones.
HELD, HELD_LENGTHS = 20, range(900, 1025)

# InferenceX runs Qwen3.5 in 8 bits on B200 with SGLang 0.5.9 over 8 devices, or over 4 with the
# experts spread; over 4 without, by the recipe that drafts tokens: qwen3.5-fp8-b200-sglang-mtp, 3
# steps of EAGLE (nvidia-master.yaml and perf-changelog.yaml of SemiAnalysisAI/InferenceX, pull
# requests 898 and 918). Its rows do not say so, and NVIDIA's gap analysis repeats them.
DRAFTED = ("sglang 0.5.9", "qwen3.5-397b-a17b", "B200-SXM", "fp8", 4, 1)

# What one row's metric gives: phase, seconds, whether a step carries its share of prefills.
Measured = tuple[str, float, bool]


def serving_row(raw: dict[str, Any]) -> Row:
    """The question that a raw row answers. Skipped, with the reason, where there is none."""
    if raw.get("usable") is False:
        raise Skipped("configuration incomplete in the source")
    if raw.get("oom") or not _positive(raw.get("value")):
        raise Skipped("no measured value")
    if raw.get("lowest_offload_device") not in (None, "GPU") or raw.get("engine") == "Petals":
        raise Skipped("weights off the device: not modelled")
    if str(raw.get("engine")).startswith("ds-zero"):  # each device has a batch of its own
        raise Skipped("weights gathered from other devices in each step: not modelled")
    device, model = _device(raw), model_of(raw)
    model, precision, checkpoint = _formats(raw, device, model)
    layout = _layout(raw)
    if raw.get("drafts") or _recipe(raw, layout) == DRAFTED:
        raise Skipped("its tokens were drafted")
    batch = _batch(raw)
    prompt, generate = _lengths(raw)
    phase, seconds, mixes = _measured(raw, batch, prompt, generate)
    if phase == "client":
        batch = float(raw["max_concurrency"])
    expected, reason = _expected(raw)
    try:
        shard(model.description, layout.tp, layout.ep)
    except ThermoflopError as error:
        expected, reason = False, f"checks the bound only: {error}"
    cached = int(raw.get("cached_len") or 0)
    workload = Workload(batch, cached + prompt, generate, cached)
    question = Question(
        str(raw.get("engine", "")), model, device, layout, precision, workload,
        "prefill" if model.is_encoder else phase, mixes, str(raw.get("measured") or ""),
        _held(raw, layout, workload), checkpoint,
    )  # fmt: skip
    return Row(
        str(raw.get("id", "")), str(raw.get("source", "")), str(raw.get("model", "")), phase,
        seconds, question, expected, reason,
    )  # fmt: skip


def _held(row: dict[str, Any], layout: Layout, load: Workload) -> float:
    """Steps for which the server held prompts back, as its recipe says."""
    label, model = str(row.get("engine")).lower(), str(row.get("model")).lower()
    known = label.startswith("tensorrt-llm") and "inferencex" in label
    alike = load.prompt in HELD_LENGTHS and load.generate in HELD_LENGTHS
    return HELD * float(known and alike and layout.tp < 8 and "llama-3" in model and "70b" in model)


def _recipe(row: dict[str, Any], layout: Layout) -> tuple[str, str, str, str, int, int]:
    """What tells the recipes of a benchmark apart."""
    label, _, _ = str(row.get("engine")).lower().partition(" (")
    names = str(row.get("model")).lower(), str(row.get("gpu_key")), str(row.get("precision"))
    return label, *names, layout.tp, layout.ep


def _batch(row: dict[str, Any]) -> float:
    """Sequences in a step, also where they are text, such as ``64`` or ``64 (max)``."""
    number = re.match(r"\s*\d+(\.\d+)?", str(row.get("batch") or row.get("max_concurrency") or ""))
    if not number or float(number[0]) <= 0:
        raise Skipped("batch unknown")
    return float(number[0])


def _formats(
    raw: dict[str, Any], device: Device, model: Model
) -> tuple[Model, Precision, Checkpoint | None]:
    """The model and its widths; matrix by matrix where 4 bits are those that it is published in."""
    own, label = published_in_4_bits(raw), str(raw.get("engine"))
    alone = kind_of_weights(str(raw.get("precision"))) == "MLX"
    if own is None and not alone:
        return model, _precision(raw, device, model), None
    said = raw.get("kv_precision")  # where a row says none its cache is counted in 16 bits
    kv_dtype = said if said in ("fp8", "fp16") else "bf16"
    if own is None:
        return model, *choose_formats(model, device, raw["precision"], kv_dtype)
    engine = label if find_engine(label).name != "default" else None
    return own, *choose_formats(own, device, None, kv_dtype, engine)


def _precision(raw: dict[str, Any], device: Device, model: Model) -> Precision:
    label, weights_gib = str(raw.get("precision")), raw.get("weights_gib")
    # weights that are written out before every product are multiplied as those of 16 bits
    widens = find_engine(str(raw.get("engine"))).dequantizes == 1
    label = "int8 weights" if widens and label == "int8" else label
    try:
        precision = precision_of(label, raw.get("kv_precision"), weights_gib, float(model.params))
        precision = replace(precision, family="16") if widens else precision
        device.peak(precision.compute)
    except ThermoflopError as error:
        raise Skipped(f"format: {error}") from error
    return precision


def _positive(value: object) -> bool:
    return is_between(value, 0, 1e15)


def _device(row: dict[str, Any]) -> Device:
    if " + " in str(row.get("gpu_key") or row.get("gpu")):
        raise Skipped("devices of two kinds")
    return device_of(row)


def _layout(row: dict[str, Any]) -> Layout:
    """The layout; without a stated split, serving engines divide heads and others layers."""
    devices = int(row.get("gpu_count") or 1)
    tp, pp, ep = int(row.get("tp") or 1), int(row.get("pp") or 1), int(row.get("ep") or 1)
    if ep > 1 and tp == 1:
        tp = ep  # attention is divided over the devices that share the experts
    if row.get("tp") is None and row.get("ep") is None and devices > 1:
        by_heads = find_engine(str(row.get("engine"))).splits == "heads"
        return Layout(devices) if by_heads else Layout(1, devices)
    return Layout(tp, pp, ep=ep)


def _lengths(row: dict[str, Any]) -> tuple[int, int]:
    """Prompt and generated tokens, assumed where the row does not state them."""
    output = row.get("output_len")
    if row.get("task"):
        output = round(row.get("mean_output_len") or 0)
        return TASK_PROMPTS.get(str(row["task"]), 500), max(1, output)
    context = row.get("context_len") or 0
    prompt = row.get("input_len")
    prompt = int(prompt if prompt is not None else context or SHORT_PROMPT)
    return prompt, int(128 if output is None else output)


def _measured(row: dict[str, Any], batch: float, prompt: int, generate: int) -> Measured:
    """Phase, seconds, and whether steps carry prefills of other sequences."""
    metric, value = str(row.get("metric")), float(row["value"])
    if metric in PREFILL_METRICS:
        clients = _positive(row.get("max_concurrency"))
        return "client" if clients else "prefill", value / 1e3, clients
    if metric in TOKEN_METRICS:
        return "token", value / 1e3, False
    if metric.startswith("ms_per_token_per_sequence (wall"):  # of a batch from its prompts on
        return "total", batch * generate * value / 1e3, False
    if metric.startswith("ms_per_token_per_sequence"):
        return "token", batch * value / 1e3, True
    if metric == "phase_latency_s":
        reads = row.get("phase") == "prefill"
        steps = 1 if reads else int(row.get("output_len") or 1)
        return "prefill" if reads else "token", value / steps, False
    if metric in ("output_tokens_per_s", "output_tokens_per_s_per_gpu"):
        return _throughput(row, batch, generate)
    known = {
        "end_to_end_latency_ms": ("total", value / 1e3),
        "end_to_end_latency_s": ("total", value),
        "prefill_tokens_per_s": ("prefill", batch * prompt / value),
        "decode_tokens_per_s": ("token", batch / value),
        "tokens_per_s_(see note)": ("total", batch * generate / value),
        "(prompt+generated)_tokens_per_s": ("total", batch * (prompt + generate) / value),
    }
    if metric not in known:
        raise Skipped(f"metric {metric[:60]!r} is not compared")
    return *known[metric], False


def _throughput(row: dict[str, Any], batch: float, generate: int) -> Measured:
    """A rate: as a step where the row gives one, else as the whole generation."""
    if _positive(row.get("mean_step_ms_from_throughput")):
        return "token", float(row["mean_step_ms_from_throughput"]) / 1e3, True
    if _positive(row.get("itl_ms")) or _positive(row.get("tpot_ms")):
        return "token", float(row.get("itl_ms") or row["tpot_ms"]) / 1e3, False
    value = float(row["value"])
    if str(row.get("metric")).endswith("per_gpu"):
        value *= int(row.get("tp") or 1) * int(row.get("pp") or 1)
    return "total", batch * generate / value, False


def _expected(row: dict[str, Any]) -> tuple[bool, str]:
    """Whether an expectation is asked for, or the row only checks the bound."""
    engine = str(row.get("engine"))
    most = str(row.get("metric", "")).startswith("output_tokens") and not row.get("max_concurrency")
    if engine.startswith("TensorRT-LLM") and most:
        return False, "maximum-throughput serving: checks the bound only"
    if "unknown" in str(row.get("precision")):
        return False, "format unknown"
    return True, ""
