"""Models of autumn 2026 whose code lies beside their weights, against published sizes.

Configurations are the published ones without the keys that say nothing about sizes; totals are
what the repository on Hugging Face states, or the sum by hand of what the engines' classes build.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError, UnknownModel, UsageError
from thermoflop.model.architecture.cache import cache_elements
from thermoflop.model.architecture.quantization import matrices
from thermoflop.model.load import read_model
from thermoflop.model.media import with_media

SPARK: dict[str, Any] = {
    "model_type": "spark2_5", "vocab_size": 131072, "hidden_size": 2560,
    "intermediate_size": 10240, "num_hidden_layers": 36, "num_attention_heads": 16,
    "num_key_value_heads": 4, "head_dim": 256, "sliding_window": 512, "hidden_act": "gelu",
    "gate_attn_act_mode": "sigmoid", "headwise_attn_output_gate": True,
}  # fmt: skip
NANBEIGE: dict[str, Any] = {
    "model_type": "nanbeige", "vocab_size": 166144, "hidden_size": 3072,
    "intermediate_size": 10752, "num_hidden_layers": 22, "num_attention_heads": 48,
    "num_key_value_heads": 8, "head_dim": 128, "kv_channels": 128, "num_loops": 2,
    "loop_loss_weights": [], "skip_loop_final_norm": False, "pretraining_tp": 1,
}  # fmt: skip
HORIZON: dict[str, Any] = {
    "model_type": "k2_horizon", "vocab_size": 250624, "hidden_size": 6144,
    "intermediate_size": 16384, "num_hidden_layers": 61, "num_attention_heads": 48,
    "num_key_value_heads": 8, "head_dim": 128, "rope_head_dim": 64, "mlp_only_layers": [0, 1, 2],
    "moe_gate_bias": True, "moe_intermediate_size": 1792, "num_experts": 192,
    "num_experts_per_tok": 8, "num_shared_experts": 1, "query_key_norm": False,
    "attention_gate_func": None, "mova_num_experts": 0, "mova_num_experts_per_tok": 0,
    "layernorm_num_groups": 1, "router_scaling_factor": 2.5, "use_sliding_window": False,
}  # fmt: skip

JOY: dict[str, Any] = {
    "model_type": "joyai_llm_flash", "vocab_size": 129280, "hidden_size": 2048,
    "intermediate_size": 7168, "moe_intermediate_size": 768, "num_hidden_layers": 40,
    "num_attention_heads": 32, "num_key_value_heads": 32, "n_routed_experts": 256,
    "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 1,
    "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
    "v_head_dim": 128, "n_group": 1, "topk_group": 1, "topk_method": "noaux_tc",
    "num_nextn_predict_layers": 1, "tie_word_embeddings": False,
}  # fmt: skip
GROK: dict[str, Any] = {
    "model_type": "grok-1", "architectures": ["Grok1ModelForCausalLM"], "vocab_size": 131072,
    "hidden_size": 6144, "intermediate_size": 32768, "num_hidden_layers": 64,
    "num_attention_heads": 48, "num_key_value_heads": 8, "num_experts": 8,
    "num_experts_per_tok": 2, "attn_output_multiplier": 0.08838834764831845,
    "max_attn_value": 30.0, "embedding_multiplier_scale": 78.38367176906169,
    "output_multiplier_scale": 0.5773502691896257, "tie_word_embeddings": True,
}  # fmt: skip
MOTIF: dict[str, Any] = {
    "model_type": "Motif", "architectures": ["MotifForCausalLM"], "vocab_size": 219520,
    "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 32,
    "num_attention_heads": 16, "num_key_value_heads": 16, "hidden_act": "poly_norm",
    "use_bias": False, "use_sliding_window": False, "tie_word_embeddings": True,
}  # fmt: skip
MOTIF_2: dict[str, Any] = {
    **MOTIF, "hidden_size": 4096, "intermediate_size": 16384, "num_hidden_layers": 40,
    "num_attention_heads": 40, "head_dim": 128, "num_noise_heads": 8, "k_ratio": 1,
    "tie_word_embeddings": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "total", "left"), [(MOTIF, 2_597_218_432, 8), (MOTIF_2, 12_703_860_896, 32)]
)
def test_motif_is_as_large_as_its_weights(config: dict[str, Any], total: int, left: int) -> None:
    """Motif-Technologies/Motif-2.6B and Motif-2-12.7B-Base (llmfit 1.1.17 on PyPI, October 2026).
    Each head attends to two values of 128 elements, as vLLM's kernels do; what is left after
    others are subtracted is 256 elements wide, and has one norm."""
    model = read_model(config)
    assert model.params == total
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    rows = model.operators(1, 1, 999)
    for group in ("attn_score", "attn_value"):
        assert rows.by_group()[group] == 2 * layers * 2 * heads * 128 * 1000
    (output,) = (each for each in rows if each.name == "o_proj")
    (norm,) = (each for each in rows if each.name == "subln")
    assert output.k == norm.n == left * 256
    assert cache_elements(model.description, 1) == layers * 2 * 16 * 128


def test_poly_norm_is_17_operations_and_the_product_with_up() -> None:
    """Two powers; of each a square, a sum and a scale; three weights, two sums and a bias."""
    rows = {each.name: each for each in read_model(MOTIF).operators(1, 1, 0)}
    work = sum(each.operations * each.n for each in (rows["poly_norm"], rows["gelu x up"]))
    assert work == (2 + 3 * 3 + 3 + 3 + 1) * 8192


@pytest.mark.parametrize(
    "change",
    [{"num_attention_heads": 1}, {"num_noise_heads": 16}, {"num_noise_heads": 6},
     {"num_key_value_heads": 1}, {"num_key_value_heads": 14}],
)  # fmt: skip
def test_heads_of_motif_that_do_not_divide_into_groups_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="heads of Motif"):
        read_model({**MOTIF, "head_dim": 128, **change})


def test_every_number_of_joyai_is_counted() -> None:
    """jdopensource/JoyAI-LLM-Flash: 49,286,094,592 numbers in the repository (llmfit 1.1.17 on
    PyPI, October 2026). Sizes are those of its card, and latents and dense layers DeepSeek's, with
    which all add up: the module that predicts further is dense (arXiv 2604.03044) and has the
    token table once more; routers of 39 layers have a correction bias, which is a buffer here."""
    model = read_model(JOY, mtp=True)
    attention = 2048 * (1536 + 576) + 1536 * 32 * 192 + 512 * 32 * 256 + 4096 * 2048 + 1536 + 512
    module = attention + 3 * 2048 * 7168 + 2 * 2048**2 + 5 * 2048
    assert model.params_by_group["mtp"] == module
    assert model.params == 49_286_094_592 - 129280 * 2048 - 39 * 256


def test_grok_1_is_as_large_as_its_weights() -> None:
    """xAI: 314 billion. TevunahAI/Grok-1-BF16, with a head of its own: 633 GB in bfloat16."""
    attention = 2 * 6144 * 6144 + 2 * 6144 * 1024
    layer = attention + 8 * 3 * 6144 * 32768 + 8 * 6144 + 4 * 6144
    tied = read_model(GROK).params
    assert tied == 64 * layer + 131072 * 6144 + 6144
    untied = read_model({**GROK, "tie_word_embeddings": False}).params
    assert untied == tied + 131072 * 6144
    assert round(2 * untied / 1e9) == 633


def test_spark_is_as_large_as_its_weights() -> None:
    """XHToken/Spark-X2.5-4B: 4,112,079,360 parameters in BF16, three layers of four slide."""
    model = read_model(SPARK)
    assert model.params == 4_112_079_360
    # 9 layers keep all of 1,000 tokens, 27 the last 512: 4 keys and values of 256 elements
    assert cache_elements(model.description, 1000) == (9 * 1000 + 27 * 512) * 2 * 4 * 256


def test_nanbeige_runs_its_layers_twice_with_keys_of_their_own() -> None:
    """Nanbeige4.2-3B: 22 layers of 48 and 8 heads, kept once, executed and cached twice."""
    model = read_model(NANBEIGE)
    layer = 2 * 3072 * 6144 + 2 * 3072 * 1024 + 3 * 3072 * 10752 + 2 * 3072
    assert model.params == 22 * layer + 2 * 166144 * 3072 + 3072
    assert cache_elements(model.description, 1) == 2 * 22 * 2 * 1024
    thrice = read_model({**NANBEIGE, "loop_loss_weights": [0.1, 0.3]})
    assert thrice.params == model.params
    assert cache_elements(thrice.description, 1) == 3 * 22 * 2 * 1024


@pytest.mark.parametrize(
    "key", ["enable_double_loop_split", "loop_share_kv", "enable_depth_attention"]
)
def test_a_loop_of_nanbeige_that_shares_more_is_refused(key: str) -> None:
    with pytest.raises(UnknownModel, match=key):
        read_model({**NANBEIGE, key: True})


def test_telechat3_is_a_llama() -> None:
    """TeleChat3-36B: sizes of its config.json, parts of vLLM's LlamaForCausalLM."""
    sizes = {"hidden_size": 6144, "intermediate_size": 24576, "num_hidden_layers": 64,
             "num_attention_heads": 48, "num_key_value_heads": 8, "vocab_size": 131072}  # fmt: skip
    layer = 2 * 6144**2 + 2 * 6144 * 1024 + 3 * 6144 * 24576 + 2 * 6144
    total = 64 * layer + 2 * 131072 * 6144 + 6144
    assert read_model({"model_type": "telechat3", **sizes}).params == total == 36_239_579_136


