"""Wrappers of 2025 and 2026, as in the classes of transformers 5; their parts: newer_towers."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.description import Placed, Stack
from thermoflop.model.architecture.parts import Norm
from thermoflop.model.config import connectors, projectors
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.families import hybrids, newer_texts, newer_towers  # noqa: F401 - parents
from thermoflop.model.config.families.sections import ears_of, eyes_of, text_of, wrapper
from thermoflop.model.config.family import Key, Section, mapping, sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

wrapper(
    "shieldgemma2",
    text_of("gemma3_text"),
    eyes_of("siglip_vision_model"),
    projectors.gemma3,
    tied="either",
    keys={"mm_tokens_per_image": 256},
    traits={"whole": ("ShieldGemma2ForImageClassification",)},
)
wrapper(
    "qianfan_ocr",
    text_of("qwen3"),
    eyes_of("qianfan_ocr_vision", fixed=True),
    projectors.shuffled,
    keys={"downsample_ratio": Key("any", 0.5)},
    traits={"grid": {"rule": "shape", "limits": (12,)}},
)
wrapper(
    "qwen3_omni_moe_thinker",
    text_of("qwen3_omni_moe_text", fixed=True),
    eyes_of("qwen3_omni_moe_vision_encoder", fixed=True),
    ears=(ears_of("qwen3_omni_moe_audio_encoder", fixed=True), None),
    ignored=("position_id_per_seconds", "seconds_per_chunk"),
)


def visual_words(tower: Config, stack: Stack, hidden: int, words: int, marks: int) -> Stack:
    """Ovis: each patch as a mixture of the words of a visual vocabulary, marks apart."""
    merge = tower["hidden_stride"]
    head = projectors.linear("head_linear", stack.hidden * merge**2, words - marks, False)
    table = projectors.linear("visual_embeddings_table", words, hidden, False)
    return projectors.ending(
        stack, head, layer_norm("head_norm", words - marks), table, merge=merge
    )


def _ovis(config: Config, tower: Config, stack: Stack, _hidden: int) -> Stack:
    """Ovis 2, whose tower says how many words there are."""
    words, marks = tower["vocab_size"], tower["num_visual_indicator_tokens"]
    return visual_words(tower, stack, config["hidden_size"], words, marks)


wrapper(
    "ovis2",
    text_of("qwen2"),
    eyes_of("ovis2_vision", fixed=True),
    _ovis,
    tie=True,
    keys=sizes(vocab=151643, hidden=1536),
    traits={"head": lambda config: (config["hidden_size"], config["vocab_size"])},
)


def _janus(_config: Config, tower: Config, stack: Stack, _hidden: int) -> Stack:
    """Janus: one matrix, and as many more as the aligner is deep."""
    width = tower["projection_dim"]
    first = projectors.linear("aligner", stack.hidden, width)
    more = [projectors.linear("aligner", width, width)] * (tower["depth"] - 1)
    return projectors.ending(stack, first, *more)


def _janus_codes(config: Config, _hidden: int) -> list[Any]:
    """What draws images, and is kept."""
    from thermoflop.model.config.image_codes import janus_codes

    return list(janus_codes(config.nested["vq_config"]))


wrapper(
    "janus",
    text_of("llama"),
    eyes_of("janus_vision_model", fixed=True),
    _janus,
    tie=True,
    keys={"vq_config": mapping()},
    traits={
        "extras": _janus_codes,
        "note": "what draws images is kept; its work is not counted",
        "sections": (Section("vq_config", "janus_vqgan"),),
    },
)


def _edge(config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Cosmos 3 Edge: a norm on each patch, neighbouring ones side by side, two matrices."""
    merge, width = tower["spatial_merge_size"], config["projector_hidden_size"]
    norm = Placed(layer_norm("norm", stack.hidden), "patch")
    first = projectors.linear("linear_fc1", stack.hidden * merge**2, width)
    last = projectors.linear("linear_fc2", width, hidden)
    return projectors.ending(stack, norm, first, last, merge=merge)


wrapper(
    "cosmos3_edge",
    text_of("cosmos3_edge_text", fixed=True),
    eyes_of("cosmos3_edge_vision", fixed=True),
    _edge,
    tied="none",
    keys={"projector_hidden_size": 11520},
)


