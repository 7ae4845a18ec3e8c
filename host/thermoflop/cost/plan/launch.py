"""The command that starts a choice on its engine. ``data/launch_flags.json`` lists the flags that
each engine documents, with where; a test holds every printed one against it."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping
from math import ceil
from typing import Any

from thermoflop.cost.engines.engine import is_ollama
from thermoflop.cost.engines.options import given_options
from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.plan.nodes import sglang_nodes, tensorrt_job, vllm_nodes
from thermoflop.cost.plan.unit import Unit
from thermoflop.model.model import Model

# What engines call the formats of a checkpoint that is quantized as it is loaded; what they read
# from a checkpoint's own configuration needs no flag.
QUANTIZATION = {"fp8": "fp8"}
# Encodings in the names of GGUF files (ggml's docs/gguf.md: Model-ENCODING.gguf), where they are
# not the format's own name in capitals.
ENCODING = {"int4": "Q4_0", "int8": "Q8_0", "int8-wo": "Q8_0", "fp16": "F16", "fp32": "F32"}
OLLAMA = "ollama serve"
_CONTEXT = re.compile(
    r"(--max-model-len|--context-length|--max_seq_len|--ctx-size|OLLAMA_CONTEXT_LENGTH)[ =](\d+)"
)
GGUF_CACHE = {1.0625: "q8_0", 0.75: "q5_1", 0.6875: "q5_0", 0.625: "q4_1", 0.5625: "q4_0"}


# Formats that every engine makes of a checkpoint in 16 bits, without a further one.
PLAIN = ("bf16", "fp16", "fp32")


def is_own(model: Model, dtype: str, engine: str) -> bool:
    """Whether an engine has a format from the weights that the model is published with; of GGUF
    files and MLX's all are others' files."""
    published = None if model.quantization is None else model.quantization.default
    made = PLAIN if engine == "tensorrt-llm" else (*PLAIN, *QUANTIZATION)  # it reads fp8, no more
    return engine in ("llama.cpp", "mlx") or dtype in (*made, published and published.name)


def published_in(model: Model, dtype: str) -> str:
    """The name in the catalogue under which a model of it is published in a format; "" where it is
    not known to be, or the model is somebody's own."""
    from thermoflop.model.config.catalogue import canonical, names

    # a file that is called like a model need not be that one
    own = model.stored is not None or os.path.exists(model.source)  # noqa: PTH110
    meant, ending = canonical(model.hub_id or model.name), f"-{dtype}"
    found = (
        each for each in ([] if own else names())
        if each.endswith(ending) and canonical(each.removesuffix(ending)) == meant
    )  # fmt: skip
    return next(found, "")


def checkpoint(model: Model, dtype: str, engine: str) -> tuple[str, str]:
    """What a command calls the weights of a model in a format, and a sentence where a person has to
    put something else in its place."""
    from thermoflop.model.config.catalogue import hub_id

    if not is_own(model, dtype, engine):
        plain = (model.hub_id or hub_id(model.name) or model.name).rstrip("/").rpartition("/")[2]
        placeholder = f"YOUR-{dtype.upper()}-CHECKPOINT-OF/{plain}"
        kind = "int4, such as AWQ or GPTQ" if dtype == "int4" else dtype
        known = hub_id(published_in(model, dtype))
        kind += f", such as {known}" if known else ""
        return placeholder, f"note: {placeholder} stands for the id or folder of weights in {kind}"
    if model.hub_id:
        return model.hub_id, ""
    if model.stored is not None:
        return os.path.dirname(model.source) or ".", ""  # noqa: PTH120
    # a file that is called like a model need not be that one
    known = None if os.path.exists(model.source) else hub_id(model.name)  # noqa: PTH110
    if known is not None:
        return known, ""
    return model.name, f"note: {model.name} stands for the model's Hugging Face id or its folder"


def _gguf(model: Model, precision: Precision) -> str:
    """The model's own file, or what files of its format are called."""
    if model.source.endswith(".gguf"):
        return model.source
    encoding = ENCODING.get(precision.name, precision.name.upper())
    return f"{model.name}-{encoding}.gguf"


