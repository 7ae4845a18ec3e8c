"""Parts with biases everywhere, as encoders, image towers and encoder-decoders are made of."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Linear, Norm
from thermoflop.model.config.decoder import activation_kind, head_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def layer_norm(name: str, width: int) -> Norm:
    """A layer norm with weight and bias."""
    return Norm(name, width, "layer", bias=True)


def biased_attention(hidden: int, heads: int, **changes: Any) -> Attention:
    """Multi-head attention with four biases; ``changes`` are other fields."""
    attention = Attention(hidden, heads, heads, head_width(hidden, heads), True, True, True, True)
    return replace(attention, **changes)


def biased_mlp(hidden: int, inner: int, activation: str) -> Mlp:
    """Two matrices with biases."""
    return Mlp(hidden, inner, False, True, True, activation_kind(activation))


def classifier(name: str, hidden: int, labels: int, group: str = "classifier") -> Linear:
    """A map outside the layers, with a bias, that quantization leaves alone."""
    return Linear(name, group, group, hidden, labels, bias=True, unquantized=True)
