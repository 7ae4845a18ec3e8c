"""Towers that see: ViT, DeiT and CLIP, whole and in halves."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.parts import Convolution, Linear, Table, Vector
from thermoflop.model.config.architectures import built, class_name, label_count
from thermoflop.model.config.blocks import biased_attention, biased_mlp, classifier, layer_norm
from thermoflop.model.config.families import find_family
from thermoflop.model.config.keys import Config, Traits, check_value


def nested(config: Config, key: str, model_type: str) -> Config:
    """The configuration in a section, read by its own family, absent keys at its defaults."""
    raw = config[key] or {}
    older = config.raw.get(f"{key}_dict") if config.family.name == "clip" else None
    if older is not None:  # the class reads it in place of the other, its defaults included
        check_value(f"{key}_dict", older, config.family.keys[key])
        raw = older
    stated = raw.get("model_type", model_type)
    if stated != model_type:
        raise UnknownModel(f"{key} is of model_type {quote_value(stated)}: expected {model_type}")
    family = find_family(model_type)
    if family is None:
        raise UnknownModel(f"{key} needs the family {model_type}, which is not known")
    return Config(family, raw, frozenset())


def plain_layer(config: Config, bias: bool = True) -> Layer:
    """A pre-norm layer with biases everywhere, as ViT, CLIP and SigLIP have."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    attention = biased_attention(hidden, heads, q_bias=bias, k_bias=bias, v_bias=bias)
    mlp = biased_mlp(hidden, config["intermediate_size"], config["hidden_act"])
    norms = (layer_norm("norm 1", hidden), layer_norm("norm 2", hidden))
    return Layer("attention + MLP", hidden, norms, attention, feed=mlp)


def patch_grid(config: Config) -> int:
    """Patches of one image; what is left over at the edge is cut (Dosovitskiy 2021)."""
    image, patch = config["image_size"], config["patch_size"]
    if patch > image:
        raise InputError(f"a patch of {patch} pixels is larger than an image of {image}")
    return int((image // patch) ** 2)


def image_stack(
    config: Config,
    extra: int,
    patch_bias: bool,
    qkv_bias: bool = True,
    pre_norm: bool = False,
    tail: tuple[Placed, ...] = (),
) -> Stack:
    """Patches, ``extra`` learned tokens, positions, layers, and a norm at the end."""
    hidden, patches = config["hidden_size"], patch_grid(config)
    kernel = config["patch_size"] ** 2
    where = ("patch_embed", "patch_embed", "patch_embed")
    patch = Convolution(*where, config["num_channels"], hidden, kernel, patch_bias)
    positions = Table("embed_positions", "embed_pos", patches + extra, hidden, lookups=False)
    front = [Placed(patch, "patch"), Placed(positions)]
    if extra:
        front.append(Placed(Vector("class tokens", "embed_pos", extra * hidden), "none"))
    if pre_norm:
        front.append(Placed(layer_norm("pre_norm", hidden)))
    return Stack(
        "image",
        hidden,
        (Run(plain_layer(config, qkv_bias), config["num_hidden_layers"]),),
        front=tuple(front),
        tail=tail,
        causal=False,
        positions=patches + extra,
        patches=patches,
    )


def read_vision(config: Config) -> Description:
    """ViT and DeiT: an image tower with a pooler or a classifier."""
    traits = Traits(config, {})
    hidden, extra = config["hidden_size"], traits["class_tokens"]
    name = class_name(config, "ForImageClassification")
    tail = [Placed(layer_norm("final_norm", hidden))]
    if name.endswith("ForImageClassificationWithTeacher"):
        tail += [_scores(config, "classifier"), _scores(config, "distillation classifier")]
    elif name.endswith("ForImageClassification"):
        tail.append(_scores(config, "classifier"))
    elif name.endswith("Model"):
        width = config["pooler_output_size"] or hidden
        tail.append(Placed(classifier("pooler", hidden, width, "pooler"), "sequence"))
    else:
        raise InputError(f"architectures names {name[:60]}, and its head is not understood")
    stack = image_stack(config, extra, True, config["qkv_bias"], tail=tuple(tail))
    return Description((stack,), needs_images=True)


def _scores(config: Config, name: str) -> Placed:
    return Placed(classifier(name, config["hidden_size"], label_count(config)), "sequence")


_CLIP = ("bare", "image")
_TEXT = ("text half", "text half, projected")
_IMAGE = ("image half", "image half, projected")


def read_clip(config: Config) -> Description:
    """CLIP: a text and an image tower, each projected to the width in which they are compared."""
    text = nested(config, "text_config", "clip_text_model")
    image = nested(config, "vision_config", "clip_vision_model")
    width = config["projection_dim"]
    kind = built(config, "CLIPModel", (*_CLIP, *_TEXT, *_IMAGE))
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


def read_clip_text(config: Config) -> Description:
    """CLIP's text tower alone, projected or not."""
    return _text_half(config, built(config, "CLIPTextModel", _TEXT))


def read_clip_vision(config: Config) -> Description:
    """CLIP's image tower alone, projected or not."""
    return _image_half(config, built(config, "CLIPVisionModel", _IMAGE), config)


def _text_half(config: Config, kind: str) -> Description:
    width = config["projection_dim"] if kind.endswith("projected") else None
    return Description((_clip_text(config, width),))


def _image_half(config: Config, kind: str, whole: Config) -> Description:
    width = config["projection_dim"] if kind.endswith("projected") else None
    stack = _clip_image(config, width)
    if kind == "image":
        scores = classifier("classifier", config["hidden_size"], label_count(whole))
        stack = replace(stack, tail=(*stack.tail, Placed(scores, "sequence")))
    return Description((stack,), needs_images=True)


def _projection(name: str, hidden: int, width: int | None) -> tuple[Placed, ...]:
    role = "clip_projection"
    if width is None:
        return ()
    return (Placed(Linear(name, role, role, hidden, width, unquantized=True), "sequence"),)


def _clip_text(config: Config, width: int | None) -> Stack:
    hidden = config["hidden_size"]
    front = (
        Placed(Table("embed_tokens", "embed_tokens", config["vocab_size"], hidden)),
        Placed(Table("embed_positions", "embed_pos", config["max_position_embeddings"], hidden)),
    )
    final = Placed(layer_norm("final_norm", hidden))
    tail = (final, *_projection("text_projection", hidden, width))
    run = Run(plain_layer(config), config["num_hidden_layers"])
    return Stack("decoder", hidden, (run,), front, tail, causal=False)


def _clip_image(config: Config, width: int | None) -> Stack:
    hidden = config["hidden_size"]
    tail = (
        Placed(layer_norm("post_norm", hidden), "sequence"),
        *_projection("visual_projection", hidden, width),
    )
    return image_stack(config, 1, False, pre_norm=True, tail=tail)
