"""Towers that see, as whole models: DINO and its relatives, SigLIP in two halves and together."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.description import Description, Placed, Run, Stack
from thermoflop.model.architecture.parts import Linear, Table, Vector
from thermoflop.model.config.architectures import built, label_count
from thermoflop.model.config.blocks import classifier, layer_norm
from thermoflop.model.config.keys import Traits
from thermoflop.model.config.tower import read_tower
from thermoflop.model.config.vision import nested, plain_layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

DEFAULTS: dict[str, Any] = {
    "class": "Model",  # what is built where the file names no class
    "classes": ("bare",),
    "classifier_states": 1,  # how many states side by side a classifier reads
    "hides": False,  # a token stands for hidden patches in training
}


def read_alone(config: Config) -> Description:
    """A tower with a classifier, or bare."""
    traits = Traits(config, DEFAULTS)
    return _seeing(config, traits, built(config, traits["class"], traits["classes"]), config)


def _seeing(config: Config, traits: Traits, kind: str, whole: Config) -> Description:
    """The tower of ``config``; labels are those of the whole model."""
    stack, hidden = read_tower(config), config["hidden_size"]
    if kind == "image":
        scores = classifier("classifier", traits["classifier_states"] * hidden, label_count(whole))
        stack = replace(stack, tail=(*stack.tail, Placed(scores, "sequence")))
    extras = (Placed(Vector("mask_token", "other", hidden), "none"),) if traits["hides"] else ()
    return Description((stack,), extras, needs_images=True)


def read_siglip(config: Config) -> Description:
    """SigLIP: texts and images in one space, or one of its halves."""
    version = config.family.name
    text = nested(config, "text_config", f"{version}_text_model")
    image = nested(config, "vision_config", f"{version}_vision_model")
    kind = built(config, "SiglipModel", ("bare", "image", "text half", "image half"))
    if kind == "text half":
        return Description((_text(text),))
    seeing = _seeing(image, Traits(image, DEFAULTS), kind, config)
    if kind != "bare":
        return seeing
    kept = (Placed(Vector("logit_scale, logit_bias", "other", 2), "none"),)
    stacks = (_text(text), *seeing.stacks)
    return replace(
        seeing, stacks=stacks, extras=kept, contrast=image["hidden_size"], contrast_group="other"
    )


def read_siglip_text(config: Config) -> Description:
    """SigLIP's text tower alone."""
    built(config, "SiglipTextModel", ("text half",))
    return Description((_text(config),))


def _text(config: Config) -> Stack:
    """Tokens and positions, layers, and a map of one token to the width of images."""
    hidden = config["hidden_size"]
    front = (
        Placed(Table("embed_tokens", "embed_tokens", config["vocab_size"], hidden)),
        Placed(Table("embed_positions", "embed_pos", config["max_position_embeddings"], hidden)),
    )
    width = config["projection_size"] or hidden
    head = Linear("text_head", "other", "other", hidden, width, bias=True, unquantized=True)
    tail = (Placed(layer_norm("final_norm", hidden)), Placed(head, "sequence"))
    run = Run(plain_layer(config), config["num_hidden_layers"])
    return Stack("decoder", hidden, (run,), front, tail, causal=False)
