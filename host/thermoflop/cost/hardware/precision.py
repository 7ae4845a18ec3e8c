"""How wide numbers are in a run: weights, what quantization leaves alone, activations, cache.

``architecture.formats`` counts bytes exactly for formats with whole scales. Engines use more of
them (GGUF's k-quants mix widths, EXL2 names its mean), so here a width is a mean number of bits.
``family`` is what profiles are fitted by: ``16``, ``8`` (computes in 8 bits), ``8w`` and ``4w``
(weights only), ``32``, ``tf32``; ``4`` computes in 4 bits. ``int4``, ``awq`` and ``gptq`` are as
wide; their kernels differ.

Sources: llama.cpp's quantize tool for the k-quants (bits a weight over a 7B Llama), GPTQ and AWQ
with groups of 128 (16-bit scale and 4-bit zero: 4.16 bits), QLoRA (NF4 with 64 elements a scale:
4.5 bits, 4.127 double-quantized), OCP MX v1.0 (4.25 bits).
"""

from __future__ import annotations

import re

from thermoflop.base.messages import check_word, nearest
from thermoflop.base.record import record
from thermoflop.errors import UsageError
from thermoflop.model.architecture.formats import USUAL, spelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# GGUF: bits of the layers' matrices and of the tables (token embedding and head, half each) of
# Llama 3 8B in the sizes that llama.cpp's quantize tool states (Q4_K_M: 4.58 GiB, ...); of iq and
# tq types the stated bits a weight, tables in 4.5 (iq1, iq2) to 5.5 bits.
_GGUF = {
    "q2_k": (2.95, 4.59), "q3_k_s": (3.44, 5.0), "q3_k_m": (3.85, 5.0), "q3_k_l": (4.21, 5.0),
    "q4_0": (4.51, 5.53), "q4_1": (5.01, 5.78), "q4_k_s": (4.55, 5.53), "q4_k_m": (4.80, 5.53),
    "q5_0": (5.50, 6.03), "q5_1": (6.01, 6.28), "q5_k_s": (5.50, 6.03), "q5_k_m": (5.65, 6.03),
    "q6_k": (6.56, 6.56), "q8_0": (8.5, 8.5), "iq1_s": (1.56, 4.5), "iq1_m": (1.75, 4.5),
    "iq2_xxs": (2.06, 4.5), "iq2_xs": (2.31, 4.5), "iq2_s": (2.5, 4.5), "iq2_m": (2.7, 4.5),
    "iq3_xxs": (3.06, 4.5), "iq3_xs": (3.3, 5.0), "iq3_s": (3.44, 5.0), "iq3_m": (3.66, 5.0),
    "iq4_xs": (4.25, 5.5), "iq4_nl": (4.5, 5.5), "tq1_0": (1.69, 5.5), "tq2_0": (2.06, 5.5),
}  # fmt: skip
# name -> (bits of a weight, bits of heads and tables, bytes of an activation, computes in, family)
_PLAIN: Mapping[str, tuple[float, float, float, str, str]] = {
    "fp32": (32, 32, 4, "fp32", "32"),
    "tf32": (32, 32, 4, "tf32", "tf32"),
    "bf16": (16, 16, 2, "bf16", "16"),
    "fp16": (16, 16, 2, "fp16", "16"),
    "fp8": (8, 16, 2, "fp8", "8"),
    "int8": (8, 16, 2, "int8", "8"),
    "int8-wo": (8.125, 16, 2, "fp16", "8w"),
    "int4": (4.16, 16, 2, "fp16", "4w"),
    "awq": (4.16, 16, 2, "fp16", "4w"),
    "gptq": (4.16, 16, 2, "fp16", "4w"),
    "mxfp4": (4.25, 16, 2, "bf16", "4w"),
    "nvfp4": (4.5, 16, 2, "fp4", "4"),
    "nf4": (4.5, 16, 2, "bf16", "4w"),
    "nf4-dq": (4.127, 16, 2, "bf16", "4w"),
    **{
        name: (*bits, 2, "fp16", "8w" if name in ("q6_k", "q8_0") else "4w")
        for name, bits in _GGUF.items()
    },
    "gptq-3bit": (3.0, 16, 2, "fp16", "4w"),
}
# Bytes of an element of the cache, scales of its blocks included: GGUF's have 2 bytes (q8_0, q4_0,
# iq4_nl) or 4 (q4_1, q5_1) for 32 elements besides; ExLlama's q4 and nvfp4 half a bit an element;
# fp8 and int8 have one scale a tensor, int4 one of 16 bits for 64.
_CACHE_BYTES = {
    "fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "int4": 0.53125,
    "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32, "q4_1": 20 / 32, "q4_0": 18 / 32,
    "iq4_nl": 18 / 32, "q4": 18 / 32, "nvfp4": 18 / 32,
}  # fmt: skip


