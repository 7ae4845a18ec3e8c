"""Moonshine: convolutions over samples of sound, an encoder, and a decoder of text with gated MLPs.

Jeffries et al. 2024, as the classes of transformers 5.24 build it.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Convolution, Norm, Table, lm_head
from thermoflop.model.config.architectures import built
from thermoflop.model.config.decoder import activation_kind, head_width
from thermoflop.model.config.keys import Config

# taps and steps of the convolutions before the encoder
_WINDOWS = ((127, 64), (7, 3), (3, 2))


def read_moonshine(config: Config) -> Description:
    """An encoder of samples, and a decoder that meets it in every layer."""
    kind = built(config, "MoonshineForConditionalGeneration", ("generation", "bare"))
    hidden, vocab, attention = config["hidden_size"], config["vocab_size"], _attention(config)
    norms = tuple(Norm(f"{name}_norm", hidden, "layer") for name in ("self", "cross", "output"))
    tail, stacks = (Placed(Norm("final_norm", hidden, "layer")),), []
    for side, front in (
        ("encoder", _convolutions(hidden)),
        ("decoder", (Placed(Table("embed_tokens", "embed_tokens", vocab, hidden)),)),
    ):
        decodes = side == "decoder"
        activation = activation_kind(config[f"{side}_hidden_act"])
        feed = Mlp(hidden, config["intermediate_size"], decodes, True, True, activation)
        cross = replace(attention, cross=True, rotary=None) if decodes else None
        kept = norms if decodes else (norms[0], norms[-1])
        name = "attention + cross + MLP" if decodes else "attention + MLP"
        layer = Layer(name, hidden, kept, attention, cross, feed)
        runs = (Run(layer, config[f"{side}_num_hidden_layers"]),)
        windows = () if decodes else _WINDOWS
        stacks.append(Stack(side, hidden, runs, front, tail, decodes, windows=windows))
    head = lm_head(hidden, vocab, config["tie_word_embeddings"])
    return Description(tuple(stacks), head=head if kind == "generation" else None)


def _attention(config: Config) -> Attention:
    """Attention of both sides: the class gives the decoder as many heads as the encoder has."""
    hidden, heads = config["hidden_size"], config["encoder_num_attention_heads"]
    given = config["encoder_num_key_value_heads"]
    if given not in (None, heads):
        raise InputError(
            f"encoder_num_key_value_heads is {quote_value(given)} where moonshine's class needs as "
            f"many as query heads, {heads}"
        )
    dim, bias = head_width(hidden, heads), config["attention_bias"]
    filled = -dim % (config["pad_head_dim_to_multiple_of"] or 1)
    return Attention(hidden, heads, heads, dim, bias, bias, bias, rotary=dim, filled=filled)


def _convolutions(hidden: int) -> tuple[Placed, ...]:
    """Three convolutions, each of which leaves fewer positions, with a norm behind the first."""
    role, front, inputs = "conv_frontend", list[Placed](), 1
    for index, (width, (taps, _)) in enumerate(
        zip((hidden, 2 * hidden, hidden), _WINDOWS, strict=True)
    ):
        part = Convolution(f"conv{index + 1}", role, role, inputs, width, taps, bias=index > 0)
        front.append(Placed(part, f"window {index}"))
        inputs = width
    norm = Norm("group_norm", hidden, "layer", bias=True)
    return (front[0], Placed(norm, "window 0"), *front[1:])
