"""Wrappers: a tower that sees, a projector, and a text model, each in a section of its own.

An entry says which family each section is (``Section``), what is between them, and who decides
whether the head is tied. Sections that are absent are as the classes of transformers 5 have them.
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.parts import Vector
from thermoflop.model.config import projectors
from thermoflop.model.config.families import wrapped  # noqa: F401 - flat wrappers hold its keys
from thermoflop.model.config.family import Key, Section, family, mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

# Keys of wrappers that change no count: names and processing of images, and sizes of the text
# part that published files repeat outside its section.
_SPARE = (
    "vocab_size",
    "hidden_size",
    "ignore_index",
    "image_seq_length",
    "video_seq_length",
    "image_grid_pinpoints",
    "img_token_compression_config",
    "process_image_mode",
    "use_image_newline_parameter",
    "use_cache",
    "projector_hidden_act",
    "vision_aspect_ratio",
    "vision_feature_select_strategy",
    "use_unified_vision_chunk",
    "do_image_splitting",
    "max_image_tokens",
    "min_image_tokens",
    "max_tiles",
    "encoder_patch_size",
    "max_pixels_tolerance",
    "min_tiles",
    "tile_size",
    "use_image_special_tokens",
    "use_thumbnail",
    "vision_soft_tokens_per_image",
)
_CLIP = {
    "intermediate_size": 4096,
    "hidden_size": 1024,
    "patch_size": 14,
    "image_size": 336,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
}
_SIGLIP = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "patch_size": 14,
    "image_size": 384,
    "num_hidden_layers": 26,
    "num_attention_heads": 16,
    "vision_use_head": False,
}


def _wrapper(
    name: str,
    text: Section,
    eyes: Section | None,
    project: Any = None,
    *,
    tied: str = "outer",
    tie: bool = False,
    ears: tuple[Section, Any] | None = None,
    keys: dict[str, Any] | None = None,
    traits: dict[str, Any] | None = None,
    like: str | None = None,
    ignored: tuple[str, ...] = (),
) -> None:
    """Register a wrapper; ``tie`` is what the class takes where tie_word_embeddings is absent."""
    towers = [(eyes, project)] if eyes is not None else []
    if ears is not None:
        towers.append(ears)
    sections = {section.key: mapping() for section in (text, *(tower for tower, _ in towers))}
    family(
        name,
        like,
        reader="wrapper",
        keys={**sections, "tie_word_embeddings": tie, **(keys or {})},
        traits={"text": text, "towers": tuple(towers), "tied": tied, **(traits or {})},
        ignored=(*_SPARE, *ignored),
    )


def _text(name: str, init: dict[str, Any] | None = None, **how: Any) -> Section:
    return Section("text_config", name, init, **{"fixed": False, **how})


def _eyes(name: str, init: dict[str, Any] | None = None, **how: Any) -> Section:
    return Section("vision_config", name, init, **{"fixed": False, **how})


def _ears(name: str, init: dict[str, Any] | None = None, **how: Any) -> Section:
    return Section("audio_config", name, init, **{"fixed": False, **how})


def _newline(_config: Config, hidden: int) -> tuple[Vector, ...]:
    """The learned end of a row of patches."""
    return (Vector("image_newline", "other", hidden),)


_LLAVA: dict[str, Any] = {
    "tied": "either",
    "keys": {"vision_feature_layer": Key("any", -2), "multimodal_projector_bias": True},
}
_CLIP_EYES = _eyes("clip_vision_model", _CLIP)
_wrapper("llava", _text("llama"), _CLIP_EYES, projectors.mlp, **_LLAVA)
_VIDEO_EYES = _eyes("clip_vision_model", {**_CLIP, "image_size": 224})
_wrapper(
    "video_llava",
    _text("llama"),
    _VIDEO_EYES,
    keys=_LLAVA["keys"],
    traits={"towers": ((_VIDEO_EYES, projectors.mlp), (_VIDEO_EYES, projectors.aside))},
)


def _anyres(config: Config) -> dict[str, Any]:
    """The canvases that an image may be put on, and how many tiles' worth of tokens is left."""
    one_vision = config.family.name == "llava_onevision"
    steps = range(384, 2305, 384)
    own = [(tall, wide) for tall in steps for wide in steps] if one_vision else _PINPOINTS
    sizes = config.raw.get("image_grid_pinpoints") or own
    pairs = [tuple(size) for size in sizes] if isinstance(sizes, list | tuple) else []
    if not pairs or any(len(pair) != 2 or min(map(_pixels, pair)) < 1 for pair in pairs):
        raise InputError("image_grid_pinpoints is no list of heights and widths")
    most = str(config.raw.get("vision_aspect_ratio", "anyres_max_9")).rsplit("_", 1)[-1]
    limits = (int(most),) if one_vision and most.isdigit() else ()
    return {"rule": "pinpoints", "sizes": tuple(pairs), "limits": limits}


