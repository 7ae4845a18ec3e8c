"""Number formats: how many bytes an element takes, scales of its group included, exactly.

Sources: OCP Microscaling Formats v1.0 (mxfp4: 32 elements of 4 bits share a scale of 8 bits); GPTQ
and AWQ as published (128 elements share a 16-bit scale and a zero point of 4 bits, which int4
leaves out); NF4 of QLoRA (64 elements share a scale of 32 bits; nf4-dq: of 8, and 256 of those one
of 32); NVFP4 (16 share one of 8); blocks of GGUF (ggml-common.h: scales and minima of 16 bits each
a block, 6 or 8 a part of one). int8 and fp8 scales are one a tensor, channel or 128 x 128 block,
below 0.1 %, and not counted. tf32 is a way to multiply: it is stored in 32 bits.
"""

from __future__ import annotations

from math import gcd

from thermoflop.base.messages import expected
from thermoflop.base.number import Number, kind_of, scaled, whole
from thermoflop.base.record import record
from thermoflop.errors import UsageError

_PLAIN_BITS = {"fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8}
# bits of an element, bits that a group shares, its elements
_GROUPED = {"int4": (4, 16, 128), "mxfp4": (4, 8, 32)}
# Formats that only weights have: what is computed stays in 16 bits.
_OF_WEIGHTS = {
    "awq": (4, 20, 128), "gptq": (4, 20, 128), "int8-wo": (8, 16, 128), "nvfp4": (4, 8, 16),
    "nf4": (4, 32, 64), "nf4-dq": (4, 256 * 8 + 32, 256 * 64),
    "q2_k": (2, 160, 256), "q3_k": (3, 112, 256), "q4_0": (4, 16, 32), "q4_1": (4, 32, 32),
    "q4_k": (4, 128, 256), "q5_0": (5, 16, 32), "q5_1": (5, 32, 32), "q5_k": (5, 128, 256),
    "q6_k": (6, 144, 256), "q8_0": (8, 16, 32), "iq4_nl": (4, 16, 32), "iq4_xs": (4, 64, 256),
}  # fmt: skip
QUANTIZED = frozenset({"fp8", "int8", "int4", "mxfp4"})
FORMAT_NAMES = (*_PLAIN_BITS, *_GROUPED)


@record
class Format:
    """How many bytes an element takes: ``numerator / denominator``, scales of its group included.

    Attributes:
        name: its name, such as ``bf16`` or ``int4-g64``.
        numerator: bytes that ``denominator`` elements take.
        denominator: elements that ``numerator`` bytes hold.
        quantized: whether it suits the weights of layers alone: heads, tables, norms, biases and
            routers then stay in the format of the activations.

    Example:
        >>> import thermoflop as tf  # groups of 128 elements share a scale of 16 bits
        >>> int4 = tf.load_model("gpt2").decode(0, weights="int4").formats.weights
        >>> int4.bytes_of(128) == (128 * 4 + 16) / 8
        True
    """

    name: str
    numerator: int
    denominator: int
    quantized: bool

    def bytes_of(self, elements: Number) -> Number:
        """Bytes of a number of elements.

        Args:
            elements: how many; an int, a float (an expected number) or an array.

        Returns:
            Bytes, rounded up to a whole number; a float is rounded to the nearest.
        """
        if type(elements) is float:
            return round(elements * self.numerator / self.denominator)
        if kind_of(elements) == "numpy" and elements.dtype.kind == "f":
            return whole(elements * self.numerator / self.denominator)
        return scaled(elements, self.numerator, self.denominator)


# What most people mean who say no more than how many bits: GGUF's mix of that many.
USUAL = {
    "2": "q2_k", "3": "q3_k_m", "4": "q4_k_m", "5": "q5_k_m", "6": "q6_k", "8": "q8_0",
}  # fmt: skip
# What torch and people call them.
_SPELLED = {
    "bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float": "fp32",
}  # fmt: skip


def spelled(name: str) -> str:
    """A format's name in lower case, torch's names (``torch.bfloat16``) as ours."""
    key = name.strip().lower().removeprefix("torch.")
    return _SPELLED.get(key, key)


def parse_format(text: str) -> Format:
    """The format of that name; ``int4-g64`` is int4 with groups of 64. UsageError if unknown."""
    text = spelled(text) if isinstance(text, str) else text
    base, _, group_text = text.partition("-g") if isinstance(text, str) else ("", "", "")
    if base in _PLAIN_BITS and not group_text:
        return Format(text, *_reduced(_PLAIN_BITS[base], 1), quantized=base in QUANTIZED)
    if text in _OF_WEIGHTS:
        bits, shared, group = _OF_WEIGHTS[text]
        return Format(text, *_reduced(bits * group + shared, group), quantized=True)
    if base in _GROUPED:
        bits, scale_bits, group = _GROUPED[base]
        if group_text:
            group = int(group_text) if group_text.isdecimal() and len(group_text) < 7 else 0
        if group > 0:
            return Format(text, *_reduced(bits * group + scale_bits, group), quantized=True)
    asked = expected(str(text).lower(), [*FORMAT_NAMES, "int4-g64", *_OF_WEIGHTS])
    raise UsageError(f"{text!r:.40} is not a number format: {asked}")


def _reduced(bits: int, elements: int) -> tuple[int, int]:
    """Bytes per element as a fraction in lowest terms."""
    shared = gcd(bits, 8 * elements)
    return bits // shared, 8 * elements // shared


@record
class Formats:
    """The number formats in one table.

    Attributes:
        weights: format of the matrices in layers.
        activations: format of activations.
        cache: format of keys, values and recurrent states.

    Example:
        >>> import thermoflop as tf
        >>> formats = tf.load_model("gpt2").decode(0, weights="int8").formats
        >>> formats.weights.name, formats.unquantized.name
        ('int8', 'bf16')
    """

    weights: Format
    activations: Format
    cache: Format

    @property
    def unquantized(self) -> Format:
        """Weights that quantization leaves alone: norms, biases, tables, heads, routers."""
        return self.activations if self.weights.quantized else self.weights

    @property
    def whole_bytes(self) -> bool:
        """Whether every element takes a whole number of bytes, so that nothing is rounded."""
        return all(each.denominator == 1 for each in (self.weights, self.activations, self.cache))


def choose_formats(
    dtype: str = "bf16",
    weights: str | None = None,
    activations: str | None = None,
    cache: str | None = None,
) -> Formats:
    """Formats by name, ``dtype`` where no other is given.

    A quantized ``weights`` with no other given leaves them in ``dtype``; a quantized
    ``dtype`` holds for all three, but for one that only weights have (awq, q8_0, ...).
    """
    wide = "bf16" if isinstance(dtype, str) and spelled(dtype) in _OF_WEIGHTS else dtype
    chosen = ((weights, dtype), (activations, wide), (cache, wide))
    return Formats(*(parse_format(other if name is None else name) for name, other in chosen))
