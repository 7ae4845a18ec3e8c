"""Attention to the keys that an indexer chose, as serving engines run it."""

from __future__ import annotations

import numpy as np
import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.catalogue.seen import kind_of_model
from thermoflop.cost.engines.chosen import PADDING, PREPARING, keys_chosen
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.why.operator import derived
from thermoflop.cost.why.steps import parts_shown
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.model.load import load_model

WIDTHS = 576 + 512  # of a latent as key and as value (DeepSeek-V2, section 2.1)
LAYERS, HEADS, KEYS = 61, 128, 2048  # of DeepSeek-V3.2


def setting(profile, gpu="h200", tp=8, model="deepseek-v3.2", kv="bf16"):
    found = load_model(model)
    device, precision = find_device(gpu), choose_precision("fp8", kv_dtype=kv)
    return Setting(found, device, Layout(tp=tp), precision, find_profile(profile))


def of(works, name):
    return [work for work in works if work.name == name and work.times]


def attended_flops(works):
    return sum(work.times * work.flops for work in of(works, "attention"))


@pytest.mark.parametrize(
    ("model", "keys"), [("deepseek-v3.2", 2048), ("glm-5", 2048), ("deepseek-v3", 0)]
)
def test_keys_are_chosen_where_every_attention_is_latent_and_has_a_limit(model, keys):
    assert keys_chosen(load_model(model).description) == keys


@pytest.mark.parametrize(
    ("profile", "tokens", "absorbed"),
    [("vllm", 1000, True), ("vllm", 4000, True), ("sglang", KEYS, False), ("sglang", 2049, True),
     ("transformers", 4000, False)],
)  # fmt: skip
def test_prompts_are_absorbed_but_for_short_ones_of_sglang(profile, tokens, absorbed):
    works = setting(profile).works(prefill_step(tokens, 1))
    assert bool(of(works, "absorb keys")) is absorbed
    assert bool(of(works, "kv_b_proj")) is not absorbed


def test_what_chooses_keys_does_not_run_where_all_are_attended():
    works = setting("sglang").works(prefill_step(1000, 1))
    assert not of(works, "index scores")
    assert not of(works, "index_q")
    assert of(works, "index_k")  # decoding will ask for it


@pytest.mark.parametrize(("tp", "padded"), [(8, 64), (2, 64), (1, 128)])
def test_a_kernel_of_hopper_has_64_heads_and_a_place_for_every_key(tp, padded):
    works = setting("vllm", tp=tp).works(prefill_step(1000, 1))
    assert attended_flops(works) == pytest.approx(LAYERS * 1000 * KEYS * padded * 2 * WIDTHS)


def test_a_kernel_of_blackwell_has_128_heads_and_the_keys_that_are_there():
    works = setting("vllm", "b200").works(prefill_step(1000, 1))
    pairs = 1000 * 1001 / 2
    assert attended_flops(works) == pytest.approx(LAYERS * pairs * 128 * 2 * WIDTHS)


def test_other_devices_are_not_padded():
    works = setting("vllm", "l40s").works(prefill_step(1000, 1))
    pairs = 1000 * 1001 / 2
    assert attended_flops(works) == pytest.approx(LAYERS * pairs * HEADS / 8 * 2 * WIDTHS)


def test_it_takes_what_was_measured_on_b200():
    """8,192 queries of 2,048 keys, 16 heads padded to 128: 3.174 ms (vllm pull 33451)."""
    found = setting("vllm", "b200")
    (first, *_) = of(found.works(prefill_step(8192, 1, 8192)), "attention")
    assert float(found.rates.operator_s(replace(first, times=1))) == pytest.approx(
        3.174e-3, rel=0.2
    )


@pytest.mark.parametrize(("sequences", "cores"), [(1, 132), (33, 4), (132, 1), (500, 1)])
def test_vllm_decodes_a_sequence_on_one_core_of_hopper(sequences, cores):
    works = setting("vllm").works(decode_step(4000, sequences))
    needed = LAYERS * sequences * KEYS * 64 * 2 * WIDTHS
    assert attended_flops(works) == pytest.approx(needed * cores)


