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
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.module_names import OTHER_EXPERTS
from thermoflop.model.architecture.quantization import Quantization, Stored
from thermoflop.model.config.source import QUANTIZATION_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Block = Mapping[str, Any]

# Lists of modules that stay wide, under every name that a method has for it.
_WIDE_KEYS = (
    "modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "exclude",
    "llm_int8_skip_modules", "skip_modules", "linear_weights_not_to_quantize",
)  # fmt: skip
# Algorithms of ModelOpt: format of weights, elements that share a scale, format of inputs.
_ALGORITHMS: dict[str, tuple[str, int | None, str | None]] = {
    "NVFP4": ("nvfp4", 16, "nvfp4"),
    "NVFP4_AWQ": ("nvfp4", 16, "nvfp4"),
    "W4A16_NVFP4": ("nvfp4", 16, None),
    "W4A8_NVFP4_FP8": ("nvfp4", 16, "fp8"),
    "FP8": ("fp8", None, "fp8"),
    "FP8_PER_CHANNEL_PER_TOKEN": ("fp8", None, "fp8"),
    "FP8_PB_WO": ("fp8", 128, None),
    "FP8_BLOCK_SCALES": ("fp8", 128, "fp8"),
    "MXFP8": ("mxfp8", 32, "mxfp8"),
    "MXFP4": ("mxfp4", 32, "mxfp4"),
    "W4A16_MXFP4": ("mxfp4", 32, None),
    "W4A8_MXFP4_FP8": ("mxfp4", 32, "fp8"),
    "W4A16_AWQ": ("int4", 128, None),
    "W4A8_AWQ": ("int4", 128, "fp8"),
    "W4A16": ("int4", None, None),
    "W8A16": ("int8", None, None),
    "W8A8_SQ_PER_CHANNEL": ("int8", None, "int8"),
    "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN": ("int8", None, "int8"),
    "INT8": ("int8", None, "int8"),
}
# Methods whose weights are whole numbers in groups: key of the bits, key of the group, defaults.
_GROUPED: dict[str, tuple[str, int | None, str, int]] = {
    "awq": ("bits", 4, "group_size", 128),
    "awq_marlin": ("bits", 4, "group_size", 128),
    "gptq": ("bits", None, "group_size", 128),
    "gptq_marlin": ("bits", None, "group_size", 128),
    "marlin": ("bits", 4, "group_size", 128),
    "auto-round": ("bits", 4, "group_size", 128),
    "intel/auto-round": ("bits", 4, "group_size", 128),
    "hqq": ("nbits", 4, "group_size", 64),
    "sinq": ("nbits", 4, "group_size", 64),
    "metal": ("bits", 4, "group_size", 64),
    "mlx": ("bits", 4, "group_size", 64),
    "higgs": ("bits", 4, "group_size", 256),
    "spqr": ("bits", 3, "beta1", 16),
    "exl2": ("bits", None, "group_size", -1),
    "exl3": ("bits", None, "group_size", -1),
    "gemma": ("num_bits", 4, "group_size", -1),
}
# Methods with one format: name, bits, elements that share a scale, format of inputs.
_FIXED: dict[str, tuple[str, float, int | None, str | None]] = {
    "fbgemm_fp8": ("fp8", 8, None, "fp8"),
    "ptpc_fp8": ("fp8", 8, None, "fp8"),
    "mxfp4": ("mxfp4", 4, 32, None),
    "nvfp4": ("nvfp4", 4, 16, "nvfp4"),
    "eetq": ("int8", 8, None, None),
    "experts_int8": ("int8", 8, None, None),
    "bitnet": ("ternary", 2, None, "int8"),
}


def read_quantization(
    raw: Block, beside: Block | None = None, fault: str = ""
) -> tuple[Quantization | None, str]:
    """What is said of number formats, and a sentence on what of it is not understood."""
    try:
        block = _block_of(raw, beside)
        if block is None:
            return None, fault
        return _read(block, raw), fault
    except InputError as error:
        return None, f"the quantization is left out: {error}"


