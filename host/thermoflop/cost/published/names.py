"""What published rows call models and number formats, and the shapes behind the names."""

from __future__ import annotations

import re
from typing import Any

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.precision import Precision, choose_precision
from thermoflop.cost.published.row import Skipped
from thermoflop.errors import ThermoflopError
from thermoflop.model.model import Model

# What an engine calls its formats; the first that the label starts with or contains.
LABELS = (
    ("gptq 3-bit", "gptq-3bit"),
    ("gptq-int8", "int8-wo"),
    ("int8-wo", "int8-wo"),
    ("int8 weights", "int8-wo"),
    ("gptq int4 g32", "int4-g32"),
    ("int4-g32", "int4-g32"),
    ("gptq", "gptq"),
    ("awq", "awq"),
    ("int4", "int4"),
    ("4-bit", "int4"),
    ("mxfp4", "mxfp4"),
    ("fp4", "nvfp4"),
    ("nf4-dq", "nf4-dq"),
    ("nf4", "nf4"),
    ("exl2 ", "exl2-"),
    ("bf16", "bf16"),
    ("fp16", "fp16"),
    ("f16", "fp16"),
)
# The prompt of chat data sets in tokens where the rows do not say; an assumption.
TASK_PROMPTS = {"lm-arena-chat": 100}
SHORT_PROMPT = 16


def precision_of(
    label: str, kv_label: str | None, weights_gib: float | None, params: float
) -> Precision:
    """The widths behind a published label; a stated file size gives the mean width."""

    low = label.lower()
    name = low
    for word, meaning in LABELS:
        if word in low:
            name = "exl2-" + low.split()[1] if meaning == "exl2-" else meaning
            break
    precision = choose_precision(name, kv_label if kv_label in ("fp8", "int8", "fp16") else None)
    if weights_gib and params:
        bits = weights_gib * 2**30 * 8 / params
        precision = replace(precision, weight_bits=bits, kept_bits=bits)
    return precision


def config_of(shape: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a known family that has this shape."""
    hidden, layers, heads = shape["hidden"], shape["layers"], shape["heads"]
    if shape.get("encoder"):
        return {
            "model_type": "bert", "hidden_size": hidden, "num_hidden_layers": layers,
            "num_attention_heads": heads, "intermediate_size": shape["ffn"],
            "vocab_size": shape["vocab"], "max_position_embeddings": 512, "type_vocab_size": 2,
        }  # fmt: skip
    common = {
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": shape.get("kv_heads", heads), "vocab_size": shape["vocab"],
        "intermediate_size": shape["ffn"], "max_position_embeddings": 1_000_000,
        "head_dim": shape.get("head_dim") or hidden // heads, "tie_word_embeddings": False,
    }  # fmt: skip
    if shape.get("experts"):
        return {
            "model_type": "mixtral", **common,
            "num_local_experts": shape["experts"],
            "num_experts_per_tok": shape["experts_per_token"],
        }  # fmt: skip
    if shape.get("gated"):
        return {"model_type": "llama", **common}
    if shape.get("kv_heads", heads) != heads:
        return {
            "model_type": "falcon", "hidden_size": hidden, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_kv_heads": shape["kv_heads"],
            "vocab_size": shape["vocab"], "ffn_hidden_size": shape["ffn"],
            "new_decoder_architecture": True, "bias": False, "parallel_attn": True,
        }  # fmt: skip
    return {
        "model_type": "gpt2", "n_embd": hidden, "n_layer": layers, "n_head": heads,
        "n_inner": shape["ffn"], "vocab_size": shape["vocab"], "n_positions": 4096,
    }  # fmt: skip


# Names in published rows to names in the catalogue, where no shape is given.
NAMES = {
    "llama-4-scout-17b-16e-instruct": "llama-4-scout-text",
    "llama-4-maverick-17b-128e-instruct-fp8": "llama-4-maverick-text",
    "deepseek-v3.1": "deepseek-v3",
    "deepseek-v3-0324-awq": "deepseek-v3",
    "deepseek-33b": "deepseek-coder-33b",
    "phi-1.5-1.3b": "phi-1.5",
    "deepseekv3": "deepseek-v3",
    "nemotron-3-nano": "nemotron-3-nano-30b-a3b",
}


def device_of(row: dict[str, Any]) -> Device:
    """The device of a row. Skipped for one that the catalogue lacks."""
    try:
        return find_device(str(row.get("gpu_key") or row.get("gpu") or ""))
    except ThermoflopError:
        raise Skipped("device unknown, or not in the catalogue") from None


_models: dict[str, Model] = {}


def model_of(row: dict[str, Any]) -> Model:
    """The model of a row: from its shape, else by its name from the catalogue."""
    import json

    from thermoflop.model.load import load_model

    shape = row.get("shape") or {}
    complete = all(key in shape for key in ("hidden", "layers", "heads", "vocab", "ffn"))
    key = json.dumps(shape, sort_keys=True) if complete else str(row.get("model"))
    if key not in _models:
        if complete:
            _models[key] = load_model(config_of(shape))
        else:
            _models[key] = _named(str(row.get("model") or ""))
    return _models[key]


# Models in 4 bits that leave some of their matrices wide: the model of the catalogue, or one of the
# same shape, that is published so. InferenceX runs Kimi K2.5 and its NVFP4 by NVIDIA, MiniMax M2.5,
# Qwen3.5 and DeepSeek R1 0528 (FP4-V2) by the same (nvidia-master.yaml of SemiAnalysisAI).
IN_4_BITS = {
    ("kimi-k2", "int4"): "kimi-k2-thinking",
    ("kimi-k2", "nvfp4"): "kimi-k2.5-nvfp4",
    ("minimax-m2.5", "nvfp4"): "minimax-m2.7-nvfp4",
    ("qwen3.5-397b-a17b", "nvfp4"): "qwen3.5-397b-a17b-nvfp4",
    ("deepseek-v3", "nvfp4"): "deepseek-v3.2-nvfp4",
}


def published_in_4_bits(row: dict[str, Any]) -> Model | None:
    """The model of a row in the formats that it is published in where those are of 4 bits: as
    ``IN_4_BITS`` says, or as gpt-oss is for a format called ``fp4`` or ``mxfp4``; else None."""

    name, label = (str(row.get(key)).lower() for key in ("model", "precision"))
    if (name, label) in IN_4_BITS:
        key = f"{name} in {label}"
        if key not in _models:
            formats = _named(IN_4_BITS[name, label]).quantization
            _models[key] = replace(_named(name), quantization=formats)
        return _models[key]
    if label not in ("fp4", "mxfp4"):
        return None
    try:
        model = model_of({"model": row.get("model")})
    except Skipped:
        return None
    own = model.quantization
    return model if own is not None and own.method == "mxfp4" else None


def _named(name: str) -> Model:
    """A model of the catalogue, whatever owner, tuning and format its name speaks of."""
    from thermoflop.model.config.catalogue import canonical, names
    from thermoflop.model.load import load_model

    short = re.sub(r"(?<=\d)-b\b", "b", name.rpartition("/")[2].lower().replace(" ", "-"))
    known = canonical(NAMES.get(short, short))
    if known not in names():
        raise Skipped("shape unknown, and the model's name is not in the catalogue")
    return load_model(known)
