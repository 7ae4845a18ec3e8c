"""Perceiver: learned latents read the tokens, attend to one another, and are read by queries.

Jaegle et al. 2021 (Perceiver IO), as the classes of transformers 5.24 build it for text.
"""

from __future__ import annotations

from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Table, Vector, lm_head
from thermoflop.model.config.architectures import built, label_count
from thermoflop.model.config.blocks import biased_mlp, classifier, layer_norm
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.keys import Config

# PerceiverForMaskedLM's own sizes of the queries that read the latents
_MASKED_CHANNELS, _MASKED_HEADS = 8 * 32, 8


def read_latents(config: Config) -> Description:
    """The latents and what they are made of, then the queries of the class's head."""
    kind = built(config, "ForMaskedLM", ("masked", "sequence", "bare"))
    width, latents = config["d_model"], config["num_latents"]
    hidden = config["d_latents"]
    front = [Placed(Vector("latents", "embed_pos", latents * hidden), "none")]
    if kind != "bare":
        tables = (
            ("tokens", config["vocab_size"]),
            ("positions", config["max_position_embeddings"]),
        )
        groups = ("embed_tokens", "embed_pos")
        front += [
            Placed(Table(f"embed_{name}", group, rows, width), "text")
            for (name, rows), group in zip(tables, groups, strict=True)
        ]
    runs = (
        Run(_reading(config), 1),
        Run(
            _layer(config, hidden, None, config["num_self_attention_heads"]),
            config["num_blocks"] * config["num_self_attends_per_block"],
            config["num_self_attends_per_block"],
        ),
    )
    stacks = [Stack("decoder", hidden, runs, tuple(front), causal=False, positions=latents)]
    if kind != "bare":
        stacks.append(_answering(config, kind))
    return Description(tuple(stacks))


def _reading(config: Config) -> Layer:
    """The layer in which the latents read the tokens."""
    hidden, width, heads = (
        config[key] for key in ("d_latents", "d_model", "num_cross_attention_heads")
    )
    shape = config["cross_attention_shape_for_attention"]
    if shape not in ("q", "kv"):
        raise UnknownModel(f"cross_attention_shape_for_attention {shape!r:.40} is neither q nor kv")
    channels = config["qk_channels"] or (hidden if shape == "q" else width)
    values = config["v_channels"] or channels
    return _layer(config, hidden, width, heads, channels, values, "cross_attention_widening_factor")


def _layer(
    config: Config,
    hidden: int,
    source: int | None,
    heads: int,
    channels: int | None = None,
    values: int | None = None,
    widening: str | None = "self_attention_widening_factor",
) -> Layer:
    """Attention to a ``source`` so wide (None: to itself) and two matrices, norms before both."""
    if source is None:
        channels = config["qk_channels"] or hidden
        values = config["v_channels"] or channels
        if values != hidden:
            raise InputError(f"v_channels {values} is not d_latents, which is added to them")
    assert channels is not None and values is not None  # noqa: S101, PT018 - said by the callers
    attention = Attention(
        *(hidden, heads, heads, head_width(channels, heads), True, True, True, True),
        value_dim=head_width(values, heads),
        cross=source is not None,
        source=source,
    )
    inner = hidden * (1 if widening is None else config[widening])
    norms = (layer_norm("norm 1", hidden), layer_norm("norm 2", hidden))
    kept = () if source is None else (layer_norm("source_norm", source),)
    name = "attention + MLP" if source is None else "cross attention + MLP"
    feed = biased_mlp(hidden, inner, config["hidden_act"])
    return Layer(name, hidden, norms, attention, feed=feed, kept=kept)


def _answering(config: Config, kind: str) -> Stack:
    """Queries that read the latents: one for each position that a text may have, or for labels."""
    latents, width, vocab = config["d_latents"], config["d_model"], config["vocab_size"]
    if kind == "sequence":
        width, rows, labels = latents, 1, label_count(config)
        layer = _layer(config, latents, latents, 1, latents, latents, None)
        tail = Placed(classifier("classifier", latents, labels))
    else:
        rows = config["max_position_embeddings"]
        layer = _layer(config, width, latents, _MASKED_HEADS, _MASKED_CHANNELS, width, None)
        tail = Placed(lm_head(width, vocab, tied=True, bias=True))
    queries = Placed(Vector("queries", "embed_pos", rows * width), "none")
    runs = (Run(layer, 1),)
    return Stack("decoder", width, runs, (queries,), (tail,), causal=False, positions=rows)
