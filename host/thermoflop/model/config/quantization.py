"""The quantization that a configuration states, in every published form.

``quantization_config`` (and ``compression_config``, its older name; ``quantization`` of MLX) in
config.json or in a configuration inside it, and hf_quant_config.json beside it. What is not
understood becomes a note: it can change no count.

Sources of keys and defaults: transformers 5.24 (utils/quantization_config.py), compressed-tensors'
QuantizationScheme, ModelOpt's hf_quant_config.json (TensorRT-LLM, models/modeling_utils.py), and
Quark's exported configurations.
"""

from __future__ import annotations

import re

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.module_names import OTHER_EXPERTS, is_understood
from thermoflop.model.architecture.parts import HASH_TABLES
from thermoflop.model.architecture.quantization import Quantization, Stored
from thermoflop.model.config.quantization_formats import (
    GROUPED,
    algorithm,
    default_format,
    grouped,
    mapping,
    of_quark,
    scheme,
    short,
    texts,
)
from thermoflop.model.config.source import QUANTIZATION_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Block = Mapping[str, Any]

# Lists of modules that stay wide, under every name that a method has for it.
_WIDE_KEYS = (
    "modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "exclude",
    "llm_int8_skip_modules", "skip_modules", "linear_weights_not_to_quantize",
)  # fmt: skip

# set in a block that stood in the text model's section, and says nothing of what sees or hears
_TEXT_ALONE = "of the text alone"


def read_quantization(
    raw: Block, beside: Block | None = None, fault: str = ""
) -> tuple[Quantization | None, str, str]:
    """What is said of number formats, a sentence on what of it is not counted, and what of it is
    not understood, so that nobody knows the format of the weights: "" where it is known."""
    try:
        block = _block_of(raw, beside)
        if block is None:
            return None, fault, ""
        found, zeros = _read(block, raw), _zeros(block)
        if found is not None or zeros:
            return found, "; ".join(filter(None, (fault, zeros))), ""
        if _cache(block) is None:
            raise InputError("quantization_config names no format of weights")
        return None, fault or "what is said of quantization names no format of weights", ""
    except InputError as error:
        return None, f"the quantization is left out: {error}", str(error)


def _block_of(raw: Block, beside: Block | None) -> dict[str, Any] | None:
    """The block, with what the file beside it alone says of the cache."""
    found: dict[str, Any] | None = None
    inner = [(key, value) for key, value in raw.items() if key.endswith("_config")]
    for place, each in (("", raw), *((key, value) for key, value in inner if type(value) is dict)):
        for key in QUANTIZATION_KEYS:
            if found is None and each.get(key) not in (None, {}, False):
                block = each[key]
                if not isinstance(block, dict):
                    raise InputError(f"{key} is {quote_value(block)}: expected an object")
                inside = block.get("quantization")  # as hf_quant_config.json has it
                block = {**block, **(inside if isinstance(inside, dict) else {})}
                found = {"quant_method": "mlx" if "bits" in block else None, **block}
                found[_TEXT_ALONE] = place == "text_config"
    if beside is None:
        return found
    other = beside.get("quantization")
    if not isinstance(other, dict):
        raise InputError("hf_quant_config.json has no object named quantization")
    if found is None:
        return {"quant_method": "modelopt", **other}
    return {**found, "kv_cache_quant_algo": other.get("kv_cache_quant_algo"), **{
        key: value for key, value in found.items() if value is not None
    }}  # fmt: skip


def _read(block: Block, raw: Block) -> Quantization | None:
    """The quantization of one block; None where all weights stay wide."""
    method = block.get("quant_method")
    if block.get("load_in_4bit") or block.get("load_in_8bit"):
        method = "bitsandbytes"
    if method is None:
        method = "modelopt" if "quant_algo" in block else "compressed-tensors"
    targets = [*_of_layers(block), *_of_groups(block), *_of_overrides(block)]
    default = default_format(str(method), block)
    if method in ("modelopt", "modelopt_fp4", "compressed-tensors"):
        plain = [stored for stored, modules in targets if not modules]
        default = default or (plain[0] if plain else None)
    mimo = block.get("store_dtype") == "mxfp4"  # V2.6, whose towers stay wide
    ling = block.get("routed_experts_quant_method") == "mxfp4"
    if mimo or ling or raw.get("expert_dtype", block.get("expert_dtype")) == "fp4":  # DeepSeek V4
        targets.append((Stored("mxfp4", 4, 32, None, None, 8), ("experts",)))
    if raw.get("engram_layer_ids") or mapping(raw, "text_config").get("engram_layer_ids"):
        targets.append((Stored("fp8", 8, 32, None, None, 8), (HASH_TABLES,)))  # DeepSeek V4.1
    wide = tuple(name for key in _WIDE_KEYS if key not in _OVERLAID.get(str(method), ())
                 for name in texts(block, key))  # fmt: skip
    wide += _TOWERS if method == "mlx" else ()
    wide += (*_TOWERS, "multi_modal_projector") if block.get(_TEXT_ALONE) or mimo else ()
    skipped = tuple(f"re:{key[2:]}" for key in mapping(block, "dynamic") if key.startswith("-:"))
    skipped += tuple(module for module, said in _of_modules(block) if _left_wide(said))
    named = tuple((stored, modules) for stored, modules in targets if modules)
    if default is None and not named:
        return None
    _check_modules([*wide, *skipped, *(module for _, modules in named for module in modules)])
    outside = _outside(str(method), block, targets)
    return Quantization(str(method), default, named, wide + skipped, _cache(block), outside)


