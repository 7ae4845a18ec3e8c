"""Decoding with latent attention (MLA): all heads share one cached vector of a position.

The form is that of ``attention.decode_s``; keys and values are the same 512 numbers and 64 of the
position (DeepSeek-V2, section 2.1), read once.
"""

from __future__ import annotations

from thermoflop.base.number import Number, maximum
from thermoflop.cost.kernels.attention import pass_s
from thermoflop.cost.kernels.form import Form, Parameter, Values, from_memory_s, norm


def seconds(kernel: Values, rates: Values) -> Number:
    """Sizes ``batch``, ``context``, ``heads``, ``dim`` of keys and ``out_dim`` of values."""
    positions = kernel["batch"] * kernel["context"]
    moving = positions * kernel["dim"] * kernel["cache_bytes"]
    widths = kernel["dim"] + kernel["out_dim"]
    flops = 2.0 * positions * (kernel["heads"] + rates["q_half"]) * widths
    once = 2.0 * kernel["batch"] * kernel["heads"] * widths
    busy = norm(
        4,
        moving / (kernel["bandwidth"] * rates["cache"]),
        flops / (kernel["peak16"] * rates["compute"]),
    )
    passing = pass_s(kernel["context"], kernel, rates)
    return rates["fixed_s"] + busy + passing + once / kernel["bandwidth"]


def bound_s(kernel: Values) -> Number:
    """The cache at the bandwidth, or FLOPs at the peak."""
    positions = kernel["batch"] * kernel["context"]
    moving = from_memory_s(kernel, positions * kernel["dim"] * kernel["cache_bytes"])
    widths = kernel["dim"] + kernel["out_dim"]
    return maximum(moving, 2.0 * positions * kernel["heads"] * widths / kernel["peak_best"])


FORM = Form(
    "latent decode attention",
    "MLA, decoding",
    "mla_decode",
    {
        "cache": Parameter(0.7, 0.7, 1.0),
        "compute": Parameter(0.4, 0.7, 1.0),
        "q_half": Parameter(16.0),
        "cycles_per_key": Parameter(8.0),
        "split": Parameter(800.0, 0.7),
        "fixed_s": Parameter(1.5e-5),
    },
    seconds,
    bound_s,
    elsewhere=("engine", "format"),
)
