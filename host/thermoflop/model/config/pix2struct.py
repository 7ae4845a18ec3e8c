"""Pix2Struct: T5's layers over patches of a screen as it is, and its decoder of text.

Lee et al. 2023, as the classes of transformers 5.24 build it.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Linear, Norm, Table, lm_head
from thermoflop.model.config.architectures import built
from thermoflop.model.config.decoder import activation_kind
from thermoflop.model.config.keys import Config
from thermoflop.model.config.readers import read_sections

# Patches of an image where nothing is said: max_patches of Pix2StructImageProcessor.
MOST_PATCHES = 2048


def read_pix2struct(config: Config) -> Description:
    """Patches, which the text meets in every layer."""
    built(config, "ForConditionalGeneration", ("generation",))
    read = read_sections(config)
    eyes, text = read["vision_config"], read["text_config"]
    stacks = (_encoder(eyes), _decoder(text, eyes["hidden_size"]))
    tied = bool(config["tie_word_embeddings"])
    return Description(stacks, head=lm_head(text["hidden_size"], text["vocab_size"], tied))


def _layer(section: Config, heads: int, kind: str) -> Layer:
    """Attention without biases and a gated MLP, norms before both."""
    hidden, activation = section["hidden_size"], activation_kind(section["dense_act_fn"])
    attention = Attention(hidden, heads, heads, section["d_kv"])
    norms = (Norm("self_norm", hidden), Norm("output_norm", hidden))
    feed = Mlp(hidden, section["d_ff"], activation=activation)
    return Layer(kind, hidden, norms, attention, feed=feed)


def _encoder(eyes: Config) -> Stack:
    """Patches of as many numbers as they have, with a row and a column each."""
    hidden, rows = eyes["hidden_size"], eyes["seq_len"]
    patch = ("patch_projection", "embed_patch", "embed_patch", eyes["patch_embed_hidden_size"])
    tables = (Table(f"embed_{name}", "embed_pos", rows, hidden) for name in ("rows", "columns"))
    front = (Placed(Linear(*patch, hidden, bias=True)), *(Placed(table) for table in tables))
    runs = (Run(_layer(eyes, eyes["num_attention_heads"], "attention + MLP"),
                eyes["num_hidden_layers"]),)  # fmt: skip
    tail = (Placed(Norm("final_norm", hidden)),)
    return Stack("encoder", hidden, runs, front, tail, causal=False, positions=MOST_PATCHES)


def _decoder(text: Config, source: int) -> Stack:
    """T5's decoder, whose heads are as wide as the hidden state together."""
    hidden, heads = text["hidden_size"], text["num_heads"]
    if heads * text["d_kv"] != hidden or source != hidden:
        raise InputError(
            f"pix2struct needs heads, d_kv and patches that fill {hidden} (hidden_size)"
        )
    layer = _layer(text, heads, "attention + cross + MLP")
    cross = replace(layer.mixer, cross=True)
    layer = replace(layer, cross=cross, norms=(*layer.norms, Norm("cross_norm", hidden)))
    bias = ("relative_attention_bias", "rel_pos_bias", text["relative_attention_num_buckets"])
    front = (
        Placed(Table("embed_tokens", "embed_tokens", text["vocab_size"], hidden)),
        Placed(Table(*bias, heads, lookups=False), "none"),
    )
    tail = (Placed(Norm("final_norm", hidden)),)
    return Stack("decoder", hidden, (Run(layer, text["num_layers"]),), front, tail)
