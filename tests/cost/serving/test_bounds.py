"""What no server beats: by arithmetic from published sizes, and above every expectation."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.data import read_data

# Llama 3 8B in bf16 without its table of embeddings, of which a step reads a few rows; its cache is
# 131,072 bytes a token. H100 SXM: 3.35 TB/s, 50 MB on chip, 989 TFLOP/s
WEIGHTS = 2 * (8_030_261_248 - 128_256 * 4096)
BYTES_S, CHIP, CACHED, PEAK = 3.35e12, 50e6, 131_072, 989.5e12


def step_s(sequences: int, own: float) -> float:
    return (WEIGHTS - CHIP + sequences * own * CACHED) / BYTES_S


def test_a_users_token_takes_a_step_and_a_step_gives_each_user_one():
    """Half of 256 output tokens are cached on the average, and nothing is said of the prompt."""
    sizes = {"users": 64, "generate": 256, "prefix_hit": None}
    bounds = tf.serving("llama-3-8b", "h100", profile="vllm", **sizes).bounds
    assert bounds.token_s == pytest.approx(step_s(1, 128), rel=1e-3)
    assert bounds.first_s == pytest.approx(step_s(1, 0), rel=1e-3)
    assert bounds.tokens_per_s == pytest.approx(64 / step_s(64, 128), rel=1e-3)


def test_what_no_cache_holds_is_computed_once():
    """A token takes two FLOPs of each weight in a layer, and attention to 4,000 others on the
    average 4 x 4,000 x 4,096 of each of 32 layers; 8,000 of them for 128 of output."""
    served = [
        tf.serving("llama-3-8b", "h100", users=64, prompt=8000, generate=128, prefix_hit=hit).bounds
        for hit in (None, 0.5, 0.0)
    ]
    layers = 8_030_261_248 - 2 * 128_256 * 4096
    flops = 8000 * (2 * layers + 32 * 4 * 4000 * 4096)
    assert served[2].first_s == pytest.approx(flops / PEAK, rel=0.01)
    assert served[2].tokens_per_s == pytest.approx(128 / (flops / PEAK), rel=0.02)
    assert served[0].tokens_per_s > 1.9 * served[1].tokens_per_s > 3.6 * served[2].tokens_per_s
    assert served[0].first_s < served[1].first_s < served[2].first_s
    told = tf.serving("llama-3-8b", "h100", users=64, prompt=8000, generate=128)
    assert told.bounds == served[2]  # a server is asked for one whose cache holds nothing


def test_a_rate_bounds_by_what_is_computed_alone_and_replicas_add_up():
    """Any number of sequences shares the weights: two FLOPs of each for a token."""
    one, two = (
        tf.serving("llama-3-8b", "h100", rate=5, dp=n, generate=2, prefix_hit=None).bounds
        for n in (1, 2)
    )
    assert one.tokens_per_s == pytest.approx(PEAK / WEIGHTS, rel=0.01)
    assert two.tokens_per_s == pytest.approx(2 * one.tokens_per_s)
    lone = tf.serving("llama-3-8b", "h100", users=1, dp=2, prefix_hit=None).bounds
    assert lone.tokens_per_s == pytest.approx(1 / lone.token_s)


def test_a_check_gives_as_many_tokens_as_it_checks_at_best():
    plain, drafted = (
        tf.serving("llama-3-8b", "h100", users=1, draft_tokens=n, prefix_hit=None).bounds
        for n in (None, 3)
    )
    assert drafted.token_s == pytest.approx(plain.token_s / 4, rel=1e-3)
    assert drafted.tokens_per_s == pytest.approx(4 * plain.tokens_per_s, rel=1e-3)


MODELS = ("gpt2", "qwen3-0.6b", "gemma-3-27b", "gpt-oss-20b", "mixtral-8x7b", "deepseek-v2-lite")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("layout", [{}, {"tp": 4}, {"pp": 4}, {"dp": 2}], ids=str)
@pytest.mark.parametrize("load", [{"users": 1}, {"users": 200}, {"rate": 2.0}], ids=str)
def test_no_expectation_and_no_end_of_an_interval_beats_a_bound(model, layout, load):
    for prompt, generate in ((1, 2), (700, 300), (1000, 2)):
        for hit in (None, 0.0):
            served = tf.serving(
                model, "h200", prompt=prompt, generate=generate, profile="vllm", prefix_hit=hit,
                **layout, **load,
            )  # fmt: skip
            assert served.bounds.token_s <= served.token_s[0]
            assert served.bounds.first_s <= served.first_s[0]
            assert served.bounds.tokens_per_s >= served.tokens_per_s_interval[1]


def test_no_published_server_beats_its_bound():
    """InferenceX's tokens a second of all users (``data/serving_2026.json.gz`` has the sources),
    one row in 20; of all 789 the nearest, Llama 3.1 70B in fp8 on one B200, is at 0.78 of it."""
    kept = read_data("serving_2026")
    rows = [row for row in kept["rows"] if row["metric"] == "output_tokens_per_s"]
    shares = []
    for row in rows[::20]:
        model, gpu = kept["model"][row["model"]], kept["gpu_key"][row["gpu_key"]]
        said = kept["engine"][row["engine"]].lower()
        served = tf.serving(
            model.lower(), gpu, users=row["max_concurrency"], prompt=row["input_len"],
            generate=row["output_len"], tp=row["tp"], ep=row.get("ep") or 1,
            devices=row["gpu_count"], dtype=row["precision"], prefix_hit=None,
            profile=next(name for name in ("vllm", "sglang", "tensorrt") if name in said),
        )  # fmt: skip
        shares.append(row["value"] / served.bounds.tokens_per_s)
    assert len(shares) > 35
    assert 0.5 < max(shares) < 1
