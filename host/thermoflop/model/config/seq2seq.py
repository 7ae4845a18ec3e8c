"""Encoder-decoders: BART and its relatives, T5 and its relatives, Whisper; whole, or half of one.

The encoder alone is an encoder-only model. A decoder alone keeps the weights of its cross
attention, which meets no source: they count, and do no work.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp, Moe
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Linear, Norm, Part, Table, lm_head
from thermoflop.model.config.architectures import built, label_count
from thermoflop.model.config.blocks import (
    biased_attention,
    biased_mlp,
    classifier,
    layer_norm,
    mel_front,
)
from thermoflop.model.config.decoder import activation_kind
from thermoflop.model.config.family import use
from thermoflop.model.config.keys import Config, Traits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# The traits of an encoder-decoder that names no other.
DEFAULTS: dict[str, Any] = {
    "vocab": use("vocab_size"),
    "hidden": use("d_model"),
    "tied": use("tie_word_embeddings"),
    "tables_tied": use("tie_word_embeddings"),  # one table of tokens for both sides, or three
    "bias": (True, True),  # whether the attention of each side has biases
    "k_bias": True,
    "positions": lambda config: (config["max_position_embeddings"],) * 2,  # of each side; 0: none
    "position_offset": 0,  # rows of a table of positions before the first one
    "mixtures": None,  # of both sides: layers that are mixtures, experts, experts for each token
    "router_bias": False,
    "source_vocab": None,  # of a table of the encoder's own (FSMT); None: vocab
    "carried": (),  # parts of the encoder that tokens of every layer's own run through (Pegasus X)
    "watches": False,  # the encoder keeps projections for tokens that see everything (LED)
    "causal_tied": use("tie_word_embeddings"),
    "half_keeps_tokens": False,  # an encoder alone has a second table unless they are tied
    "embed_norm": False,
    "extras": (),  # parts of the whole that are kept
    "final_norm": True,
    "labels": 2,  # classes of a classifier whose file names none
    "span_labels": 2,  # None: as of a classifier
    "class": "ForConditionalGeneration",
    "classes": ("generation", "bare", "sequence", "question", "causal", "encoder", "decoder"),
}


def _tower(config: Config, traits: Traits, side: str) -> tuple[Run, ...]:
    """The layers of one side, with biases everywhere (Whisper's keys have none)."""
    hidden, heads = traits["hidden"], config[f"{side}_attention_heads"]
    bias = dict.fromkeys(("q_bias", "v_bias", "o_bias"), traits["bias"][side == "decoder"])
    bias["k_bias"] = bias["q_bias"] and traits["k_bias"]
    attention = biased_attention(hidden, heads, **bias)
    mlp = biased_mlp(hidden, config[f"{side}_ffn_dim"], config["activation_function"])
    norms = tuple(layer_norm(f"{name}_norm", hidden) for name in ("self", "cross", "output"))
    runs = _side(traits, side, attention, mlp, norms, config[f"{side}_layers"])
    kept: tuple[Part, ...] = traits["carried"]
    if traits["watches"]:
        linears = attention.projections()[:3]
        kept = tuple(replace(linear, name=f"global {linear.name}") for linear in linears)
    if not kept or side == "decoder":
        return runs
    return tuple(replace(run, layer=replace(run.layer, kept=kept)) for run in runs)


def _side(
    traits: Traits,
    side: str,
    attention: Attention,
    mlp: Mlp,
    norms: tuple[Norm, ...],
    layers: int,
) -> tuple[Run, ...]:
    """The layers of one side: those with an MLP, and those with a mixture of such."""
    decodes = side == "decoder"
    cross = replace(attention, cross=True) if decodes else None
    norms = norms if decodes else (norms[0], norms[-1])
    feeds: list[tuple[str, Mlp | Moe, int]] = [("MLP", mlp, layers)]
    if traits["mixtures"] is not None:
        sparse, experts, top_k = traits["mixtures"][decodes]
        expert = replace(mlp, group="experts", copies=experts)
        moe = Moe(mlp.hidden, experts, top_k, expert, traits["router_bias"])
        feeds = [("MLP", mlp, layers - sparse), ("MoE", moe, sparse)]
    where = "attention + cross" if decodes else "attention"
    return tuple(
        Run(Layer(f"{where} + {name}", mlp.hidden, norms, attention, cross, feed), times)
        for name, feed, times in feeds
        if times
    )


def _tokens(traits: Traits, rows: int | None = None) -> Placed:
    rows = rows or traits["vocab"]
    return Placed(Table("embed_tokens", "embed_tokens", rows, traits["hidden"]))


def _joined(config: Config, traits: Traits, encoder: Stack, decoder: Stack) -> Description:
    """What the class named in ``architectures`` makes of two sides that hold no tokens yet."""
    kind = built(config, traits["class"], traits["classes"])
    hidden, tokens, shared = traits["hidden"], _tokens(traits), traits["tables_tied"]
    extras: tuple[Placed, ...] = ()
    if kind in ("encoder", "token"):
        scores = [Placed(classifier("classifier", hidden, label_count(config)))]
        tail = (*encoder.tail, *(scores if kind == "token" else ()))
        front = (tokens, *encoder.front)
        spare = traits["half_keeps_tokens"] and not shared
        extras = (replace(tokens, rows="none"),) if spare else ()
        return Description((replace(encoder, role="decoder", front=front, tail=tail),), extras)
    head: Linear | None = None
    if kind in ("generation", "causal"):
        tied = traits["causal_tied" if kind == "causal" else "tied"]
        head = lm_head(hidden, traits["vocab"], tied)
    if kind in ("causal", "decoder"):
        runs = tuple(replace(run, layer=_alone(run.layer)) for run in decoder.runs)
        half = replace(decoder, runs=runs, front=(tokens, *decoder.front))
        return Description((half,), head=head)
    if encoder.positions is not None:  # Whisper's encoder hears, and has no tokens
        decoder = replace(decoder, front=(tokens, *decoder.front))
    else:
        source = traits["source_vocab"]
        read = tokens if source is None else _tokens(traits, source)
        encoder = replace(encoder, front=(read, *encoder.front))
        if not shared:
            decoder = replace(decoder, front=(tokens, *decoder.front))
            extras = (replace(tokens, rows="none"),) if source is None else ()
    if kind == "sequence":
        dense = Placed(classifier("dense", hidden, hidden), "sequence")
        labels = label_count(config, traits["labels"])
        scores = [dense, Placed(classifier("classifier", hidden, labels), "sequence")]
        decoder = replace(decoder, tail=(*decoder.tail, *scores))
    if kind == "question":
        labels = traits["span_labels"] or label_count(config)
        span = Placed(classifier("span", hidden, labels))
        decoder = replace(decoder, tail=(*decoder.tail, span))
    return Description((encoder, decoder), (*extras, *traits["extras"]), head)


def _alone(layer: Layer) -> Layer:
    """A layer of a decoder that no encoder stands beside."""
    return replace(layer, kind="attention + MLP", cross=None, idle=layer.cross)


def read_seq2seq(config: Config) -> Description:
    """BART, mBART and their relatives: shared tokens, positions on both sides."""
    traits = Traits(config, DEFAULTS)
    hidden = traits["hidden"]
    stacks = []
    for side, rows in zip(("encoder", "decoder"), traits["positions"], strict=True):
        table = Table("embed_positions", "embed_pos", rows + traits["position_offset"], hidden)
        front = [Placed(table)] if rows else []
        if traits["embed_norm"]:
            front.append(Placed(layer_norm("embed_norm", hidden)))
        tail = (Placed(layer_norm("final_norm", hidden)),) if traits["final_norm"] else ()
        runs = _tower(config, traits, side)
        stacks.append(Stack(side, hidden, runs, tuple(front), tail, side == "decoder"))
    return _joined(config, traits, stacks[0], stacks[1])


def read_whisper(config: Config) -> Description:
    """Whisper: two convolutions over mel frames before the encoder, and a text decoder."""
    kinds = ("generation", "bare", "causal", "decoder")
    traits = Traits(config, {**DEFAULTS, "k_bias": False, "classes": kinds})
    hidden, source, front = traits["hidden"], config["max_source_positions"], mel_front(config)
    final = (Placed(layer_norm("final_norm", hidden)),)
    runs = _tower(config, traits, "encoder")
    encoder = Stack("encoder", hidden, runs, front, final, causal=False, positions=source)
    places = Table("embed_positions", "embed_pos", config["max_target_positions"], hidden)
    runs = _tower(config, traits, "decoder")
    decoder = Stack("decoder", hidden, runs, (Placed(places),), final)
    return _joined(config, traits, encoder, decoder)


def read_t5(config: Config) -> Description:
    """T5 and its relatives: relative positions, RMS norms, no biases."""
    kinds = ("generation", "bare", "sequence", "question", "encoder", "token")
    own = {"tables_tied": True, "span_labels": None, "every_layer": False, "summaries": False}
    traits = Traits(config, {**DEFAULTS, **own, "classes": kinds})
    hidden, heads, mlp = traits["hidden"], config["num_heads"], _t5_mlp(config)
    attention = Attention(hidden, heads, heads, config["d_kv"])
    norms = tuple(Norm(f"{name}_norm", hidden) for name in ("self", "cross", "output"))
    final, stacks = (Placed(Norm("final_norm", hidden)),), []
    for side in ("encoder", "decoder"):
        layers = config["num_layers"]
        if side == "decoder":
            layers = config["num_decoder_layers"] or layers
        runs = _side(traits, side, attention, mlp, norms, layers)
        rows = config["relative_attention_num_buckets"] * (layers if traits["every_layer"] else 1)
        if traits["summaries"] and side == "encoder":
            rows, norm = 2 * rows, Norm("summary_norm", hidden)
            runs = tuple(replace(run, layer=replace(run.layer, kept=(norm,))) for run in runs)
        bias = Table("relative_attention_bias", "rel_pos_bias", rows, heads, lookups=False)
        stacks.append(Stack(side, hidden, runs, (Placed(bias, "none"),), final, side == "decoder"))
    return _joined(config, traits, stacks[0], stacks[1])


def _t5_mlp(config: Config) -> Mlp:
    """``feed_forward_proj`` is an activation, or ``gated-`` and one; ``is_gated_act`` wins."""
    *prefix, name = config.get("feed_forward_proj", "relu").split("-")
    if prefix not in ([], ["gated"]):
        raise InputError(
            f"feed_forward_proj is {config['feed_forward_proj']!r:.40}: expected an activation, "
            "or gated- and one"
        )
    stated, activation = config.get("is_gated_act"), activation_kind(name)
    gated = bool(prefix) if stated is None else stated
    return Mlp(config["d_model"], config["d_ff"], gated, activation=activation)