def _pixels(side: object) -> int:
    """A side in pixels, or 0 for what is none."""
    return side if type(side) is int else 0


def _rule(rule: str, *limits: int, **more: Any) -> dict[str, Any]:
    """The trait of a wrapper whose image processor has a rule of its own."""
    return {"grid": lambda _config: {"rule": rule, "limits": limits, **more}}


_PINPOINTS = ((336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008))
_NEWLINE: dict[str, Any] = {"traits": {"extras": _newline, "grid": _anyres}}
_wrapper("llava_next", _text("llama"), _CLIP_EYES, projectors.mlp, keys=_LLAVA["keys"], **_NEWLINE)
_wrapper(
    "llava_next_video",
    _text("llama"),
    _CLIP_EYES,
    projectors.mlp,
    **_LLAVA,
    **_NEWLINE,
    ignored=("spatial_pool_stride", "spatial_pool_mode"),
)
_wrapper(
    "llava_onevision",
    _text("qwen2"),
    _eyes("siglip_vision_model", _SIGLIP),
    projectors.mlp,
    tied="either",
    keys={"vision_feature_layer": Key("any", -1), "multimodal_projector_bias": True},
    **_NEWLINE,
)
_PIXTRAL = {
    "intermediate_size": 4096,
    "hidden_size": 1024,
    "patch_size": 14,
    "image_size": 1540,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
}
_MISTRAL = {
    "head_dim": 128,
    "hidden_size": 5120,
    "intermediate_size": 32768,
    "num_attention_heads": 32,
    "num_hidden_layers": 40,
    "num_key_value_heads": 8,
    "sliding_window": None,
    "vocab_size": 131072,
}
_wrapper(
    "mistral3",
    _text("mistral", _MISTRAL),
    _eyes("pixtral", _PIXTRAL),
    projectors.mistral3,
    tie=True,
    keys={
        "vision_feature_layer": Key("any", -1),
        "multimodal_projector_bias": False,
        "spatial_merge_size": 2,
    },
    traits={"grid": lambda _config: {"breaks": True}},
)
_wrapper(
    "paligemma",
    _text(
        "gemma",
        {
            "hidden_size": 2048,
            "num_hidden_layers": 18,
            "intermediate_size": 16384,
            "num_attention_heads": 8,
            "num_key_value_heads": 1,
            "vocab_size": 257152,
        },
    ),
    _eyes(
        "siglip_vision_model",
        {**_SIGLIP, "intermediate_size": 4096, "image_size": 224, "num_hidden_layers": 27},
    ),
    projectors.single,
    tie=True,
    keys={"projection_dim": 2048},
)
_wrapper(
    "gemma3",
    _text("gemma3_text", fixed=True),
    _eyes("siglip_vision_model"),
    projectors.gemma3,
    tie=True,
    keys={"mm_tokens_per_image": 256},
)
_wrapper(
    "internvl",
    _text("qwen2"),
    _eyes("internvl_vision", fixed=True),
    projectors.shuffled,
    tie=True,
    keys={"downsample_ratio": Key("any", 0.5)},
    traits=_rule("shape", 12),
    ignored=("vision_feature_layer",),
)
_wrapper(
    "llama4",
    _text("llama4_text", fixed=True),
    _eyes("llama4_vision_model", fixed=True),
    projectors.llama4,
    tied="text",
    traits=_rule("canvas", 16),
)
_wrapper(
    "idefics3",
    _text("llama"),
    _eyes("idefics3_vision", fixed=True),
    projectors.connector,
    keys={"scale_factor": 2},
    traits=_rule("cut"),
)
_wrapper(
    "smolvlm",
    _text("llama"),
    _eyes("smolvlm_vision", fixed=True),
    projectors.connector,
    keys={"scale_factor": 2},
    traits=_rule("cut"),
)
_wrapper(
    "lfm2_vl",
    _text("lfm2"),
    _eyes("siglip2_vision_model"),
    projectors.lfm2,
    tie=True,
    traits=_rule("split", 65536, 262144, 10, side=(512, 512)),
    keys={
        "downsample_factor": 2,
        "projector_hidden_size": 2560,
        "projector_bias": True,
        "projector_use_layernorm": True,
    },
)
_wrapper(
    "kimi_k25",
    _text("deepseek_v3"),
    _eyes("kimi_k25_vision", fixed=True),
    projectors.kimi,
    tie=True,
    keys={"projection_hidden_size": 1152},
)
_wrapper(
    "minimax_m3_vl",
    _text("minimax_m3_vl_text", fixed=True),
    _eyes("minimax_m3_vl_vision", fixed=True),
    projectors.minimax,
    tied="either",
    keys={"projector_hidden_size": 6144},
    ignored=("multimodal_projector_bias", "vision_feature_layer"),
)
_wrapper(
    "gemma4",
    _text("gemma4_text", fixed=True),
    _eyes("gemma4_vision", fixed=True, optional=True),
    projectors.embedder,
    tie=True,
    keys={"audio_config": mapping()},
)


