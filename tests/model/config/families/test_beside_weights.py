"""Models whose code lies beside their weights, against the sizes of the published weights.

The totals are the parameters that the safetensors of each repository hold, as its page on Hugging
Face states them, without buffers; configurations are the published ones without the keys that say
nothing about sizes.
"""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.config.families import find_family
from thermoflop.model.media import with_media

_LLAMA = {"num_attention_heads": 32, "num_hidden_layers": 32, "hidden_size": 4096}
_GLM = {"hidden_size": 4096, "ffn_hidden_size": 13696, "num_attention_heads": 32,
        "kv_channels": 128}  # fmt: skip
_QWEN2 = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "use_sliding_window": False,
    "tie_word_embeddings": False,
}
_GTE = {
    "model_type": "new",
    "layer_norm_type": "layer_norm",
    "pack_qkv": True,
    "position_embedding_type": "rope",
}
_INTERN = {"model_type": "intern_vit_6b", "hidden_size": 1024, "intermediate_size": 4096,
           "num_attention_heads": 16, "num_hidden_layers": 24, "image_size": 448, "patch_size": 14,
           "norm_type": "layer_norm", "qk_normalization": False, "qkv_bias": True}  # fmt: skip
_SIGLIP = {"model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
           "num_attention_heads": 16, "num_hidden_layers": 27, "image_size": 980,
           "patch_size": 14}  # fmt: skip