@pytest.mark.parametrize(
    ("step", "tp", "times"),
    [
        (decode_step(4000, 1), 8, 640 / 250), (decode_step(4000, 500), 8, 640 / 250),
        (prefill_step(4000, 1), 8, 640 / 250),
        (prefill_step(4000, 1), 4, 1),  # 32 heads a device: its cache is written in 16 bits first
    ],
)  # fmt: skip
def test_vllm_widens_a_cache_of_8_bits_in_a_kernel_that_divides_the_keys(step, tp, times):
    """Of 64 heads, at 250 TFLOP/s where 16 bits run at 640 (FlashMLA)."""
    places = LAYERS * step.batch * step.new * KEYS * 64 * 2 * WIDTHS
    works = setting("vllm", tp=tp, kv="fp8").works(step)
    assert attended_flops(works) == pytest.approx(places * times)
    sixteen = setting("sglang", tp=tp, kv="fp8").works(prefill_step(4000, 1))
    assert attended_flops(sixteen) == pytest.approx(LAYERS * 4000 * KEYS * 64 * 2 * WIDTHS)


def test_others_decode_unpadded():
    for found in (setting("sglang"), setting("vllm", "b200")):
        (first, *_) = of(found.works(decode_step(4000, 1)), "attention")
        assert first.flops == pytest.approx(KEYS * HEADS / 8 * 2 * WIDTHS)


def test_an_indexer_is_a_chain_of_small_kernels_that_the_host_starts_as_one():
    for step in (prefill_step(4000, 1), decode_step(4000, 1)):
        (first, *_) = of(setting("vllm").works(step), "index scores")
        assert (first.launches, first.launches - first.followers) == (1 + PREPARING, 1)
        (first, *_) = of(setting("vllm").works(step), "attention")
        assert (first.launches, first.launches - first.followers) == (1 + PADDING, 1)


def test_scores_are_written_and_read_in_32_bits():
    """Beside the queries in 16 bits, and 16 bits for each score as others write it."""
    pairs, queries = 4000 * 4001 / 2, 64 * 128 * 4000
    (first, *_) = of(setting("vllm").works(prefill_step(4000, 1)), "index scores")
    assert first.activation_bytes == pytest.approx(2 * queries + (2 + 4 + 4) * pairs)


def test_a_grid_of_prompts_takes_what_each_of_them_does():
    found = setting("sglang")
    tokens = np.array([512.0, 2048.0, 2049.0, 8192.0])
    together = found.step_s(prefill_step(tokens, 1))
    alone = [found.step_s(prefill_step(each, 1)) for each in tokens]
    assert together == pytest.approx(np.array(alone, dtype=float))


def test_formulas_of_a_prompt_are_those_of_the_form_that_runs():
    found = tf.estimate("deepseek-v3.2", "h200", devices=8, profile="vllm", prompt=4000)
    part = parts_shown(found)["prefill"]
    at = {work.name: index for index, work in enumerate(part.works)}
    lines, _ = derived(found.setting, part, at["absorb keys"])
    assert lines[0] == "FLOP = 2·b·s·d_c·n·r"
    lines, _ = derived(found.setting, part, at["attention"])
    assert "as its kernels run it" in " ".join(lines)


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("glm-5", "experts with latent attention to chosen keys"),
        ("deepseek-v3", "experts with latent attention"),
        ("minimax-m3", "experts with attention to chosen keys"),
        ("llama-3-8b", "dense"),
    ],
)
def test_attention_to_chosen_keys_is_a_kind_of_its_own_that_no_fitted_row_is(model, kind):
    found, profile = load_model(model), find_profile("vllm")
    assert kind_of_model(found) == kind
    unseen = profile.unseen(find_device("h200"), choose_precision("fp8"), found)
    assert ("kind" in unseen) == ("chosen" in kind)


@pytest.mark.parametrize(("tp", "heads", "seconds"), [(8, 16, 2.67e-3), (4, 32, 5.27e-3),
                                                      (1, 128, 4.02e-3)])  # fmt: skip
def test_sglang_reads_prompts_in_8_bits_on_blackwell_by_kernels_for_few_heads(tp, heads, seconds):
    """8,192 queries of 2,048 keys in half of what TensorRT-LLM's kernels take of 16 bits (vllm pull
    33451); FlashMLA's, of 128 heads, takes 3.15 ms, from which these are counted."""
    narrow, wide = (setting("sglang", "b200", tp, kv=kv) for kv in ("fp8", "bf16"))
    assert heads == HEADS / tp
    of_8, of_16 = (
        of(found.works(prefill_step(8192, 1, 8192)), "attention")[0] for found in (narrow, wide)
    )
    assert of_8.flops / of_16.flops == pytest.approx(seconds / 2 / 3.17e-3, rel=0.06)
    assert of_8.launches < of_16.launches or heads == HEADS


def test_sglang_decodes_chosen_keys_in_8_bits_as_they_are():
    (first, *_) = of(setting("sglang", "b200", kv="fp8").works(decode_step(4000, 1)), "attention")
    assert first.flops == pytest.approx(KEYS * HEADS / 8 * 2 * WIDTHS)