def test_k2_horizon_is_as_large_as_its_weights() -> None:
    """IFM/K2-Horizon-375B-A23B: 758 GB in BF16, 23 billion active but for the embedding."""
    model = read_model(HORIZON)
    attention = 2 * 6144**2 + 2 * 6144 * 1024 + 2 * 6144
    mixture = 193 * 3 * 6144 * 1792 + 6144 * 192 + 192
    total = 61 * attention + 3 * 3 * 6144 * 16384 + 58 * mixture + 2 * 250624 * 6144 + 6144
    assert model.params == total
    assert round(2 * model.params / 1e9) == 758
    assert 23 < (model.active_params - 2 * 250624 * 6144) / 1e9 < 24


def test_gates_and_norms_of_k2_horizon_are_as_its_file_says() -> None:
    gated = read_model({**HORIZON, "attention_gate_func": "softplus", "query_key_norm": True})
    more = gated.params - read_model(HORIZON).params
    assert more == 61 * (6144 * 6144 + 56 * 128)


def test_a_mixture_of_values_is_refused() -> None:
    """K2-Horizon-MoVA-36B-A4B."""
    with pytest.raises(UnknownModel, match="mova_num_experts"):
        read_model({**HORIZON, "mova_num_experts": 64, "mova_num_experts_per_tok": 4})


