"""The few operations that Python ints, numpy arrays and sympy symbols do not share.

Counts are made of ``+``, ``*`` and, here, ``minimum``, ``maximum``, ``where_zero`` and
``ceil_div``. numpy and sympy are imported only when one of their objects is handed in.
"""

from __future__ import annotations

from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    import numpy as np
    from numpy.typing import NDArray

# int, numpy array or scalar of one, or sympy expression: what adds and multiplies
Number: TypeAlias = "Any"
Array: TypeAlias = "NDArray[np.float64]"
Indices: TypeAlias = "NDArray[np.int64]"
Flags: TypeAlias = "NDArray[np.bool_]"
Words: TypeAlias = "NDArray[np.str_]"

# Largest count that int64 carries with room for the doubled and scaled intermediate values.
INT64_SAFE = 2**62

# How a total was computed, as the outputs state it.
ARITHMETIC = {
    "int": "exact whole numbers",
    "int64": "exact whole numbers (int64; the largest configuration was checked to fit)",
    "float64": "float64, relative error about 1e-15: the largest total would pass 2^63",
    "sympy": "symbols",
}


_PLAIN = frozenset((int, float))  # most of what an estimate compares, millions of times in a fit


def kind_of(value: Number) -> str:
    """``"int"``, ``"numpy"`` or ``"sympy"``, from the type alone."""
    if type(value) in _PLAIN:
        return "int"
    module = type(value).__module__
    if module.startswith("sympy"):
        return "sympy"
    return "numpy" if module.startswith("numpy") else "int"


def is_array(value: Number) -> bool:
    """Whether a value stands for many numbers."""
    return kind_of(value) == "numpy"


def common_kind(*values: Number) -> str:
    """The widest kind among the values: sympy over numpy over int."""
    kinds = {kind_of(value) for value in values}
    return "sympy" if "sympy" in kinds else "numpy" if "numpy" in kinds else "int"


def minimum(left: Number, right: Number) -> Number:
    """The smaller of two numbers, element by element for arrays."""
    if type(left) in _PLAIN and type(right) in _PLAIN:
        return left if left <= right else right
    kind = common_kind(left, right)
    if kind == "int":
        return left if left <= right else right
    if kind == "numpy":
        import numpy

        return numpy.minimum(left, right)
    return _extreme("Min", left, right)


def maximum(left: Number, right: Number) -> Number:
    """The larger of two numbers, element by element for arrays."""
    if type(left) in _PLAIN and type(right) in _PLAIN:
        return left if left >= right else right
    kind = common_kind(left, right)
    if kind == "int":
        return left if left >= right else right
    if kind == "numpy":
        import numpy

        return numpy.maximum(left, right)
    return _extreme("Max", left, right)


# sympy compares all terms of both, and every layer asks for the same ones
@lru_cache(maxsize=256, typed=True)
def _extreme(name: str, left: Number, right: Number) -> Number:
    import sympy

    return getattr(sympy, name)(left, right)


def any_of(test: Number) -> bool:
    """Whether a comparison holds, of arrays anywhere."""
    return bool(test.any() if hasattr(test, "any") else test)


def one_where(test: Number) -> Number:
    """1.0 where a comparison holds and 0.0 elsewhere, element by element."""
    return test * 1.0


def where_zero(test: Number, if_zero: Number, otherwise: Number) -> Number:
    """``if_zero`` where ``test`` is 0, else ``otherwise``; a symbol is taken to be positive."""
    kind = kind_of(test)
    if kind == "int":
        return if_zero if test == 0 else otherwise
    if kind == "numpy":
        import numpy

        return numpy.where(test == 0, if_zero, otherwise)
    return otherwise


def ceil_div(value: Number, step: Number) -> Number:
    """``value / step`` rounded up, in whole numbers."""
    if common_kind(value, step) == "sympy":
        import sympy

        return sympy.ceiling(value / step)
    return -(-value // step)


def scaled(value: Number, numerator: int, denominator: int) -> Number:
    """``value * numerator / denominator``, rounded up to a whole number.

    Symbols stay a ratio: the formula is wanted there, not the rounding.
    """
    if denominator == 1:
        return value * numerator
    kind = kind_of(value)
    if kind == "sympy":
        import sympy

        return value * sympy.Rational(numerator, denominator)
    if kind == "numpy" and value.dtype.kind == "f":
        return value * (numerator / denominator)
    return ceil_div(value * numerator, denominator)


def whole(values: Number) -> Number:
    """An array of floats rounded as ``round`` does: to int64 where it fits, else whole floats."""
    import numpy

    rounded = numpy.rint(values)
    fits = rounded.size == 0 or rounded.max() < INT64_SAFE
    return rounded.astype(numpy.int64) if fits else rounded


def distinct_experts(experts: Number, top_k: Number, tokens: Number) -> Number:
    """Expected number of different experts that ``tokens`` tokens touch: E(1-(1-k/E)^T).

    Each token chooses ``top_k`` of ``experts`` evenly and independently of the others, so it
    misses an expert with probability 1 - k/E, and T tokens all miss it with the T-th power. One
    token touches exactly ``top_k``. A float, because the expectation is one.
    """
    kind = common_kind(experts, top_k, tokens)
    if kind == "sympy":
        return experts * (1 - (1 - top_k / experts) ** tokens)
    if kind == "numpy":
        import numpy

        tokens = numpy.asarray(tokens)
        if tokens.dtype.kind in "iu" and common_kind(experts, top_k) == "int":
            # numpy's own functions differ from those of math in the last bit on some processors
            each, where = numpy.unique(tokens, return_inverse=True)
            found = [distinct_experts(experts, top_k, count) for count in each.tolist()]
            return numpy.array(found, dtype=float)[where].reshape(tokens.shape)
        with numpy.errstate(divide="ignore", invalid="ignore"):
            share = numpy.minimum(numpy.asarray(top_k, dtype=float) / experts, 1.0)
            log_missed = numpy.log1p(-share)
            touched = -experts * numpy.expm1(tokens * log_missed)
        return numpy.where(numpy.asarray(tokens) == 0, 0.0, touched)
    from math import expm1, log1p

    if tokens == 0:
        return 0.0
    if top_k >= experts:
        return float(experts)
    return float(top_k) if tokens == 1 else -experts * expm1(tokens * log1p(-top_k / experts))
