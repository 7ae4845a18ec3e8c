"""Phi-4-multimodal as Microsoft publishes it: transformers' class in other words, with adapters.

The adapters for images and for sound (LoRA, arXiv 2503.01743) are on all four matrices of each
layer, as its code and vLLM's build them.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.parts import Linear
from thermoflop.model.config import projectors
from thermoflop.model.config.families import other_towers, wrapped, wrappers  # noqa: F401 - parents
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.family import FAMILIES, Section, family, mapping, spaced
from thermoflop.model.config.hearing import phi_stack
from thermoflop.model.config.keys import Config, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.architecture.description import Stack

# keys of its sound tower that transformers' class calls otherwise, some of them nested
_CALLED = {
    "attention_dim": "hidden_size",
    "attention_heads": "num_attention_heads",
    "linear_units": "intermediate_size",
    "depthwise_seperable_out_channel": "depthwise_separable_out_channel",
    "nemo_conv_settings.conv_channels": "nemo_conv_channels",
    "relative_attention_bias_args.t5_bias_max_distance": "bias_max_distance",
    "relative_attention_bias_args.t5_bias_symmetric": "bias_symmetric",
}
_SAME = spaced(
    "num_blocks ext_pw_out_channel depthwise_multiplier kernel_size input_size time_reduction"
)
# what the class is described with: anything else builds another tower
_ALWAYS = {
    "input_layer": "nemo_conv", "batch_norm": False, "bias_in_glu": True, "cnn_layer_norm": True,
    "ext_pw_kernel_size": 1, "chunk_size": -1,
}  # fmt: skip


def _hears(config: Config) -> Stack:
    """The tower of ``audio_processor.config``, by the family of transformers' class."""
    own: dict[str, Any] = config["config"] or {}
    for key, value in _ALWAYS.items():
        if own.get(key, value) != value:
            raise UnknownModel(f"audio_processor.config.{key} is {quote_value(own[key])}: "
                               f"phi4mm is described with {value} alone")  # fmt: skip
    raw = {key: own[key] for key in _SAME if key in own}
    for name, key in _CALLED.items():
        outer, _, inner = name.partition(".")
        held = own.get(outer)
        if inner and held is not None:
            if not isinstance(held, dict):
                raise InputError(f"{outer} is {quote_value(held)}: expected an object with keys")
            held = held.get(inner)
        if held is not None:
            raw[key] = held
    tower = Config(FAMILIES["phi4_multimodal_audio"], raw, config.ignore)
    tower.check_all()
    return phi_stack(tower)


family(
    "phi4mm_audio",
    reader="tower",
    keys={"config": mapping()},
    traits={"stack": _hears},
    ignored=("name",),
)


def _adapters(config: Config) -> tuple[Linear, ...]:
    """Two narrow matrices beside each of a layer's four, for each of both adapters."""
    hidden, inner, heads = (
        config[f"{key}"] for key in ("hidden_size", "intermediate_size", "num_attention_heads")
    )
    keys = config["num_key_value_heads"] * (hidden // heads)
    shapes = ((hidden, hidden + 2 * keys), (hidden, hidden), (hidden, 2 * inner), (inner, hidden))
    found = list[Linear]()
    for key in ("vision_lora", "speech_lora"):
        rank = (config[key] or {"r": None}).get("r")
        if config[key] is None:
            continue
        if not is_count(rank):
            raise InputError(f"{key}.r is {quote_value(rank)} where a whole number is expected")
        for inputs, outputs in shapes:
            found.append(Linear(f"{key} A", "adapters", "adapters", inputs, rank))
            found.append(Linear(f"{key} B", "adapters", "adapters", rank, outputs))
    return tuple(found)


family(
    "phi4mm_text",
    "phi4_multimodal_text",
    keys={"vision_lora": mapping(), "speech_lora": mapping()},
    traits={"kept": _adapters},
    ignored=spaced(
        "audio_processor img_processor embd_layer full_attn_mod interpolate_factor lm_head_bias"
    ),
)
wrapper(
    "phi4mm",
    text_of("phi4mm_text", fixed=True, flat=True),
    eyes_of("phi4_multimodal_vision", fixed=True),
    projectors.phi_eyes,
    ears=(Section("audio_processor", "phi4mm_audio"), projectors.phi_ears),
    tie=True,
    like="phi4mm_text",
    traits={
        "grid": {"rule": "shape", "limits": (36,)},
        "note": "its adapters for images and sound are kept, and what they work is not counted",
    },
)
