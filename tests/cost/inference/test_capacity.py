"""What fits: the fewest devices, the largest batch and context, at sizes worked out by hand."""

from __future__ import annotations

import json

import pytest
import thermoflop as tf
from kit.made_up import (
    DEVICE,
    HEAD_MATRIX,
    KEY_WIDTH,
    LAYERS,
    MATRICES,
    MEMORY,
    NORMS,
    WIDTH,
    decoder,
)
from thermoflop.base.record import replace
from thermoflop.cost.inference.room import largest
from thermoflop.cost.memory import occupied_text
from thermoflop.cost.reports.estimate import ReportOptions, estimate_report
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError

RESERVE = 0.7e9 + 0.02 * MEMORY
WEIGHTS = 2 * (LAYERS * (MATRICES + NORMS) + WIDTH + 2 * HEAD_MATRIX)
TOKEN = 2 * 2 * LAYERS * KEY_WIDTH  # bytes of keys and values


@pytest.mark.parametrize(
    ("model", "devices", "tp", "pp"),
    [
        # 812 GB are more than 8 devices of 85.5: two nodes, 63 layers of an eighth of 6.38 GB each
        ("llama-3.1-405b", 16, 8, 2),
        # 70.6e9 of 2 bytes are 141 GB: two
        ("llama-3-70b", 2, 2, 1),
        ("llama-3-8b", 1, 1, 1),
    ],
)
def test_the_fewest_devices_are_some_of_a_node_or_whole_nodes_by_heads_first(
    model, devices, tp, pp
):
    found = tf.fit(model, "h100")
    assert (found.fewest_devices, found.fewest_plan.tp, found.fewest_plan.pp) == (devices, tp, pp)


def test_heads_that_do_not_go_over_the_devices_leave_layers():
    """GPT-2 XL has 25 heads: 3.1 GB over devices of 2 GB go by layers."""
    small = replace(DEVICE, memory_bytes=3e9)
    found = tf.fit("gpt2-xl", small, prompt=8, generate=8)
    assert (found.fewest_plan.tp, found.fewest_plan.pp) == (1, 2)


def test_memory_is_weights_cache_widest_layer_logits_and_reserve():
    found = tf.fit(decoder(), DEVICE, batch=3, prompt=100, generate=28).memory
    assert found.weight_bytes == WEIGHTS
    assert found.kv_bytes == 3 * 128 * TOKEN
    # the stream in and out beside gate and up of 512 each; logits in fp32
    assert found.activation_bytes == 300 * (2 * WIDTH + 2 * 512) * 2 + 4 * 1000 * 3
    assert found.reserve_bytes == RESERVE
    assert found.total_bytes == WEIGHTS + found.kv_bytes + found.activation_bytes + RESERVE


def test_a_board_of_terabytes_reserves_no_more_than_the_largest_device():
    """0.7 GB and 2 % of 300 GB, no 124 GB of 6,144."""
    large = replace(DEVICE, memory_bytes=6.144e12, confidence="recalled")
    found = tf.fit(decoder(), large, prompt=100, generate=28).memory
    assert found.reserve_bytes == 0.7e9 + 0.02 * 300e9
    uncertain = found.activation_bytes + found.reserve_bytes
    assert found.high_bytes == pytest.approx(found.total_bytes + uncertain + 300e9 / 16)


def test_only_a_chunk_of_a_long_prompt_is_in_flight():
    found = tf.fit(decoder(), DEVICE, batch=2, prompt=50_000, generate=0).memory
    assert found.activation_bytes == 8192 * (2 * WIDTH + 2 * 512) * 2 + 4 * 1000 * 2