def test_iquest_q1_slides_in_three_of_four_layers_between_its_ends() -> None:
    """SGLang's IQuestQ1Config and its class, of which the first layer is dense."""
    model = read_model({"model_type": "iquest_q1"})
    attention = 2 * 3072 * 6144 + 2 * 3072 * 1024 + 2 * 128 + 8 * 128 + 3 * 3072
    mixture = 256 * 3 * 3072 * 1536 + 3072 * 256
    total = 88 * attention + 3 * 3072 * 12288 + 87 * mixture + 2 * 160000 * 3072 + 3072
    total += 3072  # the first layer has a norm of what its feed-forward adds
    assert model.params == total
    # 1 + 21 + 3 layers see everything, 63 the last 4,096 tokens
    assert cache_elements(model.description, 5000) == (25 * 5000 + 63 * 4096) * 2 * 1024
    with pytest.raises(InputError, match="each of 87 layers"):
        read_model({"model_type": "iquest_q1", "num_hidden_layers": 87})


def test_plamo3_has_four_norms_and_sees_everything_in_every_eighth_layer() -> None:
    """Defaults and parts of mlx-lm's plamo3.py."""
    model = read_model({"model_type": "plamo3"})
    layer = 2 * 4096**2 + 2 * 4096 * 512 + 3 * 4096 * 13312 + 4 * 4096 + 2 * 128
    assert model.params == 32 * layer + 32000 * 4096 + 4096
    assert cache_elements(model.description, 3000) == (4 * 3000 + 28 * 2048) * 2 * 512


