"""The format of weights that each method of quantization states, by its own words and defaults."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.quantization import Stored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Block = Mapping[str, Any]

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
GROUPED: dict[str, tuple[str, int | None, str, int]] = {
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


def default_format(method: str, block: Block) -> Stored | None:
    """The format of every matrix in layers of which nothing else is said."""
    if method in _FIXED:
        return Stored(_FIXED[method][0], *_FIXED[method][1:3], None, _FIXED[method][3])
    if method in GROUPED:
        return grouped(method, block)
    if method in _SPECIAL:
        return _SPECIAL[method](block)
    raise InputError(f"its method {method[:40]!r} is not known")


def grouped(method: str, block: Block) -> Stored:
    """Whole numbers of a few bits, in groups."""
    bits_key, bits, group_key, group = GROUPED[method]
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
        inputs = short(low.split("activation", 1)[0])
    name = short(weights)
    scaled = {"mxfp4": 32, "mxfp8": 32, "mxfp6": 32, "nvfp4": 16}.get(name)
    group = _group("group_size", size)
    if name == "fp4":
        name = "nvfp4" if group == 16 else "mxfp4"
    return Stored(name, int(name[-1]), group or scaled, None, inputs)


def short(word: str) -> str:
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
        return _of_word(kind, mapping(block, "quant_type_kwargs").get("group_size"))
    return _torchao_type(kind.get("default") if isinstance(kind, dict) else kind)


def _torchao_type(kind: Any) -> Stored | None:
    if kind is None:
        return None
    if not isinstance(kind, dict):
        raise InputError(f"quant_type is {quote_value(kind)} where an object is expected")
    data = mapping(kind, "_data")
    for key in ("module_fqn_to_config", "fqn_to_config"):
        if key in data:
            return _torchao_type(mapping(data, key).get("_default"))
    if "weight_dtype" in data:
        words = [str(each.get("_data") if isinstance(each, dict) else each)
                 for each in (data["weight_dtype"], data.get("activation_dtype"))]  # fmt: skip
        inputs = short(words[1]) if "activation_dtype" in data else None
        return _of_word(words[0], data.get("group_size"), inputs)
    return _of_word(str(kind.get("_type")), data.get("group_size"))


def _quark(block: Block) -> Stored | None:
    return of_quark(mapping(block, "global_quant_config"))


def of_quark(settings: Block) -> Stored | None:
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
    named = block.get("quant_algo")
    if named in (None, "MIXED_PRECISION"):
        return None
    return algorithm(named, block.get("group_size"))


def algorithm(name: Any, size: Any = None) -> Stored:
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


def scheme(said: Block, block: Block, inputs: str | None = None) -> Stored:
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


def mapping(block: Block, key: str) -> dict[str, Any]:
    """An object in a block; empty where there is none."""
    value = block.get(key)
    if value in (None, [], False):
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{key} is {quote_value(value)} where an object is expected")
    return value


def texts(block: Block, key: str) -> tuple[str, ...]:
    """A list of names in a block; empty where there is none."""
    value = block.get(key)
    if value in (None, False):
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InputError(f"{key} is {quote_value(value)} where a list of modules is expected")
    return tuple(value)