def _block_of(raw: Block, beside: Block | None) -> dict[str, Any] | None:
    """The block, with what the file beside it alone says of the cache."""
    found: dict[str, Any] | None = None
    inner = [value for key, value in raw.items() if key.endswith("_config")]
    for each in (raw, *(value for value in inner if isinstance(value, dict))):
        for key in QUANTIZATION_KEYS:
            if found is None and each.get(key) not in (None, {}, False):
                block = each[key]
                if not isinstance(block, dict):
                    raise InputError(f"{key} is {quote_value(block)}: expected an object")
                found = {"quant_method": "mlx" if "bits" in block else None, **block}
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


def _read(block: Block, raw: Block) -> Quantization:
    """The quantization of one block."""
    method = block.get("quant_method")
    if block.get("load_in_4bit") or block.get("load_in_8bit"):
        method = "bitsandbytes"
    if method is None:
        method = "modelopt" if "quant_algo" in block else "compressed-tensors"
    targets = [*_of_layers(block), *_of_groups(block), *_of_overrides(block)]
    default = _default(str(method), block)
    if method in ("modelopt", "modelopt_fp4", "compressed-tensors"):
        plain = [stored for stored, modules in targets if not modules]
        default = default or (plain[0] if plain else None)
    if raw.get("expert_dtype", block.get("expert_dtype")) == "fp4":  # DeepSeek V4's experts
        targets.append((Stored("mxfp4", 4, 32), ("experts",)))
    wide = tuple(name for key in _WIDE_KEYS if key not in _OVERLAID.get(str(method), ())
                 for name in _texts(block, key))  # fmt: skip
    skipped = tuple(f"re:{key[2:]}" for key in _mapping(block, "dynamic") if key.startswith("-:"))
    named = tuple((stored, modules) for stored, modules in targets if modules)
    if default is None and not named:
        raise InputError(f"{method} names no format of weights")
    _check_length([*wide, *skipped, *(module for _, modules in named for module in modules)])
    outside = _outside(str(method), block, targets)
    return Quantization(str(method), default, named, wide + skipped, _cache(block), outside)


MOST_MODULES, LONGEST_MODULE = 3000, 200

# An fp8 checkpoint whose experts were quantized again: what the second pass left alone is fp8.
_OVERLAID = {"fp8": ("ignore", "exclude_modules")}


def _check_length(modules: list[str]) -> None:
    """InputError for lists that would take seconds; the longest published one has 712 modules."""
    own = [module for module in modules if not re.search(OTHER_EXPERTS, module)]
    if len(own) > MOST_MODULES or any(len(module) > LONGEST_MODULE for module in own):
        raise InputError(
            f"it names {len(own):,} modules: at most {MOST_MODULES:,} of at most "
            f"{LONGEST_MODULE} letters are read"
        )


def _default(method: str, block: Block) -> Stored | None:
    """The format of every matrix in layers of which nothing else is said."""
    if method in _FIXED:
        return Stored(_FIXED[method][0], *_FIXED[method][1:3], None, _FIXED[method][3])
    if method in _GROUPED:
        return _grouped(method, block)
    if method in _SPECIAL:
        return _SPECIAL[method](block)
    raise InputError(f"its method {method[:40]!r} is not known")


def _grouped(method: str, block: Block) -> Stored:
    """Whole numbers of a few bits, in groups."""
    bits_key, bits, group_key, group = _GROUPED[method]
    inner = block.get("quant_config")  # HQQ keeps its numbers in there
    if isinstance(inner, dict) and isinstance(inner.get("weight_quant_params"), dict):
        block = {**block, **inner["weight_quant_params"]}
    old = {"bits": "w_bit", "group_size": "q_group_size"}  # AutoAWQ's own names
    found = block.get(bits_key, block.get(old.get(bits_key, ""), bits))
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= 16:
        raise InputError(f"{bits_key} is {quote_value(found)} where 1 to 16 bits are expected")
    name = f"int{found}" if isinstance(found, int) else method
    size = block.get(group_key, block.get(old.get(group_key, ""), group))
    return Stored(name, found, _group(group_key, size))