def _lfm3(config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """LFM3-VL: the same with biases that a key decides about."""
    bias = config["projector_bias"]
    seen = _edge(config, tower, stack, hidden)
    *rest, first, last = seen.tail
    biased = (replace(each, part=replace(each.part, bias=bias)) for each in (first, last))
    return replace(seen, tail=(*rest, *biased))


wrapper(
    "lfm3_vl",
    text_of("lfm3"),
    eyes_of("lfm3_vl_vision", fixed=True),
    _lfm3,
    tie=True,
    keys={"projector_hidden_size": 4096, "projector_bias": True},
)


ERNIE_NOTE = "tokens of images are counted as if they ran through the experts for words"


def joined_moments(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Ernie 4.5 VL: neighbouring patches side by side, then moments of a film, to the text."""
    merge = tower["spatial_merge_size"]
    seen = stack.hidden * merge**2
    frames = tower["temporal_merge_size"]
    parts = [
        part
        for name, inputs in (("spatial", seen), ("temporal", seen * frames))
        for part in (
            projectors.linear(f"{name} fc1", inputs, seen),
            projectors.linear(f"{name} fc2", seen, seen),
            layer_norm(f"{name} norm", seen),
        )
    ]
    last = projectors.linear("mlp", seen, hidden), Norm("after_norm", hidden)
    return projectors.ending(stack, *parts, *last, merge=merge)


wrapper(
    "ernie4_5_vl_moe",
    text_of("ernie4_5_vl_moe_text", fixed=True),
    eyes_of("ernie4_5_vl_moe_vision", fixed=True),
    joined_moments,
    tie=True,
    traits={"note": ERNIE_NOTE},
)


def _minicpm_pieces(config: Config) -> dict[str, Any]:
    """The settings of the processor of MiniCPM-V 4.6: 2 x 2 patches become one, or 4 x 4."""
    return {"rule": "packed", "limits": (2 if config["downsample_mode"] == "4x" else 4,)}


for _name in ("minicpmv4_6", "minicpmv4_7", "minicpm_ocr"):
    wrapper(
        _name,
        text_of("qwen3_5_text"),
        eyes_of(f"{_name}_vision", fixed=True),
        connectors.merged_inside,
        tie=_name == "minicpm_ocr",
        keys={
            "insert_layer_id": Key("any", 6),
            "merge_kernel_size": Key("indices", (2, 2)),
            "merger_times": 1,
            "downsample_mode": "4x" if _name == "minicpm_ocr" else "16x",
        },
        traits={"grid": _minicpm_pieces},
        ignored=("drop_vision_last_layer", "image_size", "patch_size"),
    )
wrapper(
    "molmo2",
    text_of("molmo2_text", fixed=True),
    eyes_of("molmo2_vision", fixed=True),
    connectors.pooled_by_attention,
    tied="none",
    keys={"adapter_config": mapping()},
    traits={"sections": (Section("adapter_config", "molmo2_adapter"),)},
    ignored=("image_patch_id",),
)


def _muse(config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Muse: neighbouring patches side by side through two matrices, and one to the text."""
    merge, width = tower["merge_size"], config["projector_hidden_size"]
    maps = (
        projectors.linear("fc1", config["out_hidden_size"], width, False),
        projectors.linear("fc2", width, width, False),
        projectors.linear("vision_projection", width, hidden, False),
    )
    return projectors.ending(stack, *maps, merge=merge)


wrapper(
    "muse_glimmer",
    text_of("muse_glimmer_text", fixed=True),
    eyes_of("muse_glimmer_vision", fixed=True),
    _muse,
    keys={"out_hidden_size": 6144, "projector_hidden_size": 4096},
)


wrapper(
    "muse_spark",
    text_of("muse_spark_text", fixed=True),
    eyes_of("muse_spark_vision", fixed=True),
    _muse,
    ears=(ears_of("muse_spark_audio", fixed=True), None),
    keys={"out_hidden_size": 6144, "projector_hidden_size": 4096},
)


def _embedded(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Gemma 4: a norm without weights and one matrix."""
    seen = tower.get("output_proj_dims", stack.hidden)
    norm = Norm("embedding_pre_projection_norm", seen, weight=False)
    project = projectors.linear("embedding_projection", seen, hidden, False)
    return projectors.ending(stack, norm, project)


wrapper(
    "gemma4_unified",
    text_of("gemma4_unified_text", fixed=True),
    eyes_of("gemma4_unified_vision", fixed=True, optional=True),
    _embedded,
    tie=True,
    ears=(ears_of("gemma4_unified_audio", fixed=True, optional=True), _embedded),
)


def radio_pixels(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Nemotron Omni: neighbouring patches side by side, a norm, two matrices without biases."""
    merge = projectors.inverse(config["downsample_ratio"], "downsample_ratio")
    patch, width = config.get("vision_hidden_size", stack.hidden), config["projector_hidden_size"]
    parts = (
        Norm("projector_norm", patch * merge**2),
        projectors.linear("linear_1", patch * merge**2, width, False),
        projectors.linear("linear_2", width, hidden, False),
    )
    seeing_ahead = config.nested["text_config"].raw.get("num_nextn_predict_layers")
    norm = layer_norm("final_layernorm", patch)
    before = (Placed(norm),) if seeing_ahead else ()
    return projectors.ending(stack, *before, *parts, merge=merge)


wrapper(
    "nemotron_h_omni",
    text_of("nemotron_h"),
    eyes_of("radio", {"video_temporal_patch_size": 2}, merged=True),
    radio_pixels,
    tied="text",
    keys={
        "downsample_ratio": Key("any", 0.5),
        "projector_hidden_size": 4096,
        "vision_hidden_size": 1280,
    },
    traits={"whole": ("NemotronH_Omni_Reasoning_V3",)},
    ignored=("force_image_size", "video_pruning_rate", "video_temporal_patch_size"),
)
wrapper(
    "mistral_large4",
    text_of("mistral_large4_text", fixed=True),
    eyes_of(
        "pixtral",
        {
            **sizes(hidden=2048, inner=6144, layers=30, heads=16, image=1540, patch=14),
            "hidden_act": "silu",
        },
    ),
    projectors.mistral3,
    keys={
        "vision_feature_layer": Key("any", -1),
        "multimodal_projector_bias": False,
        "spatial_merge_size": 2,
    },
    traits={"grid": {"breaks": True}},
)
wrapper(
    "glm5_next",
    text_of("glm5_next_text", fixed=True, flat=True),
    eyes_of("glm5_next_vision", fixed=True),
)
wrapper(
    "gemma3n",
    text_of("gemma3n_text", fixed=True),
    eyes_of("gemma3n_vision", fixed=True),
    projectors.gemma3n,
    tie=True,
    keys={"audio_soft_tokens_per_image": 188},
    ears=(ears_of("gemma3n_audio", fixed=True), projectors.gemma3n),
)


def _one_matrix(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """ModernVBERT: neighbouring patches side by side through one matrix."""
    merge = config["pixel_shuffle_factor"]
    project = projectors.linear("modality_projection", stack.hidden * merge**2, hidden, False)
    return projectors.ending(stack, project, merge=merge)


def _matrix_and_norm(config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """UltraVBERT: the same, and a norm."""
    stack = _one_matrix(config, tower, stack, hidden)
    return projectors.ending(stack, Norm("connector_norm", hidden))


wrapper(
    "modernvbert",
    text_of("modernbert"),
    eyes_of("siglip_vision_model"),
    _one_matrix,
    keys={"pixel_shuffle_factor": 4},
    traits={"grid": {"rule": "cut"}},
    ignored=("classifier_pooling", "classifier_bias"),
)
wrapper(
    "ultravbert",
    text_of("ultrabert"),
    eyes_of("siglip_vision_model", {"vision_use_head": False}),
    _matrix_and_norm,
    keys={"pixel_shuffle_factor": 4},
    traits={"grid": {"rule": "cut"}},
    ignored=("classifier_pooling",),
)
wrapper(
    "hy_v4_vl",
    text_of("hy_v4_vl_text", fixed=True),
    eyes_of("hy_v4_vl_vision", fixed=True),
    traits={"grid": {"breaks": True}},
)
