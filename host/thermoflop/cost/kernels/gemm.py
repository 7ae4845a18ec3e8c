"""Products of activations with a weight matrix: m rows, k deep, n wide.

Computing, moving and the walk of one tile over k overlap (a 2-norm); activations that are quantized
on the way are read and written besides. Waves of tiles over the cores were tried and bring nothing.
"""

from __future__ import annotations

from thermoflop.base.number import Number, maximum
from thermoflop.cost.kernels.form import Form, Parameter, Values, from_memory_s, norm


def seconds(kernel: Values, rates: Values) -> Number:
    """Sizes ``m``, ``n``, ``k``, bytes of a weight and of what is multiplied, ``quantizes`` 0 or
    1."""
    m, n, k, quantizes = kernel["m"], kernel["n"], kernel["k"], kernel["quantizes"]
    padded = 2.0 * (m + rates["m_half"]) * n * (k + rates["k_half"])
    computing = padded / (kernel["peak"] * rates["compute"])
    rows = m * (k * kernel["activation_bytes"] + 2.0 * n)
    weights = n * k * kernel["weight_bytes"] / rates["weights"]
    moving = (weights + rows / rates["activations"]) / kernel["bandwidth"]
    walking = rates["cycles_per_k"] * k / kernel["clock"]
    quantized = m * k * (2.0 + kernel["activation_bytes"]) * quantizes / rates["activations"]
    fixed = rates["fixed_s"] + quantizes * rates["quantize_s"]
    return fixed + norm(2, computing, moving, walking) + quantized / kernel["bandwidth"]


def bound_s(kernel: Values) -> Number:
    """FLOPs at the peak, or weights at the bandwidth."""
    m, n, k = kernel["m"], kernel["n"], kernel["k"]
    weights = n * k * kernel["weight_bytes"]
    return maximum(2.0 * m * n * k / kernel["peak"], from_memory_s(kernel, weights))


FORM = Form(
    "gemm",
    "products",
    "gemm",
    {
        "compute": Parameter(0.67, 0.5, 1.0),
        "weights": Parameter(0.84, 0.5, 1.0),
        "activations": Parameter(0.74, 0.5, 1.0),
        "m_half": Parameter(2.8),
        "k_half": Parameter(77.0),
        "cycles_per_k": Parameter(2.0),
        "fixed_s": Parameter(5.7e-6),
        "quantize_s": Parameter(1e-6),
    },
    seconds,
    bound_s,
)