def _group(key: str, size: Any) -> int | None:
    """Elements that share a scale; -1, 0 and null are a whole row."""
    if size is None or (type(size) is int and size in (-1, 0)):
        return None
    if type(size) is not int or not 0 < size <= 10**6:
        raise InputError(f"{key} is {quote_value(size)} where a whole number is expected")
    return size


def _fp8(block: Block) -> Stored:
    shape = block.get("weight_block_size")
    square = tuple(shape) if isinstance(shape, list) else None
    if shape is not None and (
        square is None or len(square) != 2 or any(type(n) is not int or n < 1 for n in square)
    ):
        raise InputError(f"weight_block_size is {quote_value(shape)} where two sizes are expected")
    return Stored("fp8", 8, None, (square[0], square[1]) if square else None, "fp8")


def _bitsandbytes(block: Block) -> Stored:
    if block.get("load_in_4bit", block.get("_load_in_4bit")):
        kind = block.get("bnb_4bit_quant_type", "fp4")
        return Stored("nf4" if kind == "nf4" else "fp4", 4, 64)  # blocks of 64, Dettmers 2023
    return Stored("int8", 8, None, None, "int8")


def _aqlm(block: Block) -> Stored:
    sizes = [block.get(key, default) for key, default in
             (("num_codebooks", 1), ("nbits_per_codebook", 16), ("in_group_size", 8))]  # fmt: skip
    if any(type(size) is not int or not 0 < size < 1000 for size in sizes):
        raise InputError(f"aqlm's codebooks are {quote_value(sizes)}")
    return Stored("aqlm", sizes[0] * sizes[1] / sizes[2], sizes[2])


def _named(key: str, otherwise: str) -> Callable[[Block], Stored]:
    """A method that states its format by a word."""
    return lambda block: _of_word(str(block.get(key, otherwise)), block.get("group_size"))


def _of_word(word: str, size: Any = None, inputs: str | None = None) -> Stored:
    """A format by a word such as int8_weight_only, fp8_e4m3, float4_e2m1fn_x2, uint4."""
    low = word.lower()
    weights = low.rsplit("activation", 1)[-1]
    if inputs is None and "activation" in low:
        inputs = _short(low.split("activation", 1)[0])
    name = _short(weights)
    scaled = {"mxfp4": 32, "mxfp8": 32, "mxfp6": 32, "nvfp4": 16}.get(name)
    group = _group("group_size", size)
    if name == "fp4":
        name = "nvfp4" if group == 16 else "mxfp4"
    return Stored(name, int(name[-1]), group or scaled, None, inputs)


def _short(word: str) -> str:
    """The format in a word: nvfp4, mxfp4, fp8, int4, ..."""
    for name in ("nvfp4", "mxfp4", "mxfp8", "mxfp6"):
        if name in word:
            return name
    plain = word.replace("float", "fp")
    for name in ("fp8", "fp6", "fp4", "int8", "int6", "int5", "int4", "int3", "int2", "int1"):
        if name in plain:
            return name
    raise InputError(f"{word[:40]!r} is no format of weights that is known")


def _torchao(block: Block) -> Stored | None:
    kind = block.get("quant_type")
    if isinstance(kind, str):  # before torchao 0.10
        return _of_word(kind, _mapping(block, "quant_type_kwargs").get("group_size"))
    return _torchao_type(kind.get("default") if isinstance(kind, dict) else kind)


