"""Wrappers of the years before 2025, as in the classes of transformers 5, and their towers.

They look through learned queries (BLIP-2, Kosmos, Idefics 2, Aria), have no tower at all (Fuyu),
or read an image beside the words of a small decoder (GIT).
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.description import Placed, Stack
from thermoflop.model.architecture.grid import Grid
from thermoflop.model.architecture.parts import Vector
from thermoflop.model.config import connectors, projectors
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.families import early_towers  # noqa: F401 - parents are there
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.family import Section, mapping, sizes
from thermoflop.model.config.tower import ANY_SIDE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config


def _fuyu(config: Config, hidden: int) -> Stack:
    """Fuyu: patches become tokens by one matrix, and each row of them ends in one more."""
    patch = config["patch_size"]
    rows = max(1, ANY_SIDE // patch)
    side = rows * patch
    seen = config["num_channels"] * patch**2
    embed = projectors.linear("vision_embed_tokens", seen, hidden, group="patch_embed")
    grid = Grid("longest", (patch, patch), (side, side), limits=(1920,), breaks=True)
    return Stack(
        "image", hidden, (), (Placed(embed),), (), False,
        positions=rows**2, patches=rows**2, pooled=rows**2, grid=grid,
    )  # fmt: skip


wrapper(
    "fuyu",
    text_of("fuyu_text", flat=True),
    None,
    like="persimmon",
    keys=sizes(channels=3, patch=30),
    ignored=("image_size",),
    traits={"towers": ((None, _fuyu),)},
)


def _git(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """GIT: every state of the image through one matrix and a norm."""
    project = projectors.linear("visual_projection", stack.hidden, hidden)
    frames = config["num_image_with_embedding"] or 0
    moments = (Placed(Vector("moments", "other", frames * stack.hidden), "none"),)
    tail = (Placed(project), Placed(layer_norm("visual_norm", hidden)))
    whole = projectors.ending(stack, *tail, *(moments if frames else ()))
    return replace(whole, pooled=stack.positions)


wrapper(
    "git",
    text_of("git_text", fixed=True, flat=True),
    eyes_of("git_vision_model", fixed=True),
    _git,
    like="git_text",
    keys={"num_image_with_embedding": None},
)
for _name in ("blip_2", "instructblip", "instructblipvideo"):
    wrapper(
        "blip-2" if _name == "blip_2" else _name,
        text_of("opt"),
        eyes_of(f"{_name}_vision_model", fixed=True),
        connectors.qformer,
        tied="text",
        keys={"qformer_config": mapping(), "num_query_tokens": 32},
        traits={"sections": (Section("qformer_config", f"{_name}_qformer"),)},
        ignored=("image_text_hidden_size", "use_decoder_only_language_model"),
    )
wrapper(
    "idefics2",
    text_of("mistral"),
    eyes_of("idefics2_vision", fixed=True),
    connectors.resampled,
    keys={"perceiver_config": mapping()},
    traits={"sections": (Section("perceiver_config", "idefics2_perceiver"),)},
)
wrapper(
    "aria",
    text_of("aria_text", fixed=True),
    eyes_of("idefics3_vision"),
    connectors.aria,
    keys={
        "projector_patch_to_query_dict": mapping(),
        "max_value_projector_patch_to_query_dict": None,
    },
)
for _name, _queries in (("2", 64), ("2.5", 2048)):
    _part = f"kosmos_{_name.replace('.', '_')}"
    wrapper(
        f"kosmos-{_name}",
        text_of(f"{_part}_text_model", fixed=True),
        eyes_of(f"{_part}_vision_model", fixed=True),
        connectors.latent_queries,
        tied="either",
        tie=True,
        keys={"latent_query_num": _queries},
    )


def _looked_at(_config: Config, _tower: Config, stack: Stack, _hidden: int) -> Stack:
    """Every state of the image is attended to, and none is a token of the prompt."""
    return replace(stack, pooled=stack.positions, tokens=0)


def _second_bias(config: Config, _hidden: int) -> tuple[Vector, ...]:
    """A head that is not tied has a bias beside that of the predictions."""
    text = config.nested["text_config"]
    if config["tie_word_embeddings"] or text["tie_word_embeddings"]:
        return ()
    return (Vector("head_bias", "lm_head", text["vocab_size"], bias=True),)


def _width(config: Config, key: str, name: str) -> dict[str, Any]:
    """The width of the tower, which the text's attention to it shares."""
    return {key: (config["vision_config"] or {}).get(name, 768)}


wrapper(
    "blip",
    text_of("blip_text_model", fixed=True),
    eyes_of("blip_vision_model", fixed=True),
    _looked_at,
    tied="either",
    tie=True,
    traits={
        "shared": lambda config: _width(config, "encoder_hidden_size", "hidden_size"),
        "extras": _second_bias,
        "ending": "ForConditionalGeneration",
    },
    ignored=("projection_dim", "image_text_hidden_size"),
)
wrapper(
    "idefics",
    text_of("idefics_text", fixed=True, flat=True),
    eyes_of("idefics_vision", fixed=True),
    connectors.maybe_resampled,
    like="idefics_text",
    keys={"use_resampler": False, "perceiver_config": mapping()},
    traits={
        "sections": (Section("perceiver_config", "idefics_perciever"),),
        "whole": ("IdeficsForVisionText2Text",),
        "shared": lambda config: _width(config, "vision_width", "embed_dim"),
        "head": lambda config: (
            config["hidden_size"],
            config["vocab_size"] + config["additional_vocab_size"],
        ),
    },
    drop=("vision_width",),
)