PUBLISHED: list[tuple[str, int, dict[str, Any]]] = [
    ("internlm/internlm2_5-7b", 7_737_708_544, {
        "model_type": "internlm2", **_LLAMA, "intermediate_size": 14336, "num_key_value_heads": 8,
        "vocab_size": 92544, "bias": False}),
    ("baichuan-inc/Baichuan2-7B-Base", 7_505_973_248, {
        "model_type": "baichuan", **_LLAMA, "max_position_embeddings": 4096,
        "vocab_size": 125696, "intermediate_size": 11008}),
    ("baichuan-inc/Baichuan2-13B-Base", 13_896_668_160, {
        "model_type": "baichuan", "hidden_size": 5120, "intermediate_size": 13696,
        "num_attention_heads": 40, "num_hidden_layers": 40, "model_max_length": 4096,
        "vocab_size": 125696}),
    ("Qwen/Qwen-7B", 7_721_324_544, {
        "model_type": "qwen", **_LLAMA, "vocab_size": 151936, "intermediate_size": 22016,
        "kv_channels": 128}),
    ("zai-org/chatglm3-6b", 6_243_584_000, {
        "model_type": "chatglm", "architectures": ["ChatGLMModel"], "add_qkv_bias": True,
        "multi_query_attention": True, "multi_query_group_num": 2, "num_layers": 28,
        **_GLM, "padded_vocab_size": 65024}),
    ("zai-org/glm-4-9b-chat", 9_399_951_360, {
        "model_type": "chatglm", "architectures": ["ChatGLMModel"], "add_qkv_bias": True,
        "multi_query_attention": True, "multi_query_group_num": 2, "num_layers": 40,
        **_GLM, "padded_vocab_size": 151552}),
    ("openbmb/MiniCPM-2B-sft-bf16", 2_724_880_896, {
        "model_type": "minicpm", "hidden_size": 2304, "intermediate_size": 5760,
        "num_attention_heads": 36, "num_hidden_layers": 40, "vocab_size": 122753}),
    ("microsoft/Phi-3-small-8k-instruct", 7_392_272_384, {
        "model_type": "phi3small", **_LLAMA, "vocab_size": 100352, "ff_intermediate_size": 14336,
        "num_key_value_heads": 8}),
    ("deepseek-ai/deepseek-moe-16b-base", 16_375_728_128, {
        "model_type": "deepseek", "hidden_size": 2048, "intermediate_size": 10944,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 16,
        "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6,
        "moe_intermediate_size": 1408, "first_k_dense_replace": 1, "moe_layer_freq": 1,
        "scoring_func": "softmax", "norm_topk_prob": False, "aux_loss_alpha": 0.001,
        "seq_aux": True, "vocab_size": 102400}),
    ("inclusionAI/Ling-lite", 16_801_974_272, {
        "model_type": "bailing_moe", "hidden_size": 2048, "intermediate_size": 5632,
        "moe_intermediate_size": 1408, "num_attention_heads": 16, "num_key_value_heads": 4,
        "num_hidden_layers": 28, "num_experts": 64, "num_experts_per_tok": 6,
        "num_shared_experts": 2, "vocab_size": 126464, "head_dim": 128}),
    ("nvidia/llama-3.2-nv-embedqa-1b-v2", 1_235_814_400, {
        "model_type": "llama_bidirec", "architectures": ["LlamaBidirectionalModel"],
        "hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32,
        "num_hidden_layers": 16, "num_key_value_heads": 8, "vocab_size": 128256}),
    ("Alibaba-NLP/gte-multilingual-base", 305_368_320, {
        **_GTE, "architectures": ["NewModel"], "vocab_size": 250048, "type_vocab_size": 1}),
    ("Alibaba-NLP/gte-multilingual-reranker-base", 305_959_681, {
        **_GTE, "architectures": ["NewForSequenceClassification"], "vocab_size": 250048,
        "type_vocab_size": 1, "id2label": {"0": "LABEL_0"}}),
    ("Alibaba-NLP/gte-large-en-v1.5", 434_139_136, {
        **_GTE, "architectures": ["NewModel"], "hidden_size": 1024, "intermediate_size": 4096,
        "num_attention_heads": 16, "num_hidden_layers": 24}),
    ("jinaai/jina-embeddings-v3", 572_310_396, {
        "model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"], "hidden_size": 1024,
        "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24,
        "position_embedding_type": "rotary", "type_vocab_size": 1, "vocab_size": 250002,
        "lora_adaptations": ["query", "passage", "separation", "classification", "matching"]}),
    ("nomic-ai/nomic-embed-text-v2-moe", 475_292_928, {
        "model_type": "nomic_bert", "architectures": ["NomicBertModel"], "n_embd": 768,
        "activation_function": "gelu", "n_head": 12, "n_inner": 3072, "n_layer": 12,
        "moe_every_n_layers": 2, "moe_top_k": 2, "num_experts": 8, "qkv_proj_bias": True,
        "mlp_fc1_bias": True, "mlp_fc2_bias": True, "type_vocab_size": 1, "vocab_size": 250048}),
    ("OpenGVLab/InternVL3-8B", 7_944_373_760, {
        "model_type": "internvl_chat", "architectures": ["InternVLChatModel"],
        "llm_config": {"model_type": "qwen2", **_QWEN2, "vocab_size": 151674},
        "vision_config": _INTERN}),
    ("OpenGVLab/InternVL2-8B", 8_075_365_376, {
        "model_type": "internvl_chat", "architectures": ["InternVLChatModel"],
        "llm_config": {"model_type": "internlm2", **_LLAMA, "intermediate_size": 14336,
                       "num_key_value_heads": 8, "vocab_size": 92553, "bias": False},
        "vision_config": _INTERN}),
    ("openbmb/MiniCPM-V-2_6", 8_099_175_152, {
        "model_type": "minicpmv", "architectures": ["MiniCPMV"], **_QWEN2, "vocab_size": 151666,
        "query_num": 64, "version": 2.6, "vision_config": _SIGLIP}),
    ("microsoft/Phi-3.5-vision-instruct", 4_146_621_440, {
        "model_type": "phi3_v", "architectures": ["Phi3VForCausalLM"],
        "img_processor": {"name": "clip_vision_model"}}),
    ("rednote-hilab/dots.ocr", 3_039_179_264, {
        "model_type": "dots_ocr", "architectures": ["DotsOCRForCausalLM"], "attention_bias": True,
        "hidden_size": 1536, "intermediate_size": 8960, "num_attention_heads": 12,
        "num_hidden_layers": 28, "num_key_value_heads": 2, "tie_word_embeddings": False,
        "vocab_size": 151936, "vision_config": {
            "embed_dim": 1536, "intermediate_size": 4224, "num_hidden_layers": 42,
            "num_attention_heads": 12, "post_norm": True, "temporal_patch_size": 1,
            "use_bias": False, "init_merger_std": 0.02, "is_causal": False}}),
    ("deepseek-ai/DeepSeek-OCR", 3_336_106_240, {
        "model_type": "deepseek_vl_v2", "architectures": ["DeepseekOCRForCausalLM"],
        "projector_config": {"input_dim": 2048, "n_embed": 1280, "projector_type": "linear"},
        "vision_config": {"model_name": "deeplip_b_l", "mlp_ratio": 3.7362, "image_size": 1024,
                          "width": {"sam_vit_b": {"downsample_channels": [512, 1024], "heads": 12,
                                                  "layers": 12, "width": 768}}},
        "language_config": {"use_mla": False, "kv_lora_rank": None, "v_head_dim": 0},
        "use_mla": False, "num_hidden_layers": 12}),
    ("baidu/Unlimited-OCR", 3_336_106_240, {
        "model_type": "unlimited-ocr", "architectures": ["UnlimitedOCRForCausalLM"],
        "projector_config": {"input_dim": 2048, "n_embed": 1280, "projector_type": "linear"},
        "vision_config": {"model_name": "deeplip_b_l", "mlp_ratio": 3.7362, "image_size": 1024},
        "language_config": {"use_mla": False, "v_head_dim": 128, "sliding_window_size": 128},
        "use_mla": False, "v_head_dim": 128, "sliding_window": 128}),
    ("MiniMaxAI/MiniMax-M1-80k", 456_089_655_296, {
        "model_type": "minimax_m1", "hidden_size": 6144, "intermediate_size": 9216,
        "num_attention_heads": 64, "num_hidden_layers": 80, "num_key_value_heads": 8,
        "head_dim": 128, "num_local_experts": 32, "num_experts_per_tok": 2, "vocab_size": 200064,
        "attn_type_list": [0, 0, 0, 0, 0, 0, 0, 1] * 10, "shared_intermediate_size": 0,
        "layernorm_mlp_alpha": 3.55, "shared_moe_mode": "sigmoid", "postnorm": True}),
    ("Dream-org/Dream-v0-Instruct-7B", 7_615_616_512, {
        "model_type": "Dream", "architectures": ["DreamModel"], **_QWEN2, "vocab_size": 152064,
        "mask_token_id": 151666}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "total", "config"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_published_weights(name: str, total: int, config: dict[str, Any]) -> None:
    assert tf.load_model(config).params == total, name


def test_jinas_bert_has_gated_mlps_and_slopes() -> None:
    """jinaai/jina-bert-implementation: added up by hand, with the head of ForMaskedLM."""
    config = {"model_type": "bert", "architectures": ["JinaBertForMaskedLM"], "vocab_size": 30528,
              "feed_forward_type": "geglu", "position_embedding_type": "alibi"}  # fmt: skip
    attention, mlp = 4 * (768 * 768 + 768), 768 * 6144 + 3072 * 768 + 768
    layers = 12 * (attention + mlp + 4 * 768)
    tables = (30528 + 2) * 768 + 2 * 768
    head = 768 * 768 + 768 + 2 * 768 + 30528
    assert tf.load_model(config).params == tables + layers + head
    with pytest.raises(InputError, match="norms on queries"):
        tf.load_model({**config, "auto_map": {"AutoConfig": "jinaai/jina-bert-v2-qk-post-norm--x"}})


def test_chatglm_without_shared_keys_has_a_key_head_for_each_head() -> None:
    plain = tf.load_model({
        "model_type": "chatglm", "num_layers": 1, **_GLM, "padded_vocab_size": 65024,
    })  # fmt: skip
    assert plain.params_by_group["attn"] == 4 * 4096 * 4096


def test_a_mixture_of_minicpm_has_a_router_and_experts() -> None:
    config = {"model_type": "minicpm", "num_hidden_layers": 1, "hidden_size": 64,
              "num_attention_heads": 4, "intermediate_size": 96, "num_experts": 8,
              "num_experts_per_tok": 2, "vocab_size": 100}  # fmt: skip
    groups = tf.load_model(config).params_by_group
    assert groups["experts"] == 8 * 3 * 64 * 96
    assert groups["router"] == 8 * 64


def test_a_class_of_the_text_alone_leaves_the_tower_out() -> None:
    config = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}
    whole = tf.load_model(config).params_by_group
    alone = tf.load_model({**config, "architectures": ["Gemma3ForCausalLM"]})
    text = tf.load_model({"model_type": "gemma3_text"})
    assert "patch_embed" in whole
    assert alone.params == text.params