def _torchao_type(kind: Any) -> Stored | None:
    if kind is None:
        return None
    if not isinstance(kind, dict):
        raise InputError(f"quant_type is {quote_value(kind)} where an object is expected")
    data = _mapping(kind, "_data")
    for key in ("module_fqn_to_config", "fqn_to_config"):
        if key in data:
            return _torchao_type(_mapping(data, key).get("_default"))
    if "weight_dtype" in data:
        words = [str(each.get("_data") if isinstance(each, dict) else each)
                 for each in (data["weight_dtype"], data.get("activation_dtype"))]  # fmt: skip
        inputs = _short(words[1]) if "activation_dtype" in data else None
        return _of_word(words[0], data.get("group_size"), inputs)
    return _of_word(str(kind.get("_type")), data.get("group_size"))


def _quark(block: Block) -> Stored | None:
    return _of_quark(_mapping(block, "global_quant_config"))


def _of_quark(settings: Block) -> Stored | None:
    weight, inputs = settings.get("weight"), settings.get("input_tensors")
    weight = weight[-1] if isinstance(weight, list) and weight else weight
    inputs = inputs[-1] if isinstance(inputs, list) and inputs else inputs
    if not isinstance(weight, dict):
        return None
    acts = _of_tensor(inputs).name if isinstance(inputs, dict) else None
    return replace(_of_tensor(weight), activations=acts)


def _of_tensor(said: Block) -> Stored:
    """A format as Quark writes it of one tensor."""
    size = said.get("group_size") if said.get("qscheme") == "per_group" else None
    return _of_word(str(said.get("dtype")), size)


def _modelopt(block: Block) -> Stored | None:
    algorithm = block.get("quant_algo")
    if algorithm in (None, "MIXED_PRECISION"):
        return None
    return _algorithm(algorithm, block.get("group_size"))


def _algorithm(name: Any, size: Any = None) -> Stored:
    """An algorithm of ModelOpt by its name."""
    if not isinstance(name, str) or name.upper() not in _ALGORITHMS:
        raise InputError(f"quant_algo is {quote_value(name)}, which is not known")
    weights, group, inputs = _ALGORITHMS[name.upper()]
    bits = int(weights[-1])
    if name.upper() in ("FP8_PB_WO", "FP8_BLOCK_SCALES"):
        return Stored(weights, bits, None, (128, 128), inputs)
    return Stored(
        weights, bits, group if size is None else _group("group_size", size), None, inputs
    )


_SPECIAL: dict[str, Callable[[Block], Stored | None]] = {
    "fp8": _fp8,
    "mxfp8": lambda _block: Stored("mxfp8", 8, 32, None, "mxfp8"),
    "bitsandbytes": _bitsandbytes,
    "aqlm": _aqlm,
    "quanto": _named("weights", "int8"),
    "fp_quant": _named("forward_dtype", "nvfp4"),
    "fouroversix": _named("dtype", "nvfp4"),
    "torchao": _torchao,
    "quark": _quark,
    "modelopt": _modelopt,
    "modelopt_fp4": _modelopt,
    "compressed-tensors": lambda _block: None,
}


def _of_layers(block: Block) -> list[tuple[Stored, tuple[str, ...]]]:
    """The formats of ``quantized_layers``, each with its modules."""
    found: dict[Stored, list[str]] = {}
    for module, said in _mapping(block, "quantized_layers").items():
        if not isinstance(said, dict):
            raise InputError(f"quantized_layers says {quote_value(said)} of {module[:60]}")
        stored = _algorithm(said.get("quant_algo"), said.get("group_size"))
        found.setdefault(stored, []).append(module)
    return [(stored, tuple(modules)) for stored, modules in found.items()]


def _of_groups(block: Block) -> list[tuple[Stored, tuple[str, ...]]]:
    """The formats of ``config_groups``; without modules where a group is for every Linear."""
    if "quant_algo" in block:  # says the same in its own words
        return []
    found = []
    for group in _mapping(block, "config_groups").values():
        weights = group.get("weights") if isinstance(group, dict) else None
        if not isinstance(weights, dict):
            continue
        inputs = group.get("input_activations")
        acts = _scheme(inputs, block).name if isinstance(inputs, dict) else None
        stored = _scheme(weights, {**block, **group}, acts)
        targets = _texts(group, "targets")
        every = not targets or "Linear" in targets
        found.append((stored, () if every else targets))
    return found


