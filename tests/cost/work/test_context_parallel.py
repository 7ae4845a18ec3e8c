"""Context parallel and the reasons of training: what each device does, and that it adds up."""

from __future__ import annotations

import json

import pytest
import thermoflop as tf
from thermoflop.cli import main
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.errors import UsageError


@pytest.fixture(scope="module")
def model():
    """A model with grouped heads."""
    return tf.load_model("llama-3-8b")


def sums(model, cp, step, name):
    """FLOPs, cache bytes and weight bytes of the operators of a kind on one device."""
    found = Share(model.description, Layout(cp=cp), choose_precision()).works(step)
    chosen = [work for work in found if work.kind == name]
    return (
        sum(work.times * work.flops for work in chosen),
        sum(work.times * work.kv_bytes for work in chosen),
        sum(work.times * work.weight_bytes for work in chosen),
    )


def test_decoding_divides_the_cache_and_nothing_else(model):
    """Every device runs the new token through all weights and attends to its part of the cache."""
    step = decode_step(65536, 4)
    whole, part = sums(model, 1, step, "contraction"), sums(model, 4, step, "contraction")
    assert part == whole
    whole, part = sums(model, 1, step, "attention"), sums(model, 4, step, "attention")
    assert part[0] == pytest.approx(whole[0] / 4)
    assert part[1] == pytest.approx(whole[1] / 4)


def test_a_prompt_is_divided_by_its_tokens_and_sees_all_keys(model):
    """FLOPs are divided; keys and values of all tokens pass every device."""
    step = prefill_step(32768, 1)
    whole, part = sums(model, 1, step, "contraction"), sums(model, 4, step, "contraction")
    assert part[0] == pytest.approx(whole[0] / 4)
    assert part[2] == whole[2]
    whole, part = sums(model, 1, step, "attention"), sums(model, 4, step, "attention")
    assert part[0] == pytest.approx(whole[0] / 4)
    assert part[1] == whole[1]


def test_what_is_sent_over_the_context(model):
    """A prompt sends keys and values round a ring; a decode step the results of its heads."""
    share = Share(model.description, Layout(cp=4), choose_precision())
    ring = [work for work in share.works(prefill_step(32768, 1)) if work.kind == "network"]
    assert [work.name for work in ring] == ["ring KV"]
    keys_and_values = 32768 * 2 * 8 * 128 * 2
    assert ring[0].activation_bytes == pytest.approx(keys_and_values * 3 / 4)
    assert (ring[0].times, ring[0].collective_steps) == (32, 3)
    merge = [work for work in share.works(decode_step(65536, 4)) if work.kind == "network"]
    assert [work.name for work in merge] == ["merge context"]
    assert merge[0].activation_bytes == pytest.approx(2 * 3 / 4 * 4 * 32 * 128 * 2)
    assert (merge[0].times, merge[0].collective_steps) == (32, 2 * 2)  # of a tree of four


def test_a_long_context_is_decoded_faster_over_more_devices(model):
    """With the cache divided; a short one gains nothing."""
    long = {cp: tf.estimate("llama-3.1-8b", "h100", cp=cp, prompt=120_000, generate=8, batch=4)
            for cp in (1, 4)}  # fmt: skip
    assert long[4].per_token.expected_s < 0.7 * long[1].per_token.expected_s
    short = {
        cp: tf.estimate("llama-3.1-8b", "h100", cp=cp, prompt=100, generate=8) for cp in (1, 4)
    }
    assert short[4].per_token.expected_s > short[1].per_token.expected_s


@pytest.mark.parametrize("profile", [None, "megatron-lm", "llm-foundry"])
def test_the_operators_of_an_iteration_add_up_to_it(profile):
    """What ``--why`` shows is what is expected, to rounding."""
    from thermoflop.cost.training.why import training_reasons

    found = tf.train(
        "gpt-3-175b", "a100", devices=1024, tp=8, pp=8, global_batch=1536, recompute="full",
        profile=profile,
    )  # fmt: skip
    reasons, rest = training_reasons(found.question, found.profile)
    assert sum(reason.time_s for reason in reasons) + rest == pytest.approx(
        found.iteration.expected_s, rel=1e-9
    )
    assert max(len(line) for line in found.why().splitlines()) <= 100


def test_train_says_why(capsys):
    """As text and as JSON."""
    words = ["train", "llama-3-8b", "--devices", "8", "--why"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "gradients" in shown
    assert "down_proj" in shown
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["why"]


def test_energy_of_a_device_without_rows_is_wider():
    """And says so."""
    known = tf.estimate("gpt2", "h100", prompt=9, generate=9).energy
    other = tf.estimate("gpt2", "a100", prompt=9, generate=9).energy
    assert "interval widened" in other.assumption
    assert "interval widened" not in known.assumption
    widths = [each.power_high_w / each.power_low_w for each in (known, other)]
    assert widths[1] > widths[0]


def test_training_on_no_tokens_is_refused(model):
    """Not counted as 0."""
    with pytest.raises(UsageError, match="0 tokens"):
        model.training(0)


def test_keys_to_ignore_must_be_there(capsys):
    """A misspelt key is told."""
    assert main(["estimate", "gpt2", "--prompt", "9", "--ignore", "foo"]) == 2
    assert "foo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ops", "llama-3-8b", "--images", "3"], "--images 3"),
        (["ops", "llama-3-8b", "--weights", ""], "not a number format"),
    ],
)
def test_options_that_mean_nothing_are_refused(words, said, capsys):
    """Images for a model of text; an empty format."""
    assert main(words) == 2
    assert said in capsys.readouterr().err
