"""Ernie 4.5 VL as its own code beside the weights reads it: other names for what is the same."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.config.families import newer_texts, newer_towers  # noqa: F401 - parents
from thermoflop.model.config.families.newer_wrappers import ERNIE_NOTE, joined_moments
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.family import Key, family, spaced, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

family(
    "DFNRope_vision_transformer",
    "ernie4_5_vl_moe_vision",
    keys={"embed_dim": 1280, "mlp_ratio": 4},
    traits={
        "hidden": use("embed_dim"),
        "inner": lambda config: config["embed_dim"] * config["mlp_ratio"],
    },
    drop=("intermediate_size",),
    ignored=("attn_sep", "hidden_size", "vit_first_fwd_bsz", "vit_num_recompute_layers"),
)
# each a number, or one for words and one for images
_PAIRS = {"moe_num_experts": 64, "moe_layer_start_index": 1, "moe_layer_end_index": 27}
_MERGED = ("spatial_conv_size", "temporal_conv_size")


def _for_words(config: Config, key: str) -> int:
    """A number that must be the same for words and for images; of a last layer, the lower."""
    value: Any = config[key]
    pair = [value, value] if type(value) is int else value
    alike = isinstance(pair, list | tuple) and len(pair) == 2
    if not alike or any(type(each) is not int or not 0 <= each < 10**6 for each in pair):
        raise InputError(f"{key} is {quote_value(value)} where one or two numbers are expected")
    if key != "moe_layer_end_index" and pair[0] != pair[1]:
        raise InputError(f"{key} is {quote_value(value)}: expected as many for words as for images")
    return min(pair)


def _text(config: Config) -> dict[str, Any]:
    """Keys of the text's section, as transformers' own class names them."""
    layers = config["num_hidden_layers"]
    count, start, end = (_for_words(config, key) for key in _PAIRS)
    if end < layers - 1 or any(config[key] != 2 for key in _MERGED):
        raise InputError(
            f"ernie4_5_moe_vl with experts up to layer {end} of {layers}, {_MERGED[0]} "
            f"{config[_MERGED[0]]} and {_MERGED[1]} {config[_MERGED[1]]}: expected all, 2 and 2"
        )
    kinds = ["dense" if at < start else "sparse" for at in range(layers)]
    beside = dict.fromkeys((*_PAIRS, *_MERGED, *_SPARE))
    return {**beside, "moe_num_experts": count, "mlp_layer_types": kinds}


_SPARE = spaced(
    "moe_layer_interval pixel_hidden_size moe_use_hard_gate im_patch_id modality_detach"
    " moe_reverse_token_drop moe_orthogonal_loss_lambda moe_dense_experts_token_type_id"
    " moe_multimodal_dispatch_use_allgather"
)
wrapper(
    "ernie4_5_moe_vl",
    text_of("ernie4_5_vl_moe_text", fixed=True, flat=True),
    eyes_of("DFNRope_vision_transformer", fixed=True),
    joined_moments,
    tie=True,
    like="ernie4_5_vl_moe_text",
    keys={key: Key("any", value) for key, value in _PAIRS.items()} | dict.fromkeys(_MERGED, 2),
    traits={
        "shared": _text,
        "note": ERNIE_NOTE,
        "whole": ("Ernie4_5_VLMoeForConditionalGeneration",),
    },
    ignored=_SPARE,
)
