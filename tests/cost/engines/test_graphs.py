"""llama.cpp's compute buffer, from counts by hand and from what it printed when it started."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import HEADS, INNER, KEY_WIDTH, MIXTURE, WIDTH, decoder
from thermoflop.base.record import replace
from thermoflop.cost.engines.graphs import compute_buffer
from thermoflop.cost.engines.options import read_options
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.work.share import Layout, Share

MIB = 2.0**20
BEFORE = 9000  # a build that masks in fp32, and lays logits of every token out
FEED = 4 * 512 * 3 * (WIDTH + INNER)


def buffer(context=1024, slots=1, cuda=True, kv="fp16", part=None, **options):
    share = part or Share(decoder().description, Layout(), choose_precision("bf16", kv))
    return compute_buffer(share, read_options("llama.cpp", options), context, slots, cuda)


def with_vocabulary(tokens):
    model = decoder(vocab_size=tokens)
    return Share(model.description, Layout(), choose_precision("bf16", "fp16"))


def test_it_has_logits_of_one_token_a_slot_and_before_of_every_token():
    wide = with_vocabulary(1_000_000)
    each = 4 * (1_000_000 + WIDTH)
    assert buffer(part=wide, slots=7) == 7 * each
    assert buffer(part=wide, n_outputs_max=64) == 64 * each
    assert buffer(part=wide, build=BEFORE) == 512 * each
    assert buffer(part=wide, n_outputs_max=9999, batch_size=256) == 256 * each
    # no more than a slot of 256 cells has
    assert buffer(10, part=wide, build=BEFORE) == 256 * each


def test_its_mask_has_a_column_a_cell_in_16_bits_and_before_in_fp32_besides():
    assert buffer(1000) == 2 * 512 * 1024 + FEED
    assert buffer(100_000, ubatch_size=256) == 2 * 256 * 100_096 + FEED / 2
    # two states; queries, turned, and results
    attention = 4 * 512 * (2 * WIDTH + 3 * WIDTH)
    assert buffer(100_000, build=BEFORE) == (2 + 4) * 512 * 100_096 + attention


def test_a_window_has_a_mask_of_its_own():
    """Gemma 3 12B: 8,192 cells of every token, and 1,024 with a micro-batch of a window."""
    model = tf.load_model("gemma-3-12b")
    share = Share(model.description, Layout(), choose_precision("q4_k_m", "fp16"))
    alike = buffer(8192, part=share, swa_full=True)
    assert buffer(8192, part=share) - alike == 2 * 512 * (1024 + 512)


def test_a_layer_of_a_quantized_cache_is_there_in_16_bits_on_cuda_alone():
    """ggml-cuda's flash attention reads 16 bits; five queries: those of q8_0 are turned."""
    attention = 4 * 512 * (2 * WIDTH + 5 * WIDTH)
    cells = 3 * 65_536 * 2 * KEY_WIDTH  # keys and values of three slots
    mask = 2 * 512 * 65_536
    assert buffer(65_536, slots=3, kv="q8_0") == mask + attention + 2 * cells
    assert buffer(65_536, slots=3, kv="q8_0", cuda=False) == mask + FEED
    assert buffer(65_536, slots=3, kv="q8_0", build=BEFORE) == 3 * mask + attention


def test_chosen_experts_have_gate_up_product_and_result():
    part = Share(decoder(**MIXTURE).description, Layout(), choose_precision("bf16", "fp16"))
    experts = 2 * (3 * INNER + WIDTH)
    assert buffer(part=part) == 2 * 512 * 1024 + 4 * 512 * (3 * WIDTH + experts)


def test_without_flash_attention_it_has_the_scores_of_all_heads_with_their_mask():
    assert buffer(100_000, flash_attn=False) == 4 * 512 * 100_000 * (HEADS + 1)
    assert buffer(256, slots=2, flash_attn=False) == FEED


@pytest.mark.parametrize(
    ("model", "context", "asked", "printed"),
    [
        # one hidden state beside the logits: 4 x 512 x (151,936 + 2,048) and (128,256 + 4,096)
        ("qwen2.5-3b", 4096, {"build": BEFORE}, 300.75),
        ("llama-3-8b", 8192, {"build": BEFORE}, 258.5),
        ("qwen3-4b", 8192, {"n_outputs_max": 4}, 85.01), ("qwen3.5-27b", 32_768, {}, 154.02),
        ("qwen3.5-27b", 196_608, {}, 314.02), ("qwen3.5-27b", 131_072, {"build": BEFORE}, 495.0),
        ("gemma-4-26b-a4b", 8192, {"ubatch_size": 2048}, 428.07),
        ("qwen3.5-9b", 8192, {"ubatch_size": 2048}, 416.44),
        # of four experts with biases 5 x 2,880 and 3 results
        ("gpt-oss-20b", 8192, {}, 216.92),
        # two rows of 35 x 256 for every token
        ("gemma-4-e2b", 8192, {"ubatch_size": 2048}, 560.07),
    ],
)  # fmt: skip
def test_it_is_what_llama_cpp_prints_within_a_tenth(model, context, asked, printed):
    share = Share(tf.load_model(model).description, Layout(), choose_precision("q4_k_m", "fp16"))
    assert buffer(context, part=share, **asked) / MIB == pytest.approx(printed, rel=0.1)


@pytest.mark.parametrize(
    ("context", "printed"), [(65_536, 251.69), (131_072, 443.69), (262_144, 827.69)]
)
def test_with_a_quantized_cache_it_is_what_llama_cpp_prints_within_a_twentieth(context, printed):
    """Qwen3.6-35B-A3B: 1 KiB of mask a token, and 2 of 2 heads of 256 of keys and of values."""
    precision = replace(choose_precision("q4_k_m", "fp16"), kv_bytes=34 / 32)
    share = Share(tf.load_model("qwen3.6-35b-a3b").description, Layout(), precision)
    assert buffer(context, part=share) / MIB == pytest.approx(printed, rel=0.05)