# mlx-vlm quantizes the text half alone (``skip_vision``, mlx_vlm/utils.py).
_TOWERS = ("vision_tower", "audio_tower")
MOST_MODULES, LONGEST_MODULE = 3000, 200

# An fp8 checkpoint whose experts were quantized again: what the second pass left alone is fp8.
_OVERLAID = {"fp8": ("ignore", "exclude_modules")}


def _zeros(block: Block) -> str:
    """A sentence on weights of which a part is zero, which other bytes may hold."""
    said = mapping(block, "sparsity_config")
    structure = said.get("sparsity_structure")
    if said.get("format") in (None, "dense") and structure in (None, "unstructured"):
        return ""
    named = f"{structure} sparsity" if isinstance(structure, str) else "sparsity_config"
    return f"weights that are zero ({named[:60]}) are counted like the others"


def _check_modules(modules: list[str]) -> None:
    """InputError for patterns that are none or not understood, and for lists that would take
    seconds; the longest published one has 712 modules."""
    for module in modules:
        if not is_understood(module):
            raise InputError(f"{quote_value(module)} is no pattern of modules that is understood")
    own = [module for module in modules if not re.search(OTHER_EXPERTS, module)]
    if len(own) > MOST_MODULES or any(len(module) > LONGEST_MODULE for module in own):
        raise InputError(
            f"it names {len(own):,} modules: at most {MOST_MODULES:,} of at most "
            f"{LONGEST_MODULE} letters are read"
        )


def _of_layers(block: Block) -> list[tuple[Stored, tuple[str, ...]]]:
    """The formats of ``quantized_layers``, each with its modules."""
    found: dict[Stored, list[str]] = {}
    for module, said in mapping(block, "quantized_layers").items():
        if not isinstance(said, dict):
            raise InputError(f"quantized_layers says {quote_value(said)} of {module[:60]}")
        stored = algorithm(said.get("quant_algo"), said.get("group_size"))
        found.setdefault(stored, []).append(module)
    return [(stored, tuple(modules)) for stored, modules in found.items()]


def _of_groups(block: Block) -> list[tuple[Stored, tuple[str, ...]]]:
    """The formats of ``config_groups``; without modules where a group is for every Linear."""
    if "quant_algo" in block:  # says the same in its own words
        return []
    found = []
    for group in mapping(block, "config_groups").values():
        weights = group.get("weights") if isinstance(group, dict) else None
        if not isinstance(weights, dict):
            continue
        inputs = group.get("input_activations")
        acts = scheme(inputs, block).name if isinstance(inputs, dict) else None
        stored = scheme(weights, {**block, **group}, acts)
        targets = texts(group, "targets")
        every = not targets or "Linear" in targets
        found.append((stored, () if every else targets))
    return found


def _of_overrides(block: Block) -> list[tuple[Stored, tuple[str, ...]]]:
    """Modules with a format of their own: GPTQ's ``dynamic``, Quark's layers, MLX's and others."""
    found: list[tuple[Stored, tuple[str, ...]]] = []
    method = str(block.get("quant_method"))
    for module, said in mapping(block, "layer_quant_config").items():
        stored = of_quark(said) if isinstance(said, dict) else None
        if stored is not None:
            found.append((stored, (module,)))
    for module, said in _of_modules(block):
        if not _left_wide(said):
            found.append((grouped(method, {**block, **said}), (module,)))
    return found


def _of_modules(block: Block) -> list[tuple[str, dict[str, Any]]]:
    """What GPTQ's ``dynamic``, AutoRound and MLX say of single modules' bits, each by its name."""
    method = str(block.get("quant_method"))
    if method not in GROUPED:
        return []
    own = {**mapping(block, "dynamic"), **mapping(block, "extra_config")}
    if method == "mlx":
        own.update({key: value for key, value in block.items() if isinstance(value, dict)})
    regular = method.startswith("gptq")
    return [
        (f"re:{module.removeprefix('+:')}" if regular else module, said)
        for module, said in own.items()
        if isinstance(said, dict) and "bits" in said and not module.startswith("-:")
    ]


def _left_wide(said: dict[str, Any]) -> bool:
    """Whether so many bits mean that a module is left as it is, as AutoRound says it."""
    return type(said["bits"]) is int and said["bits"] >= 16


def _outside(
    method: str, block: Block, targets: list[tuple[Stored, tuple[str, ...]]]
) -> tuple[str, ...]:
    """What else has the default format: the head, the embedding, in MLX every other table too."""
    if method == "mlx":
        return ("lm_head", "embed_tokens", HASH_TABLES)
    if block.get("include_input_output_embeddings") is True:
        return ("lm_head", "embed_tokens")
    if method == "gemma" and block.get("quantize_embeddings") is True:
        return ("lm_head", "embed_tokens")
    every = method == "quark" or any(not modules for _, modules in targets)
    return ("lm_head",) if every or block.get("lm_head") is True else ()


def _cache(block: Block) -> str | None:
    """The format of keys and values."""
    of_cache = block.get("kv_cache_scheme")
    if isinstance(of_cache, dict):
        return scheme(of_cache, {}).name
    named = block.get("kv_cache_quant_algo", of_cache)
    if isinstance(named, str):
        return short(named.lower())
    for said in mapping(block, "kv_cache_quant_config").values():  # Quark
        tensors = said.get("output_tensors") if isinstance(said, dict) else None
        if isinstance(tensors, dict):
            return short(str(tensors.get("dtype")))
    return "fp8" if mapping(block, "export").get("kv_cache_group") else None
