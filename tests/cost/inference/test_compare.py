"""Attention what-ifs: bytes of one device, in the formats of the run."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, LAYERS, decoder
from thermoflop.base.record import replace
from thermoflop.cost.inference.compare import compare, compare_text, forms_of, variant_figures
from thermoflop.errors import UsageError

# Llama-3-8B: 32 layers, 8 key heads of 128; a token's keys and values in all layers.
ELEMENTS = 2 * 32 * 8 * 128
# mlp 3*4096*14336 and attention (2*4096 + 2*1024)*4096 in each layer; head; norms
MATRICES = 32 * (3 * 4096 * 14336 + (2 * 4096 + 2 * 1024) * 4096)
HEAD, NORMS = 128_256 * 4096, (2 * 32 + 1) * 4096


def grouped(**options: Any) -> Any:
    """Llama-3-8B with its own eight key heads, on H100s."""
    model = tf.load_model("llama-3-8b")
    return {each.name: each for each in tf.compare(model, "h100", **options)}["GQA(8)"]


@pytest.mark.parametrize(
    ("options", "width_bytes", "shared_by"),
    [
        ({}, 2, 1),
        ({"dtype": "fp32"}, 4, 1),
        ({"dtype": "fp8"}, 2, 1),  # weights alone: the cache is as wide as the activations
        ({"dtype": "fp8", "kv_dtype": "fp8"}, 1, 1),
        ({"kv_dtype": "fp8", "tp": 4}, 1, 4),
        ({"pp": 2}, 2, 2),
        ({"cp": 2}, 2, 2),
        ({"dp": 2, "batch": 2}, 2, 1),  # every replica keeps its own sequences
    ],
)
def test_a_token_takes_elements_times_width_over_the_devices_that_share_it(
    options: dict[str, Any], width_bytes: int, shared_by: int
) -> None:
    assert grouped(**options).kv_bytes_per_token == ELEMENTS * width_bytes / shared_by


def test_one_key_head_is_kept_on_every_device() -> None:
    """One head cannot be divided: 2 * 32 layers * 128 elements of 2 bytes on each of four."""
    forms = {each.name: each for each in tf.compare(tf.load_model("llama-3-8b"), "h100", tp=4)}
    assert forms["MQA"].kv_bytes_per_token == 2 * 32 * 128 * 2


@pytest.mark.parametrize(
    ("options", "matrix_bytes", "cache_bytes", "tp"),
    [({}, 2, 2, 1), ({"dtype": "fp8"}, 1, 2, 1), ({"dtype": "fp8", "kv_dtype": "fp8"}, 1, 1, 2)],
)
def test_a_step_reads_the_weights_in_their_format_and_the_cache_of_one_device(
    options: dict[str, Any], matrix_bytes: int, cache_bytes: int, tp: int
) -> None:
    """Head and norms stay in 16 bits. The activations that are read are some 0.1 % of it all."""
    prompt = 4096
    run = grouped(prompt=prompt, generate=1, tp=tp, **options)
    weights = MATRICES * matrix_bytes / tp + HEAD * 2 / tp + NORMS * 2
    cache = prompt * ELEMENTS * cache_bytes / tp
    assert run.decode_bytes == pytest.approx(weights + cache, rel=2e-3)


def test_activations_that_are_read_are_as_wide_as_they_are() -> None:
    """Besides weights and cache; of four sequences four times, in fp32 twice those in bf16."""
    rests = []
    for batch, dtype, width in ((1, "bf16", 2), (4, "bf16", 2), (1, "fp32", 4)):
        run = compare(decoder(), replace(DEVICE, peaks={"bf16": 1e14, "fp32": 1e13}), prompt=100,
                      generate=1, batch=batch, dtype=dtype)[0]  # fmt: skip
        matrices = run.params - 1000 * 256  # the table is looked up
        cache = batch * 100 * LAYERS * 2 * 256
        rests.append(run.decode_bytes - width * (matrices + cache))
    assert rests[0] > 0
    assert rests[1:] == pytest.approx([4 * rests[0], 2 * rests[0]], rel=0.05)


def test_a_replica_reads_for_its_own_sequences_and_a_part_of_a_context_its_own_cache() -> None:
    """All decode the same context; over two devices of it each has half of the cache."""
    model, asked = decoder(num_hidden_layers=8), {"prompt": 50_000, "generate": 1}
    (one, *_), (two, *_), (half, *_) = (
        compare(model, DEVICE, batch=batch, **how, **asked)
        for batch, how in ((2, {}), (4, {"dp": 2}), (2, {"cp": 2}))
    )
    assert two.decode_bytes == pytest.approx(one.decode_bytes)
    cache = 2 * 50_000 * 8 * 2 * 256 * 2  # MHA: four heads of 64, keys and values
    assert one.decode_bytes - half.decode_bytes == pytest.approx(cache / 2, rel=1e-3)
    assert half.kv_bytes_per_token == one.kv_bytes_per_token / 2


def test_a_stage_reads_and_keeps_its_own_layers() -> None:
    """Two stages of a layer each, and half of the head."""
    (one, *_), (half, *_) = (compare(decoder(), DEVICE, prompt=64, pp=pp) for pp in (1, 2))
    assert half.decode_bytes == pytest.approx(one.decode_bytes / 2)
    assert half.kv_bytes_per_token == one.kv_bytes_per_token / 2


@pytest.mark.parametrize(
    ("heads", "kv_heads", "asked", "groups"),
    [(16, 16, None, 2), (16, 4, None, 4), (16, 1, None, 2), (4, 4, None, 2), (16, 16, 8, 8)],
)
def test_every_form_has_the_matrices_of_its_heads(heads, kv_heads, asked, groups):
    """Width 256, heads of 256 / heads; of a latent of 32, half of a head's dimensions rotate."""
    model = decoder(num_attention_heads=heads, num_key_value_heads=kv_heads)
    forms = forms_of(model, asked, 32)
    assert list(forms) == ["MHA", f"GQA({groups})", "MQA", "MLA(32)"]
    head, rest = 256 // heads, decoder(num_attention_heads=heads, num_key_value_heads=heads).params
    for form, kept in zip(forms.values(), (heads, groups, 1), strict=False):
        assert form.params == rest - LAYERS * 2 * 256 * (heads - kept) * head
        assert form.kv_bytes(1) == LAYERS * 2 * 2 * kept * head
    assert forms["MLA(32)"].kv_bytes(1) == LAYERS * 2 * (32 + head // 2)
    with pytest.raises(UsageError, match="gqa=3 does not divide the 16 heads"):
        forms_of(decoder(num_attention_heads=16, num_key_value_heads=16), 3, 32)
    with pytest.raises(UsageError, match="gqa=0"):
        forms_of(model, 0, 32)


@pytest.mark.parametrize(("heads", "groups"), [(25, 5), (52, 4), (8, 2), (12, 2), (24, 3)])
def test_where_an_eighth_does_not_divide_the_heads_what_does_and_is_nearest_is_taken(heads, groups):
    """Of 25 heads (GPT-2 XL) 3.1, of 52 (LLaMA 30B) 6.5: nearer to 4 than to 13; of 8 and 12 there
    is 1, too, but that is MQA."""
    model = decoder(hidden_size=8 * heads, num_attention_heads=heads, num_key_value_heads=heads)
    assert list(forms_of(model, None, 32))[1] == f"GQA({groups})"


@pytest.mark.parametrize("heads", [1, 2, 3, 71])
def test_heads_that_nothing_between_one_and_all_divides_have_no_grouped_form(heads):
    """71 are Falcon 7B's."""
    model = decoder(hidden_size=8 * heads, num_attention_heads=heads, num_key_value_heads=heads)
    assert list(forms_of(model, None, 32)) == ["MHA", "MQA", "MLA(32)"]


def test_layers_of_several_numbers_of_heads_have_as_many_keys_each():
    """Step 3.5 Flash: 12 layers with 64 heads and 33 with 96 of 128 dimensions."""
    mha = forms_of(tf.load_model("step-3.5-flash"), None, 512)["MHA"]
    assert mha.kv_bytes(1) == 2 * 2 * 128 * (12 * 64 + 33 * 96)


def test_the_table_says_the_format_and_whose_bytes_they_are() -> None:
    text = compare_text(tf.compare(tf.load_model("llama-3-8b"), "h100", dtype="fp8", tp=2))
    assert text.splitlines()[0].endswith(", fp8; bytes are of one device")
    assert "bf16" not in text


def test_a_form_is_as_many_times_faster_as_a_token_of_mha_takes_longer() -> None:
    forms = tf.compare("llama-3-8b", "h100", batch=16, prompt=4096)
    figures = variant_figures(forms)
    mha = forms[0].estimate.per_token.expected_s
    for form, found in zip(forms, figures, strict=True):
        assert found["faster"].value == mha / form.estimate.per_token.expected_s
        assert found["faster"].text == f"{mha / form.estimate.per_token.expected_s:.2f} ×"
        assert found["fit.batch"].value == form.largest_batch
        assert found["model.params"].value == form.params
        assert found["model.kv"].value == form.kv_bytes_per_token
    assert figures[0]["faster"].value == 1 < figures[2]["faster"].value
    text = " ".join(compare_text(forms).split())
    assert f"parameters {forms[0].params / 1e9:.3f} G" in text
    assert "batch 16, 4096 + 128 tokens" in text
    assert "faster" not in variant_figures(tf.compare("llama-3-8b", "h100", generate=1))[0]


def test_a_refusal_says_what_attention_the_model_has_instead() -> None:
    with pytest.raises(UsageError, match="changed here: it has MLA's latent; expected a model"):
        tf.compare("deepseek-v3", "h100")
    with pytest.raises(UsageError, match=r"mamba-130m has no attention .* changed here; expected"):
        tf.compare("mamba-130m", "h100")


@pytest.mark.parametrize("profile", [None, "vllm"])
def test_largest_batches_are_those_that_fit_says(profile):
    """vLLM keeps its own memory free, so that it holds fewer than the plain sum would."""
    asked = {"devices": 2, "batch": 64, "prompt": 1024, "generate": 256, "profile": profile}
    own = tf.compare("llama-3-70b", "h100", **asked)[1]
    assert own.largest_batch == tf.fit("llama-3-70b", "h100", **asked).largest_batch
