"""Encoder-decoders: BART and its relatives, T5 and mT5, Whisper."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Table
from thermoflop.model.config.blocks import biased_attention, biased_mlp, layer_norm
from thermoflop.model.config.decoder import activation_kind, head_kind
from thermoflop.model.config.keys import Traits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config


def _tower(config: Config, traits: Traits, side: str) -> tuple[Run, ...]:
    """The layers of one side, with biases everywhere (Whisper's keys have none)."""
    hidden = config["d_model"]
    heads = config[f"{side}_attention_heads"]
    attention = biased_attention(hidden, heads, k_bias=traits["k_bias"])
    mlp = biased_mlp(hidden, config[f"{side}_ffn_dim"], config["activation_function"])
    cross = replace(attention, cross=True) if side == "decoder" else None
    norms = [layer_norm("self_norm", hidden), layer_norm("output_norm", hidden)]
    if cross is not None:
        norms.insert(1, layer_norm("cross_norm", hidden))
    kind = "attention + cross + MLP" if cross else "attention + MLP"
    layer = Layer(kind, hidden, tuple(norms), attention, cross, mlp)
    return (Run(layer, config[f"{side}_layers"]),)


def _language_head(config: Config, hidden: int, tied: bool) -> Linear | None:
    """The map to the vocabulary, unless the class has none."""
    kind = head_kind(config)
    if kind.endswith("classifier"):
        raise InputError("a classifier on an encoder-decoder is not understood")
    if kind == "none":
        return None
    return Linear(
        "lm_head", "lm_head", "lm_head", hidden, config["vocab_size"], False, 1, True, tied
    )


def read_seq2seq(config: Config) -> Description:
    """BART, mBART, Pegasus, Blenderbot: shared tokens, positions on both sides."""
    traits = Traits(config, {})
    hidden = config["d_model"]
    rows = config["max_position_embeddings"] + traits["position_offset"]
    stacks = []
    for side in ("encoder", "decoder"):
        table = Table("embed_tokens", "embed_tokens", config["vocab_size"], hidden)
        front = [] if side == "decoder" else [Placed(table, "token")]
        front.append(Placed(Table("embed_positions", "embed_pos", rows, hidden)))
        if traits["embed_norm"]:
            front.append(Placed(layer_norm("embed_norm", hidden)))
        tail = (Placed(layer_norm("final_norm", hidden)),) if traits["final_norm"] else ()
        runs = _tower(config, traits, side)
        stacks.append(Stack(side, hidden, runs, tuple(front), tail, side == "decoder"))
    head = _language_head(config, hidden, config["tie_word_embeddings"])
    return Description(tuple(stacks), head=head)


def read_whisper(config: Config) -> Description:
    """Whisper: two convolutions over mel frames before the encoder, and a text decoder."""
    traits = Traits(config, {"k_bias": False})
    hidden, source = config["d_model"], config["max_source_positions"]
    role = "conv_frontend"
    first = Convolution("conv1", role, role, config["num_mel_bins"], hidden, 3, bias=True)
    second = Convolution("conv2", role, role, hidden, hidden, 3, bias=True)
    front = (
        Placed(first, "frame"),
        Placed(second),
        Placed(Table("embed_positions", "embed_pos", source, hidden, lookups=0)),
    )
    final = (Placed(layer_norm("final_norm", hidden)),)
    runs = _tower(config, traits, "encoder")
    encoder = Stack("encoder", hidden, runs, front, final, causal=False, positions=source)
    tokens = Table("embed_tokens", "embed_tokens", config["vocab_size"], hidden)
    places = Table("embed_positions", "embed_pos", config["max_target_positions"], hidden)
    runs = _tower(config, traits, "decoder")
    decoder = Stack("decoder", hidden, runs, (Placed(tokens), Placed(places)), final)
    head = _language_head(config, hidden, config["tie_word_embeddings"])
    return Description((encoder, decoder), head=head)


def read_t5(config: Config) -> Description:
    """T5 and mT5: relative positions, RMS norms, no biases."""
    hidden, heads = config["d_model"], config["num_heads"]
    attention = Attention(hidden, heads, heads, config["d_kv"])
    mlp = _t5_mlp(config)
    buckets = Table(
        "relative_attention_bias",
        "rel_pos_bias",
        config["relative_attention_num_buckets"],
        heads,
        lookups=0,
    )
    tokens = Table("embed_tokens", "embed_tokens", config["vocab_size"], hidden)
    final = (Placed(Norm("final_norm", hidden)),)
    first, last = Norm("self_norm", hidden), Norm("output_norm", hidden)
    layer = Layer("attention + MLP", hidden, (first, last), attention, feed=mlp)
    front = (Placed(tokens), Placed(buckets, "none"))
    layers = config["num_layers"]
    encoder = Stack("encoder", hidden, (Run(layer, layers),), front, final, causal=False)
    norms = (first, Norm("cross_norm", hidden), last)
    cross = replace(attention, cross=True)
    layer = Layer("attention + cross + MLP", hidden, norms, attention, cross, mlp)
    runs = (Run(layer, config["num_decoder_layers"] or layers),)
    decoder = Stack("decoder", hidden, runs, (Placed(buckets, "none"),), final)
    head = _language_head(config, hidden, config["tie_word_embeddings"])
    return Description((encoder, decoder), head=head)


def _t5_mlp(config: Config) -> Mlp:
    """``feed_forward_proj`` is an activation, or ``gated-`` and one."""
    *prefix, name = config["feed_forward_proj"].split("-")
    if prefix not in ([], ["gated"]):
        raise InputError(
            f"feed_forward_proj is {config['feed_forward_proj']!r:.40}: expected an activation, "
            "or gated- and one"
        )
    activation = activation_kind(name)
    return Mlp(config["d_model"], config["d_ff"], bool(prefix), activation=activation)
