"""Activations that training keeps for the backward pass, per layer, in bytes.

Korthikanti et al. 2022 (table 2), for a layer of width h with a heads, sequences of s tokens in
micro-batches of b, in 16 bits, dropout masks of one byte, t-way tensor parallel:

    none                              s b h (34 + 5 a s / h)
    tensor                            s b h (10 + 24/t + 5 a s / (h t))
    tensor + sequence                 s b h / t (34 + 5 a s / h)
    tensor, selective                 s b h (10 + 24/t)
    tensor + sequence, selective      34 s b h / t
    full                              2 s b h

Under sequence parallelism the inputs of the layers, all that ``full`` keeps, are over t as well.

FlashAttention keeps no scores (Dao et al. 2022): what selective recomputation leaves. The forms
hold for attention of all heads and a plain feed-forward of 4h; for other widths the 24 (of it 16
behind the attention's input) is replaced by what the layer's own parts keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thermoflop.base.number import Number


def form_of(recompute: str, tp: int, *, sequence: bool, fused: bool) -> str:
    """The form that a run keeps its activations in."""
    if recompute == "full":
        return "full"
    kept = recompute == "none" and not fused
    if tp == 1:
        return "none" if kept else "tensor, selective"
    split = "tensor+sequence" if sequence else "tensor"
    return split if kept else f"{split}, selective"


def generalized_layer_bytes(
    form: str, tokens: Number, hidden: Number, attention: Number, feed: Number, scores: Number,
    t: Number, wide: float, blocks: int,
) -> Number:  # fmt: skip
    """Bytes of a layer whose parts keep ``attention``, ``feed`` and ``scores`` elements a token.

    What tensor parallelism divides is the inside of both blocks; their inputs, the norms' inputs
    and the dropout masks (10 bytes a token and element, of Korthikanti's 34) are on every device
    unless the sequence is divided too: 5 a block, which are attention, feed-forward and
    a decoder's cross attention. For a = heads, h and 4h this is Korthikanti's formula.
    """
    if form == "full":
        return wide * tokens * hidden
    inside = tokens * (attention + feed) * wide
    kept = 0 if form.endswith("selective") else tokens * scores * 2.5 * wide
    outside = tokens * hidden * 2.5 * blocks * wide
    if form == "none" or form.startswith("tensor+sequence"):
        return (inside + kept + outside) / t
    return (inside + kept) / t + outside
