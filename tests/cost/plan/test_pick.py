"""tf.pick: what it says runs does run, and nothing larger that would was left out."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import thermoflop as tf
from thermoflop.cli import main
from thermoflop.cost.data import read_data
from thermoflop.cost.plan.pick import totals, totals_of
from thermoflop.errors import UsageError

LAPTOP = "rtx 4060 laptop"


def test_the_table_says_what_the_models_say():
    """Every tenth model; those that it lacks are read."""
    known = read_data("totals")
    assert len(known) > 300
    for name in sorted(known)[::10]:
        assert known[name] == totals_of(name), f"{name}: python tests/cost/plan/make_totals.py"


def test_what_is_picked_fits_with_its_context_and_no_more():
    for each in tf.pick(LAPTOP, top=4).picks:
        asked = {"dtype": each.dtype, "profile": "llama.cpp", "prompt": 64}
        fitted = tf.fit(each.model_name, LAPTOP, generate=each.context - 64, **asked)
        assert fitted.fits
        assert fitted.longest_context == each.context


def test_its_speed_is_that_of_an_estimate():
    each = tf.pick(LAPTOP, pattern="qwen3-8b", top=1).picks[0]
    run = tf.estimate(
        each.model_name, LAPTOP, prompt=1024, generate=128, dtype=each.dtype, profile="llama.cpp"
    )
    assert each.tokens_per_s[1] == 1 / run.per_token.expected_s
    assert each.first_s == run.first_token.expected_s


def test_a_model_that_a_name_was_given_for_is_shown_in_every_format_that_runs():
    """8 GB hold an 8B model of 8.19e9 parameters in 4 and in 6 bits, not in 8."""
    found = tf.pick(LAPTOP, pattern="qwen3-8b")
    assert [each.dtype for each in found.picks if each.model_name == "qwen3-8b"] == [
        "q6_k",
        "q4_k_m",
    ]
    assert "widest" not in str(found)
    assert "in the widest format that does" in str(tf.pick(LAPTOP, top=2))


def test_no_larger_model_that_runs_is_left_out():
    """All larger ones, in the narrowest format: too large or too slow."""
    picks = tf.pick(LAPTOP, top=1, pattern="qwen").picks
    for each in totals():
        if "qwen" not in each.name or not each.params > picks[0].params:
            continue
        fitted = tf.fit(each.name, LAPTOP, dtype="q4_k_m", profile="llama.cpp", prompt=4095,
                        generate=1)  # fmt: skip
        assert not fitted.fits, each.name


@pytest.mark.parametrize("context", [512, 2000])
def test_every_model_picked_holds_the_context(context):
    """gpt2 has 1,024 positions."""
    found = tf.pick(LAPTOP, context=context, pattern="gpt2", top=4)
    names = [name for each in found.picks for name in (each.model_name, *each.alike)]
    assert ("gpt2" in names) == (context <= 1024)
    assert all(each.context >= context for each in found.picks)
    if found.picks:
        assert f"a prompt of {min(1024, context // 2):,};" in str(found)


def test_orders_and_floors_hold():
    fast = tf.pick("m2 ultra", sort="speed", top=5).picks
    assert all(a.tokens_per_s[1] >= b.tokens_per_s[1] for a, b in pairwise(fast))
    large = tf.pick("m2 ultra", at_least=25, top=5).picks
    assert all(each.tokens_per_s[1] >= 25 for each in large)
    assert large[0].params > fast[0].params


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"sort": "taste"}, "taste"), ({"at_least": -1}, "at_least=-1"), ({"dtypes": []}, "dtypes"),
     ({"context": 0}, "context=0"), ({"top": 0}, "top=0")],
)  # fmt: skip
def test_nonsense_is_named(asked, said):
    with pytest.raises(UsageError, match=said):
        tf.pick(LAPTOP, **asked)


def test_a_device_without_peaks_is_named():
    with pytest.raises(UsageError, match="peaks of Mine"):
        tf.pick(tf.Device("Mine", memory_bytes=48e9, bandwidth_bytes_s=1e12, peaks={}))


def test_the_command_says_by_its_code_whether_anything_runs(capsys):
    assert main(["pick", "--gpu", LAPTOP, "--top", "2", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["picks"]) == 2
    assert main(["pick", "--gpu", LAPTOP, "--at-least", "100000"]) == 1
    assert "no model" in capsys.readouterr().out
