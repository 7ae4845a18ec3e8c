"""tf.plan_training: its choices fit, and no layout that tf.train finds faster was left out."""

from __future__ import annotations

import json
import re

import pytest
import thermoflop as tf
from thermoflop.base.paper import paper
from thermoflop.cli import main
from thermoflop.errors import UsageError


def test_no_layout_of_train_that_fits_is_faster():
    found = tf.plan_training("llama-3-8b", "h100", max_devices=8, tokens=1e10, global_batch=64)
    best = found.choices[0]
    days = []
    for tp, pp in ((1, 1), (2, 1), (1, 2), (4, 2), (8, 1)):
        for zero, recompute in ((1, "none"), (3, "none"), (3, "full")):
            made = tf.train(
                "llama-3-8b", "h100", devices=8, tp=tp, pp=pp, zero=zero, recompute=recompute,
                global_batch=64, tokens=1e10,
            )  # fmt: skip
            if made.memory.fits:
                days.append(made.days[0])
    assert days
    assert best.days[0] <= min(days)


def test_within_days_the_least_device_hours_win():
    asked = {"tokens": 1e11, "global_batch": 256, "price": 2.0}
    fast = tf.plan_training("llama-3-8b", "h100", max_devices=16, **asked).choices[0]
    cheap = tf.plan_training(
        "llama-3-8b", "h100", max_devices=16, max_days=4 * fast.days[0], **asked
    ).choices[0]
    assert cheap.days[0] <= 4 * fast.days[0]
    assert cheap.price <= fast.price
    never = tf.plan_training("llama-3-8b", "h100", max_devices=8, max_days=0.001, **asked)
    assert not never.choices
    assert "number of devices" in never.nearest


def test_the_devices_that_would_train_it_do():
    asked = {"tokens": 1e12, "max_days": 1, "global_batch": 512}
    said = tf.plan_training("gpt2", "h100", max_devices=8, **asked).nearest
    count = int(re.search(r"([\d,]+) x \S+ would do", said)[1])
    assert tf.plan_training("gpt2", "h100", max_devices=count, **asked).choices
    assert not tf.plan_training("gpt2", "h100", max_devices=count // 2, **asked).choices


def test_a_narrow_page_says_the_device_once_and_keeps_layouts_and_days():
    """A number, a layout and ``3.28 (2.65-4.05)`` need no more than 40 columns."""
    found = tf.plan_training("gpt2", "h100", max_devices=8, tokens=1e12, global_batch=64, top=3)
    with paper(40):
        _, said, table, *_ = str(found).split("\n\n")
    assert said == "all rows: device 8 x H100-SXM-80GB"
    assert {"layout", "days"} <= set(table.splitlines()[0].split())


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"tokens": 1, "max_devices": 2**17 + 1}, "from 1 to 131,072"),
     ({"tokens": 1, "top": 1001}, "from 1 to 1,000"), ({"tokens": 1, "max_days": 1e6}, "max_days"),
     ({"tokens": -1}, "tokens=-1"), ({"tokens": 1, "max_days": 0}, "max_days=0"),
     ({"tokens": 1, "max_devices": 0}, "max_devices=0"), ({"tokens": 1, "dtype": "int4"}, "int4")],
)  # fmt: skip
def test_nonsense_is_named(asked, said):
    with pytest.raises(UsageError, match=said):
        tf.plan_training("llama-3-8b", "h100", **asked)


def test_the_command_plans_training_and_several_models(capsys):
    options = ["plan", "gpt2", "distilgpt2", "--gpu", "a100", "--max-devices", "1", "--json"]
    assert main([*options, "--train", "--tokens", "1e9", "--global-batch", "8"]) == 0
    plans = json.loads(capsys.readouterr().out)["plans"]
    assert [bool(each["choices"]) for each in plans] == [True, True]
    assert main([*options, "--train"]) == 2
    assert "--tokens" in capsys.readouterr().err


def test_what_no_device_trains_whole_may_have_adapters() -> None:
    """1.56B with AdamW's 16 bytes a parameter are 25 GB, on 16; 4 bits and adapters of it fit."""
    said = tf.plan_training("gpt2-xl", "t4", tokens=1e9, max_devices=1).nearest
    assert said.endswith("; one trains adapters: train gpt2-xl --lora 16 --base nf4")
    assert tf.train("gpt2-xl", "t4", lora=16, base_dtype="nf4", global_batch=1).memory.fits


def test_training_is_planned_on_the_best_of_several_devices() -> None:
    asked = {"tokens": 1e9, "max_devices": 1, "global_batch": 8}
    both = tf.plan_training("gpt2", "a100,h100", **asked)
    each = [tf.plan_training("gpt2", gpu, **asked) for gpu in ("a100", "h100")]
    days = sorted(choice.days for found in each for choice in found.choices)
    assert [choice.days for choice in both.choices] == days[:5]
    assert "1 x H100-SXM-80GB" in str(both).splitlines()[3]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--train", "--tokens", "1e9", "--users", "3"], "--users is of a plan of serving"),
        (["--train", "--tokens", "1e9", "--kv-dtype", "fp8"], "--kv-dtype is of a plan of serving"),
        (["--tokens", "1e12"], "--tokens is of a plan of training"),
        (["--max-days", "2"], "--max-days is of a plan of training"),
    ],
)
def test_an_option_of_the_other_question_is_refused(options, named, capsys) -> None:
    assert main(["plan", "gpt2", "--gpu", "a100", *options]) == 2
    assert named in capsys.readouterr().err
