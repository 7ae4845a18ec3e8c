"""Towers that see, as whole models: ViT, DINO and their relatives; CLIP and SigLIP, whole and in
halves."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Description, Placed, Run, Stack
from thermoflop.model.architecture.parts import Linear, Table, Vector
from thermoflop.model.config.architectures import built, class_name, label_count
from thermoflop.model.config.blocks import biased_layer, classifier, layer_norm
from thermoflop.model.config.families import find_family
from thermoflop.model.config.keys import Config, Traits, check_value
from thermoflop.model.config.tower import read_tower

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULTS: dict[str, Any] = {
    "class": "Model",  # what is built where the file names no class
    "classes": ("bare",),
    "classifier_states": 1,  # how many states side by side a classifier reads
    "hides": False,  # a token stands for hidden patches in training
}


# whose classes read sections of an older name in place of the others
_CLIPS = ("clip", "metaclip_2")


def read_alone(config: Config) -> Description:
    """A tower with a classifier, or bare."""
    traits = Traits(config, DEFAULTS)
    return _seeing(config, traits, built(config, traits["class"], traits["classes"]), config)


def read_part(config: Config) -> Description:
    """What sees for another model, with all that its own class ends in, and no more."""
    name = class_name(config, "Model")
    if not name.endswith(("Model", "Transformer")):
        raise InputError(f"architectures names {name[:60]}, which is no tower alone")
    return Description((read_tower(config),), needs_images=True)


def _seeing(config: Config, traits: Traits, kind: str, whole: Config) -> Description:
    """The tower of ``config``; labels are those of the whole model."""
    stack, hidden = read_tower(config), config["hidden_size"]
    if kind == "image":
        stack = _ending(stack, _scores(whole, traits["classifier_states"] * hidden))
    extras = (Placed(Vector("mask_token", "other", hidden), "none"),) if traits["hides"] else ()
    return Description((stack,), extras, needs_images=True)


def _scores(config: Config, width: int, name: str = "classifier") -> Placed:
    return Placed(classifier(name, width, label_count(config)), "sequence")


def _ending(stack: Stack, *more: Placed) -> Stack:
    """The tower with more at its end."""
    return replace(stack, tail=(*stack.tail, *more))


def _of_one_size(config: Config, *tail: Placed) -> Stack:
    """A tower of an image of its own size, of which no text reads tokens, and its end."""
    return replace(read_tower(config), tail=tail, pooled=0, grid=None)


def read_vision(config: Config) -> Description:
    """ViT and DeiT: an image tower with a pooler or a classifier."""
    hidden, name = config["hidden_size"], class_name(config, "ForImageClassification")
    tail = [Placed(layer_norm("final_norm", hidden))]
    if name.endswith("ForImageClassificationWithTeacher"):
        names = ("classifier", "distillation classifier")
        tail += [_scores(config, hidden, each) for each in names]
    elif name.endswith("ForImageClassification"):
        tail.append(_scores(config, hidden))
    elif name.endswith("Model"):
        width = config["pooler_output_size"] or hidden
        tail.append(Placed(classifier("pooler", hidden, width, "pooler"), "sequence"))
    else:
        raise InputError(f"architectures names {name[:60]}, and its head is not understood")
    return Description((_of_one_size(config, *tail),), needs_images=True)


def _section(config: Config, key: str, model_type: str) -> Config:
    """The configuration in a section, read by its own family, absent keys at its defaults."""
    raw = config[key] or {}
    older = config.raw.get(f"{key}_dict") if config.family.name in _CLIPS else None
    if older is not None:  # the class reads it in place of the other, its defaults included
        check_value(f"{key}_dict", older, config.family.keys[key])
        raw = older
    stated = raw.get("model_type", model_type)
    if stated != model_type:
        raise UnknownModel(f"{key} is of model_type {quote_value(stated)}: expected {model_type}")
    family = find_family(model_type)
    assert family is not None  # noqa: S101 - CLIP's and SigLIP's halves are families
    return Config(family, raw, frozenset())


def _text(config: Config, *tail: Placed) -> Stack:
    """Tokens and positions, layers, a norm, and what is made of one token."""
    hidden, rows = config["hidden_size"], config["max_position_embeddings"]
    front = (
        Placed(Table("embed_tokens", "embed_tokens", config["vocab_size"], hidden)),
        Placed(Table("embed_positions", "embed_pos", rows, hidden)),
    )
    sizes = (config["num_attention_heads"], config["intermediate_size"])
    run = Run(biased_layer(hidden, *sizes, config["hidden_act"]), config["num_hidden_layers"])
    last = (Placed(layer_norm("final_norm", hidden)), *tail)
    return Stack("decoder", hidden, (run,), front, last, causal=False)


def read_siglip(config: Config) -> Description:
    """SigLIP: texts and images in one space, or one of its halves."""
    version = config.family.name
    text = _section(config, "text_config", f"{version}_text_model")
    image = _section(config, "vision_config", f"{version}_vision_model")
    kind = built(config, "SiglipModel", ("bare", "image", "text half", "image half"))
    if kind == "text half":
        return Description((_siglip_text(text),))
    seeing = _seeing(image, Traits(image, DEFAULTS), kind, config)
    if kind != "bare":
        return seeing
    kept = (Placed(Vector("logit_scale, logit_bias", "other", 2), "none"),)
    stacks = (_siglip_text(text), *seeing.stacks)
    return replace(
        seeing, stacks=stacks, extras=kept, contrast=image["hidden_size"], contrast_group="other"
    )


def read_siglip_text(config: Config) -> Description:
    """SigLIP's text tower alone."""
    built(config, "SiglipTextModel", ("text half",))
    return Description((_siglip_text(config),))


