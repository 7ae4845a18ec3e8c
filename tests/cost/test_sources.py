"""The numbers that the sources state, each beside its source."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.mqa_page.page import DEVICES, Page, page_numbers
from thermoflop.cost.training.iteration import bubble_share
from thermoflop.cost.training.memory import generalized_layer_bytes
from thermoflop.cost.training.states import Recipe, state_bytes
from thermoflop.cost.work.network import steps_of, wire_bytes
from thermoflop.cost.work.share import Layout, Share
from thermoflop.errors import UsageError


@pytest.mark.parametrize(
    ("device", "mha", "mqa", "speed_up"),
    [
        ("A100", 1505.407000806215, 1473.1200000000356, 1.0219174275),
        ("V100", 1716.6555272533312, 1489.2365875200185, 1.1527084022),
    ],
)
def test_the_page_to_the_last_digit(device, mha, mqa, speed_up):
    """The MHA-against-MQA page: totals exactly equal."""
    peak, bandwidth = DEVICES[device]
    found = page_numbers(Page(peak_flops_s=peak, bandwidth_bytes_s=bandwidth))
    assert found["mha"]["total_ms"] == mha
    assert found["mqa"]["total_ms"] == mqa
    assert found["mqa"]["speed_up"] == pytest.approx(speed_up, abs=5e-11)


def test_the_page_memory_and_kernels():
    """The page: parameters, cache, and the kernels at a context of 1024."""
    page = Page()
    assert page.parameters("mha") == 169_869_312
    assert page.parameters("mqa") == 143_327_232
    assert page.kv_bytes("mha") == 754_974_720
    assert page.kv_bytes("mqa") == 47_185_920
    many, one = page.kernels("mha", 1024), page.kernels("mqa", 1024)
    assert many["qkv"] == (35_389_440, 3_600_384)
    assert one["qkv"] == (13_271_040, 164_736)
    assert many["att1"] == many["att2"] == (15_728_640, 16_071_680)
    assert one["att1"] == (15_728_640, 1_326_080)
    assert one["att2"] == (15_728_640, 1_981_440)
    assert many["out"] == (11_796_480, 1_210_368)
    assert many["softmax"] == (0, 655_360)
    assert many["ln"] == (0, 30_720)
    assert many["mlp"] == (47_185_920, 4_795_392)


def test_the_page_without_a_step_is_refused():
    """The page divides by zero where start >= end."""
    with pytest.raises(UsageError, match="start=5"):
        Page(start=5, end=5).total_ms("mha")


def test_what_is_corrected_comes_out_of_the_operators():
    """Facts: the right bytes of MQA's projection and of its values are 1,359,744 and 1,326,080."""
    config = {
        "model_type": "gpt_bigcode", "n_embd": 768, "n_head": 16, "n_layer": 24, "n_inner": 3072,
        "n_positions": 1024, "vocab_size": 50257, "multi_query": True,
    }  # fmt: skip
    table = tf.load_model(config).decode(1023, 10, dtype="fp16", kernels="eager")
    values = next(operator for operator in table if operator.name == "values")
    written = sum(
        2 * (operator.k * operator.n + operator.m * operator.n)
        for operator in table
        if operator.name in ("q_proj", "k_proj", "v_proj")
    )
    assert written + 2 * 10 * 768 == 1_359_744
    assert table.traffic_of(values).total / values.times == 1_326_080


def test_narayanan_34_days():
    """Narayanan et al. 2021, section 5.1: GPT-3 on 1024 A100 at 140 TFLOP/s takes 34 days by
    8 T P / (n X); attention, which that leaves out, adds some 2 %."""
    flops = tf.load_model("gpt-3-175b").training(2048, 1, recompute="full").flops
    days = 300e9 / 2048 * flops / (1024 * 140e12) / 86400
    assert days == pytest.approx(34, rel=0.03)


