"""Models that look up hashed n-grams of tokens: Qwen 3.8 Flash, DeepSeek-V4.1-Flash, LongCat.

Sizes are those of the published config.json of both.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.cost.work.shard import shard
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.cache import cache_elements
from thermoflop.model.architecture.parameters import by_group
from thermoflop.model.architecture.parts import Table
from thermoflop.model.architecture.quantization import matrices
from thermoflop.model.config.primes import is_prime, primes_from
from thermoflop.model.load import read_model

QWEN: dict[str, Any] = {
    "model_type": "qwen4_exp_text", "hidden_size": 2560, "num_hidden_layers": 48,
    "num_attention_heads": 24, "num_key_value_heads": 2, "head_dim": 256,
    "linear_num_value_heads": 48, "moe_intermediate_size": 640,
    "shared_expert_intermediate_size": 640, "num_experts": 512, "num_experts_per_tok": 10,
    "full_attention_interval": 4, "hc_count": 4, "hc_lowrank": 320, "heads_per_ngram": 8,
    "ngram_size": 3, "ngram_vocab_size_base": 20_000_000, "ple_layer_ids": [2],
    "ple_embed_dim": 2560, "indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_head_dim": 128,
    "indexer_budget": 2048, "indexer_compress_ratio": 4, "output_gate_type": "sigmoid",
    "split_ngram_parts": 128, "vocab_size": 248320,
}  # fmt: skip
SEES: dict[str, Any] = {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304,
                        "num_heads": 16, "out_hidden_size": 2560, "patch_size": 16}  # fmt: skip
DEEPSEEK: dict[str, Any] = {
    "model_type": "deepseek_v41_text", "vocab_size": 129280, "hidden_size": 5120,
    "moe_intermediate_size": 2304, "num_hidden_layers": 40, "num_attention_heads": 64,
    "num_key_value_heads": 1, "head_dim": 512, "qk_rope_head_dim": 64, "q_lora_rank": 1280,
    "o_lora_rank": 1024, "o_groups": 8, "n_routed_experts": 384, "n_shared_experts": 1,
    "num_experts_per_tok": 6, "sliding_window": 128,
    "compress_ratios": [0, 0, *[2] * 18, *[1] * 20, 0, 0, 0],
    "kv_source_layer_ids": [2, 8, 14, 20],
    "index_source_layer_ids": [2, 8, 14, 20, 24, 28, 32, 36], "index_n_heads": 32,
    "index_head_dim": 128, "index_topk": 512, "candidate_source_layer_id": 20,
    "candidate_topk_blocks": 2048, "candidate_block_size": 8, "hc_mult": 4,
    "hc_sinkhorn_iters": 20, "engram_layer_ids": [1, 14],
    "engram_num_embeddings": [384006168, 384016682], "engram_max_ngram_size": 4,
    "engram_vocab_size": 16000000, "engram_n_heads": 8, "engram_head_dim": 256,
    "engram_compressed_vocab_size": 99092, "num_nextn_predict_layers": 3,
}  # fmt: skip
FP8 = {"quant_method": "fp8", "weight_block_size": [32, 32], "expert_dtype": "fp4"}


def test_qwen_38_flash_is_as_large_as_its_classes() -> None:
    """Qwen4ExpForCausalLM and Qwen4ExpForConditionalGeneration of transformers 5.24, on torch's
    meta device, of the sizes of Qwen/Qwen3.8-Flash-Next."""
    assert read_model(QWEN).params == 176_943_899_520
    whole = {"model_type": "qwen4_exp", "text_config": QWEN, "vision_config": SEES}
    assert read_model(whole).params == 177_392_830_576
    older = {**whole, "model_type": "qwen3_8_flash_next"}
    assert read_model(older).params == 177_392_830_576


def test_what_a_token_does_not_look_up_is_not_active() -> None:
    """16 heads of prime numbers of rows from 20,000,003 on, 320,001,446 together, padded to a
    multiple of 128; a row of 160 elements of each is read."""
    model = read_model(QWEN)
    assert model.params_by_group["hash_tables"] == 320_001_536 * 160
    without = read_model({**QWEN, "ple_layer_ids": []})
    maps = 2560 * 4 * 2560 + 2560 * 2560 + 3 * 4 * 2560 + 4 * 4 * 2560
    assert model.active_params - without.active_params == maps + 16 * 160


@pytest.mark.parametrize("changed", [{}, {"ple_layer_ids": [1, 3], "ple_embed_dim": 32}])
def test_a_small_qwen4_is_as_its_class(changed: dict[str, Any]) -> None:
    """Built and run by torch: FlopCounterMode sees no product in the recurrence of a step, which
    is 4 operations for each of 8 x 16 elements of 4 heads, in 3 (or 4) layers and 2 sequences."""
    small = {
        "model_type": "qwen4_exp_text", "hidden_size": 64, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 96,
        "linear_key_head_dim": 8, "linear_value_head_dim": 16, "linear_num_key_heads": 2,
        "linear_num_value_heads": 4, "moe_intermediate_size": 24, "num_experts": 6,
        "shared_expert_intermediate_size": 40, "num_experts_per_tok": 2, "hc_count": 3,
        "hc_lowrank": 20, "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 16,
        "indexer_budget": 64, "indexer_compress_ratio": 4, "heads_per_ngram": 4,
        "ngram_vocab_size_base": 50,
    }  # fmt: skip
    linear, layers = (3, 4) if not changed else (4, 5)
    model = read_model({**small, **changed, "num_hidden_layers": layers})
    assert model.params == (296_136 if not changed else 389_280)
    seen = 867_584 if not changed else 1_137_152
    assert model.decode(9, 2).flops == seen + linear * 2 * 4 * 4 * 8 * 16


def test_an_index_of_means_keeps_its_keys_and_meets_so_many_blocks_and_a_rest() -> None:
    """2,048 tokens in blocks of 4, and up to 3 more that fill none."""
    model = read_model(QWEN)
    indexed = next(r.layer.mixer for r in model.description.runs if "index" in r.layer.kind)
    assert indexed.limits == (2051,)
    # 12 layers: 2 heads of keys and values of 256 elements, and for 4 tokens a key of the indexer
    # of 128 (QSACompressedKeyCache of vLLM)
    assert cache_elements(model.description, 1003) == 12 * (1003 * 2 * 2 * 256 + 250 * 128)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ple_layer_ids": [4]}, "names layer 4"),
        ({"ple_layer_ids": [0]}, "names layer 0"),
        ({"ple_embed_dim": 2561}, "does not divide"),
        ({"heads_per_ngram": 10**6, "ple_embed_dim": 2 * 10**6}, "does not divide"),
        ({"indexer_kv_heads": 2}, "indexer_kv_heads 2"),
        ({"indexer_budget": 2049}, "indexer_budget 2049"),
        ({"indexer_n_heads": None}, "indexer_n_heads is missing"),
    ],
)
def test_what_the_class_of_qwen4_refuses_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_model({**QWEN, **changed})


def test_primes_are_those_that_have_no_divisor() -> None:
    plain = [n for n in range(2, 3000) if all(n % d for d in range(2, int(n**0.5) + 1))]
    assert [n for n in range(3000) if is_prime(n)] == plain
    # strong pseudoprimes to the first bases, and the first head sizes of Qwen's table
    assert not any(is_prime(n) for n in (2047, 1373653, 3215031751, 3825123056546413051))
    assert primes_from(20_000_000, 4) == [20000003, 20000023, 20000033, 20000047]


def test_deepseek_v41_flash_is_as_large_as_its_weights() -> None:
    """Hugging Face: 510.3 GB, of which three modules that draft (DSpark) have 128 experts in fp4
    and 0.6 GB beside: those are not counted here."""
    config = {"model_type": "deepseek_v41", "text_config": DEEPSEEK, "vision_config": {},
              "quantization_config": FP8}  # fmt: skip
    model = read_model(config)
    hidden, inner, expert = 5120, 2304, 3 * 5120 * 2304
    source = 512 * (2 * hidden + 1)
    index, key = 32 * 128 * 1280 + 32 * hidden, 512 * 128 + 128
    attention = hidden * 1280 + 1280 * 64 * 512 + hidden * 512 + 64 * 512 * 1024
    attention += 8 * 1024 * hidden + 64 + 1280 + 512
    streams = 2 * (24 * 4 * hidden + 24 + 3)
    layer = attention + 385 * expert + hidden * 384 + streams + 2 * hidden
    tables = 2 * (6144 * 5 * hidden + 2 * 4 * hidden) + (384006168 + 384016682) * 256
    shared = 3 * source + 512 * (hidden + 1) + 8 * index + 4 * key
    total = 40 * layer + shared + tables + 2 * 129280 * hidden + hidden
    assert inner * hidden * 3 == expert
    assert read_model(DEEPSEEK).params == total == 748_494_654_064
    block = 4 * (1024**2 + 1024) + 3 * 1024 * 2816 + 2 * 1024
    aligner = 9 * 1024 * hidden + hidden + hidden**2 + hidden
    assert model.params - total == 32 * block + 588 * 1024 + 1024 + 1024 + aligner
    held = sum(
        sets * getattr(part, "copies", 1) * (2 * rows * width if stored is None
                                             else stored.bytes_of(width, rows))
        for part, sets, stored in matrices(model.description, model.quantization)
        for width, rows in [(part.width, part.rows) if isinstance(part, Table)
                            else (part.inputs, part.outputs)]
    )  # fmt: skip
    assert 501.5e9 < held < 502e9
    assert abs(held + 3 * 128 * expert * 4.25 / 8 + 0.6e9 - 510.3e9) < 1e9


def test_entries_of_deepseek_v41_are_kept_by_the_layers_that_make_them() -> None:
    """40 windows of 128 tokens, entries of 2 tokens in three layers, of one in the fourth."""
    description = read_model(DEEPSEEK).description
    entries = (3 * 1000 // 2 + 1000) * (512 + 128)
    assert cache_elements(description, 1000) == 40 * 128 * 512 + entries


def test_a_layer_of_deepseek_v41_without_entries_before_it_is_refused() -> None:
    with pytest.raises(InputError, match="no layer before layer 2"):
        read_model({**DEEPSEEK, "kv_source_layer_ids": [8]})
    with pytest.raises(InputError, match="names 1 tables for 2"):
        read_model({**DEEPSEEK, "engram_num_embeddings": [5]})


def test_modules_of_deepseek_v41_that_draft_are_refused() -> None:
    with pytest.raises(UnknownModel, match="DSpark"):
        read_model(DEEPSEEK, mtp=True)


@pytest.mark.parametrize(
    ("config", "prompt"), [(QWEN, 2030), (DEEPSEEK, 16360), ({"model_type": "glm5_next_text"}, 500)]
)
def test_a_generation_is_the_sum_of_its_steps_where_an_indexer_scores_blocks(
    config: dict[str, Any], prompt: int
) -> None:
    """A key of several tokens comes once in as many steps; 2,048 blocks of 8 entries are scored."""
    model = read_model(config)
    steps = [model.decode(cached, 2).flops for cached in range(prompt, prompt + 39)]
    assert model.generation(prompt, 40, 2).decoding.flops == sum(steps)


@pytest.mark.parametrize("config", [QWEN, DEEPSEEK])
def test_devices_of_a_group_share_the_tables(config: dict[str, Any]) -> None:
    whole = read_model(config).description
    share = by_group(shard(whole, 2, 1))["hash_tables"]
    assert share == by_group(whole)["hash_tables"] // 2


LONGCAT: dict[str, Any] = {
    "model_type": "longcat_flash_ngram", "vocab_size": 131072, "hidden_size": 3072,
    "ffn_hidden_size": 6144, "expert_ffn_hidden_size": 1024, "num_layers": 14,
    "num_attention_heads": 32, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128, "v_head_dim": 128, "n_routed_experts": 256, "moe_topk": 12,
    "zero_expert_num": 128, "ngram_vocab_size_ratio": 78, "emb_neighbor_num": 4,
    "emb_split_num": 4, "attention_method": "MLA", "zero_expert_type": "identity",
    "mla_scale_q_lora": True, "mla_scale_kv_lora": True,
}  # fmt: skip


def test_longcat_flash_is_as_large_as_published_and_eight_experts_work() -> None:
    """arXiv 2509.01322: 560 billion parameters, 27 billion active on average, which are 8 of the 12
    experts that a token chooses of 512 and of 256 that do nothing."""
    model = read_model({"model_type": "longcat_flash"})
    attention = 6144 * 1536 + 1536 + 1536 * 64 * 192 + 6144 * 576 + 512 + 512 * 64 * 256
    attention += 64 * 128 * 6144
    dense, expert = 3 * 6144 * 12288, 3 * 6144 * 2048
    layer = 2 * (attention + dense + 2 * 6144) + 512 * expert + 6144 * 768
    assert model.params == 28 * layer + 2 * 131072 * 6144 + 6144
    assert round(model.params / 1e9, -1) == 560
    assert model.params - model.active_params == 28 * 504 * expert
    assert 26 < (model.active_params - 131072 * 6144) / 1e9 < 27.5
    assert "12 experts, of which 8 compute on average" in model.notes[0]
    # a latent of 512 and a rotated key of 64 in 2 x 28 attentions
    assert cache_elements(model.description, 1) == 56 * 576


def test_longcat_flash_lite_looks_up_ngrams_of_two_to_four_tokens() -> None:
    """meituan-longcat/LongCat-Flash-Lite: 68.5 billion parameters; 12 tables of 78 x 131,072 rows
    and some, of 256 elements, each with a map to the hidden state."""
    model = read_model(LONGCAT)
    rows = sum(78 * 131072 + 2 * index + 1 for index in range(12))
    assert model.params_by_group["hash_tables"] == rows * 256
    assert model.params_by_group["ngram"] == 12 * 256 * 3072
    assert round(model.params / 1e8) == 686
    plain = read_model({**{key: value for key, value in LONGCAT.items() if "ngram" not in key},
                        "model_type": "longcat_flash", "emb_neighbor_num": None,
                        "emb_split_num": None})  # fmt: skip
    assert model.active_params - plain.active_params == 12 * 256 * (3072 + 1)


def test_mlx_narrows_tables_of_ngrams_as_it_does_the_embedding() -> None:
    """nn.quantize takes every nn.Embedding, of which longcat_flash_ngram.py of mlx-lm has 13."""
    model = read_model({**LONGCAT, "quantization": {"bits": 4, "group_size": 64}})
    found = {
        part.group: str(stored)
        for part, _, stored in matrices(model.description, model.quantization)
        if isinstance(part, Table)
    }
    assert found == dict.fromkeys(("embed_tokens", "hash_tables"), "int4 in groups of 64")


def test_a_file_of_longcat_may_use_the_names_of_its_attribute_map() -> None:
    """configuration_longcat_flash.py of transformers; num_hidden_layers there counts attentions."""
    own = {"moe_topk": 6, "ffn_hidden_size": 1024, "expert_ffn_hidden_size": 512, "num_layers": 2}
    other = {"num_experts_per_tok": 6, "intermediate_size": 1024, "moe_intermediate_size": 512,
             "num_hidden_layers": 4}  # fmt: skip
    first, second = (read_model({"model_type": "longcat_flash", **each}) for each in (own, other))
    assert (first.params, first.active_params) == (second.params, second.active_params)
    every = read_model({"model_type": "longcat_flash", "zero_expert_num": None})
    assert every.params - every.active_params == 28 * 500 * 3 * 6144 * 2048


def test_devices_that_share_experts_score_those_that_do_nothing() -> None:
    share = shard(read_model({"model_type": "longcat_flash"}).description, 1, 8)
    mixture = next(r.layer.feed for r in share.runs if "MoE" in r.layer.kind)
    assert (mixture.experts, mixture.scored) == (64, 768)


# LongCat-Flash-Lite-Sparse as its file has it, which names a class and no type
SPARSE: dict[str, Any] = {
    "architectures": ["LongcatCausalLM"], "attention_bias": False, "vocab_size": 131072,
    "hidden_size": 3072, "ffn_hidden_size": 6144, "expert_ffn_hidden_size": 1024, "num_layers": 14,
    "num_attention_heads": 32, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64,
    "v_head_dim": 128, "qk_nope_head_dim": 128, "mla_scale_q_lora": True, "mla_scale_kv_lora": True,
    "n_routed_experts": 256, "max_position_embeddings": 983040, "attention_method": "LSA",
    "zero_expert_num": 128, "zero_expert_type": "identity", "moe_topk": 12, "use_mla": 1,
    "oe_vocab_size_ratio": 78, "oe_neighbor_num": 4, "oe_split_num": 4, "mtp_num_layers": 1,
    "index_n_heads": 16, "index_head_dim": 128, "index_topk": 2048, "index_k_norm_type": "rms",
    "cli_factor": 2, "index_local_tokens": 1024, "index_init_tokens": 16,
}  # fmt: skip
CHOOSES = 1536 * 16 * 128 + 3072 * (128 + 16) + 128  # in the first attention of each layer


def test_longcat_2_is_counted_by_its_class_alone() -> None:
    """The tensors of its file: tables of twelve kinds of n-grams with a map each; two attentions
    and feed-forwards, an indexer, a router and experts in a layer."""
    tables = sum((78 * 131072 + 2 * index + 1) * 256 + 256 * 3072 for index in range(12))
    latents = 3072 * (1536 + 512 + 64) + 1536 + 512
    attention = latents + 1536 * 32 * 192 + 512 * 32 * 256 + 32 * 128 * 3072
    pair = 2 * (attention + 2 * 3072 + 3 * 3072 * 6144) + CHOOSES
    layer = pair + 384 * 3072 + 256 * 3 * 3072 * 1024
    model = read_model(SPARSE)
    assert model.params == 2 * 131072 * 3072 + 3072 + tables + 14 * layer == 68_612_694_784
    met = {row.part: row.pairs for row in model.decode(9999).operators if row.name == "scores"}
    assert set(met.values()) == {2048}


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"attention_method": "MLA"}, -14 * CHOOSES),
        ({"cli_factor": 1}, 14 * CHOOSES),
        ({"index_k_norm_type": "layer"}, 14 * 128),
        ({"model_type": "longcat_flash_sparse"}, 0),
    ],
)
def test_what_a_file_of_longcat_2_says_changes_it(changes: dict[str, Any], more: int) -> None:
    assert read_model({**SPARSE, **changes}).params == 68_612_694_784 + more


def test_a_norm_of_longcat_2_that_is_not_known_is_refused() -> None:
    with pytest.raises(InputError, match="index_k_norm_type is 'l2'"):
        read_model({**SPARSE, "index_k_norm_type": "l2"})
