"""The format of weights that each method of quantization states, by its own words and defaults.

Bits of scales and zero points, by what the method's own code writes beside a matrix: AutoAWQ and
AutoGPTQ (``scales`` in 16 bits and ``qzeros`` as wide as a weight, a group), bitsandbytes (QLoRA,
section 3: an fp32 constant for 64 elements, double-quantized 8 bits and one of 32 for 256 of them;
LLM.int8: ``SCB`` in fp32, a row), DeepSeek-V3 (``weight_scale_inv`` in fp32, a block of 128 x 128),
OCP MX v1.0 (8 bits for 32), NVFP4 (8 bits for 16, and fp32 scales of the weights and inputs), HQQ
and MLX (scale and zero point or bias in 16 bits each), AQLM (codebooks in 16 bits), SpQR (3 bits
each for scale and zero point, and 64 bits for 16 groups; outliers left out).
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.plain import is_number
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.quantization import Stored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Block = Mapping[str, Any]

# Bits that a group's or a block's scale takes, by the format of its elements.
_SCALE_BITS = {"mxfp4": 8, "mxfp6": 8, "mxfp8": 8, "nvfp4": 8}
# An fp32 scale of a tensor, and one of its inputs beside it.
_TENSOR_BITS = 64
_IN_INT8 = ("W8A8_SQ_PER_CHANNEL", "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN", "INT8")
# Algorithms of ModelOpt: format of weights, elements that share a scale, format of inputs.
_ALGORITHMS: dict[str, tuple[str, int | None, str | None]] = {
    **dict.fromkeys(("NVFP4", "NVFP4_AWQ"), ("nvfp4", 16, "nvfp4")),
    "W4A16_NVFP4": ("nvfp4", 16, None),
    "W4A8_NVFP4_FP8": ("nvfp4", 16, "fp8"),
    **dict.fromkeys(("FP8", "FP8_PER_CHANNEL_PER_TOKEN"), ("fp8", None, "fp8")),
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
    **dict.fromkeys(_IN_INT8, ("int8", None, "int8")),
}
# Methods that write what AutoAWQ writes.
_OF_AWQ = ("awq", "awq_marlin", "auto-round", "intel/auto-round")
# Methods whose weights are whole numbers in groups: key of the bits, key of the group, defaults;
# bits of a group's scale, and whether a zero point as wide as a weight lies beside it.
GROUPED: dict[str, tuple[str, int | None, str, int, int, bool]] = {
    **dict.fromkeys(_OF_AWQ, ("bits", 4, "group_size", 128, 16, True)),
    **dict.fromkeys(("gptq", "gptq_marlin"), ("bits", None, "group_size", 128, 16, True)),
    "marlin": ("bits", 4, "group_size", 128, 16, False),
    **dict.fromkeys(("hqq", "sinq"), ("nbits", 4, "group_size", 64, 32, False)),
    **dict.fromkeys(("metal", "mlx"), ("bits", 4, "group_size", 64, 32, False)),
    "higgs": ("bits", 4, "group_size", 256, 16, False),
    "spqr": ("bits", 3, "beta1", 16, 10, False),
    **dict.fromkeys(("exl2", "exl3"), ("bits", None, "group_size", -1, 0, False)),
    "gemma": ("num_bits", 4, "group_size", -1, 0, False),
}
# Bits that a method's own code takes, where it takes few: GPTQConfig of transformers, vLLM's
# kernels for AWQ, MLX's affine mode, HQQ's list of supported bits without its 1.58.
_BITS_TAKEN: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("gptq", "gptq_marlin"), (2, 3, 4, 8)),
    **dict.fromkeys(("awq", "awq_marlin"), (4, 8)),
    "mlx": (2, 3, 4, 5, 6, 8),
    "hqq": (1, 2, 3, 4, 5, 6, 8),
}
# What elements of a group are a multiple of: no kernel reads fewer at once.
_GROUP_STEP = 8
# Methods with one format: name, bits, elements that share a scale, format of inputs, and the
# bits of a scale: without a group it is a row's.
_FIXED: dict[str, tuple[str, float, int | None, str | None, int]] = {
    "fbgemm_fp8": ("fp8", 8, None, "fp8", 32),
    "ptpc_fp8": ("fp8", 8, None, "fp8", 32),
    "mxfp4": ("mxfp4", 4, 32, None, 8),
    "mxfp8": ("mxfp8", 8, 32, "mxfp8", 8),
    "nvfp4": ("nvfp4", 4, 16, "nvfp4", 8),
    "eetq": ("int8", 8, None, None, 16),
    "experts_int8": ("int8", 8, None, None, 32),
    "bitnet": ("ternary", 2, None, "int8", 0),
}


def default_format(method: str, block: Block) -> Stored | None:
    """The format of every matrix in layers of which nothing else is said."""
    if method in _FIXED:
        name, bits, group, inputs, scale = _FIXED[method]
        return Stored(name, bits, group, None, inputs, scale)
    if method in GROUPED:
        return grouped(method, block)
    if method in _SPECIAL:
        return _SPECIAL[method](block)
    raise InputError(f"its method {method[:40]!r} is not known")


def grouped(method: str, block: Block) -> Stored:
    """Whole numbers of a few bits, in groups."""
    bits_key, bits, group_key, group, scale, zero = GROUPED[method]
    inner = block.get("quant_config")  # HQQ keeps its numbers in there
    if isinstance(inner, dict) and isinstance(inner.get("weight_quant_params"), dict):
        block = {**block, **inner["weight_quant_params"]}
    old = {"bits": "w_bit", "group_size": "q_group_size"}  # AutoAWQ's own names
    found = block.get(bits_key, block.get(old.get(bits_key, ""), bits))
    if not is_number(found) or not 0 < found <= 16:
        raise InputError(f"{bits_key} is {quote_value(found)} where 1 to 16 bits are expected")
    taken = _BITS_TAKEN.get(method)
    if taken and found not in taken:
        listed = ", ".join(map(str, taken))
        raise InputError(f"{bits_key} is {quote_value(found)} where {method} has {listed}")
    name = f"int{found}" if isinstance(found, int) else method
    size = block.get(group_key, block.get(old.get(group_key, ""), group))
    if method == "mlx" and block.get("mode") in _SCALE_BITS:
        return Stored(block["mode"], found, _group(group_key, size), None, None, 8)
    points = scale + (found if zero else 0)
    return Stored(name, found, _group(group_key, size), None, None, points)


def _group(key: str, size: Any) -> int | None:
    """Elements that share a scale; -1, 0 and null are a whole row."""
    if size is None or (type(size) is int and size in (-1, 0)):
        return None
    if type(size) is not int or not 0 < size <= 10**6:
        raise InputError(f"{key} is {quote_value(size)} where a whole number is expected")
    if size % _GROUP_STEP:
        raise InputError(f"{key} is {size} where a multiple of {_GROUP_STEP} is expected")
    return size


def _fp8(block: Block) -> Stored:
    shape = block.get("weight_block_size")
    square = tuple(shape) if isinstance(shape, list) else None
    if shape is not None and (
        square is None or len(square) != 2 or any(type(n) is not int or n < 1 for n in square)
    ):
        raise InputError(f"weight_block_size is {quote_value(shape)} where two sizes are expected")
    if square is None:
        return Stored("fp8", 8, None, None, "fp8", 0, _TENSOR_BITS)
    return Stored("fp8", 8, None, (square[0], square[1]), "fp8", 32)


def _bitsandbytes(block: Block) -> Stored:
    if block.get("load_in_4bit", block.get("_load_in_4bit")):
        kind = block.get("bnb_4bit_quant_type", "fp4")
        twice = block.get("bnb_4bit_use_double_quant") is True
        constant = 8 + 32 / 256 if twice else 32
        return Stored("nf4" if kind == "nf4" else "fp4", 4, 64, None, None, constant)
    return Stored("int8", 8, None, None, "int8", 32)


def _aqlm(block: Block) -> Stored:
    sizes = [block.get(key, default) for key, default in
             (("num_codebooks", 1), ("nbits_per_codebook", 16), ("in_group_size", 8))]  # fmt: skip
    if any(type(size) is not int or not 0 < size < 1000 for size in sizes):
        raise InputError(f"aqlm's codebooks are {quote_value(sizes)}")
    books, index, group = sizes
    if index > 32:
        raise InputError(f"aqlm's codebooks are {quote_value(sizes)}")
    table = books * 2**index * group * 16
    return Stored("aqlm", books * index / group, group, None, None, 0, table)


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
    scale = _SCALE_BITS.get(name, 32 if group else 16)
    return Stored(name, int(name[-1]), group or scaled, None, inputs, scale)


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
    stored = _of_word(str(said.get("dtype")), size)
    if said.get("qscheme") == "per_tensor":
        return replace(stored, scale_bits=0, matrix_bits=_TENSOR_BITS)
    return stored


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
        return Stored(weights, bits, None, (128, 128), inputs, 32)
    group = group if size is None else _group("group_size", size)
    if name.upper() in ("FP8", "INT8"):
        return Stored(weights, bits, group, None, inputs, 0, _TENSOR_BITS)
    scale = _SCALE_BITS.get(weights, 16 if group else 32)
    return Stored(weights, bits, group, None, inputs, scale, _TENSOR_BITS * (weights == "nvfp4"))


_SPECIAL: dict[str, Callable[[Block], Stored | None]] = {
    "fp8": _fp8,
    "bitsandbytes": _bitsandbytes,
    "aqlm": _aqlm,
    "quanto": _named("weights", "int8"),
    "fp_quant": _named("forward_dtype", "nvfp4"),
    "fouroversix": _named("dtype", "nvfp4"),
    "torchao": _torchao,
    "quark": lambda block: of_quark(mapping(block, "global_quant_config")),
    **dict.fromkeys(("modelopt", "modelopt_fp4"), _modelopt),
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
    tensor = said.get("strategy") == "tensor" and group is None
    if said.get("type") != "float":
        zero = bits if said.get("symmetric") is False else 0
        shared = (0, _TENSOR_BITS) if tensor else (16 + zero, 0)
        return Stored(f"int{bits}", bits, group, rows, inputs, *shared)
    name = f"fp{bits}"
    if bits == 4:
        name = "mxfp4" if "mxfp4" in form or group == 32 else "nvfp4"
    elif bits == 8 and group == 32:
        name = "mxfp8"
    shared = (_SCALE_BITS.get(name, 32 if rows else 16), _TENSOR_BITS if name == "nvfp4" else 0)
    return Stored(name, bits, group, rows, inputs, *((0, _TENSOR_BITS) if tensor else shared))


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