# Options of the engines that were given and that a command has by the same name; it says how many
# run at once and how long they are itself.
GIVEN = {
    "vllm": ("gpu_memory_utilization", "block_size", "enforce_eager", "enable_prefix_caching"),
    "sglang": (
        "mem_fraction_static", "cuda_graph_max_bs", "page_size", "swa_full_tokens_ratio",
        "mamba_full_memory_ratio", "max_mamba_cache_size", "mamba_radix_cache_strategy",
        "mamba_ssm_dtype", "disable_radix_cache",
    ),
    "tensorrt-llm": ("free_gpu_memory_fraction",),
    "llama.cpp": ("ubatch_size", "flash_attn", "swa_full"),
}  # fmt: skip
VALUED = ("flash_attn",)  # of flags those that say on or off
DENIED = ("enforce_eager", "enable_prefix_caching")  # those that have a --no- form


def given_flags(engine: str, given: Mapping[str, Any] | None) -> list[str]:
    """The flags of a command for options that were given."""
    if not given:
        return []
    parts, values = [], given_options(engine, given)
    for name in GIVEN.get(engine, ()):
        value = values.get(name)
        if value is None or (value is False and name not in VALUED + DENIED):
            continue  # left to the engine, or off as it is without a flag
        flag = f"--{name}" if engine == "tensorrt-llm" else f"--{name.replace('_', '-')}"
        if isinstance(value, bool) and name not in VALUED:
            parts += [flag if value else f"--no{flag[1:]}"]
        else:
            said = {True: "on", False: "off"}.get(value, value) if name in VALUED else value
            parts += [flag, str(said)]
    return parts


def launch(unit: Unit, model: Model, slots: int, given: Mapping[str, Any] | None = None) -> str:
    """The command line of one replica for so many sequences at once, with the engine's options that
    were given; "" for an engine that is not known as a server."""
    if not unit.setting.profile.engine.serves:
        return ""
    engine = unit.setting.profile.engine.name
    if is_ollama(unit.setting.asked):
        return _ollama(unit, slots, given)
    more = given_flags(engine, given)
    if engine == "llama.cpp":
        return shlex.join(_llama(unit, _gguf(model, unit.setting.precision), slots) + more)
    parts = {"sglang": _sglang, "tensorrt-llm": _tensorrt}.get(engine, _vllm)
    weights = checkpoint(model, unit.setting.precision.name, engine)[0]
    return " ".join(parts(unit, shlex.quote(weights), slots) + more)


def launch_notes(command: str, model: Model, dtype: str) -> list[str]:
    """Sentences on what a person has to put into the command, for weights in a format."""
    if not command.strip():
        return ["note: no command is known that starts this engine as a server: none is printed"]
    return [*_weights_notes(command, model, dtype), *_longest_notes(command, model)]


def _longest_notes(command: str, model: Model) -> list[str]:
    """A sentence on the context that a command sets, where the model has room for more."""
    found = _CONTEXT.search(command)
    slots = re.search(r"--ctx-size \d+ --parallel (\d+)", command)
    each = int(found[2]) // int(slots[1] if slots else 1) if found else math.inf
    if found is None or each >= (model.max_positions or math.inf):
        return []
    return [f"note: {found[1]} is for {each:,} tokens a request, as asked for: say more for longer"]


def _weights_notes(command: str, model: Model, dtype: str) -> list[str]:
    """Sentences on the name of the weights in a command."""
    if command.endswith(OLLAMA):
        named = f"note: the model is the one in {dtype} under its name at ollama.com"
        return [f"{named}; num_ctx of a request or a Modelfile comes before OLLAMA_CONTEXT_LENGTH"]
    if not command.startswith("llama-server"):
        engine = "tensorrt-llm" if "trtllm-serve " in command else ""
        said = checkpoint(model, dtype, engine)[1]
    elif model.source.endswith(".gguf"):
        said = ""
    else:
        said = f"note: {shlex.split(command)[2]} stands for the path of your file in that format"
    return [said] if said else []


def _context(unit: Unit) -> int:
    """Tokens of the longest sequence: of lengths that spread, four times the mean."""
    lengths = unit.lengths
    longest = lengths.most if lengths.shape != "lognormal" else 4 * lengths.most
    longest = ceil(longest * (1.25 if lengths.shape == "uniform" else 1.0))
    known = unit.setting.model.max_positions
    return longest if known is None else min(longest, known)


def _narrow_cache(precision: Precision) -> bool:
    return precision.kv_bytes == 1.0 and precision.activation_bytes == 2.0


def _quantized(unit: Unit) -> list[str]:
    """The format of the weights where it is not the checkpoint's: made narrow while they are
    loaded, or fp16."""
    name = QUANTIZATION.get(unit.setting.precision.name)
    published = unit.setting.model.quantization is not None
    # the checkpoint's bf16 is refused by engines where the device lacks it
    half = ["--dtype", "half"] if unit.setting.precision.name == "fp16" else []
    return half if name is None or published else ["--quantization", name]


