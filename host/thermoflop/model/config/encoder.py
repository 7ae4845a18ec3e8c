"""From the traits of an encoder-only family (BERT and its relatives) to a description.

Layers are described as a decoder's are, with other habits. Which head there is follows from the
class named in ``architectures``.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.description import Description, Placed, Stack
from thermoflop.model.architecture.parts import Linear, Norm, Table, Vector
from thermoflop.model.config import decoder
from thermoflop.model.config.architectures import built, label_count
from thermoflop.model.config.blocks import classifier
from thermoflop.model.config.family import use
from thermoflop.model.config.keys import Traits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

# The traits of a family of encoders that names no other; those of decoders hold for the layers.
DEFAULTS: dict[str, Any] = {
    **decoder.DEFAULTS,
    "gated": False,
    "norm": "layer",
    "norm_bias": True,
    "norm_names": ("attention_norm", "output_norm"),
    "q_bias": True,
    "o_bias": True,
    "up_bias": True,
    "rotary": False,
    "sets": None,  # sets of layer weights; None: as many as layers
    "positions": use("max_position_embeddings"),
    "types": use("type_vocab_size"),
    "embed_norm": True,
    "final_norm": False,
    "buckets": 0,  # of relative positions, whose bias the layers share
    "always_projects": False,  # even from an embedding as wide as the hidden state (ALBERT)
    "transform": True,  # a dense layer and a norm before the map to the vocabulary
    "bias_group": "lm_head",  # where the bias of the head is counted
    "untied_bias": False,  # an untied head has a bias of its own beside that one
    "pooler": True,  # the bare model has a pooler
    "classifier": "pooled",  # pooled: on the pooler; dense: on a dense layer of its own
    "discriminates": False,  # pre-trained to tell replaced tokens (ELECTRA)
    "class": "ForMaskedLM",  # what is built where the file names no class
}
_SCORES = ("sequence", "token", "question", "choice", "next sentence")
HEADS = ("masked", "causal", "pre-training", "bare", *_SCORES)


def read_encoder(config: Config) -> Description:
    """The description of an encoder-only model."""
    traits = Traits(config, DEFAULTS)
    _refuse_variants(config)
    width = traits["embed_width"] or traits["hidden"]
    kind = built(config, traits["class"], HEADS)
    tail, head = _head_parts(config, traits, kind, width)
    runs = decoder.decoder_runs(traits)
    if traits["sets"] is not None:
        runs = tuple(replace(run, copies=traits["sets"]) for run in runs)
    stack = Stack(
        "decoder",
        traits["hidden"],
        runs,
        front=_front(traits, width),
        tail=tail,
        causal=config.raw.get("is_decoder") is True,
    )
    return Description((stack,), head=head)


def _refuse_variants(config: Config) -> None:
    """Options of the classes that change the structure and are not described."""
    value = config.raw.get("position_embedding_type")
    if value not in (None, "absolute"):
        raise UnknownModel(
            f"position_embedding_type = {quote_value(value)} is not understood for "
            f"{config.family.name}"
        )


def _front(traits: Traits, width: int) -> tuple[Placed, ...]:
    """Tokens, positions, types, their norm, and the projection to the hidden width."""
    front = [Placed(Table("embed_tokens", "embed_tokens", traits["vocab"], width))]
    if traits["positions"]:
        front.append(Placed(Table("embed_positions", "embed_pos", traits["positions"], width)))
    if traits["types"]:
        front.append(Placed(Table("embed_types", "embed_type", traits["types"], width)))
    if traits["embed_norm"]:
        front.append(Placed(decoder.norm_of(traits, "embed_norm", width)))
    hidden = traits["hidden"]
    if width != hidden or traits["always_projects"]:
        project = Linear("embed_projection", "embed_proj", "embed_proj", width, hidden, bias=True)
        front.append(Placed(project))
    if traits["buckets"]:
        bias = ("relative_attention_bias", "rel_pos_bias", traits["buckets"], traits["heads"])
        front.append(Placed(Table(*bias, lookups=0), "none"))
    return tuple(front)


def _head_parts(
    config: Config, traits: Traits, kind: str, width: int
) -> tuple[tuple[Placed, ...], Linear | None]:
    """What follows the layers: the parts that always run, and the map to the vocabulary."""
    hidden = traits["hidden"]
    tail: list[Placed] = []
    head: Linear | None = None
    if traits["final_norm"]:
        tail.append(Placed(decoder.norm_of(traits, "final_norm", hidden)))
    if kind == "pre-training" and traits["discriminates"]:
        dense = classifier("discriminator", hidden, hidden)
        return (*tail, Placed(dense), Placed(classifier("replaced", hidden, 1))), None
    if kind in ("masked", "causal", "pre-training"):
        parts, head = _language_head(traits, width)
        tail += parts
    scores = kind in ("sequence", "choice")
    if traits["pooler"] and (
        kind in ("bare", "pre-training", "next sentence", "choice")
        or (kind == "sequence" and traits["classifier"] == "pooled")
    ):
        tail.append(Placed(classifier("pooler", hidden, hidden, "pooler"), "sequence"))
    elif scores:
        tail.append(Placed(classifier("dense", hidden, hidden), "sequence"))
    if kind in ("pre-training", "next sentence"):
        tail.append(Placed(classifier("seq_relationship", hidden, 2), "sequence"))
    if scores:
        labels = 1 if kind == "choice" else label_count(config)
        tail.append(Placed(classifier("classifier", hidden, labels), "sequence"))
    if kind in ("token", "question"):
        labels = 2 if kind == "question" else label_count(config)
        tail.append(Placed(classifier("classifier", hidden, labels)))
    return tuple(tail), head


def _language_head(traits: Traits, width: int) -> tuple[list[Placed], Linear]:
    """Transform, norm, and the map to the vocabulary with its bias."""
    hidden, vocab, tied = traits["hidden"], traits["vocab"], traits["tied"]
    tail: list[Placed] = []
    if traits["transform"]:
        transform = classifier("head_transform", hidden, width, "head_transform")
        norm = Norm("head_norm", width, traits["norm"], bias=traits["norm_bias"])
        tail = [Placed(transform), Placed(norm)]
    group = traits["bias_group"]
    apart = traits["untied_bias"] and not tied
    if group not in (None, "lm_head") or apart:
        tail.append(Placed(Vector("head_bias", group, vocab, bias=True), "none"))
    biased = group == "lm_head" or apart
    name = "lm_head"
    return tail, Linear(name, name, name, width, vocab, biased, unquantized=True, tied=tied)