def test_clips_older_sections_are_read_in_place_of_the_newer() -> None:
    """CLIPConfig builds what ``text_config_dict`` says, with its defaults (transformers 5.24)."""
    older = {"hidden_size": 768, "num_attention_heads": 12}
    newer = {**older, "num_hidden_layers": 6}
    both = tf.load_model({"model_type": "clip", "text_config": newer, "text_config_dict": older})
    assert both.params == tf.load_model({"model_type": "clip", "text_config": older}).params


def test_kimi_vl_is_moonlight_behind_moonvit() -> None:
    """Moonlight-16B-A3B as published, and a ViT of Kimi K2.5's kind, added up by hand."""
    text = {"model_type": "deepseek_v3", "vocab_size": 163840, "hidden_size": 2048,
            "intermediate_size": 11264, "moe_intermediate_size": 1408, "num_hidden_layers": 27,
            "num_attention_heads": 16, "n_shared_experts": 2, "n_routed_experts": 64,
            "num_experts_per_tok": 6, "q_lora_rank": None, "first_k_dense_replace": 1}  # fmt: skip
    moonlight = tf.load_model(text).params
    assert moonlight == 15_960_110_208 - 26 * 64  # without the correction of its routers
    model = {
        "model_type": "kimi_vl",
        "text_config": text,
        "vision_config": {
            "model_type": "moonvit",
            "merge_kernel_size": [2, 2],
            "init_pos_emb_height": 64,
        },
    }
    layer = 4 * (1152**2 + 1152) + 2 * 1152 * 4304 + 4304 + 1152 + 4 * 1152
    tower = 27 * layer + 2 * 1152 + 64 * 64 * 1152 + 588 * 1152 + 1152
    project = 2 * 1152 + 4608**2 + 4608 + 4608 * 2048 + 2048
    assert tf.load_model(model).params == moonlight + tower + project