@pytest.mark.parametrize(
    ("form", "gigabytes"),
    [
        ("none", 2.869),
        ("tensor", 0.579),
        ("tensor+sequence", 0.359),
        ("tensor+sequence, selective", 0.107),
        ("full", 0.050),
    ],
)
def test_korthikanti_layer_of_gpt3(form, gigabytes):
    """Korthikanti et al. 2022, table 2: a layer of GPT-3, b = 1, t = 8 (1 for none and full)."""
    t = 1 if form in ("none", "full") else 8
    attention, feed, scores = 4 * 12288, 2 * 4 * 12288, 96 * 2048
    kept = generalized_layer_bytes(form, 2048, 12288, attention, feed, scores, t, 2.0, 2)
    assert kept / 1e9 == pytest.approx(gigabytes, abs=0.0006)


@pytest.mark.parametrize(
    ("layers", "hidden", "heads", "batch", "devices", "seconds", "percent"),
    [
        (48, 6144, 64, 4, 8, 1.10, 41.65),
        (96, 12288, 96, 64, 64, 13.75, 51.39),
        (105, 20480, 128, 280, 280, 37.83, 56.05),
        (128, 25600, 160, 512, 512, 71.49, 56.27),
    ],
)
def test_korthikanti_mfu(layers, hidden, heads, batch, devices, seconds, percent):
    """Korthikanti et al. 2022, table 5: 72 b s L h^2 (1 + s/6h + V/12hL) over 312 TFLOP/s."""
    config = {
        "model_type": "gpt2", "n_embd": hidden, "n_head": heads, "n_layer": layers,
        "n_positions": 2048, "vocab_size": 51200,
    }  # fmt: skip
    flops = tf.load_model(config).training(2048, batch).model_flops
    assert 100 * flops / (seconds * devices * 312e12) == pytest.approx(percent, abs=0.06)


def test_flexgen_cache_is_3_8_times_the_weights():
    """Sheng et al. 2023: OPT-175B, batch 512, 512 + 32 tokens: 1.314 TB of cache, ratio 3.78."""
    found = tf.fit("opt-175b", "a100", batch=512, prompt=512, generate=32, dtype="fp16")
    assert found.memory.kv_bytes == 1_314_259_992_576
    assert found.memory.weight_bytes == 2 * tf.load_model("opt-175b").params
    assert found.memory.weight_bytes / 1e9 == pytest.approx(349.2, abs=0.05)
    assert found.memory.weight_bytes / 2**30 == pytest.approx(325.2, abs=0.05)
    assert 12 * 96 * 12288**2 * 2 == 347_892_350_976
    assert found.memory.kv_bytes / 347_892_350_976 == pytest.approx(3.78, abs=0.005)
    assert not found.fits


def test_kipply_52b():
    """kipply: 52B (L 64, d 8192) takes 69 ms a token on one A100-40, 17 ms on four; KV 2 MiB."""
    config = {
        "model_type": "gpt2", "n_embd": 8192, "n_head": 64, "n_layer": 64, "n_positions": 2048,
        "vocab_size": 51200,
    }  # fmt: skip
    model = tf.load_model(config)
    assert model.kv_bytes(1, 1, "fp16") == 2_097_152
    weights = 12 * 64 * 8192**2 * 2
    for devices, milliseconds in ((1, 66.3), (4, 16.6)):
        found = tf.estimate(
            model, "a100-sxm-40gb", devices=devices, prompt=1, generate=2, dtype="fp16"
        )
        bound = found.per_token.bound_s * 1e3
        assert bound >= weights / devices / 1555e9 * 1e3 - 0.03
        assert bound == pytest.approx(milliseconds, rel=0.02)
    # kipply's 69 and 17 ms divide 104 GB (52e9 parameters) by 1.5e12 B/s
    assert pytest.approx(69, abs=0.4) == 2 * 52e9 / 1.5e12 * 1e3


