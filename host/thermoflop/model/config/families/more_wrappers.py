"""More wrappers, a few keys away from those of ``wrappers``, as the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.config import projectors
from thermoflop.model.config.families import by_layer  # noqa: F401 - step3p5 is defined there
from thermoflop.model.config.families.sections import ears_of, eyes_of, text_of, wrapper
from thermoflop.model.config.families.wrappers import CLIP, SIGLIP
from thermoflop.model.config.family import Key, only, sizes

_MERGES = {"downsample_factor": 2}
wrapper(
    "aya_vision",
    text_of("cohere2"),
    eyes_of("siglip_vision_model", {**SIGLIP, "num_attention_heads": 14}),
    projectors.gated,
    tie=True,
    keys={**_MERGES, "alignment_intermediate_size": None},
    traits={"grid": {"rule": "shape", "limits": (12,)}},
)
wrapper(
    "cohere2_vision",
    text_of("cohere2"),
    eyes_of(
        "siglip_vision_model",
        sizes(hidden=1152, inner=3072, layers=27, heads=12, image=512),
    ),
    projectors.gated,
    tie=True,
    keys={**_MERGES, "alignment_intermediate_size": 36864},
    traits={"grid": {"rule": "shape", "limits": (12,)}},
)
wrapper(
    "vipllava",
    text_of("llama"),
    eyes_of("clip_vision_model", CLIP),
    projectors.normed,
    keys={"vision_feature_layer": Key("any", (-2, -5, -8, -11, 6))},
)
for _name in ("glm46v", "glmga"):
    wrapper(_name, text_of("glm4v_text"), eyes_of("glm4v_vision"))
wrapper(
    "glm_ocr",
    text_of("glm_ocr_text", fixed=True),
    eyes_of("glm_ocr_vision", fixed=True),
    tied="either",
)
wrapper(
    "hyperclovax_vision_v2",
    text_of("hyperclovax"),
    eyes_of("qwen2_5_vl_vision"),
    projectors.one_more,
    tie=True,
)
wrapper("cosmos3_omni", text_of("qwen3_vl_text"), eyes_of("qwen3_vl_vision"))
wrapper(
    "deepseek_vl",
    text_of("llama"),
    eyes_of("siglip_vision_model"),
    projectors.aligner,
    tie=True,
)
wrapper(
    "lighton_ocr",
    text_of(
        "qwen3",
        {
            **sizes(
                vocab=151936, hidden=1024, inner=3072, layers=28, heads=16, kv_heads=8, head_dim=128
            ),
            "sliding_window": None,
        },
    ),
    eyes_of(
        "pixtral",
        {
            **sizes(hidden=1024, inner=4096, layers=24, heads=16, image=1540, patch=14),
            "hidden_act": "silu",
        },
    ),
    projectors.mistral3,
    tie=True,
    keys={"spatial_merge_size": 2},
)
wrapper(
    "paddleocr_vl",
    text_of("paddleocr_vl_text", fixed=True),
    eyes_of("paddleocr_vl_vision", fixed=True),
    projectors.merged,
    tied="either",
    tie=True,
)
wrapper(
    "video_llama_3",
    text_of("qwen2"),
    eyes_of("video_llama_3_vision", fixed=True),
    projectors.aligner,
    tied="either",
)
wrapper(
    "qwen2_5_omni_thinker",
    text_of("qwen2_5_omni_text", fixed=True),
    eyes_of("qwen2_5_omni_vision_encoder", fixed=True),
    ears=(ears_of("qwen2_5_omni_audio_encoder", fixed=True), None),
    ignored=("position_id_per_seconds", "seconds_per_chunk"),
)
wrapper(
    "kimi_k3",
    text_of("kimi_linear"),
    eyes_of("kimi_k3_vision", fixed=True),
    projectors.kimi_k3,
    ignored=("image_placeholder",),
)
# files of serving tools have the text's keys alone, beside no section
wrapper(
    "step3p7",
    text_of("step3p5", fixed=True, flat=True),
    eyes_of("step3p5_vision", fixed=True, optional=True),
    projectors.step,
    like="step3p5",
    keys={"projector_bias": False, "understand_projector_stride": only(2)},
    ignored=("image_token_len", "patch_token_len", "use_im_start_end", "vision_select_layer"),
)