@record
class Precision:
    """The number formats of one run, as widths. Scales of quantized groups are included.

    Attributes:
        name: the ``dtype`` that was chosen.
        weight_bits: bits of one element of a matrix in a layer.
        kept_bits: bits of one element of what quantization leaves alone: heads, tables, norms,
            biases.
        activation_bytes: bytes of one element of the activations.
        kv_bytes: bytes of one element of the cache.
        compute: number format of the arithmetic, whose peak of the device counts.
        family: what rates are fitted by: ``16``, ``8``, ``8w`` and ``4w`` (weights only), ...
        form: where each matrix has a format of its own, as which the weights are kept, such as
            ``mxfp4 as published``; ``weight_bits`` is then the mean of those that are quantized.
            Empty (default): all matrices in layers alike.
        said: where another format is counted than was asked for, or products in another one, a
            sentence on that. Empty (default): as asked.
        besides: family of the other matrices where a publication narrows experts and leaves
            attention wide, as all do that are published in 4 bits. Empty (default): the same.

    Example:
        >>> import thermoflop as tf  # a scale of 16 and a zero of 4 bits for 64 elements
        >>> precision = tf.fit("llama-3-8b", "h100", dtype="int4-g64", kv_dtype="fp8").precision
        >>> precision.weight_bits == 4 + 20 / 64, precision.kept_bytes, precision.kv_bytes
        (True, 2.0, 1.0)
    """

    name: str
    weight_bits: float
    kept_bits: float
    activation_bytes: float
    kv_bytes: float
    compute: str
    family: str
    form: str = ""
    said: str = ""
    besides: str = ""

    @property
    def families(self) -> tuple[str, ...]:
        """What rates are fitted by: one family for all, or one of experts and one of the rest."""
        return (f"{self.family} experts", self.besides) if self.besides else (self.family,)

    @property
    def label(self) -> str:
        """The form of the weights, or the name where they have none of their own."""
        return self.form or self.name

    @property
    def weight_bytes(self) -> float:
        """Bytes of one element of a matrix in a layer, scales included."""
        return self.weight_bits / 8

    @property
    def kept_bytes(self) -> float:
        """Bytes of one element of what quantization leaves alone: tables, heads, norms, biases."""
        return self.kept_bits / 8


def precision_names() -> tuple[str, ...]:
    """Every name that ``choose_precision`` takes, besides ``int4-g64`` and ``exl2-4.0``."""
    return tuple(_PLAIN)


def format_name(precision: Precision) -> str:
    """The name that a format is asked for by; what MLX's files have has none but its form's."""
    return precision.form if precision.form.startswith("mlx-") else precision.name


def is_precision(name: str) -> bool:
    """Whether ``choose_precision`` takes a name, in lower case."""
    return name in _PLAIN or name.startswith(("int4-g", "exl2-"))


def choose_precision(dtype: str = "bf16", kv_dtype: str | None = None) -> Precision:
    """The widths behind a name. UsageError for one that is not known.

    ``int4-g64`` has a 16-bit scale and a 4-bit zero for 64 elements, ``exl2-4.5`` a mean of 4.5
    bits. The cache is as wide as the activations unless ``kv_dtype`` says otherwise.
    """
    key = spelled(dtype) if isinstance(dtype, str) else ""
    bits, kept, activation, compute, family = _PLAIN.get(key) or _parsed(key, dtype)
    kv_dtype = spelled(kv_dtype) if isinstance(kv_dtype, str) else kv_dtype
    if kv_dtype is None:
        cache = activation
    else:
        check_word("kv_dtype", kv_dtype, _CACHE_BYTES, "is no format of a cache")
        cache = _CACHE_BYTES[kv_dtype]
    return Precision(key, bits, kept, activation, cache, compute, family)


def _parsed(key: str, shown: object) -> tuple[float, float, float, str, str]:
    """Names that carry a number: ``int4-g64`` and ``exl2-4.0``."""
    try:
        if key.startswith("int4-g") and key[6:].isdecimal() and 1 <= int(key[6:]) < 1_000_000:
            return (4 + 20 / int(key[6:]), 16, 2, "fp16", "4w")
        if key.startswith("exl2-") and 1 < (bits := float(key[5:])) <= 8:
            return (bits, 16 if bits > 6 else 6, 2, "fp16", "4w" if bits < 6 else "8w")
    except ValueError:
        pass
    asked = asked_for(key, [*_PLAIN, "int4-g64", "exl2-4.0"])
    raise UsageError(f"{shown!r:.40} is not a number format: {asked}")


COMMON = ("bf16", "fp8", "awq", "q8_0", "q4_k_m")  # what is said where nothing is like a name
_UNSLOTH = r"(?:ud-)?(i?q\d(?:_k)?)_(?:xl|m|s|xxs)"
_BITS = r"(?:u?int|fp|float|[wq])?[-_ ]?(\d{1,2})[-_ ]?(?:bits?|b)?"


def asked_for(name: str, known: Sequence[str]) -> str:
    """What belongs in the place of a name that is no format: where it says only how many bits,
    the formats of so many."""
    if mix := re.fullmatch(_UNSLOTH, name.lower()):
        alike = name.lower().removeprefix("ud-"), f"{mix[1]}_m", mix[1]
        plain = next((each for each in alike if each in known), "q8_0")
        return f"Unsloth's mixes differ from model to model: expected the file, or {plain}"
    if f"{name.lower()}_m" in known:  # llama-quantize's q4_k is its q4_k_m
        return f"did you mean {name.lower()}_m?"
    said = re.fullmatch(_BITS, name.lower())
    bits = "" if said is None else said[1]
    named = [each for each in known if bits and re.search(r"(?<!exl)\d+|$", each)[0] == bits]  # type: ignore[index]
    named = ["awq", "gptq", *named] if bits == "4" else named
    if not named:
        near = nearest(name, known)
        few = ", ".join(each for each in COMMON if each in known)
        return f"did you mean {near}?" if near else f"expected one such as {few}; --help has more"
    usual = USUAL.get(bits, named[0])
    named = [usual, *(each for each in named if each != usual)]
    return f"expected one of {bits} bits, such as {', '.join(named[:10])}"
