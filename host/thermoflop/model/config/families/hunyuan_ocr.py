"""HunyuanOCR: a dense Hunyuan with eyes. Defaults and structure are those of transformers 5.24."""

from __future__ import annotations

from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Convolution, Norm, Vector
from thermoflop.model.config.families import llama_kin  # noqa: F401 - its text is defined there
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.families.towers import tower
from thermoflop.model.config.family import family, sizes, spaced, use
from thermoflop.model.config.projectors import ending, linear

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.architecture.description import Stack
    from thermoflop.model.config.keys import Config

family(
    "hunyuan_vl_text",
    "hunyuan_v1_dense",
    keys={"tie_word_embeddings": True},
    aliases={"attention_head_dim": "head_dim", "org_vocab_size": "vocab_size"},
)
tower(
    "hunyuan_vl_vision",
    keys={
        **sizes(hidden=1152, inner=4304, layers=27, heads=16, channels=3, patch=16),
        "spatial_merge_size": 2,
        "max_image_size": 2048,
        "hidden_act": "gelu",
    },
    traits={
        "image": None,
        "rule": ("smart", 512 * 512, 2048 * 2048),
        "merge": use("spatial_merge_size"),
        "positions": lambda config: (config["max_image_size"] // config["patch_size"]) ** 2 + 1,
    },
    aliases={"attention_heads": "num_attention_heads"},
    ignored=spaced(
        "num_key_value_heads out_hidden_size text_hidden_size interpolate_mode img_max_token_num"
        " min_image_size max_vit_seq_len temporal_patch_size"
    ),
)


def _merger(_config: Config, eyes: Config, stack: Stack, hidden: int) -> Stack:
    """Neighbouring patches become one by a convolution and two maps, between norms; vectors stand
    at the end of each row, and around the image."""
    width, merge, role = stack.hidden, eyes["spatial_merge_size"], "projector"
    stack = ending(stack, Placed(Norm("before_rms", width), "patch"))
    return ending(
        stack,
        Convolution("proj_conv", role, role, width, 2 * width, merge**2, bias=True),
        linear("proj_out", 2 * width, 4 * width),
        linear("mlp", 4 * width, hidden),
        Norm("after_rms", hidden),
        Placed(Vector("marks of an image", role, 4 * width + 3 * hidden), "none"),
    )


wrapper(
    "hunyuan_vl",
    text_of("hunyuan_vl_text", fixed=True, flat=True),
    eyes_of("hunyuan_vl_vision", fixed=True),
    _merger,
    tied="either",
    tie=True,
    traits={"grid": {"breaks": True}},
    like="hunyuan_vl_text",
)
