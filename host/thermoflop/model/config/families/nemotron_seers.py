"""Nemotron Nano with eyes and ears, as NVIDIA publishes them: RADIO, Nemotron-H and Parakeet.

Structure: the classes of vLLM 0.33. Totals: tests/model/config/families/test_nemotron_seers.py.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Stack
from thermoflop.model.architecture.parts import Norm
from thermoflop.model.config.conformers import parakeet_ears
from thermoflop.model.config.families import recurrent, speech  # noqa: F401 - parents
from thermoflop.model.config.families.newer_towers import moving_patches
from thermoflop.model.config.families.newer_wrappers import radio_pixels
from thermoflop.model.config.families.sections import eyes_of, wrapper
from thermoflop.model.config.family import Key, Section, anything, family, mapping, spaced
from thermoflop.model.config.keys import Config, is_count
from thermoflop.model.config.projectors import ending, linear

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# timm's names of what it builds, with width, layers, heads and neurons
_VITS = {
    "vit_small_patch16_224": (384, 12, 6, 1536),
    "vit_base_patch16_224": (768, 12, 12, 3072),
    "vit_large_patch16_224": (1024, 24, 16, 4096),
    "vit_huge_patch16_224": (1280, 32, 16, 5120),
    "vit_so400m_patch16_224": (1152, 27, 16, 4304),
}


def _args(config: Config) -> dict[str, Any]:
    args: dict[str, Any] = config["args"] or {}
    return args


def _size(index: int) -> Callable[[Config], int]:
    """A size of the transformer that ``args`` name."""

    def read(config: Config) -> int:
        name = _args(config).get("model", "vit_huge_patch16_224")
        if name not in _VITS:
            raise UnknownModel(f"args.model is {quote_value(name)}: expected one of {[*_VITS]}")
        return _VITS[name][index]

    return read


def _count(config: Config, key: str, otherwise: int) -> int:
    """A count among ``args``, which hold hundreds of keys of training."""
    count = _args(config).get(key, otherwise)
    if count is None or not is_count(count):
        raise InputError(f"args.{key} is {quote_value(count)} where a whole number is expected")
    return count


def _learned(config: Config) -> int:
    """A token for each teacher, and as many more as make their number a multiple."""
    args = _args(config)
    listed = args.get("teachers") or []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise InputError(f"args.teachers is {quote_value(listed)}: expected a list of objects")
    teachers = {str(each.get("name")) for each in listed if each}
    tokens = len(teachers) if args.get("cls_token_per_teacher") and teachers else 1
    if not args.get("register_multiple"):
        return tokens
    multiple = _count(config, "register_multiple", 1)
    return tokens + multiple - tokens % multiple


def _patches_between(config: Config) -> tuple[Any, ...]:
    """Between so many patches where the file says how many, else up to twelve tiles."""
    stated = [
        config[key] or _args(config).get(key) for key in ("min_num_patches", "max_num_patches")
    ]
    if stated == [None, None]:
        return ("shape", 12)
    if not all(map(is_count, stated)):
        raise InputError(
            f"min_num_patches and max_num_patches are {quote_value(stated)}: expected two counts"
        )
    return ("patches", *stated)


family(
    "nemotron_radio",
    "radio",
    keys={
        "args": mapping(),
        "preferred_resolution": anything(),
        "min_num_patches": None,
        "max_num_patches": None,
    },
    traits={
        "hidden": _size(0),
        "layers": _size(1),
        "heads": _size(2),
        "inner": _size(3),
        "gated": False,
        "image": 512,
        "rule": _patches_between,
        "class_tokens": _learned,
        "positions": lambda config: (
            (round(_count(config, "cpe_max_size", 2048) / config["patch_size"])) ** 2
        ),
        "scales": 0,
        "tail": lambda config: moving_patches(config, _size(0)(config)),
    },
    drop=spaced(
        "hidden_size num_hidden_layers num_attention_heads mlp_ratio use_swiglu_ffn image_size"
        " max_img_size num_cls_tokens num_registers"
    ),
    ignored=spaced(
        "version max_resolution vitdet_window_size adaptor_names adaptor_configs"
        " feature_normalizer_config inter_feature_normalizer_config separate_video_embedder"
        " video_target_num_patches video_maintain_aspect_ratio video_prompt_version"
        " use_flash_attn"
    ),
)
family(
    "nemotron_sound",
    "parakeet_encoder",
    reader="tower",
    keys={
        "num_mel_bins": 128,
        "attention_bias": False,
        "projection_hidden_size": 4096,
        "projection_bias": False,
    },
    traits={"stack": parakeet_ears},
    ignored=spaced("sampling_rate feat_in projection_eps"),
)


def _heard(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """A norm and two matrices."""
    width, bias = tower["projection_hidden_size"], tower["projection_bias"]
    maps = linear("linear_1", stack.hidden, width, bias), linear("linear_2", width, hidden, bias)
    return ending(stack, Norm("projection_norm", stack.hidden), *maps)


for _name in ("NemotronH_Nano_VL_V2", "NemotronH_Nano_Omni_Reasoning_V3"):
    wrapper(
        _name,
        Section("llm_config", "nemotron_h", fixed=False),
        eyes_of("nemotron_radio", fixed=True),
        radio_pixels,
        tied="text",
        keys={
            "downsample_ratio": Key("any", 0.5),
            "projector_hidden_size": 4096,
        },
        ears=(Section("sound_config", "nemotron_sound", optional=True), _heard),
        traits={"whole": (_name, "NemotronH_Super_Omni_Reasoning_V3")},
        ignored=spaced(
            "patch_size vit_hidden_size force_image_size video_pruning_rate"
            " video_temporal_patch_size image_tag_type norm_mean norm_std"
        ),
    )