def test_kipply_13b_is_above_its_bound():
    """kipply: a 13B model on one A100-40 was measured at 22.0 ms a token (16.8 predicted from its
    weights) and 63.17 ms for a prompt of 512 (48 predicted)."""
    config = {
        "model_type": "gpt2", "n_embd": 5120, "n_head": 40, "n_layer": 40, "n_positions": 2048,
        "vocab_size": 51200,
    }  # fmt: skip
    found = tf.estimate(
        config, "a100-sxm-40gb", prompt=512, generate=10, dtype="fp16", profile="fastertransformer"
    )
    assert found.per_token.bound_s * 1e3 == pytest.approx(16.8, rel=0.03)
    assert found.per_token.bound_s < 22.0e-3 < found.per_token.high_s
    assert found.per_token.expected_s == pytest.approx(22.0e-3, rel=0.2)
    assert 0.75 * 48e-3 < found.first_token.bound_s < 63.17e-3


def test_the_ridge_of_an_a100():
    """The inference blog: 312e12 / 1555e9 = 200.6 FLOP/B; its 208 divides by 1.5e12."""
    device = tf.find_device("a100-sxm-40gb")
    assert device.ridge("fp16") == pytest.approx(200.6, abs=0.05)
    assert device.peak("fp16") / 1.5e12 == pytest.approx(208)


def test_flash_attention_moves_megabytes_not_gigabytes():
    """A layer at 8192, 32 heads of 128: with 8 key heads 168 MB fused, with 32 of them 268 MB;
    unfused 17 GB more (Dao et al. 2022: scores written and read, weights written and read)."""
    from thermoflop.model.operators.step import Step

    def moved(kernels, name="llama-2-7b"):
        model = tf.load_model(name)
        share = Share(model.description, Layout(), choose_precision("fp16"))
        found = share.works(Step(1, 8192, 0, kernels=kernels))
        return sum(
            work.bytes
            for work in found
            if work.kind == "attention" or work.name in ("softmax", "scores", "values")
        )

    fused, unfused = moved("fused"), moved("eager")
    assert fused == 4 * 8192 * 4096 * 2
    assert moved("fused", "llama-3-8b") == 167_772_160
    assert unfused - fused == 4 * 32 * 8192 * 8192 * 2


def test_tensor_parallel_traffic():
    """Narayanan et al. 2021: 8 b s h (t-1)/t elements a layer, forward and backward; half each."""
    model = tf.load_model("gpt-3-175b")
    share = Share(model.description, Layout(tp=8), choose_precision("fp16"))
    from thermoflop.cost.work.steps import prefill_step

    found = [w for w in share.works(prefill_step(2048, 1)) if w.kind == "network"]
    sent = sum(work.times * work.activation_bytes for work in found)
    assert sent == pytest.approx(4 * 2048 * 12288 * 7 / 8 * 96 * 2)


def test_data_parallel_and_pipeline_traffic():
    """Gradients 2(d-1)/d of their bytes; the bubble is (p-1)/m, over v when interleaved."""
    assert wire_bytes("all-reduce", 100.0, 4) == 150.0
    assert wire_bytes("send", 100.0, 4) == 100.0
    assert bubble_share(8, 64) == 7 / 64
    assert bubble_share(8, 64, 2) == 7 / 128
    assert steps_of("all-reduce", 8) == 14
    assert steps_of("all-reduce", 8, "tree") == 6
    assert wire_bytes("all-gather", 8e9, 8) == 7e9
    assert steps_of("all-gather", 8) == 7


def test_zero_divides_states():
    """Rajbhandari et al. 2020, figure 1: 7.5B parameters, 64 replicas: 120, 31.4, 16.6, 1.9 GB."""
    # 16 bits of weight and gradient, master weight and moments in fp32
    kept = Recipe(2, 2, 4)
    sums = [sum(state_bytes(7e9, 0.5e9, kept, "adamw", stage, 64)) / 1e9 for stage in range(4)]
    assert sums == pytest.approx([120, 31.4, 16.6, 1.9], abs=0.05)
