"""What single architectures of GGUF say otherwise: metadata and tensors to the keys of a family.

Each case is an architecture, the configuration before, metadata and tensors (columns first), and
the configuration after; as llama.cpp's conversion/*.py writes the one from the other.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.config.gguf_header import Gguf
from thermoflop.model.config.gguf_layers import SPECIAL, sliding_layers
from thermoflop.model.config.gguf_metadata import Metadata
from thermoflop.model.config.gguf_others import OTHERS
from thermoflop.model.config.stored_files import StoredTensor

Sides = dict[str, tuple[int, ...]]
HEADS, KV, INNER = "attention.head_count", "attention.head_count_kv", "feed_forward_length"
SLIDES, WIDTH = "attention.sliding_window_pattern", "embedding_length"
SSM = {"ssm.inner_size": 48, "ssm.time_step_rank": 6, WIDTH: 24}


def metadata(name: str, keys: dict[str, Any], tensors: Sides | None = None) -> Metadata:
    stated = {f"{name}.{key}": value for key, value in keys.items()}
    stored = tuple(
        StoredTensor(each, "F16", 1, 2, shape) for each, shape in (tensors or {}).items()
    )
    return Metadata(Gguf(stated, {}, stored), "x.gguf", name)


def blocks(*names: str) -> Sides:
    """Tensors of layers: ``1.ffn_gate_inp.weight``."""
    return {f"blk.{name}": (4, 4) for name in names}


Case = tuple[str, dict[str, Any], dict[str, Any], Sides, dict[str, Any]]
KINDS = ["full_attention", "sliding_attention"]
CASES: list[Case] = [
    ("llama", {}, {"expert_count": 1}, {}, {"model_type": "mixtral", "num_local_experts": 1}),
    ("llama", {"model_type": "llama"}, {}, {}, {"model_type": "llama"}),
    ("phi3", {"head_dim": 8, "x": 1}, {}, {}, {"x": 1}),
    # latents: 24 of a key are 8 rotated and 16 plain ones
    ("minicpm3", {"head_dim": 9, "num_key_value_heads": 1},
     {"rope.dimension_count": 8, "attention.key_length": 24, "attention.value_length": 12}, {},
     {"qk_nope_head_dim": 16, "v_head_dim": 12, "q_lora_rank": None}),
    ("mistral4", {"q_lora_rank": 5},
     {"rope.dimension_count": 8, "attention.key_length_mla": 24, "attention.key_length": 99,
      "attention.value_length_mla": 12}, {},
     {"qk_nope_head_dim": 16, "v_head_dim": 12, "q_lora_rank": 5}),
    ("deepseek2", {"model_type": "deepseek_v2"},
     {"rope.dimension_count": 8, "attention.key_length": 24, "expert_count": 4,
      "expert_gating_func": 2}, {},
     {"model_type": "deepseek_v3", "qk_nope_head_dim": 16, "q_lora_rank": None}),
    ("deepseek2", {"model_type": "deepseek_v2", "n_routed_experts": 0, "n_shared_experts": 1},
     {"rope.dimension_count": 8, "attention.key_length": 24, "expert_gating_func": 1,
      "block_count": 3}, {},
     {"model_type": "deepseek_v2", "qk_nope_head_dim": 16, "q_lora_rank": None,
      "first_k_dense_replace": 3}),
    ("deepseek2", {},
     {"rope.dimension_count": 8, "attention.key_length": 24, "expert_count": 4},
     blocks("1.exp_probs_b.bias"),
     {"model_type": "deepseek_v3", "qk_nope_head_dim": 16, "q_lora_rank": None}),
    ("glm-dsa", {}, {"rope.dimension_count": 8, "attention.key_length": 24, "block_count": 3,
                     "leading_dense_block_count": 1, "attention.indexer.types": [1, 0, 1]}, {},
     {"qk_nope_head_dim": 16, "q_lora_rank": None, "mlp_layer_types": ["dense", "sparse", "sparse"],
      "indexer_types": ["full", "shared", "full"]}),
    ("glm-dsa", {}, {"rope.dimension_count": 8, "attention.key_length": 24, "block_count": 3},
     blocks("0.indexer.proj.weight", "2.indexer.proj.weight"),
     {"qk_nope_head_dim": 16, "q_lora_rank": None, "mlp_layer_types": ["sparse"] * 3,
      "indexer_types": ["full", "shared", "full"]}),
    ("deepseek32", {"first_k_dense_replace": 2},
     {"rope.dimension_count": 8, "attention.key_length": 24, "block_count": 2}, {},
     {"qk_nope_head_dim": 16, "q_lora_rank": None, "mlp_layer_types": ["sparse"] * 2}),
    ("deepseek4", {"intermediate_size": 5},
     {"block_count": 2, "attention.compress_ratios": [0, 4, 9]}, {}, {"compress_ratios": [0, 4]}),
    ("kimi-linear", {}, {"rope.dimension_count": 8, "attention.key_length": 24, "block_count": 2,
                         KV: [0, 1], HEADS: [6, 5]}, {},
     {"qk_nope_head_dim": 16, "q_lora_rank": None,
      "layer_types": ["linear_attention", "full_attention"], "num_attention_heads": 6,
      "linear_num_heads": 6}),
    # state spaces: 48 channels in 6 heads, twice the width of 24
    ("qwen35", {}, SSM, {}, {"linear_value_head_dim": 8}),
    ("qwen3next", {}, {**SSM, "block_count": 2, "attention.recurrent_layers": [1, 0]}, {},
     {"linear_value_head_dim": 8, "layer_types": ["linear_attention", "full_attention"]}),
    ("falcon-h1", {}, SSM, {}, {"mamba_d_head": 8, "mamba_expand": 2}),
    ("mamba2", {}, SSM, {}, {"head_dim": 8, "expand": 2}),
    ("mamba", {}, {"ssm.dt_b_c_rms": True}, {}, {"model_type": "falcon_mamba"}),
    ("mamba", {}, {"ssm.dt_b_c_rms": False}, {}, {}),
    ("granitehybrid", {"num_experts_per_tok": 2},
     {**SSM, "block_count": 2, KV: [0, 3], INNER: 7}, {},
     {"mamba_d_head": 8, "mamba_expand": 2, "layer_types": ["mamba", "attention"],
      "num_key_value_heads": 3, "num_local_experts": 0, "shared_intermediate_size": 7}),
    ("granitehybrid", {"num_experts_per_tok": 2, "num_local_experts": 4},
     {**SSM, "block_count": 2, KV: [0, 0]}, {},
     {"mamba_d_head": 8, "mamba_expand": 2, "layer_types": ["mamba", "mamba"],
      "num_local_experts": 4, "num_experts_per_tok": 2}),
    ("granitemoe", {"shared_intermediate_size": 1}, {}, {},
     {"shared_intermediate_size": 1, "model_type": "granitemoeshared"}),
    ("granitemoe", {"shared_intermediate_size": 0}, {}, {}, {}),
    ("nemotron_h", {"first_k_dense_replace": 1},
     {**SSM, "block_count": 3, KV: [0, 2, 0], INNER: [0, 0, 9]}, {},
     {"hybrid_override_pattern": "M*-", "mamba_head_dim": 8, "num_key_value_heads": 2,
      "intermediate_size": 9}),
    ("nemotron_h_moe", {}, {**SSM, "block_count": 3, KV: [0, 2, 0], INNER: [0, 0, 9]}, {},
     {"hybrid_override_pattern": "M*E", "mamba_head_dim": 8, "num_key_value_heads": 2,
      "intermediate_size": 9}),
    # attention in layers 1 and 4, experts in 0, 2 and 4 of five
    ("jamba", {}, {**SSM, "block_count": 5, KV: [0, 2, 0, 0, 2]},
     blocks("0.ffn_gate_inp.weight", "2.ffn_gate_inp.weight", "4.ffn_gate_inp.weight"),
     {"num_key_value_heads": 2, "mamba_expand": 2, "attn_layer_offset": 1, "attn_layer_period": 3,
      "expert_layer_offset": 0, "expert_layer_period": 2}),
    ("jamba", {}, {**SSM, "block_count": 3, KV: [0, 2, 0]}, {},
     {"num_key_value_heads": 2, "mamba_expand": 2, "attn_layer_offset": 1, "attn_layer_period": 4}),
    ("jamba", {}, {**SSM, "block_count": 3, KV: 0}, blocks("0.attn_norm.weight"),
     {"mamba_expand": 2, "attn_layer_offset": 3, "attn_layer_period": 4,
      "expert_layer_offset": 3, "expert_layer_period": 4}),
    ("gemma3n", {}, {"block_count": 2, INNER: [5, 6]},
     {"blk.0.laurel_l.weight": (24, 7), "per_layer_token_embd.weight": (16, 300)},
     {"intermediate_size": [5, 6], "vocab_size_per_layer_input": 300, "laurel_rank": 7}),
    ("gemma3n", {"vocab_size": 9}, {INNER: 5}, {},
     {"vocab_size": 9, "vocab_size_per_layer_input": 9}),
    ("gemma4", {"num_experts": 0, "top_k_experts": 0, "num_experts_per_tok": 2},
     {"block_count": 2, SLIDES: [1, 0], KV: [4, 2], INNER: [8, 16], "attention.key_length": 32,
      "attention.key_length_swa": 16}, blocks("0.attn_v.weight"),
     {"enable_moe_block": False, "global_head_dim": 32, "head_dim": 16, "num_key_value_heads": 4,
      "attention_k_eq_v": True, "num_global_key_value_heads": 2, "intermediate_size": 8,
      "use_double_wide_mlp": True}),
    ("gemma4", {"num_experts": 3},
     {"block_count": 2, SLIDES: [1, 0], KV: 4, INNER: 8, "attention.key_length": 32,
      "attention.key_length_swa": 16}, blocks("0.attn_v.weight", "1.attn_v.weight"),
     {"num_experts": 3, "enable_moe_block": True, "global_head_dim": 32, "head_dim": 16,
      "num_key_value_heads": 4, "intermediate_size": 8, "use_double_wide_mlp": False}),
    ("lfm2", {}, {"block_count": 2, KV: [0, 2]}, {},
     {"layer_types": ["conv", "full_attention"], "num_key_value_heads": 2,
      "block_auto_adjust_ff_dim": False}),
    ("lfm2moe", {}, {"block_count": 2, KV: [0, 2]}, {},
     {"layer_types": ["conv", "full_attention"], "num_key_value_heads": 2}),
    # sliding layers of MiMo V2 have twice the key heads; the first layer is dense without tensors
    ("mimo2", {}, {"block_count": 2, SLIDES: [0, 1], KV: [3, 6]}, {},
     {"num_key_value_heads": 3, "mlp_layer_types": ["dense", "sparse"]}),
    ("mimo2", {}, {"block_count": 3, SLIDES: [0, 1, 1], KV: [3, 6, 6],
                   "leading_dense_block_count": 2}, {},
     {"num_key_value_heads": 3, "mlp_layer_types": ["dense", "dense", "sparse"]}),
    ("mimo2", {}, {"block_count": 2, SLIDES: [0, 1], KV: [3, 6]}, blocks("0.ffn_gate_inp.weight"),
     {"num_key_value_heads": 3, "mlp_layer_types": ["sparse", "dense"]}),
    ("step35", {}, {"block_count": 2, SLIDES: [0, 1], HEADS: [4, 6]}, {},
     {"num_attention_heads": 4, "num_sliding_attention_heads": 6,
      "mlp_layer_types": ["dense", "sparse"]}),
    ("deci", {}, {"block_count": 3, HEADS: [4, 4, 0], KV: [2, 0, 0], INNER: [9, 0, 7]}, {},
     {"num_attention_heads": 4, "block_configs": [
         {"attention": {"n_heads_in_group": 2}, "ffn": {"intermediate_size": 9}},
         {"attention": {"n_heads_in_group": None, "replace_with_linear": True},
          "ffn": {"no_op": True}},
         {"attention": {"n_heads_in_group": None, "no_op": True}, "ffn": {"intermediate_size": 7}},
     ]}),
    ("olmo2", {}, {"attention.sliding_window": 1}, {}, {"model_type": "olmo3"}),
    ("olmo2", {"model_type": "olmo2"}, {}, {}, {"model_type": "olmo2"}),
    ("starcoder", {}, {KV: 1}, {}, {"multi_query": True}),
    ("starcoder", {}, {}, {}, {"multi_query": True}),
    ("starcoder", {}, {KV: 2}, {}, {"multi_query": False}),
    ("mpt", {}, {INNER: 72, WIDTH: 24, KV: 2}, blocks("0.attn_qkv.bias"),
     {"expansion_ratio": 3, "no_bias": False, "attn_config": {"qk_ln": False, "kv_n_heads": 2}}),
    ("dbrx", {}, {KV: 2, INNER: 7, "expert_count": 5, "expert_used_count": 3}, {},
     {"attn_config": {"kv_n_heads": 2},
      "ffn_config": {"ffn_hidden_size": 7, "moe_num_experts": 5, "moe_top_k": 3}}),
    ("chatglm", {"vocab_size": 9}, {WIDTH: 24, HEADS: 6}, blocks("0.attn_q.bias"),
     {"vocab_size": 9, "padded_vocab_size": 9, "kv_channels": 4, "multi_query_attention": True,
      "add_qkv_bias": True}),
    ("stablelm", {}, {"use_parallel_residual": 1}, {}, {"use_parallel_residual": True}),
    ("minicpm", {"num_experts_per_tok": 2}, {}, {}, {}),
    ("qwen", {}, {WIDTH: 24, HEADS: 6}, {}, {"kv_channels": 4}),
    ("bert", {}, {}, {"token_types.weight": (24, 3), "position_embd.weight": (24, 77)},
     {"type_vocab_size": 3, "max_position_embeddings": 77, "architectures": ["BertModel"]}),
    ("bert", {}, {}, {}, {"type_vocab_size": 0, "architectures": ["BertModel"]}),
    ("gemma-embedding", {}, {"attention.sliding_window": 512}, {},
     {"sliding_window": 512, "use_bidirectional_attention": True}),
    ("nomic-bert-moe", {}, {}, blocks("0.ffn_up.bias"),
     {"type_vocab_size": 0, "architectures": ["BertModel"], "hidden_act": "gelu",
      "qkv_proj_bias": False, "mlp_fc1_bias": True, "mlp_fc2_bias": False}),
    ("nomic-bert", {}, {}, blocks("0.attn_qkv.bias", "0.ffn_down.bias"),
     {"type_vocab_size": 0, "architectures": ["BertModel"], "hidden_act": "silu",
      "qkv_proj_bias": True, "mlp_fc1_bias": False, "mlp_fc2_bias": True}),
    # gate and up in one matrix of twice the width
    ("jina-bert-v2", {}, {INNER: 8}, {"blk.0.ffn_up.weight": (24, 16)},
     {"type_vocab_size": 0, "architectures": ["BertModel"], "feed_forward_type": "geglu",
      "position_embedding_type": "alibi"}),
    ("jina-bert-v2", {}, {INNER: 8}, {"blk.0.ffn_up.weight": (24, 8)},
     {"type_vocab_size": 0, "architectures": ["BertModel"], "feed_forward_type": "original",
      "position_embedding_type": "alibi"}),
    ("t5", {}, {"attention.key_length": 8, INNER: 9, "block_count": 2}, {},
     {"d_kv": 8, "d_ff": 9, "relative_attention_num_buckets": 32, "num_decoder_layers": 2,
      "feed_forward_proj": "relu"}),
    ("t5encoder", {}, {"attention.key_length": 8, INNER: 9, "attention.relative_buckets_count": 16,
                       "decoder_block_count": 3}, {"enc.blk.0.ffn_gate.weight": (4, 4)},
     {"d_kv": 8, "d_ff": 9, "relative_attention_num_buckets": 16, "num_decoder_layers": 3,
      "feed_forward_proj": "gated-gelu", "architectures": ["T5EncoderModel"]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arch", "before", "keys", "tensors", "after"), CASES,
    ids=[f"{number}-{case[0]}" for number, case in enumerate(CASES)],
)  # fmt: skip
def test_an_architecture_says_its_familys_keys(
    arch: str, before: dict[str, Any], keys: dict[str, Any], tensors: Sides, after: dict[str, Any]
) -> None:
    config = dict(before)
    (SPECIAL.get(arch) or OTHERS[arch])(config, metadata(arch, keys, tensors))
    assert config == after


@pytest.mark.parametrize(
    ("arch", "keys", "tensors"),
    [
        ("mimo2", {"block_count": 2, SLIDES: [0, 1], KV: [3, 3]}, {}),
        ("jamba", {**SSM, "block_count": 6, KV: [0, 2, 0, 0, 2, 2]}, {}),
        ("granitehybrid", {**SSM, "block_count": 2, KV: [1, 3], INNER: 7}, {}),
        ("step35", {"block_count": 2, SLIDES: [0, 0], HEADS: [4, 6]}, {}),
        (
            "gemma4",
            {
                "block_count": 2,
                SLIDES: [0, 0],
                KV: [4, 2],
                "attention.key_length": 32,
                "attention.key_length_swa": 16,
            },
            {},
        ),
    ],
)
def test_layers_that_no_family_has_are_refused(
    arch: str, keys: dict[str, Any], tensors: Sides
) -> None:
    with pytest.raises(UnknownModel):
        SPECIAL[arch]({"vocab_size": 9}, metadata(arch, keys, tensors))


def test_numbers_are_read_with_their_kind_checked() -> None:
    data = metadata("x", {"block_count": 3, "one": 7, "same": [5, 5, 5, 9], "two": [5, 6, 5],
                          "large": 10**12, "most": 10**12 - 1, "no": -1, "flag": True})  # fmt: skip
    assert (data.layers, data.ahead) == (3, 0)
    assert [data.one(key) for key in ("one", "same", "two", "none")] == [7, 5, None, None]
    assert (data.count("one"), data.count("same"), data.count("most")) == (7, 5, 10**12 - 1)
    assert (data.count("none", 0), data.count("none", 4), data.count("one", 4)) == (0, 4, 7)
    for key in ("large", "no", "flag", "none"):
        with pytest.raises(InputError, match="where a whole number is expected"):
            data.count(key)
    with pytest.raises(UnknownModel, match="differs from layer to layer"):
        data.count("two")
    assert (data.by_layer("one"), data.by_layer("same")) == ([7, 7, 7], [5, 5, 5])
    assert data.by_layer_read == {"one", "same"}
    with pytest.raises(InputError, match="has 2 values where 3 layers are"):
        metadata("x", {"block_count": 3, "few": [1, 2]}).by_layer("few")
    # as many as layers are alike where the array says more
    assert metadata("x", {"block_count": 2, "a": [4, 4, 8]}).one("a") == 4
    assert metadata("x", {"block_count": 3, "a": [4, 4, 8]}).one("a") is None
    assert sliding_layers(metadata("x", {"block_count": 2, SLIDES: 4})) is None


def test_blocks_that_predict_ahead_are_none_of_the_models_layers() -> None:
    keys = {"block_count": 3, "nextn_predict_layers": 1}
    names = {"blk.1.a.weight": (4,), "blk.2.a.weight": (4,), "v.blk.0.a": (4,), "mm.0.b": (4,)}
    data = metadata("x", keys, names)
    assert (data.layers, data.ahead, data.parts) == (2, 1, {"a.weight": [1, 2]})
    assert [each.name for each in data.own()] == ["blk.1.a.weight"]
    seeing = [each.name for each in data.gguf.tensors if data.sees(each)]
    assert seeing == ["v.blk.0.a", "mm.0.b"]
    # one layer at least is the model's own
    assert metadata("x", {"block_count": 2, "nextn_predict_layers": 5}).layers == 1
    assert metadata("x", {"nextn_predict_layers": 5}).layers == 0
    assert metadata("x", {"block_count": 10**5}).layers == 10**5
    with pytest.raises(InputError, match="block_count is 100,001, more than any model has"):
        metadata("x", {"block_count": 10**5 + 1})
