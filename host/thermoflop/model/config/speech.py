"""Encoders of sound from its samples: wav2vec 2.0 and its relatives (Baevski 2020)."""

from __future__ import annotations

from itertools import chain

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Placed, Run, Stack
from thermoflop.model.architecture.parts import Convolution, Linear, Table, Vector, lm_head
from thermoflop.model.config.architectures import built, label_count
from thermoflop.model.config.blocks import biased_layer, classifier, layer_norm
from thermoflop.model.config.keys import Config, is_count
from thermoflop.model.config.readers import read_sections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


KINDS = ("bare", "characters", "sequence", "frame")
# convolutions before the layers: none has as many, a bound on work
MOST_CONVOLUTIONS = 100


def read_speech(config: Config) -> Description:
    """Convolutions over samples, a convolution for positions, post-norm or pre-norm layers."""
    kind = built(config, config.family.traits.get("class", "ForCTC"), KINDS)
    stack = speech_stack(config, _scores(config, kind))
    extras = []
    masks = config.family.traits.get("masks", True)  # a token stands for what is masked
    if masks and (config.get("mask_time_prob", True) or config.get("mask_feature_prob")):
        extras.append(Placed(Vector("masked_spec_embed", "other", stack.hidden), "none"))
    if kind == "sequence" and config["use_weighted_layer_sum"]:
        weights = Vector("layer_weights", "other", config["num_hidden_layers"] + 1)
        extras.append(Placed(weights, "none"))
    return Description((stack,), tuple(extras))


def read_omni_characters(config: Config) -> Description:
    """OmniASR: an encoder of its own section, and characters at every position."""
    kind = built(config, "OmniASRForCTC", ("bare", "characters"))
    encoder = read_sections(config)["audio_config"]
    head = lm_head(encoder["hidden_size"], config["vocab_size"], tied=False, bias=True)
    tail = (Placed(head),) if kind == "characters" else ()
    return Description((speech_stack(encoder, tail),))


def speech_stack(config: Config, tail: tuple[Placed, ...]) -> Stack:
    """The convolutions and layers."""
    keys = ("hidden_size", "num_attention_heads", "intermediate_size", "hidden_act")
    hidden, *sizes = (config[key] for key in keys)
    others, front = _gates(config)
    layer = biased_layer(hidden, *sizes, norms=("attention_norm", "output_norm"))
    return Stack(
        "decoder",
        hidden,
        (Run(replace(layer, **others), config["num_hidden_layers"]),),
        front=(*_features(config), *_positions(config), *front),
        tail=tail,
        causal=False,
        windows=tuple(
            (taps, stride)
            for taps, stride in zip(config["conv_kernel"], config["conv_stride"], strict=True)
        ),
    )


def _gates(config: Config) -> tuple[dict[str, Any], tuple[Placed, ...]]:
    """WavLM: scores of relative positions from one table, weighed in every layer by each head."""
    if "num_buckets" not in config:
        return {}, ()
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    gate = Linear("gru_rel_pos_linear", "attn", "attn_proj", hidden // heads, 8, bias=True)
    table = Table("rel_attn_embed", "rel_pos_bias", config["num_buckets"], heads, lookups=False)
    scales = (Vector("gru_rel_pos_const", "attn", heads),)
    return {"kept": scales, "others": (Placed(gate, "token", heads),)}, (Placed(table, "none"),)


def _sizes(config: Config) -> tuple[list[int], list[int]]:
    """Widths and taps of the convolutions, one each, all above 0."""
    lists = [config[key] for key in ("conv_dim", "conv_kernel", "conv_stride")]
    counts = {len(each or ()) for each in lists}
    if len(counts) != 1 or not 0 < counts.pop() <= MOST_CONVOLUTIONS:
        raise InputError("conv_dim, conv_kernel and conv_stride are not lists of one length")
    if not all(map(is_count, chain(*lists))):
        raise InputError("conv_dim, conv_kernel and conv_stride hold a size that makes no sense")
    return lists[0], lists[1]


def _features(config: Config) -> tuple[Placed, ...]:
    """The convolutions, each with a norm or the first one alone, and the map to the hidden size."""
    widths, taps = _sizes(config)
    kind, role, placed = config.get("feat_extract_norm", "layer"), "conv_frontend", []
    if kind not in ("group", "layer"):
        raise InputError(f"feat_extract_norm is {quote_value(kind)}: expected group or layer")
    inputs = 1
    for index, (width, kernel) in enumerate(zip(widths, taps, strict=True)):
        where, biased = f"window {index}", config["conv_bias"]
        placed.append(Placed(Convolution(role, role, role, inputs, width, kernel, biased), where))
        if index == 0 or kind == "layer":
            placed.append(Placed(layer_norm(f"conv_norm {index}", width), where))
        inputs = width
    if config.get("feat_proj_layer_norm", True):
        placed.append(Placed(layer_norm("feature_norm", inputs)))
    project = Linear("projection", "embed_proj", "embed_proj", inputs, config["hidden_size"], True)
    return (*placed, Placed(project))


def _positions(config: Config) -> tuple[Placed, ...]:
    """Positions come from a convolution whose kernels are normed: a length for each tap."""
    hidden, taps = config["hidden_size"], config["num_conv_pos_embeddings"]
    groups, role = config["num_conv_pos_embedding_groups"], "pos_conv"
    if hidden % groups:
        raise InputError(f"a hidden size of {hidden} does not divide into {groups} groups")
    several = config.get("conv_pos_kernel_size")  # data2vec: so many of them, one behind another
    times, taps = (taps, several) if several else (1, taps)
    convolution = Convolution(role, role, role, hidden // groups, hidden, taps, bias=True)
    # padded by half of an even kernel on both sides, there is one position more (and it is cut)
    rows = "token" if taps % 2 else "token and one"
    lengths = Placed(Vector("pos_conv lengths", role, taps), "none")
    normed = config.family.traits.get("pos_normed", True)
    return (
        *(times * (Placed(convolution, rows),)),
        *((lengths,) if normed else ()),
        Placed(layer_norm("embed_norm", hidden)),
    )


def _scores(config: Config, kind: str) -> tuple[Placed, ...]:
    """Characters at every position, or labels of a clip or of every position."""
    hidden = config["hidden_size"]
    if kind == "characters":
        return (Placed(lm_head(hidden, config["vocab_size"], tied=False, bias=True)),)
    if kind == "frame":
        return (Placed(classifier("classifier", hidden, label_count(config))),)
    if kind == "sequence":
        width = config["classifier_proj_size"]
        scores = classifier("classifier", width, label_count(config))
        return Placed(classifier("projector", hidden, width)), Placed(scores, "sequence")
    return ()
