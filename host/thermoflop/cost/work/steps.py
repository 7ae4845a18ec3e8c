"""The two steps of inference, under the conventions that fused kernels follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.model.operators.step import Step

if TYPE_CHECKING:
    from thermoflop.base.number import Number

CONVENTIONS = {
    "attention": "causal in the prompt, fused: scores stay on the chip",
    "logits": "at the last position",
    "mla": "expanded in the prompt, absorbed in decoding",
    "expert_reads": "expected distinct experts, E(1-(1-k/E)^T)",
}


def prefill_step(prompt: Number, batch: Number, cached: Number = 0, logits: str = "last") -> Step:
    """The step that reads a prompt: causal, fused, logits of the last position."""
    return Step(batch, prompt, cached, attention="causal", logits=logits, mla="expanded")


def decode_step(cached: Number, batch: Number) -> Step:
    """The step that adds one token: absorbed latent, fused, the encoder already run."""
    return Step(batch, 1, cached, encode=False, mla="absorbed", convolution="needed")