def _vllm(unit: Unit, model: str, slots: int) -> list[str]:
    layout = unit.layout
    parts = ["vllm serve", model, "--tensor-parallel-size", str(layout.tp)]
    parts += ["--pipeline-parallel-size", str(layout.pp)] if layout.pp > 1 else []
    parts += ["--data-parallel-size", str(layout.dp)] if layout.dp > 1 else []
    parts += ["--prefill-context-parallel-size", str(layout.cp)] if layout.cp > 1 else []
    parts += ["--enable-expert-parallel"] if layout.ep > 1 else []
    parts += vllm_nodes(layout)
    parts += ["--max-num-seqs", str(slots), "--max-num-batched-tokens", str(unit.policy.budget)]
    parts += ["--max-model-len", str(_context(unit)), *_quantized(unit)]
    return parts + (["--kv-cache-dtype", "fp8"] if _narrow_cache(unit.setting.precision) else [])


def _sglang(unit: Unit, model: str, slots: int) -> list[str]:
    layout = unit.layout
    parts = ["python -m sglang.launch_server", "--model-path", model]
    parts += ["--tp-size", str(layout.tp * layout.dp)]
    parts += ["--pp-size", str(layout.pp)] if layout.pp > 1 else []
    parts += ["--dp-size", str(layout.dp), "--enable-dp-attention"] if layout.dp > 1 else []
    parts += ["--ep-size", str(layout.ep)] if layout.ep > 1 else []
    parts += sglang_nodes(layout)
    # the server divides both by its replicas
    parts += ["--max-running-requests", str(slots * layout.dp)]
    parts += ["--chunked-prefill-size", str(unit.policy.budget * layout.dp)]
    parts += ["--context-length", str(_context(unit)), *_quantized(unit)]
    return parts + (
        ["--kv-cache-dtype", "fp8_e4m3"] if _narrow_cache(unit.setting.precision) else []
    )


def _tensorrt(unit: Unit, model: str, slots: int) -> list[str]:
    """Attention under data parallelism is a setting of the file that ``--config`` names."""
    layout = unit.layout
    parts = [*tensorrt_job(layout), "trtllm-serve", model]
    parts += ["--tp_size", str(layout.tp * layout.dp)]
    parts += ["--pp_size", str(layout.pp)] if layout.pp > 1 else []
    parts += ["--ep_size", str(layout.ep)] if layout.ep > 1 else []
    parts += ["--max_batch_size", str(slots), "--max_num_tokens", str(unit.policy.budget)]
    parts += ["--max_seq_len", str(_context(unit)), "--enable_chunked_prefill"]
    return parts + (["--config", "enable_attention_dp.yaml"] if layout.dp > 1 else [])


def _llama(unit: Unit, model: str, slots: int) -> list[str]:
    """The context is shared out to the slots; layers are split over several devices."""
    layout, precision = unit.layout, unit.setting.precision
    parts = ["llama-server", "--model", model, "--n-gpu-layers", "all"]
    parts += ["--split-mode", "row" if layout.tp > 1 else "layer"] if layout.devices > 1 else []
    parts += ["--ctx-size", str(slots * _context(unit)), "--parallel", str(slots)]
    parts += ["--batch-size", str(unit.policy.budget)]
    cache = GGUF_CACHE.get(precision.kv_bytes)
    return parts + ([] if cache is None else ["--cache-type-k", cache, "--cache-type-v", cache])


def _ollama(unit: Unit, slots: int, given: Mapping[str, Any] | None) -> str:
    """Its server reads the environment; over several devices it spreads layers only where it has
    to, or is told to."""
    options = given_options("ollama", given)
    context = options.get("num_ctx") or _context(unit)
    settings: dict[str, Any] = {"NUM_PARALLEL": slots, "CONTEXT_LENGTH": context}
    if cache := GGUF_CACHE.get(unit.setting.precision.kv_bytes):
        settings["KV_CACHE_TYPE"] = cache
    if (flash := options.get("flash_attention")) is not None:
        settings["FLASH_ATTENTION"] = int(flash)
    if unit.layout.devices > 1:
        settings["SCHED_SPREAD"] = 1
    return " ".join([*(f"OLLAMA_{name}={value}" for name, value in settings.items()), OLLAMA])
