"""Wrappers: a tower that sees, a projector, and a text model, each in a section of its own.

An entry says which family each section is (``Section``), what is between them, and who decides
whether the head is tied. Sections that are absent are as the classes of transformers 5 have them.
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.parts import Vector
from thermoflop.model.config import projectors
from thermoflop.model.config.families import wrapped  # noqa: F401 - flat wrappers hold its keys
from thermoflop.model.config.families.sections import ears_of, eyes_of, text_of, wrapper
from thermoflop.model.config.family import Key, Section, sizes
from thermoflop.model.config.tower import sides

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

CLIP = sizes(hidden=1024, inner=4096, layers=24, heads=16, image=336, patch=14)
SIGLIP = {
    **sizes(hidden=1152, inner=4304, layers=26, heads=16, image=384, patch=14),
    "vision_use_head": False,
}


def newline(_config: Config, hidden: int) -> tuple[Vector, ...]:
    """The learned end of a row of patches."""
    return (Vector("image_newline", "other", hidden),)


_LLAVA: dict[str, Any] = {
    "tied": "either",
    "keys": {"vision_feature_layer": Key("any", -2), "multimodal_projector_bias": True},
}
_CLIP_EYES = eyes_of("clip_vision_model", CLIP)
wrapper("llava", text_of("llama"), _CLIP_EYES, projectors.mlp, **_LLAVA)
_VIDEO_EYES = eyes_of("clip_vision_model", {**CLIP, "image_size": 224})
wrapper(
    "video_llava",
    text_of("llama"),
    _VIDEO_EYES,
    keys=_LLAVA["keys"],
    traits={"towers": ((_VIDEO_EYES, projectors.mlp), (_VIDEO_EYES, projectors.aside))},
)


def any_resolution(config: Config) -> dict[str, Any]:
    """The canvases that an image may be put on, and how many tiles' worth of tokens is left."""
    one_vision = config.family.name == "llava_onevision"
    steps = range(384, 2305, 384)
    own = [(tall, wide) for tall in steps for wide in steps] if one_vision else _PINPOINTS
    sizes = config.raw.get("image_grid_pinpoints") or own
    if not isinstance(sizes, list | tuple) or not sizes:
        raise InputError("image_grid_pinpoints is no list of heights and widths")
    pairs = [sides(size, "image_grid_pinpoints") for size in sizes]
    most = str(config.raw.get("vision_aspect_ratio", "anyres_max_9")).rsplit("_", 1)[-1]
    limits = (int(most),) if one_vision and most.isdigit() else ()
    return {"rule": "pinpoints", "sizes": tuple(pairs), "limits": limits}


_PINPOINTS = ((336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008))
_NEWLINE: dict[str, Any] = {"traits": {"extras": newline, "grid": any_resolution}}
wrapper("llava_next", text_of("llama"), _CLIP_EYES, projectors.mlp, keys=_LLAVA["keys"], **_NEWLINE)
wrapper(
    "llava_next_video",
    text_of("llama"),
    _CLIP_EYES,
    projectors.mlp,
    **_LLAVA,
    **_NEWLINE,
    ignored=("spatial_pool_stride", "spatial_pool_mode"),
)
wrapper(
    "llava_onevision",
    text_of("qwen2"),
    eyes_of("siglip_vision_model", SIGLIP),
    projectors.mlp,
    tied="either",
    keys={"vision_feature_layer": Key("any", -1), "multimodal_projector_bias": True},
    **_NEWLINE,
)
_PIXTRAL = sizes(hidden=1024, inner=4096, layers=24, heads=16, image=1540, patch=14)
_MISTRAL = {
    **sizes(vocab=131072, hidden=5120, inner=32768, layers=40, heads=32, kv_heads=8, head_dim=128),
    "sliding_window": None,
}
wrapper(
    "mistral3",
    text_of("mistral", _MISTRAL),
    eyes_of("pixtral", _PIXTRAL),
    projectors.mistral3,
    tie=True,
    keys={
        "vision_feature_layer": Key("any", -1),
        "multimodal_projector_bias": False,
        "spatial_merge_size": 2,
    },
    traits={"grid": {"breaks": True}},
)
wrapper(
    "paligemma",
    text_of(
        "gemma",
        sizes(vocab=257152, hidden=2048, inner=16384, layers=18, heads=8, kv_heads=1),
    ),
    eyes_of(
        "siglip_vision_model",
        {**SIGLIP, **sizes(inner=4096, layers=27, image=224)},
    ),
    projectors.single,
    tie=True,
    keys={"projection_dim": 2048},
)
wrapper(
    "gemma3",
    text_of("gemma3_text", fixed=True),
    eyes_of("siglip_vision_model"),
    projectors.gemma3,
    tie=True,
    keys={"mm_tokens_per_image": 256},
)
wrapper(
    "internvl",
    text_of("qwen2"),
    eyes_of("internvl_vision", fixed=True),
    projectors.shuffled,
    tie=True,
    keys={"downsample_ratio": Key("any", 0.5)},
    traits={"grid": {"rule": "shape", "limits": (12,)}},
)
wrapper(
    "llama4",
    text_of("llama4_text", fixed=True),
    eyes_of("llama4_vision_model", fixed=True),
    projectors.llama4,
    tied="text",
    traits={"grid": {"rule": "canvas", "limits": (16,)}},
)
for _name in ("idefics3", "smolvlm"):
    wrapper(
        _name,
        text_of("llama"),
        eyes_of(f"{_name}_vision", fixed=True),
        projectors.connector,
        keys={"scale_factor": 2},
        traits={"grid": {"rule": "cut"}},
    )
