"""Layers that predict further ahead: out by default, one group when asked for, and a draft."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.errors import InputError, UsageError

TINY: dict[str, Any] = {
    "model_type": "deepseek_v3",
    "vocab_size": 300,
    "hidden_size": 96,
    "intermediate_size": 80,
    "moe_intermediate_size": 28,
    "num_hidden_layers": 3,
    "first_k_dense_replace": 1,
    "num_attention_heads": 6,
    "kv_lora_rank": 40,
    "q_lora_rank": 56,
    "qk_nope_head_dim": 24,
    "qk_rope_head_dim": 8,
    "v_head_dim": 20,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "num_nextn_predict_layers": 2,
}
# one layer of TINY: latent attention, a router, eight experts and a shared one, four norms
ATTENTION = 96 * 56 + 56 * 6 * 32 + 96 * 48 + 40 * 6 * 44 + 6 * 20 * 96
EXPERTS = 96 * 8 + 9 * 3 * 96 * 28
LAYER = ATTENTION + EXPERTS + 2 * 96 + 56 + 40
# a module: two norms, the projection of state and embedding, a layer, a norm of its own
MODULE = 2 * 96 + 2 * 96 * 96 + LAYER + 96


def test_modules_are_out_unless_asked_for_and_then_one_group() -> None:
    plain, ahead = tf.load_model(TINY), tf.load_model(TINY, mtp=True)
    assert "mtp" not in plain.params_by_group
    assert ahead.params_by_group["mtp"] == 2 * MODULE
    assert ahead.params == plain.params + 2 * MODULE
    rest = {group: count for group, count in ahead.params_by_group.items() if group != "mtp"}
    assert rest == plain.params_by_group
    assert any("not counted" in note for note in plain.notes)
    assert any(f"{2 * MODULE:,}" in note for note in ahead.notes)


def test_qwen3_next_has_a_module_that_its_file_does_not_name() -> None:
    """Of a full layer, as vLLM builds it: queries with a gate, keys and values of two heads of 256,
    512 experts and a shared one with a gate, two norms; a projection, and three norms."""
    wide, inner = 2048, 512
    attention = wide * 16 * 256 * 2 + 2 * wide * 2 * 256 + 16 * 256 * wide + 2 * 256
    experts = 512 * 3 * wide * inner + 512 * wide + 3 * wide * inner + wide
    module = attention + experts + 2 * wide + 2 * wide * wide + 3 * wide
    ahead = tf.load_model("qwen3-next-80b-a3b", mtp=True)
    assert ahead.params_by_group["mtp"] == module
    plain = tf.load_model("qwen3-next-80b-a3b")
    assert ahead.params == plain.params + module
    assert any("not counted" in note for note in plain.notes)
    found = tf.speculate("qwen3-next-80b-a3b", "mtp", "h200", dtype="fp8", profile="vllm")
    assert found.draft_name == "qwen3-next-80b-a3b's mtp"


@pytest.mark.parametrize(
    ("name", "wide", "inner", "heads", "normed", "experts"),
    [("glm-4.5-air", 4096, 1408, 96, 0, 128), ("glm-4.5", 5120, 1536, 96, 2, 160),
     ("glm-4.6", 5120, 1536, 96, 2, 160)],
)  # fmt: skip
def test_glm_drafts_by_a_layer_of_its_own(
    name: str, wide: int, inner: int, heads: int, normed: int, experts: int
) -> None:
    """``MTP (Multi-Token Prediction) with 1 layer`` (Megatron-Bridge, docs/models/llm/glm45.md):
    heads of 128 with biases, eight of keys, experts and a shared one; a projection, five norms."""
    attention = 2 * wide * (heads + 8) * 128 + (heads + 2 * 8) * 128 + normed * 128
    layer = attention + (experts + 1) * 3 * wide * inner + experts * wide
    ahead = tf.load_model(name, mtp=True)
    assert ahead.params_by_group["mtp"] == layer + 2 * wide * wide + 5 * wide
    assert ahead.params == tf.load_model(name).params + ahead.params_by_group["mtp"]


def test_modules_run_on_every_token_and_keep_keys_of_their_own() -> None:
    plain, ahead = tf.load_model(TINY), tf.load_model(TINY, mtp=True)
    assert ahead.kv_bytes(100) == plain.kv_bytes(100) // 3 * 5
    one, other = (model.decode(49, mla="absorbed").by_group() for model in (plain, ahead))
    # 2 FLOPs for each parameter but the idle experts and the norms, and attention in the latent
    matrices = ATTENTION + 96 * 8 + 3 * 3 * 96 * 28 + 2 * 96 * 96 + 96 * 300
    absorbed = 2 * 6 * 50 * (40 + 8 + 40)
    assert other["mtp"] == 2 * (2 * matrices + absorbed)
    assert {group: flops for group, flops in other.items() if group != "mtp"} == one


@pytest.mark.parametrize(
    ("config", "count", "source"),
    [
        # 14B of weights on the hub are these and one more table and head of 129280 x 7168
        ("deepseek-v3", 11_610_067_968, "README_WEIGHTS of DeepSeek-V3: 11.5B unique parameters"),
        (
            {
                "model_type": "mimo",
                "hidden_size": 4096,
                "intermediate_size": 11008,
                "num_hidden_layers": 36,
                "num_attention_heads": 32,
                "num_key_value_heads": 8,
                "vocab_size": 151680,
                "num_nextn_predict_layers": 1,
            },
            7_833_409_536 - 7_622_619_136,
            "MiMo-7B on the hub has 7,833,409,536 parameters, its module among them",
        ),
    ],
)
def test_published_modules(config: Any, count: int, source: str) -> None:
    assert source
    if isinstance(config, str):
        from thermoflop.model.config.catalogue import entry

        found = entry(config)
        assert found is not None
        config = {**found["config"], "num_nextn_predict_layers": 1}
    assert tf.load_model(config, mtp=True).params_by_group["mtp"] == count


# Qwen3.5-27B's module: state and embedding to one, a layer of gated attention (its queries twice
# as wide) and feed-forward, and seven norms, of which two are of heads
QWEN_27B = (
    2 * 5120 * 5120
    + 5120 * 256 * (2 * 24 + 4 + 4) + 24 * 256 * 5120
    + 3 * 5120 * 17408
    + 5 * 5120 + 2 * 256
)  # fmt: skip


@pytest.mark.parametrize("name", ["qwen3.5-27b", "qwen3.6-27b", "qwen3.8-27b"])
def test_the_catalogue_keeps_the_module_that_a_checkpoint_has(name: str) -> None:
    ahead = tf.load_model(name, mtp=True)
    assert ahead.params_by_group["mtp"] == QWEN_27B
    assert ahead.params == tf.load_model(name).params + QWEN_27B


@pytest.mark.parametrize(
    "name",
    [
        "qwen3.5-35b-a3b", "qwen3.5-122b-a10b", "qwen3.5-397b-a17b", "qwen3.5-397b-a17b-nvfp4",
        "qwen3.6-35b-a3b", "qwen3.6-35b-a3b-nvfp4",
    ],
)  # fmt: skip
def test_mixtures_of_qwen3_5_draft_for_themselves(name: str) -> None:
    assert tf.load_model(name, mtp=True).params_by_group["mtp"] > 0


def test_a_module_may_be_of_another_kind_than_the_last_layer() -> None:
    """Nemotron's pattern: attention, then experts, each with a norm."""
    config = {
        "model_type": "nemotron_h",
        "vocab_size": 300,
        "hidden_size": 96,
        "hybrid_override_pattern": "M*E",
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "mamba_num_heads": 4,
        "mamba_head_dim": 48,
        "ssm_state_size": 8,
        "n_groups": 2,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 28,
        "moe_shared_expert_intermediate_size": 20,
        "mtp_hybrid_override_pattern": "*E",
        "num_nextn_predict_layers": 1,
    }
    attention = 96 * 16 * (6 + 2 + 2) + 6 * 16 * 96
    experts = 96 * 4 + 4 * 2 * 96 * 28 + 2 * 96 * 20
    module = 2 * 96 + 2 * 96 * 96 + attention + experts + 2 * 96 + 96
    assert tf.load_model(config, mtp=True).params_by_group["mtp"] == module
    with pytest.raises(InputError, match="pattern"):
        tf.load_model({**config, "mtp_hybrid_override_pattern": "*Q"}, mtp=True)


