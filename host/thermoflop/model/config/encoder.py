"""From the traits of an encoder-only family (BERT and its relatives) to a description.

Which head there is follows from the class named in ``architectures``.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.parts import Linear, Table, Vector
from thermoflop.model.config.blocks import biased_attention, biased_mlp, classifier, layer_norm
from thermoflop.model.config.decoder import class_name, label_count
from thermoflop.model.config.family import use
from thermoflop.model.config.keys import Traits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

# The traits of a family of encoders that names no other; each line is one trait.
DEFAULTS: dict[str, Any] = {
    "vocab": use("vocab_size"),
    "hidden": use("hidden_size"),
    "layers": use("num_hidden_layers"),
    "sets": None,  # sets of layer weights; None: as many as layers
    "heads": use("num_attention_heads"),
    "inner": use("intermediate_size"),
    "activation": use("hidden_act"),
    "positions": use("max_position_embeddings"),
    "types": use("type_vocab_size"),
    "embed_width": None,  # None: hidden
    "always_projects": False,  # even from an embedding as wide as the hidden state (ALBERT)
    "tied": use("tie_word_embeddings"),
    "bias_group": "lm_head",  # where the bias of the head is counted
    "output_group": None,  # where the attention's output projection is counted
    "pooler": True,  # the bare model has a pooler
    "classifier": "pooled",  # pooled: on the pooler; dense: on a dense layer of its own
    "discriminates": False,  # pre-trained to tell replaced tokens (ELECTRA)
}
HEADS = (
    "ForMaskedLM",
    "ForPreTraining",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "Model",
)


def read_encoder(config: Config) -> Description:
    """The description of an encoder-only model."""
    traits = Traits(config, DEFAULTS)
    _refuse_variants(config)
    hidden = traits["hidden"]
    width = traits["embed_width"] or hidden
    kind = _head_kind(config)
    tail, head = _head_parts(config, traits, kind, width)
    stack = Stack(
        "decoder",
        hidden,
        (Run(_layer(traits), traits["layers"], traits["sets"]),),
        front=_front(traits, width),
        tail=tail,
        causal=False,
    )
    return Description((stack,), head=head)


def _refuse_variants(config: Config) -> None:
    """Options of the classes that change the structure and are not described."""
    for key, plain in (("position_embedding_type", ("absolute",)), ("is_decoder", (False,))):
        value = config.raw.get(key)
        if value is not None and value not in plain:
            raise UnknownModel(
                f"{key} = {quote_value(value)} is not understood for {config.family.name}"
            )


def _front(traits: Traits, width: int) -> tuple[Placed, ...]:
    """Tokens, positions, types, their norm, and the projection to the hidden width."""
    front = [
        Placed(Table("embed_tokens", "embed_tokens", traits["vocab"], width)),
        Placed(Table("embed_positions", "embed_pos", traits["positions"], width)),
    ]
    if traits["types"]:
        front.append(Placed(Table("embed_types", "embed_type", traits["types"], width)))
    front.append(Placed(layer_norm("embed_norm", width)))
    hidden = traits["hidden"]
    if width != hidden or traits["always_projects"]:
        project = Linear("embed_projection", "embed_proj", "embed_proj", width, hidden, bias=True)
        front.append(Placed(project))
    return tuple(front)


def _layer(traits: Traits) -> Layer:
    """Post-norm attention and MLP, every map with a bias."""
    hidden, group = traits["hidden"], traits["output_group"]
    attention = biased_attention(hidden, traits["heads"], output_group=group)
    mlp = biased_mlp(hidden, traits["inner"], traits["activation"])
    norms = (layer_norm("attention_norm", hidden), layer_norm("output_norm", hidden))
    return Layer("attention + MLP", hidden, norms, attention, feed=mlp)


def _head_kind(config: Config) -> str:
    """The ending of the class in ``architectures`` that tells the head."""
    name = class_name(config, "ForMaskedLM")
    for ending in HEADS:
        if name.endswith(ending):
            return ending
    raise InputError(f"architectures names {name[:60]}: expected a class ending in {HEADS}")


def _head_parts(
    config: Config, traits: Traits, kind: str, width: int
) -> tuple[tuple[Placed, ...], Linear | None]:
    """What follows the layers: the parts that always run, and the map to the vocabulary."""
    hidden = traits["hidden"]
    tail: list[Placed] = []
    head: Linear | None = None
    if kind == "ForPreTraining" and traits["discriminates"]:
        dense = classifier("discriminator", hidden, hidden)
        return (Placed(dense), Placed(classifier("replaced", hidden, 1))), None
    if kind in ("ForMaskedLM", "ForPreTraining"):
        tail, head = _language_head(traits, width)
    if traits["pooler"] and (
        kind in ("Model", "ForPreTraining")
        or (kind == "ForSequenceClassification" and traits["classifier"] == "pooled")
    ):
        tail.append(Placed(classifier("pooler", hidden, hidden, "pooler"), "sequence"))
    if kind == "ForPreTraining":
        tail.append(Placed(classifier("seq_relationship", hidden, 2), "sequence"))
    if kind == "ForSequenceClassification":
        if traits["classifier"] == "dense":
            tail.append(Placed(classifier("dense", hidden, hidden), "sequence"))
        tail.append(Placed(classifier("classifier", hidden, label_count(config)), "sequence"))
    if kind in ("ForTokenClassification", "ForQuestionAnswering"):
        labels = 2 if kind == "ForQuestionAnswering" else label_count(config)
        tail.append(Placed(classifier("classifier", hidden, labels)))
    return tuple(tail), head


def _language_head(traits: Traits, width: int) -> tuple[list[Placed], Linear]:
    """Transform, norm, and the map to the vocabulary with its bias."""
    hidden, vocab = traits["hidden"], traits["vocab"]
    transform = classifier("head_transform", hidden, width, "head_transform")
    tail = [Placed(transform), Placed(layer_norm("head_norm", width))]
    head_has_bias = traits["bias_group"] == "lm_head"
    if not head_has_bias:
        bias = Vector("head_bias", traits["bias_group"], vocab, bias=True)
        tail.append(Placed(bias, "none"))
    head = Linear(
        "lm_head",
        "lm_head",
        "lm_head",
        width,
        vocab,
        head_has_bias,
        unquantized=True,
        tied=traits["tied"],
    )
    return tail, head
