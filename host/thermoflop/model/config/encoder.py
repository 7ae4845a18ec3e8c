"""From the traits of an encoder-only family (BERT and its relatives) to a description.

Layers are described as a decoder's are, with other habits. Which head there is follows from the
class named in ``architectures``.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.description import Description, Placed, Run, Stack
from thermoflop.model.architecture.parts import Linear, Norm, Table, Vector, lm_head
from thermoflop.model.config import decoder
from thermoflop.model.config.architectures import built, label_count
from thermoflop.model.config.blocks import classifier
from thermoflop.model.config.family import use
from thermoflop.model.config.keys import Config, Traits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
    "embed_bias": True,  # of the projection from a narrower embedding
    "final_norm": False,
    "final_norm_bias": None,  # None: as the other norms
    "buckets": 0,  # of relative positions, whose bias the layers share
    "always_projects": False,  # even from an embedding as wide as the hidden state (ALBERT)
    "first_norm": True,  # the first layer has all its norms
    "extra_tables": (),  # other tables of the front
    "after": (),  # parts that run on every token before the last norm
    "transform": True,  # a dense layer and a norm before the map to the vocabulary
    "transform_bias": True,
    "transform_always": False,  # before every head (ModernBERT)
    "head_width": None,  # what the map to the vocabulary reads; None: as wide as the embedding
    "head_role": "lm_head",  # where the map is counted
    "bias_group": "lm_head",  # where the bias of the head is counted
    "untied_bias": False,  # an untied head has a bias of its own beside that one
    "pooler": ("bare", "pre-training", "next sentence", "choice", "sequence"),  # heads on one
    # of sequences: pooled, dense (on a layer more), tokens (so, on each token), plain
    "classifier": "pooled",
    "scored": None,  # the width that scores are made of; None: hidden
    "choice_dense": True,  # a dense layer before the score of a choice that is not pooled
    "span_labels": None,  # None: as of a classifier
    "pair_labels": False,  # the order of sentences is told in as many classes as labels (ALBERT)
    "extras": (),  # parts that do no work in a step
    "discriminates": False,  # pre-trained to tell replaced tokens (ELECTRA)
    "class": "ForMaskedLM",  # what is built where the file names no class
    "classes": None,  # None: all of HEADS
    "summaries": (),  # kinds of heads whose classes summarize the sequence by options
    "encodings": ("absolute",),  # kinds of positions that are described
}
_SCORES = ("sequence", "token", "question", "choice", "next sentence")
HEADS = ("masked", "causal", "pre-training", "bare", *_SCORES)


def read_encoder(config: Config) -> Description:
    """The description of an encoder-only model."""
    traits = Traits(config, DEFAULTS)
    _refuse_variants(config, traits)
    width = traits["embed_width"] or traits["hidden"]
    kind = built(config, traits["class"], traits["classes"] or HEADS)
    _refuse_summaries(config, traits, kind)
    tail, head = _head_parts(config, traits, kind, width)
    runs = decoder.decoder_runs(traits)
    if not traits["first_norm"]:
        runs = _without_first_norm(runs)
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
    return Description((stack,), traits["extras"], head)


def _without_first_norm(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """The same layers, but that the first one starts without a norm."""
    layer, times = runs[0].layer, runs[0].times
    first = Run(replace(layer, kind=f"first {layer.kind}", norms=layer.norms[1:]), 1)
    rest = (Run(layer, times - 1),) if times > 1 else ()
    return (first, *rest, *runs[1:])


def _refuse_variants(config: Config, traits: Traits) -> None:
    """Options of the classes that change the structure and are not described."""
    value = config.raw.get("position_embedding_type")
    if value is not None and value not in traits["encodings"]:
        raise UnknownModel(
            f"position_embedding_type = {quote_value(value)} is not understood for "
            f"{config.family.name}"
        )


def _refuse_summaries(config: Config, traits: Traits, kind: str) -> None:
    """What a class makes of a sequence before its scores, in another way than by default."""
    for key in ("summary_use_proj", "summary_proj_to_labels"):
        if kind in traits["summaries"] and config.raw.get(key) is False:
            raise UnknownModel(f"{key} = False is not understood for {config.family.name}")


def _front(traits: Traits, width: int) -> tuple[Placed, ...]:
    """Tokens, positions, types, their norm, and the projection to the hidden width."""
    front = [Placed(Table("embed_tokens", "embed_tokens", traits["vocab"], width))]
    if traits["positions"]:
        front.append(Placed(Table("embed_positions", "embed_pos", traits["positions"], width)))
    if traits["types"]:
        front.append(Placed(Table("embed_types", "embed_type", traits["types"], width)))
    front += traits["extra_tables"]
    if traits["embed_norm"]:
        front.append(Placed(decoder.norm_of(traits, "embed_norm", width)))
    hidden = traits["hidden"]
    if width != hidden or traits["always_projects"]:
        names = ("embed_projection", "embed_proj", "embed_proj")
        project = Linear(*names, width, hidden, bias=traits["embed_bias"])
        front.append(Placed(project))
    if traits["buckets"]:
        bias = ("relative_attention_bias", "rel_pos_bias", traits["buckets"], traits["heads"])
        front.append(Placed(Table(*bias, lookups=False), "none"))
    return tuple(front)


def _head_parts(
    config: Config, traits: Traits, kind: str, width: int
) -> tuple[tuple[Placed, ...], Linear | None]:
    """What follows the layers: the parts that always run, and the map to the vocabulary."""
    hidden = traits["hidden"]
    tail: list[Placed] = list(traits["after"])
    head: Linear | None = None
    if traits["final_norm"]:
        norm, biased = decoder.norm_of(traits, "final_norm", hidden), traits["final_norm_bias"]
        tail.append(Placed(norm if biased is None else replace(norm, bias=biased)))
    if kind == "pre-training" and traits["discriminates"]:
        dense = classifier("discriminator", hidden, hidden)
        return (*tail, Placed(dense), Placed(classifier("replaced", hidden, 1))), None
    if kind in ("masked", "causal", "pre-training", "decoder"):
        parts, head = _language_head(traits, traits["head_width"] or width)
        tail += parts
    tail += _score_parts(config, traits, kind)
    return tuple(tail), head


def _score_parts(config: Config, traits: Traits, kind: str) -> list[Placed]:
    """The pooler, and the heads that score a sequence or each token."""
    hidden, tail = traits["hidden"], list[Placed]()
    scored = traits["scored"] or hidden
    rows = (
        "token" if traits["classifier"] == "tokens" or kind in ("token", "question") else "sequence"
    )
    if traits["transform_always"]:
        tail += _transform(traits, hidden, rows) if kind in _SCORES else []
    elif kind in traits["pooler"]:
        tail.append(Placed(classifier("pooler", hidden, hidden, "pooler"), "sequence"))
    apart = kind == "sequence" and traits["classifier"] in ("dense", "tokens")
    if apart or (kind == "choice" and not tail and traits["choice_dense"]):
        tail.append(Placed(classifier("dense", scored, hidden), rows))
        scored = hidden
    if kind in ("pre-training", "next sentence"):
        pairs = label_count(config) if traits["pair_labels"] else 2
        tail.append(Placed(classifier("seq_relationship", hidden, pairs), "sequence"))
    if kind in _SCORES and kind != "next sentence":
        labels = 1 if kind == "choice" else label_count(config)
        if kind == "question":
            labels = traits["span_labels"] or labels
        tail.append(Placed(classifier("classifier", scored, labels), rows))
    return tail


def _transform(traits: Traits, width: int, rows: str = "token") -> list[Placed]:
    """A dense layer and a norm."""
    biased, role = traits["transform_bias"], "head_transform"
    dense = Linear(role, role, role, traits["hidden"], width, biased, unquantized=True)
    norm = Norm("head_norm", width, traits["norm"], bias=traits["norm_bias"])
    return [Placed(dense, rows), Placed(norm, rows)]


def _language_head(traits: Traits, width: int) -> tuple[list[Placed], Linear]:
    """Transform, norm, and the map to the vocabulary with its bias."""
    vocab, tied = traits["vocab"], traits["tied"]
    tail = _transform(traits, width) if traits["transform"] else []
    group = traits["bias_group"]
    apart = traits["untied_bias"] and not tied
    if group not in (None, "lm_head") or apart:
        tail.append(Placed(Vector("head_bias", group, vocab, bias=True), "none"))
    biased = group == "lm_head" or apart
    return tail, replace(lm_head(width, vocab, tied, biased), role=traits["head_role"])
