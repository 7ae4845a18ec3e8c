"""Steps, conventions, bytes, generation, training: each rule against something counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import thermoflop as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from thermoflop.base.number import distinct_experts
from thermoflop.errors import UsageError
from thermoflop.model.architecture.formats import FORMAT_NAMES, parse_format
from thermoflop.model.model import Model
from thermoflop.model.operators.step import CONVENTIONS
from thermoflop.model.operators.totals import NOTHING, totals_of

SMALL = {
    "model_type": "gemma3_text",
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "sliding_window": 9,
    "sliding_window_pattern": 2,
}
CHUNKED = {
    "model_type": "llama4_text",
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 8,
    "intermediate_size_mlp": 12,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "attention_chunk_size": 7,
    "num_local_experts": 4,
    "interleave_moe_layer_step": 2,
}


@pytest.fixture(scope="module")
def llama() -> Model:
    return tf.load_model("llama-3-8b")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.sampled_from(["full", "causal"]), st.data())
def test_generation_in_closed_form_is_the_sum_of_its_steps(
    prompt: int, new: int, attention: str, data: st.DataObject
) -> None:
    model = tf.load_model(data.draw(st.sampled_from([SMALL, CHUNKED])))
    options: dict[str, Any] = {"attention": attention, "cache": "int8"}
    found = model.generation(prompt, new, batch=2, **options)
    total = totals_of(model.prefill(prompt, 2, **options))
    for cached in range(prompt, prompt + new - 1):
        total = total.plus(totals_of(model.decode(cached, 2, **options)))
    for name, value in total.__dict__.items():
        assert getattr(found.totals, name) == pytest.approx(value, rel=1e-12), name
    assert found.flops == total.flops


def test_generating_one_token_is_a_prefill(llama: Model) -> None:
    assert llama.generation(100, 1).decoding == NOTHING
    assert llama.generation(100, 1).flops == llama.prefill(100).flops


def test_a_window_limits_decode_but_not_prefill() -> None:
    model = tf.load_model(SMALL)
    scores = [item for item in model.decode(100) if item.name == "scores"]
    assert [item.n for item in scores] == [9, 101]
    assert model.prefill(100).by_group()["attn_score"] == 4 * 2 * 2 * 100 * 100 * 8
    assert model.kv_bytes(100) == 2 * (2 * 8) * (2 * 9 + 2 * 100)
    assert model.kv_bytes(100, windowed=False) == 2 * (2 * 8) * 4 * 100


def test_logits_at_the_last_position(llama: Model) -> None:
    every, last = llama.prefill(64, 2), llama.prefill(64, 2, logits="last")
    head = 2 * 2 * 4096 * 128_256
    assert every.flops - last.flops == 63 * head
    assert llama.prefill(64, 2, logits="none").flops == last.flops - head


def test_absorbed_latent_attention_counts_what_it_multiplies() -> None:
    model = tf.load_model("deepseek-v3")
    table = model.decode(1000, batch=2, mla="absorbed")
    heads, rank, rope, nope, value, layers = 128, 512, 64, 128, 128, 61
    scores = 2 * 2 * heads * 1001 * (rank + rope) * layers
    values = 2 * 2 * heads * 1001 * rank * layers
    groups = table.by_group()
    assert groups["attn_score"] == scores
    assert groups["attn_value"] == values
    plain = model.decode(1000, batch=2, mla="expanded").by_group()["attn_proj"]
    absorb = 2 * 2 * heads * rank * (nope + value) * layers
    expand = 2 * 2 * rank * heads * (nope + value) * layers
    assert groups["attn_proj"] == plain - expand + absorb
    latent = 2 * (rank + rope) * layers * 2
    assert table.traffic.kv_read == latent * 1001
    assert model.kv_bytes(1) == 70_272
    assert model.kv_bytes(1, mla="expanded") == 4_997_120


def test_llama4_experts_as_the_library_runs_them() -> None:
    model = tf.load_model("llama-4-scout-text")
    routed, everyone = model.prefill(8), model.prefill(8, experts="all")
    assert everyone.by_group()["experts"] == 16 * routed.by_group()["experts"]
    assert everyone.by_group()["router"] == routed.by_group()["router"]


def test_expected_distinct_experts() -> None:
    assert distinct_experts(256, 8, 1) == 8
    assert distinct_experts(256, 8, 0) == 0
    # more choices than experts: a device that holds one of those that its tokens choose
    assert distinct_experts(1, 2, np.array([0.0, 1.5, 9.0])).tolist() == [0, 1, 1]
    assert distinct_experts(4, 4, 9) == 4
    exact = 8 * (1 - (1 - 2 / 8) ** 5)
    assert distinct_experts(8, 2, 5) == pytest.approx(exact, rel=1e-14)
    assert distinct_experts(256, 8, 10**9) == 256


def test_weight_traffic_of_experts_is_between_top_k_and_all() -> None:
    model = tf.load_model("mixtral-8x7b")
    one, some = model.decode(10).traffic.weights, model.decode(10, batch=4).traffic.weights
    everything = model.decode(10, batch=4, expert_reads="all").traffic.weights
    assert one < some < everything
    norms_and_rows = 2 * (model.params - 131_072_000)  # all but the table, which is looked up
    assert everything == norms_and_rows + 2 * 4 * 4096


def test_a_decode_step_reads_every_weight_once(llama: Model) -> None:
    table = llama.decode(1000)
    lookups = 128_256 * 4096 - 4096
    assert table.traffic.weights == 2 * (llama.params - lookups)
    assert table.traffic.kv_read == llama.kv_bytes(1001)
    assert table.traffic.kv_written == llama.kv_bytes(1)
    assert table.read_bytes + table.write_bytes == table.traffic.total
    assert sum(table.bytes_by_kind.values()) == table.traffic.total


def test_cache_is_read_once_per_key_head_not_per_query_head(llama: Model) -> None:
    scores = next(item for item in llama.decode(1000) if item.name == "scores")
    assert scores.moved.kv_read == 8 * 128 * 1001


def test_eager_kernels_move_the_scores(llama: Model) -> None:
    fused, eager = llama.prefill(128), llama.prefill(128, kernels="eager")
    assert eager.flops == fused.flops
    assert eager.traffic.activations - fused.traffic.activations > 4 * 2 * 32 * 32 * 128 * 128


@pytest.mark.parametrize(
    ("name", "elements", "size"),
    [
        ("fp32", 3, 12),
        ("tf32", 3, 12),
        ("bf16", 3, 6),
        ("fp16", 3, 6),
        ("fp8", 3, 3),
        ("int8", 3, 3),
        ("int4", 128, 66),
        ("int4-g64", 128, 68),
        ("mxfp4", 32, 17),
        ("mxfp4", 33, 18),
    ],
)
def test_bytes_of_a_format(name: str, elements: int, size: int) -> None:
    assert parse_format(name).bytes_of(elements) == size


def test_quantized_weights_leave_heads_norms_and_biases_wide() -> None:
    model = tf.load_model("gpt-oss-20b")
    stored = model.weight_bytes("mxfp4")
    expert_matrices = 19_110_297_600
    assert stored > expert_matrices * 17 // 32
    assert model.weight_bytes("bf16") == 2 * model.params
    assert model.weight_bytes("fp32") == 4 * model.params
    table = model.decode(1, weights="int4", activations="fp16", cache="fp8")
    assert table.formats.unquantized.name == "fp16"
    assert table.conventions["cache"] == "fp8"


def test_opt_175b_as_the_blog_sizes_it() -> None:
    """349.2 GB of weights, 1.314 TB of cache at batch 512 and 544 tokens; 3.78 times as much."""
    model = tf.load_model("opt-175b")
    assert model.weight_bytes("fp16") == 2 * 174_604_468_224
    assert model.kv_bytes(512 + 32, 512, "fp16") == 1_314_259_992_576


def test_pages_round_the_cache_up(llama: Model) -> None:
    assert llama.kv_bytes(17, page=16) == llama.kv_bytes(32)
    assert llama.kv_bytes(17, 3, "fp8") * 2 == llama.kv_bytes(17, 3)


def test_states_of_a_recurrence_do_not_grow() -> None:
    model = tf.load_model("mamba-130m")
    assert model.kv_bytes(1000) == 0
    assert model.state_bytes() == 2 * 24 * 1536 * (16 + 4)
    assert model.decode(10).flops == model.decode(10_000).flops


def test_an_encoder_decoder_projects_cross_keys_once() -> None:
    model = tf.load_model("t5-small")
    first, later = model.operators(1, 1, 0, 100), model.operators(1, 1, 50, 100)
    assert first.by_group()["cross_attn_proj"] > later.by_group()["cross_attn_proj"]
    assert "encoder attention + MLP" in first.by_part()
    assert "encoder attention + MLP" not in later.by_part()
    assert model.encode(100).by_part().keys() == {"encoder attention + MLP"}
    assert model.kv_bytes(1, encoder=10) == model.kv_bytes(1) * 11


def test_whisper_always_hears_thirty_seconds() -> None:
    model = tf.load_model("whisper-tiny")
    assert model.operators(1, 4).flops == model.operators(1, 4, 0, 1500).flops


def test_gemma3_sees_when_there_are_images() -> None:
    model = tf.load_model("gemma-3-4b")
    blind, seeing = model.prefill(300), model.prefill(300, images=1)
    assert "patch_embed" in seeing.by_group()
    assert "patch_embed" not in blind.by_group()


def test_every_output_states_its_conventions(llama: Model) -> None:
    table = llama.prefill(8)
    assert set(CONVENTIONS) <= set(table.conventions)
    text = str(table)
    assert "attention = full" in text
    assert "exact whole numbers" in text
    assert max(len(line) for line in text.split("\n")) <= 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"attention": "half"},
        {"batch": 0},
        {"batch": True},
        {"new": -1},
        {"new": 1.5},
        {"cached": "9"},
        {"dtype": "fp3"},
        {"dtype": "int4-g0"},
        {"dtype": None},
        {"encoder": 5},
        {"images": -1},
        {"mla": "fast"},
    ],
)
def test_a_step_that_makes_no_sense_is_refused(llama: Model, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        llama.operators(**wrong)


def test_an_encoder_does_not_decode() -> None:
    with pytest.raises(UsageError, match="no cache"):
        tf.load_model("bert-base-uncased").decode(5)
    with pytest.raises(UsageError, match="source"):
        tf.load_model("t5-small").prefill(5)
    with pytest.raises(UsageError):
        tf.load_model("gpt2").training(8, recompute="some")
    with pytest.raises(UsageError):
        tf.load_model("gpt2").generation(0, 4)


def test_every_format_name_is_known() -> None:
    assert all(parse_format(name).name == name for name in FORMAT_NAMES)


# Pairs of a query and a key that attention to both sides has, counted one by one.
@pytest.mark.parametrize("kind", ["gemma3_text", "llama_bidirec", "qwen2"])
@pytest.mark.parametrize("tokens", [1, 3, 4, 5, 12])
def test_a_decoder_that_attends_to_both_sides_meets_keys_before_and_behind(kind, tokens):
    """A window of 6 reaches 3 tokens back and 3 ahead: transformers halves it and adds the token
    itself (configuration_gemma3.py), and keeps what is less far than that (masking_utils.py)."""
    said = {"gemma3_text": {"use_bidirectional_attention": True, "sliding_window": 6},
            "qwen2": {"is_causal": False}}.get(kind, {})  # fmt: skip
    model = tf.load_model({"model_type": kind, "num_hidden_layers": 6, **said})
    places = range(tokens)
    near = sum(abs(query - key) < 6 // 2 + 1 for query in places for key in places)
    slides = 5 if kind == "gemma3_text" else 0
    table = model.operators(1, tokens, attention="causal")
    heads = model.description.stacks[0].runs[0].layer.mixer
    width = heads.heads * heads.head_dim
    pairs = slides * near + (6 - slides) * tokens**2
    found = sum(each.multiplications for each in table if each.name == "scores")
    assert found == width * pairs
    assert model.is_encoder