def test_the_longest_context_is_what_the_cache_leaves():
    model, batch = decoder(max_position_embeddings=10**8), 1000
    found = tf.fit(model, DEVICE, batch=batch, prompt=1000, generate=0)
    tokens_in_flight = 8192 * (2 * WIDTH + 2 * 512) * 2 + 4 * 1000 * batch
    left = MEMORY - RESERVE - WEIGHTS - tokens_in_flight
    assert found.longest_context == int(left // (batch * TOKEN))


@pytest.mark.parametrize(
    ("engine", "cards"),
    [
        (None, "rtx-4090"),
        ("transformers", "rtx-4090"),
        ("vllm", "rtx-4090"),
        ("llama.cpp", "rtx-4090"),
        (None, "rtx-4090 + rtx-3060"),
        ("llama.cpp", "rtx-4090 + rtx-3060"),
    ],
)
def test_a_prompt_as_long_as_the_longest_context_leaves_fits_and_one_token_more_does_not(
    engine, cards
):
    """The activations of a prompt that an engine reads whole grow with it."""
    model, asked = tf.load_model("llama-3.1-8b"), {"profile": engine, "generate": 100}
    longest = tf.fit(model, cards, batch=2, prompt=1000, **asked).longest_context
    assert 10_000 < longest < model.max_positions
    again = tf.fit(model, cards, batch=2, prompt=longest - 100, **asked)
    assert again.fits
    assert again.longest_context == longest
    assert not tf.fit(model, cards, batch=2, prompt=longest - 99, **asked).fits


def test_replicas_share_the_batch_and_each_holds_the_weights():
    found = tf.fit(decoder(), DEVICE, dp=2, batch=6, prompt=100, generate=28)
    assert found.memory.kv_bytes == 3 * 128 * TOKEN
    assert found.memory.weight_bytes == WEIGHTS
    one = tf.fit(decoder(), DEVICE, batch=3, prompt=100, generate=28)
    assert found.largest_batch == 2 * one.largest_batch


def test_stages_hold_their_layers_and_the_larger_table():
    found = tf.fit(decoder(num_hidden_layers=3), DEVICE, pp=2, batch=2, prompt=100, generate=28)
    assert found.memory.weight_bytes == 2 * (2 * (MATRICES + NORMS) + HEAD_MATRIX)
    assert found.memory.kv_bytes == 2 * 128 * TOKEN / LAYERS * 2


@pytest.mark.parametrize("most", [1, 2, 3, 7, 8, 100, 12345])
def test_the_largest_is_found_by_halving(most):
    assert largest(lambda value: value <= most) == most
    assert largest(lambda value: value <= most, 5) == min(most, 5)
    assert largest(lambda value: value < 1) == 0


def test_what_is_missing_is_said():
    assert occupied_text(81e9, 80e9) == (
        "memory a device: 81.0 GB of 80.0 GB, DOES NOT FIT: 1.00 GB missing"
    )
    assert occupied_text(80e9, 80e9) == "memory a device: 80.0 GB of 80.0 GB, fits"


def test_a_card_that_counts_as_a_smaller_one_is_named() -> None:
    fitted = tf.fit("llama-3-8b", "rtx-4090 + rtx-3070", profile="vllm")
    assert (fitted.device.name, fitted.larger) == ("RTX 3070", ("RTX 4090",))
    assert fitted.plan == Layout(2)
    one = tf.fit("llama-3-8b", "rtx-4090 + rtx-3070", devices=4, profile="vllm")
    assert one.plan.devices == 4
    assert "RTX 4090 counts as RTX 3070" in " ".join(str(fitted).split())
    for alike in ("rtx-4090 + rtx-4090", "rtx-4090"):
        assert tf.fit("llama-3-8b", alike, profile="vllm").larger == ()
    assert tf.fit("llama-3-8b", "rtx-4090 + rtx-3070", profile="llama.cpp").larger == ()


def test_estimate_says_what_fit_says_of_an_engines_memory() -> None:
    """By the sum two cards hold 70B in AWQ; vLLM leaves too little of each, in halves of heads."""
    run = {"devices": 2, "dtype": "awq", "profile": "vllm"}
    estimate = tf.estimate("llama-3-70b", "4090", **run)
    fit = tf.fit("llama-3-70b", "4090", **run)
    assert (bool(estimate.memory.fits), fit.fits) == (True, False)
    assert "DOES NOT FIT as vllm divides memory" in str(estimate)
    assert "it would fit with" not in str(estimate)
    assert not [each for each in fit.remedies if each.kind == "engine option"]
    assert "DOES NOT FIT" not in str(tf.estimate("llama-3-70b", "4090", **run, pp=2, tp=1))


@pytest.mark.parametrize(
    ("model", "hardware", "run"),
    [
        ("llama-3-8b", "4090", {"batch": 48, "profile": "vllm"}),
        ("llama-3.3-70b", "rtx-3060 + rtx-3090",
         {"dtype": "q3_k_m", "profile": "llama.cpp", "batch": 4}),
        ("gpt-oss-20b", "m1", {}),  # llama.cpp's, whose rates stand for those of an Apple GPU
    ],
)  # fmt: skip
def test_estimate_ends_and_prints_as_fit_where_the_sum_says_otherwise(model, hardware, run):
    fits = tf.fit(model, hardware, **run).fits
    assert bool(tf.estimate(model, hardware, **run).memory.fits) != fits
    known = tf.load_model(model)
    text, ends = estimate_report(known, hardware, run)
    said = json.loads(estimate_report(known, hardware, run, ReportOptions(as_json=True))[0])
    assert (ends, said["fits"]) == (fits, fits)
    header, _, memory = text.partition("memory a device: ")
    assert ("it fits as" in header, "DOES NOT FIT" in header) == (fits, not fits)
    assert (", fits" in memory, "DOES NOT FIT" in memory) == (fits, not fits)


def test_estimate_names_the_option_with_which_it_would_fit() -> None:
    """By the sum two H100 hold 70B with ten sequences; vLLM asks for 0.93 of them, not 0.92."""
    run = {"devices": 2, "batch": 10, "profile": "vllm"}
    said = " ".join(str(tf.estimate("llama-3-70b", "h100", **run)).split())
    assert tf.fit("llama-3-70b", "h100", **run).remedies[0].kind == "engine option"
    assert said.partition("it would fit with ")[2].startswith("--gpu-memory-utilization 0.93")


def test_another_layout_of_the_same_devices_is_a_remedy() -> None:
    fit = tf.fit("llama-3-70b", "4090", devices=2, dtype="awq", profile="vllm")
    assert fit.plan.label == "tp=2"
    assert "2 devices (pp=2)" in [remedy.text for remedy in fit.remedies]
    assert tf.fit("llama-3-70b", "4090", tp=1, pp=2, dtype="awq", profile="vllm").fits


def test_an_encoder_is_not_said_to_be_causal_nor_to_have_a_first_token() -> None:
    estimated = tf.estimate("bge-m3", "4090")
    said = str(estimated)
    assert estimated.conventions["attention"].startswith("full")
    assert "causal" not in said and "first token" not in said  # noqa: PT018


def test_an_encoder_reads_all_of_its_batch_at_once() -> None:
    """BERT's widest layer holds 2 x 768 + 3,072 elements of 2 bytes for each of 512 tokens: a
    sequence takes 4.7 MB, and an H100 no millions of them. Its head gives 30,522 logits."""
    found = tf.fit("bert-base-uncased", "h100", batch=100)
    assert found.memory.activation_bytes == 100 * (512 * (2 * 768 + 3072) * 2 + 4 * 30522)
    assert 10_000 < found.largest_batch < 20_000
    assert tf.fit("bert-base-uncased", "h100", batch=found.largest_batch).fits
    assert not tf.fit("bert-base-uncased", "h100", batch=found.largest_batch + 1).fits


@pytest.mark.parametrize(
    ("engine", "most", "runs"),
    [
        ("sglang", "no limit: read in chunks, nothing kept", "any number"),
        ("vllm", "1,024", "1,024"),
    ],
)
def test_of_an_encoder_an_engine_keeps_nothing(engine: str, most: str, runs: str) -> None:
    said = str(tf.fit("bert-base-uncased", "h100", profile=engine))
    assert f"largest batch at this context:    {most}\n" in said
    assert f"{engine}: no cache to hold; it runs {runs} at once\n" in said


def test_how_weights_are_kept_is_said_before_the_figures() -> None:
    said = str(tf.fit("gpt-oss-20b", "h100"))
    assert said.index("mxfp4 in groups of 32") < said.index("activations")


def test_a_model_that_reads_nothing_but_images_has_their_tokens_for_a_prompt() -> None:
    """(224 / 16)^2 patches and a class token."""
    found = tf.estimate("vit-base-patch16-224", "l4", batch=8)
    assert found.prompt == 14 * 14 + 1
    assert found.prefill_tokens_per_s == 8 * 197 / found.first_token.expected_s
    capacity = tf.fit("vit-base-patch16-224", "l4", batch=8)
    assert capacity.longest_context == 197
    assert capacity.memory.activation_bytes == 8 * 197 * (2 * 768 + 3072) * 2
    assert str(tf.estimate("vit-base-patch16-224", "l4", batch=8, prompt=1024)) == str(found)


@pytest.mark.parametrize(
    ("option", "refused"),
    [({"n_cpu_moe": 20}, True), ({"ngl": 10}, True), ({"ngl": 99}, False), ({}, False)],
)
def test_a_part_on_the_host_is_refused_over_cards_that_are_not_alike(option, refused) -> None:
    asked = {"dtype": "q4_k_m", "profile": "llama.cpp", "engine_options": option}
    if not refused:
        assert tf.fit("mixtral-8x7b", "rtx-3090 + rtx-3060-12gb", **asked).cards
        return
    with pytest.raises(UsageError, match="not counted over cards that are not alike"):
        tf.fit("mixtral-8x7b", "rtx-3090 + rtx-3060-12gb", **asked)


def test_the_fewest_devices_are_never_more_than_those_that_hold_the_run():
    """Of an engine that spreads layers, of which a stage has the table too: 4 x 17.2 GB."""
    asked = {"batch": 2, "prompt": 2, "generate": 128, "profile": "autoawq", "dtype": "bf16"}
    found = tf.fit("granite-4.0-h-small", "tpu-v5e", tp=4, **asked)
    assert found.fits
    assert (found.fewest_devices, found.fewest_plan) == (4, found.plan)
    assert "no option decides" in str(found)


@pytest.mark.parametrize(
    ("device", "dtype"), [("v100", "fp8"), ("t4", "nvfp4"), ("h100", "nvfp4"), ("m2 ultra", "int8")]
)
def test_what_estimate_refuses_for_a_format_fit_refuses_as_well(device, dtype):
    for ask in (tf.estimate, tf.fit):
        with pytest.raises(UsageError, match="does not compute in"):
            ask("llama-3-8b", device, dtype=dtype)