@pytest.mark.parametrize("change", [
    {"architectures": ["DeepseekVLV2ForCausalLM"]},
    {"vision_config": {"model_name": "siglip_large_patch16_384"}},
    {"language_config": {"use_mla": True}},
    {"language_config": {"use_mla": False, "kv_lora_rank": 512}},
])  # fmt: skip
def test_another_model_of_deepseek_ocrs_type_is_refused(change: dict[str, Any]) -> None:
    config = next(config for name, _, config in PUBLISHED if name.endswith("DeepSeek-OCR"))
    with pytest.raises(UnknownModel, match="deepseek_vl_v2"):
        tf.load_model({**config, **change})


def test_another_version_of_minicpm_v_is_refused() -> None:
    config = {"model_type": "minicpmv", "version": 2.0}
    with pytest.raises(InputError, match=r"version is 2.0.*expected one of 2.5"):
        tf.load_model(config)


@pytest.mark.parametrize(
    ("width", "height", "slices"),
    [
        (448, 448, 0),  # one tile's worth of pixels: the image alone
        (600, 600, 2),  # 1.79 tiles, so 2 or 3: 1 x 2 is as near to a square as 2 x 1
        (1000, 1000, 4),  # 4.98 tiles, so 4 to 6, of which 2 x 2 is square
        (1000, 500, 2),  # 2.49 tiles, so 2 to 4, of which 2 x 1 has the shape
        (1920, 1080, 8),  # 10.3 tiles, so 8 or 9: log 4/2 is nearer to log 16/9 than log 3/3
        (500, 3000, 7),  # 7.5 tiles, so 7 to 9: log 1/7 is the nearest to log 1/6
    ],
)
def test_minicpm_v_cuts_an_image_into_slices_and_sees_it_whole_besides(
    width: int, height: int, slices: int
) -> None:
    config = next(config for name, _, config in PUBLISHED if name.endswith("MiniCPM-V-2_6"))
    description = tf.load_model(config).description
    _, media = with_media(description, "minicpm-v", f"1x{width}x{height}")
    assert media.tokens == 64 * (slices + 1)


def test_minicpm_v_pads_every_slice_to_the_largest() -> None:
    config = next(config for name, _, config in PUBLISHED if name.endswith("MiniCPM-V-2_6"))
    seeing, _ = with_media(tf.load_model(config).description, "minicpm-v", "1x1000x500")
    eyes = seeing.stack("image")
    # whole: 448 / sqrt(2) = 316 x 632 pixels, 23 x 45 patches of 14; two slices have 32 x 32
    assert (eyes.tiles, eyes.patches, eyes.pooled) == (3, 23 * 45, 64)