def test_the_code_beside_youtus_weights_builds_what_transformers_does() -> None:
    assert (
        read_model({"model_type": "youtu_llm"}).params == read_model({"model_type": "youtu"}).params
    )


def test_xing_is_as_large_as_its_gguf() -> None:
    """Xing4.0-29B-A4B-GGUF: 31,215,031,088 numbers, among them a module that predicts further with
    an embedding and a head of its own, and 64 corrections of the router in 39 layers."""
    config = {
        "model_type": "xing4_0", "hidden_size": 3584, "num_hidden_layers": 40,
        "num_attention_heads": 32, "num_key_value_heads": 32, "q_lora_rank": 768,
        "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "vocab_size": 131072, "n_routed_experts": 64, "n_shared_experts": 1,
        "num_experts_per_tok": 4, "moe_intermediate_size": 1024, "intermediate_size": 9216,
        "first_k_dense_replace": 2, "hc_mult": 4, "mhc_h_res_clamp_min": -30,
        "mhc_h_res_clamp_max": 30, "num_nextn_predict_layers": 1,
    }  # fmt: skip
    whole = read_model(config, mtp=True)
    assert whole.params + 2 * 131072 * 3584 + 39 * 64 == 31_215_031_088
    assert 4.3e9 < read_model(config).active_params < 4.5e9


MIMO: dict[str, Any] = {
    "model_type": "mimo_v2", "add_full_attention_sink_bias": False,
    "add_swa_attention_sink_bias": True, "attention_projection_layout": "fused_qkv",
    "head_dim": 192, "hidden_size": 6144, "intermediate_size": 16384, "num_hidden_layers": 70,
    "hybrid_layer_pattern": [0, *[1] * 6, *[0, *[1] * 7] * 6, *[0, *[1] * 6] * 2, 0],
    "moe_intermediate_size": 2048, "moe_layer_freq": [0, *[1] * 69], "n_routed_experts": 384,
    "n_shared_experts": None, "num_attention_heads": 128, "num_experts_per_tok": 8,
    "num_key_value_heads": 8, "sliding_window": 128, "sliding_window_size": 128,
    "swa_head_dim": 192, "swa_num_attention_heads": 128, "swa_num_key_value_heads": 8,
    "swa_v_head_dim": 128, "v_head_dim": 128, "vocab_size": 152576, "tie_word_embeddings": False,
}  # fmt: skip


def test_mimo_25_pro_is_as_large_as_its_weights() -> None:
    """The shapes of XiaomiMiMo/MiMo-V2.5-Pro's tensors, without those that predict further."""
    model = read_model(MIMO)
    attention = 27136 * 6144 + 6144 * 16384 + 2 * 6144
    mixture = 384 * (3 * 6144 * 2048 + 6144)
    total = 2 * 152576 * 6144 + 70 * attention + 3 * 6144 * 16384 + 60 * 128 + 69 * mixture + 6144
    assert model.params == total == 1_021_248_099_840
    # 10 layers keep all of 1,000 tokens, 60 the last 128: 8 keys of 192 elements, values of 128
    assert cache_elements(model.description, 1000) == (10_000 + 60 * 128) * 8 * (192 + 128)
    wider = read_model({**MIMO, "sliding_window_size": 256})
    assert cache_elements(wider.description, 1000) == (10_000 + 60 * 256) * 8 * (192 + 128)


