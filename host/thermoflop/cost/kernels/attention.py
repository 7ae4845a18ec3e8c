"""Attention over a cache of keys and values that are kept by head: of one token, and of prompts.

Decoding: reading the cache, multiplying the queries that share a key head (padded to a tile), and
one block's pass over the sequence, which splitting it over blocks shortens beyond a length. Both
are affine in the context between the knees, on which the closed form of a generation rests.

Prompts: pairs under the causal mask at a rate that is reached at half for ``half`` tokens; the
exponentials of the softmax have a unit of their own (16 a core and cycle, 32 on B300) and add to
the products by a 2-norm.
"""

from __future__ import annotations

from thermoflop.base.number import Number, maximum, minimum
from thermoflop.cost.kernels.form import Form, Parameter, Values, from_memory_s, norm

SPLIT_COST = 0.02  # what a position costs beyond the length from which blocks share a sequence


def decode_s(kernel: Values, rates: Values) -> Number:
    """Sizes ``batch``, ``context``, ``heads``, ``kv_heads``, ``dim``, bytes of a cached number."""
    batch, context, heads = kernel["batch"], kernel["context"], kernel["heads"]
    kv_heads, dim = kernel["kv_heads"], kernel["dim"]
    cache = 2.0 * batch * context * kv_heads * dim * kernel["cache_bytes"]
    moving = cache / (kernel["bandwidth"] * rates["cache"])
    rows = heads / kv_heads + rates["q_half"]
    computing = (
        4.0 * dim * batch * kv_heads * rows * context / (kernel["peak16"] * rates["compute"])
    )
    once = 4.0 * batch * heads * dim / kernel["bandwidth"]
    passing = pass_s(context, kernel, rates)
    return rates["fixed_s"] + norm(4, moving, computing) + passing + once


def pass_s(context: Number, kernel: Values, rates: Values) -> Number:
    """One block's pass over a sequence, at full length up to ``split`` positions."""
    split = rates["split"]
    walked = minimum(context, split) + SPLIT_COST * maximum(context - split, 0.0)
    return rates["cycles_per_key"] * walked / kernel["clock"]


def decode_bound_s(kernel: Values) -> Number:
    """The cache at the bandwidth, or FLOPs at the peak."""
    sizes = kernel["batch"] * kernel["context"] * kernel["dim"]
    moving = from_memory_s(kernel, 2.0 * sizes * kernel["kv_heads"] * kernel["cache_bytes"])
    return maximum(moving, 4.0 * sizes * kernel["heads"] / kernel["peak_best"])


def prompt_s(kernel: Values, rates: Values) -> Number:
    """Sizes ``batch``, ``new`` (nothing cached), ``heads``, ``kv_heads``, ``dim``, ``out_dim``."""
    new, heads, batch = kernel["new"], kernel["heads"], kernel["batch"]
    dim, out = kernel["dim"], kernel["out_dim"]
    pairs = batch * heads * new * (new + rates["half"]) / 2
    products = 2.0 * (dim + out) / (kernel["peak"] * rates["compute"])
    exponentials = 1.0 / (kernel["cores"] * kernel["clock"] * kernel["exp"] * rates["softmax"])
    walking = rates["cycles_per_query"] * new / kernel["clock"]
    kept = 2.0 * heads * (dim + out) + kernel["kv_heads"] * (dim + out) * kernel["cache_bytes"]
    moved = batch * new * kept / (kernel["bandwidth"] * rates["activations"])
    busy = norm(3, pairs * norm(2, products, exponentials), walking)
    return rates["fixed_s"] + busy + moved


def prompt_bound_s(kernel: Values) -> Number:
    """The products under the mask at the peak."""
    new = kernel["new"]
    pairs = kernel["batch"] * kernel["heads"] * new * (new + 1) / 2
    return 2.0 * pairs * (kernel["dim"] + kernel["out_dim"]) / kernel["peak_best"]


DECODE = Form(
    "decode attention",
    "attention, decoding",
    "attention_decode",
    {
        "cache": Parameter(0.81, 0.5, 1.0),
        "compute": Parameter(0.126, 0.7, 1.0),
        "q_half": Parameter(1.4),
        "cycles_per_key": Parameter(7.9),
        "split": Parameter(800.0, 0.5),
        "fixed_s": Parameter(1e-5),
    },
    decode_s,
    decode_bound_s,
    elsewhere=("engine", "format"),
)
_PROMPT = {
    "compute": Parameter(0.577, 0.5, 1.0),
    "softmax": Parameter(0.878, 0.3, 1.0),
    "activations": Parameter(0.9, 0.3, 1.0),
    "half": Parameter(394.0),
    "cycles_per_query": Parameter(43.0),
    "fixed_s": Parameter(1e-5),
}
_OF_PROMPT = (_PROMPT, prompt_s, prompt_bound_s)
PROMPT = Form("prompt attention", "attention, prompts", "attention_context", *_OF_PROMPT)
LATENT_PROMPT = Form("latent prompt attention", "MLA, prompts", "mla_context", *_OF_PROMPT)