@pytest.mark.parametrize(("hidden", "heads"), [(64, 1), (384, 3)])
def test_a_head_of_minicpm_vs_queries_is_128_wide(hidden: int, heads: int) -> None:
    """``Resampler(num_heads=embed_dim // 128)``."""
    queries = tf.load_model({
        "model_type": "minicpmv", "architectures": ["MiniCPMV"], "hidden_size": hidden,
        "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1,
        "intermediate_size": 96, "vocab_size": 100,
    }).description.stacks[1]  # fmt: skip
    (run,) = queries.runs
    assert (run.layer.cross.heads, run.layer.cross.head_dim) == (heads, hidden // heads)


def test_an_odd_width_that_qwen_would_halve_is_refused() -> None:
    with pytest.raises(InputError, match="intermediate_size is 22017: qwen halves it"):
        tf.load_model({
            "model_type": "qwen", **_LLAMA, "vocab_size": 100, "intermediate_size": 22017,
            "kv_channels": 128,
        })  # fmt: skip


@pytest.mark.parametrize(
    ("said", "layers", "hidden", "width", "tokens", "heads"),
    [  # the defaults of configuration_deepseek.py of deepseek-moe-16b and of
       # configuration_bailing_moe.py of Ling-lite, which say all that these leave out
        ({"model_type": "deepseek", "n_routed_experts": 8, "num_experts_per_tok": 2},
         30, 4096, 1407, 102400, 32),
        ({"model_type": "bailing_moe", "num_experts": 8, "num_experts_per_tok": 2},
         24, 1024, 1408, 30592, 16),
    ],
)  # fmt: skip
def test_what_a_mixture_leaves_out_is_the_default_of_its_code(
    said, layers, hidden, width, tokens, heads
):
    model = tf.load_model(said)
    assert model.description.stacks[0].runs[0].layer.mixer.heads == heads
    assert model.params_by_group["experts"] == layers * 8 * 3 * hidden * width
    assert model.params_by_group["router"] == layers * 8 * hidden
    assert model.params_by_group["embed_tokens"] == tokens * hidden


# ``__init__`` of the classes as vLLM keeps them (transformers_utils/configs/kimi_k3.py and
# dotsocr.py), of PaddleFormers' ernie4_5/configuration.py, of OpenELM's configuration_openelm.py.
STATED: dict[str, dict[str, Any]] = {
    "kimi_k3_vision": {
        "patch_size": 14, "pos_emb_height": 64, "pos_emb_width": 64, "num_attention_heads": 12,
        "num_hidden_layers": 27, "hidden_size": 1024, "intermediate_size": 4096,
        "qkv_hidden_size": 1536, "norm_type": "rmsnorm", "attn_bias": False,
        "patch_embed_proj_bias": False, "linear_bias": False},
    "dots_vision": {
        "embed_dim": 1536, "hidden_size": 1536, "intermediate_size": 4224, "num_hidden_layers": 42,
        "num_attention_heads": 12, "num_channels": 3, "patch_size": 14, "spatial_merge_size": 2,
        "temporal_patch_size": 1, "use_bias": False, "post_norm": True},
    "DFNRope_vision_transformer": {
        "depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "in_channels": 3,
        "patch_size": 14, "spatial_merge_size": 2},
    "openelm": {
        "vocab_size": 32000, "num_transformer_layers": 12, "model_dim": 2048, "head_dim": 128,
        "ffn_with_glu": True, "ffn_dim_divisor": 256, "normalize_qk_projections": False,
        "share_input_output_layers": False},
}  # fmt: skip


@pytest.mark.parametrize("name", STATED)
def test_a_default_is_the_one_that_the_code_beside_the_weights_states(name: str) -> None:
    family = find_family(name)
    assert family is not None
    assert {key: family.keys[key].default for key in STATED[name]} == STATED[name]


@pytest.mark.parametrize("size", ["vocab_size", "hidden_size", "num_hidden_layers"])
@pytest.mark.parametrize("name", ["aquila", "baichuan", "internlm", "orion", "qwen", "xverse"])
def test_a_size_of_which_every_repository_has_a_default_of_its_own_is_asked_for(
    name: str, size: str
) -> None:
    config = {"model_type": name, **_LLAMA, "vocab_size": 100, "intermediate_size": 96}
    del config[size]
    with pytest.raises(InputError, match=f"{size} is missing, and {name} has no default for it"):
        tf.load_model(config)