def _qwen(name: str, text: str, eyes: str, tied: str = "outer", **more: Any) -> None:
    """A model of Qwen's kind: the tower ends in its own merger."""
    sections = _text(text, fixed=True), _eyes(eyes, fixed=True)
    _wrapper(name, *sections, tied=tied, **more)


for _name in ("qwen2_vl", "qwen2_5_vl"):
    # published before classes had sections: the text's keys lie beside those of the wrapper
    _wrapper(
        _name,
        _text(f"{_name}_text", fixed=True, flat=True),
        _eyes(f"{_name}_vision", fixed=True),
        tied="either",
        like=f"{_name}_text",
    )
_qwen("qwen3_vl", "qwen3_vl_text", "qwen3_vl_vision")
_qwen("qwen3_vl_moe", "qwen3_vl_moe_text", "qwen3_vl_vision")
_qwen("qwen3_5", "qwen3_5_text", "qwen3_5_vision")
_qwen("qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_vision")
_qwen("glm4v", "glm4v_text", "glm4v_vision", tied="either")
_qwen("glm4v_moe", "glm4v_moe_text", "glm4v_moe_vision", tied="either")
_wrapper("exaone4_5", _text("exaone4"), _eyes("exaone4_5_vision", fixed=True))
_wrapper(
    "mllama",
    _text("mllama_text_model", fixed=True),
    _eyes("mllama_vision_model", fixed=True),
    projectors.mllama,
    tied="none",
)
_wrapper(
    "phi4_multimodal",
    _text("phi4_multimodal_text", fixed=True, flat=True),
    _eyes("phi4_multimodal_vision", fixed=True),
    projectors.phi_eyes,
    ears=(Section("audio_config", "phi4_multimodal_audio"), projectors.phi_ears),
    like="phi4_multimodal_text",
    traits={"grid": lambda _config: {"rule": "shape", "limits": (36,)}},
)
_VOXTRAL = {
    "vocab_size": 131072,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 30,
    "num_key_value_heads": 8,
    "head_dim": 128,
}
_wrapper(
    "voxtral",
    _text("llama", _VOXTRAL, merged=True),
    None,
    ears=(_ears("voxtral_encoder"), projectors.heard),
    tied="none",
)
_wrapper(
    "qwen2_audio",
    _text("qwen2"),
    None,
    ears=(_ears("qwen2_audio_encoder"), projectors.heard_in_pairs),
    tied="none",
)