wrapper(
    "lfm2_vl",
    text_of("lfm2"),
    eyes_of("siglip2_vision_model"),
    projectors.lfm2,
    tie=True,
    traits={"grid": {"rule": "split", "limits": (65536, 262144, 10), "side": (512, 512)}},
    keys={
        "downsample_factor": 2,
        "projector_hidden_size": 2560,
        "projector_bias": True,
        "projector_use_layernorm": True,
    },
)
wrapper(
    "kimi_k25",
    text_of("deepseek_v3"),
    eyes_of("kimi_k25_vision", fixed=True),
    projectors.kimi,
    tie=True,
    keys={"projection_hidden_size": 1152},
)
wrapper(
    "minimax_m3_vl",
    text_of("minimax_m3_vl_text", fixed=True),
    eyes_of("minimax_m3_vl_vision", fixed=True),
    projectors.minimax,
    tied="either",
    keys={"projector_hidden_size": 6144},
    ignored=("multimodal_projector_bias", "merged_hidden_size"),
)
wrapper(
    "gemma4",
    text_of("gemma4_text", fixed=True),
    eyes_of("gemma4_vision", fixed=True, optional=True),
    projectors.embedder,
    tie=True,
    ears=(ears_of("gemma4_audio", fixed=True, optional=True), projectors.embedded_sound),
)


def _qwen(name: str, text: str, eyes: str, tied: str = "outer", **more: Any) -> None:
    """A model of Qwen's kind: the tower ends in its own merger."""
    sections = text_of(text, fixed=True), eyes_of(eyes, fixed=True)
    wrapper(name, *sections, tied=tied, **more)


for _name in ("qwen2_vl", "qwen2_5_vl", "glm4v", "glm4v_moe"):
    # published before classes had sections: the text's keys lie beside those of the wrapper
    wrapper(
        _name,
        text_of(f"{_name}_text", fixed=True, flat=True),
        eyes_of(f"{_name}_vision", fixed=True),
        tied="either",
        like=f"{_name}_text",
    )
_qwen("qwen3_vl", "qwen3_vl_text", "qwen3_vl_vision")
_qwen("qwen3_vl_moe", "qwen3_vl_moe_text", "qwen3_vl_vision")
_qwen("qwen3_5", "qwen3_5_text", "qwen3_5_vision")
_qwen("qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_vision")
for _name in ("qwen4_exp", "qwen3_8_flash_next"):  # the second is what it was called before
    _qwen(_name, "qwen4_exp_text", "qwen3_5_vision")
wrapper("exaone4_5", text_of("exaone4"), eyes_of("exaone4_5_vision", fixed=True))
wrapper(
    "mllama",
    text_of("mllama_text_model", fixed=True),
    eyes_of("mllama_vision_model", fixed=True),
    projectors.mllama,
    tied="none",
)
wrapper(
    "phi4_multimodal",
    text_of("phi4_multimodal_text", fixed=True, flat=True),
    eyes_of("phi4_multimodal_vision", fixed=True),
    projectors.phi_eyes,
    ears=(Section("audio_config", "phi4_multimodal_audio"), projectors.phi_ears),
    like="phi4_multimodal_text",
    traits={"grid": {"rule": "shape", "limits": (36,)}},
)
_VOXTRAL = sizes(vocab=131072, hidden=3072, inner=8192, layers=30, kv_heads=8, head_dim=128)
wrapper(
    "voxtral",
    text_of("llama", _VOXTRAL, merged=True),
    None,
    ears=(ears_of("voxtral_encoder"), projectors.heard),
    tied="none",
)
wrapper(
    "qwen2_audio",
    text_of("qwen2"),
    None,
    ears=(ears_of("qwen2_audio_encoder"), projectors.heard_in_pairs),
    tied="none",
)
