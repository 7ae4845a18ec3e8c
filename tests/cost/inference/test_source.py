"""What an encoder reads beside a decoder is counted in steps and memory, as long as asked for."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.inference.source import with_source
from thermoflop.cost.roofline.bound import sums_of
from thermoflop.errors import UsageError

MODEL = tf.load_model("t5-small")
ASKED = {"prompt": 8, "generate": 4, "batch": 2, "dtype": "bf16"}


def test_an_encoder_that_reads_so_much_is_counted_as_ops_counts_it():
    """The prompt runs it, and a token attends to what it made of its source."""
    setting = tf.estimate(MODEL, "l4", encoder=300, **ASKED).setting
    prompt = MODEL.operators(2, 8, encoder=300, attention="causal", logits="last")
    token = MODEL.decode(20, 2, encoder=300)
    read, decoded = setting.least_works(setting.whole_prompt(8, 2)), setting.least_decoding(2)(20)
    assert sums_of(read).flops == pytest.approx(float(prompt.flops))
    assert sums_of(decoded).flops == pytest.approx(float(token.flops))


@pytest.mark.parametrize("ask", [tf.estimate, tf.fit])
def test_the_cache_holds_keys_and_values_of_the_source(ask):
    """6 layers, 8 heads of 64, keys and values, 2 bytes, of 300 tokens each of 2 sequences."""
    with_it, without = (ask(MODEL, "l4", encoder=n, **ASKED) for n in (300, None))
    more = with_it.memory.kv_bytes - without.memory.kv_bytes
    assert more == 6 * 2 * 8 * 64 * 2 * 300 * 2
    assert "encoder 300" in str(with_it)
    assert "not counted" not in str(with_it)
    assert "--encoder N" in str(without)


@pytest.mark.parametrize(
    ("model", "asked", "said"),
    [("gpt2", {"encoder": 9}, "no encoder"), ("bert-base-uncased", {"encoder": 9}, "no encoder"),
     ("bart-large-cnn", {"encoder": 1025}, "passes the 1024 positions"),
     ("whisper-tiny", {"encoder": 1501}, "passes the 1500 positions"),
     ("t5-small", {"encoder": 0}, "whole number from 1"),
     ("t5-small", {"encoder": "many"}, "whole number from 1")],
)  # fmt: skip
def test_a_source_that_a_model_cannot_have_is_refused(model, asked, said):
    with pytest.raises(UsageError, match=said):
        tf.estimate(model, "l4", **asked)


def test_an_encoder_runs_once_whatever_is_read_at_once():
    """llama.cpp reads 512 tokens at once; the encoder of a longer prompt's source runs as well."""
    model = tf.load_model("t5-small", beyond_context=True)
    asked = {"prompt": 1100, "generate": 2, "profile": "llama.cpp"}
    setting = tf.estimate(model, "l4", encoder=400, **asked).setting
    assert [step.runs_encoder for _, step in setting.prompt_steps(1100, 1)] == [True]
    with pytest.raises(UsageError, match="chunk=64 is for a decoder alone"):
        tf.estimate("t5-small", "l4", chunk=64)


def test_without_a_length_a_model_is_what_it_was():
    assert with_source(MODEL, None) is MODEL
    assert with_source("t5-small", 32).description.stack("encoder").positions == 32
