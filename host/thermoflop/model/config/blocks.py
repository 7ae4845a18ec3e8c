"""Parts with biases everywhere, as encoders, image towers and encoder-decoders are made of."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.description import Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Part, Table
from thermoflop.model.config.decoder import activation_kind, head_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config


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


def biased_layer(
    hidden: int,
    heads: int,
    inner: int,
    activation: str,
    *,
    kind: str = "attention + MLP",
    norms: tuple[str, str] = ("norm 1", "norm 2"),
    **attention: Any,
) -> Layer:
    """Attention, which may have other fields, and two matrices, with a norm each."""
    mixer, mlp = biased_attention(hidden, heads, **attention), biased_mlp(hidden, inner, activation)
    return Layer(kind, hidden, tuple(layer_norm(name, hidden) for name in norms), mixer, feed=mlp)


def kept_layers(hidden: int, inner: int, layers: int, *, biased_maps: int) -> int:
    """Parameters of layers that are kept and do no work: four maps, of which so many have a bias,
    two matrices with biases and two norms."""
    biases = biased_maps * hidden + inner + hidden
    return layers * (4 * hidden**2 + 2 * hidden * inner + biases + 4 * hidden)


def conformer(
    hidden: int,
    attention: Attention,
    mlp: Mlp,
    convolution: tuple[Part, ...],
    norms: tuple[str, ...] = ("mlp", "conv", "last"),
) -> Layer:
    """Half an MLP, attention, a gated convolution, half an MLP, a norm (Gulati et al. 2020)."""
    names = ("attention_norm", "second_mlp_norm")
    own = (*(layer_norm(f"{name}_norm", hidden) for name in norms), *mlp.linears(), *convolution)
    return Layer(
        "Conformer", hidden, tuple(layer_norm(name, hidden) for name in names), attention,
        feed=mlp, others=tuple(Placed(part) for part in own),
    )  # fmt: skip


def tower_stack(
    role: str,
    hidden: int,
    runs: tuple[Run, ...],
    front: tuple[Placed, ...],
    tail: tuple[Placed, ...],
    positions: int,
    **more: Any,
) -> Stack:
    """A tower that leaves the text a token of each of its positions."""
    sizes = {"positions": positions, "patches": positions, "pooled": positions}
    return Stack(role, hidden, runs, front, tail, False, **{**sizes, **more})


def mel_front(config: Config) -> tuple[Placed, Placed, Placed]:
    """Whisper's: two convolutions over mel frames, the second with a step of two, and positions."""
    hidden, role = config["d_model"], "conv_frontend"
    rows = config["max_source_positions"]
    return (
        Placed(Convolution("conv1", role, role, config["num_mel_bins"], hidden, 3, True), "frame"),
        Placed(Convolution("conv2", role, role, hidden, hidden, 3, bias=True)),
        Placed(Table("embed_positions", "embed_pos", rows, hidden, lookups=False)),
    )


def classifier(name: str, hidden: int, labels: int, group: str = "classifier") -> Linear:
    """A map outside the layers, with a bias, that quantization leaves alone."""
    return Linear(name, group, group, hidden, labels, bias=True, unquantized=True)