def test_mimo_25_flash_has_eyes_and_ears() -> None:
    """mlx-vlm's mimo_v2: 28 layers of 32 and 8 heads of 64, six layers on codes of sound."""
    sees = {"vision_config": {"depth": 28, "in_chans": 3}}
    hears = {"audio_config": {"speech_vocab_size": "1280", "group_size": 4}}
    more = [read_model({**MIMO, **each}).params - read_model(MIMO).params for each in (sees, hears)]
    eye = 1280 * 48 * 64 + 48 * 64 + 2048 * 1280 + 1280 + 3 * 1280 * 4608 + 2 * 4608 + 1280
    eye += 2 * 1280
    merger = 1280 + 5120 * 5120 + 5120 * 4096
    assert more[0] == 28 * eye + 24 * 32 + 2 * 3 * 256 * 1280 + merger
    ear = 4 * 1024**2 + 3 * 1024 + 3 * 1024 * 4096 + 2 * 1024
    maps = 4096 * 4 * 4096 + 4 * 4096 * 4096
    assert more[1] == 6 * ear + 20 * 1280 * 1024 + 1024 + maps


def test_sound_for_ears_of_mimo_is_refused_since_their_work_is_not_counted() -> None:
    model = read_model({**MIMO, "audio_config": {}})
    with pytest.raises(UsageError, match="work of mimo_v2's ears is not counted"):
        with_media(model.description, model.name, audio="5")


@pytest.mark.parametrize(
    ("changed", "full", "sparse"),
    [({}, 2, 1), ({"hybrid_layer_pattern": None}, 3, 1), ({"moe_layer_freq": None}, 2, 0),
     ({"moe_layer_freq": 2}, 2, 2)],
)  # fmt: skip
def test_lists_of_mimo_that_are_absent_name_nothing(changed, full: int, sparse: int) -> None:
    config = {**MIMO, "num_hidden_layers": 3, "hybrid_layer_pattern": [0, 1, 0],
              "moe_layer_freq": [0, 1, 0], **changed}  # fmt: skip
    runs = read_model(config).description.runs
    assert sum(run.times for run in runs if run.layer.mixer.window is None) == full
    assert sum(run.times for run in runs if run.layer.kind.endswith("MoE")) == sparse


@pytest.mark.parametrize("key", ["hybrid_layer_pattern", "moe_layer_freq"])
def test_lists_of_mimo_that_are_short_or_no_flags_are_refused(key: str) -> None:
    for wrong in ([0, 1], [2] * 70):
        with pytest.raises(InputError, match=key):
            read_model({**MIMO, key: wrong})


def test_mimo_26_pro_has_every_element_of_its_tensors() -> None:
    """XiaomiMiMo/MiMo-V2.6-Pro-RL, 566 GB: elements in bfloat16 and in fp8, and two in each byte of
    its experts, as the headers of its files add up; 32-bit scales and biases aside."""
    block = {
        "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
        "weight_block_size": [128, 128], "mxfp4_block_size": 32, "store_dtype": "mxfp4",
        "ignored_layers": ["model.decoder.self_attn.o_proj"],
    }  # fmt: skip
    more = {
        "num_nextn_predict_layers": 3, "quantization_config": block,
        "vision_config": {"depth": 28, "in_chans": 3, "out_hidden_size": 6144},
        "audio_config": {"speech_vocab_size": "1280", "group_size": 4, "out_hidden_size": 6144},
    }  # fmt: skip
    model = read_model({**MIMO, **more}, mtp=True)
    experts = 531_351_207_936 * 32 // 17  # a byte of scale for 32 elements of half a byte
    assert model.params == 10_647_286_656 + 13_378_781_184 + experts
    found = {"mxfp4": 0, "fp8": 0}
    for part, sets, stored in matrices(model.description, model.quantization):
        if stored is not None:
            found[stored.name] += sets * int(part.parameters)
    assert found["mxfp4"] == experts
    assert 0 < found["fp8"] - 13_378_781_184 < 0.5e9  # what it hears, and eh_proj


def test_experts_of_ling_are_in_mxfp4_where_its_block_says_so() -> None:
    block = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    config = {**HORIZON, "quantization_config": {**block, "routed_experts_quant_method": "mxfp4"}}
    assert any("experts in mxfp4" in note for note in read_model(config).notes)