def test_a_model_without_modules_says_so() -> None:
    with pytest.raises(UsageError, match="num_nextn_predict_layers"):
        tf.load_model("gpt2", mtp=True)


def test_a_module_drafts_for_its_model() -> None:
    """A draft step runs the first module, table and head alone; the check runs no module."""
    ahead = tf.load_model(TINY, mtp=True)
    found = tf.speculate(ahead, "mtp", "h100", drafted=1, acceptance=1.0)
    plain = tf.speculate(tf.load_model(TINY), tf.load_model(TINY), "h100", drafted=1)
    assert found.check_s == pytest.approx(plain.check_s)
    assert found.plain_step_s == pytest.approx(plain.plain_step_s)
    assert found.draft_step_s < plain.plain_step_s
    assert found.tokens_per_check == 2
    with pytest.raises(UsageError, match="--mtp"):
        tf.speculate(tf.load_model(TINY), "mtp", "h100")


def test_each_residual_stream_passes_the_projection_of_its_module() -> None:
    """DeepSeek-V4's e_proj runs once a token, its h_proj on each of four streams."""
    ahead = tf.load_model({"model_type": "deepseek_v4", "num_nextn_predict_layers": 1}, mtp=True)
    wide = ahead.description.stacks[-1].hidden
    found = {each.name: each.flops for each in ahead.decode(10, 3).operators}
    assert (found["e_proj"], found["h_proj"]) == (3 * 2 * wide**2, 3 * 4 * 2 * wide**2)


@pytest.mark.parametrize("family", ["glm5_next_text", "hy_v4"])
def test_modules_of_models_with_streams_may_have_one_state(family: str) -> None:
    """Glm5NextDecoderLayer of vLLM without mhc, and HYV4ModelNextN of SGLang: a layer, three norms
    and eh_proj."""
    ahead = tf.load_model({"model_type": family, "num_nextn_predict_layers": 1}, mtp=True)
    module = ahead.description.stacks[-1]
    layer, wide = module.runs[0].layer, ahead.description.stacks[-1].hidden
    parts = [*layer.mixer.parts(), *layer.feed.parts(), *layer.norms]
    held = sum(part.parameters for part in parts) + 2 * wide**2 + 3 * wide
    assert ahead.params_by_group["mtp"] == held