def _siglip_text(config: Config) -> Stack:
    """The text tower, with a map of one token to the width of images."""
    hidden = config["hidden_size"]
    width = config["projection_size"] or hidden
    head = Linear("text_head", "other", "other", hidden, width, bias=True, unquantized=True)
    return _text(config, Placed(head, "sequence"))


_TEXT = ("text half", "text half, projected")
_IMAGE = ("image half", "image half, projected")


def read_clip(config: Config) -> Description:
    """CLIP: a text and an image tower, each projected to the width in which they are compared."""
    version = config.family.name
    text = _section(config, "text_config", f"{version}_text_model")
    image = _section(config, "vision_config", f"{version}_vision_model")
    width = config["projection_dim"]
    kind = built(config, "CLIPModel", ("bare", "image", *_TEXT, *_IMAGE))
    if kind in _TEXT:
        return _text_half(text, kind)
    if kind != "bare":
        return _image_half(image, kind, config)
    return Description(
        (_clip_text(text, width), _clip_image(image, width)),
        extras=(Placed(Vector("logit_scale", "other", 1), "none"),),
        needs_images=True,
        contrast=width,
    )


def read_chinese_clip(config: Config) -> Description:
    """CLIP whose text tower is a BERT without its pooler."""
    from thermoflop.model.config.encoder import read_encoder

    built(config, "ChineseCLIPModel", ("bare",))
    text = _section(config, "text_config", "chinese_clip_text_model")
    image = _section(config, "vision_config", "chinese_clip_vision_model")
    width, (stack,) = config["projection_dim"], read_encoder(text).stacks
    tail = _projection("text_projection", text["hidden_size"], width)
    return Description(
        (replace(stack, tail=tail), _clip_image(image, width)),
        extras=(Placed(Vector("logit_scale", "other", 1), "none"),),
        needs_images=True,
        contrast=width,
    )


def read_tips(config: Config) -> Description:
    """TIPSv2: a text and an image tower of one width, compared as they are."""
    from thermoflop.model.config.encoder import read_encoder

    built(config, "Tipsv2Model", ("bare",))
    text = _section(config, "text_config", "tipsv2_text_model")
    image = _section(config, "vision_config", "tipsv2_vision_model")
    seeing = _seeing(image, Traits(image, DEFAULTS), "image half", config)
    kept = (*seeing.extras, Placed(Vector("temperature", "other", 1), "none"))
    stacks = (*read_encoder(text).stacks, *seeing.stacks)
    return replace(
        seeing, stacks=stacks, extras=kept, contrast=image["hidden_size"], contrast_group="other"
    )


def read_aimv2(config: Config) -> Description:
    """AIMv2 tuned with texts: a text and an image tower, each projected to one width."""
    from thermoflop.model.config import decoder

    built(config, "Aimv2Model", ("bare",))
    text = _section(config, "text_config", "aimv2_text_model")
    image = _section(config, "vision_config", "aimv2_vision_model")
    width, (reading,) = config["projection_dim"], decoder.read_decoder(text).stacks
    texts = _projection("text_projection", text["hidden_size"], width)
    images = _projection("visual_projection", image["hidden_size"], width)
    stacks = (_ending(reading, *texts), _ending(read_tower(image), *images))
    kept = (Placed(Vector("logit_scale", "other", 1), "none"),)
    return Description(stacks, extras=kept, needs_images=True, contrast=width)


def read_clip_text(config: Config) -> Description:
    """CLIP's text tower alone, projected or not."""
    return _text_half(config, built(config, "CLIPTextModel", _TEXT))


def read_clip_vision(config: Config) -> Description:
    """CLIP's image tower alone, projected or not."""
    return _image_half(config, built(config, "CLIPVisionModel", _IMAGE), config)


def _text_half(config: Config, kind: str) -> Description:
    return Description((_clip_text(config, _projected(config, kind)),))


def _image_half(config: Config, kind: str, whole: Config) -> Description:
    stack = _clip_image(config, _projected(config, kind))
    if kind == "image":
        stack = _ending(stack, _scores(whole, config["hidden_size"]))
    return Description((stack,), needs_images=True)


def _projected(config: Config, kind: str) -> int | None:
    """The width that a half is projected to; None where it is not."""
    return config["projection_dim"] if kind.endswith("projected") else None


def _projection(name: str, hidden: int, width: int | None) -> tuple[Placed, ...]:
    role = "clip_projection"
    if width is None:
        return ()
    return (Placed(Linear(name, role, role, hidden, width, unquantized=True), "sequence"),)


def _clip_text(config: Config, width: int | None) -> Stack:
    return _text(config, *_projection("text_projection", config["hidden_size"], width))


def _clip_image(config: Config, width: int | None) -> Stack:
    hidden = config["hidden_size"]
    norm = Placed(layer_norm("post_norm", hidden), "sequence")
    return _of_one_size(config, norm, *_projection("visual_projection", hidden, width))