def _scheme(said: Block, block: Block, inputs: str | None = None) -> Stored:
    """A format as compressed-tensors writes it: bits, type, and what shares a scale."""
    bits, form = said.get("num_bits"), str(block.get("format", ""))
    if type(bits) is not int or not 0 < bits <= 16:
        raise InputError(f"num_bits is {quote_value(bits)} where 1 to 16 bits are expected")
    group = _group("group_size", said.get("group_size"))
    shape = said.get("block_structure")
    rows = tuple(shape) if isinstance(shape, list) and len(shape) == 2 else None
    if said.get("type") != "float":
        return Stored(f"int{bits}", bits, group, rows, inputs)
    name = f"fp{bits}"
    if bits == 4:
        name = "mxfp4" if "mxfp4" in form or group == 32 else "nvfp4"
    elif bits == 8 and group == 32:
        name = "mxfp8"
    return Stored(name, bits, group, rows, inputs)


def _of_overrides(block: Block) -> list[tuple[Stored, tuple[str, ...]]]:
    """Modules with a format of their own: GPTQ's ``dynamic``, Quark's layers, MLX's and others."""
    found: list[tuple[Stored, tuple[str, ...]]] = []
    method = str(block.get("quant_method"))
    for module, said in _mapping(block, "layer_quant_config").items():
        stored = _of_quark(said) if isinstance(said, dict) else None
        if stored is not None:
            found.append((stored, (module,)))
    if method not in _GROUPED:
        return found
    own = {**_mapping(block, "dynamic"), **_mapping(block, "extra_config")}
    if method == "mlx":
        own.update({key: value for key, value in block.items() if isinstance(value, dict)})
    for module, said in own.items():
        if isinstance(said, dict) and "bits" in said and not module.startswith("-:"):
            stored = _grouped(method, {**block, **said})
            expression = f"re:{module.removeprefix('+:')}" if method.startswith("gptq") else module
            found.append((stored, (expression,)))
    return found


def _outside(
    method: str, block: Block, targets: list[tuple[Stored, tuple[str, ...]]]
) -> tuple[str, ...]:
    """What outside the layers has the default format, too: the head, the embedding."""
    if method == "mlx" or block.get("include_input_output_embeddings") is True:
        return ("lm_head", "embed_tokens")
    if method == "gemma" and block.get("quantize_embeddings") is True:
        return ("lm_head", "embed_tokens")
    every = method == "quark" or any(not modules for _, modules in targets)
    return ("lm_head",) if every or block.get("lm_head") is True else ()


def _cache(block: Block) -> str | None:
    """The format of keys and values."""
    scheme = block.get("kv_cache_scheme")
    if isinstance(scheme, dict):
        return _scheme(scheme, {}).name
    named = block.get("kv_cache_quant_algo", scheme)
    if isinstance(named, str):
        return _short(named.lower())
    for said in _mapping(block, "kv_cache_quant_config").values():  # Quark
        tensors = said.get("output_tensors") if isinstance(said, dict) else None
        if isinstance(tensors, dict):
            return _short(str(tensors.get("dtype")))
    return "fp8" if _mapping(block, "export").get("kv_cache_group") else None


def _mapping(block: Block, key: str) -> dict[str, Any]:
    """An object in a block; empty where there is none."""
    value = block.get(key)
    if value in (None, [], False):
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{key} is {quote_value(value)} where an object is expected")
    return value


def _texts(block: Block, key: str) -> tuple[str, ...]:
    """A list of names in a block; empty where there is none."""
    value = block.get(key)
    if value in (None, False):
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InputError(f"{key} is {quote_value(value)} where a list of modules is expected")
    return tuple(value)
