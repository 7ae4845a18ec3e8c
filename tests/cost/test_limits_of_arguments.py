"""Between which values each argument makes sense: both ends, as the refusals and the manual say."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, decoder
from thermoflop.cost.catalogue.profiles import custom_profile
from thermoflop.cost.hardware.device import _check_field
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.remedies import checked_bandwidth
from thermoflop.cost.inference.speculative import tokens_per_check
from thermoflop.cost.plan.prices import prices_of
from thermoflop.cost.serving.serving import checked_load, checked_target
from thermoflop.cost.sweep.grid import grid_of
from thermoflop.cost.training.lora import choose_lora
from thermoflop.cost.training.offload import choose_offload
from thermoflop.cost.work.share import choose_layout
from thermoflop.errors import ThermoflopError, UsageError

SMALL = {"prompt": 16, "generate": 4}


def serving(**options):
    return tf.serving(decoder(), DEVICE, **{**SMALL, **options})


def plan(**options):
    return tf.plan(decoder(), DEVICE, **{**SMALL, **options})


def plan_training(**options):
    return tf.plan_training(decoder(), DEVICE, **{"tokens": 1e6, "global_batch": 4, **options})


def pick(**options):
    return tf.pick(DEVICE, pattern="no model has this name", **options)


def speculate(**options):
    return tf.speculate(decoder(), decoder(), DEVICE, **{**SMALL, **options})


def fit(**options):
    return tf.fit(decoder(), DEVICE, **options)


def train(**options):
    return tf.train(decoder(), DEVICE, **{"sequence": 16, "global_batch": 8, **options})


WHOLE = [
    (serving, "budget", 16, 2**20), (serving, "slots", 1, 2**20), (serving, "users", 1, 10**9),
    (serving, "seed", 0, 2**32), (serving, "draft_tokens", 0, 64), (plan, "users", 1, 10**9),
    (plan, "budget", 16, 2**20), (plan, "max_devices", 1, 4096), (plan, "top", 1, 1000),
    (plan_training, "max_devices", 1, 2**17), (plan_training, "top", 1, 1000),
    (plan_training, "global_batch", 1, 10**12),
    (pick, "context", 1, 10**9), (pick, "devices", 1, 1024), (pick, "top", 1, 1000),
    (speculate, "drafted", 1, 10**12), (fit, "batch", 1, 10**12), (fit, "prompt", 1, 10**12),
    (fit, "generate", 0, 10**12), (fit, "page", 1, 2**20), (train, "global_batch", 1, 10**12),
    (train, "micro_batch", 1, 10**12), (train, "virtual", 1, 10**12),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "name", "least", "most"), WHOLE)
def test_a_whole_number_is_one_from_the_least_to_the_most(ask, name, least, most):
    upper = "10^12" if most == 10**12 else f"{most:,}"
    for value in (least - 1, most + 1):
        with pytest.raises(UsageError) as refused:
            ask(**{name: value})
        assert str(refused.value) == (
            f"{name}={value} makes no sense: expected a whole number from {least} to {upper}"
        )


@pytest.mark.parametrize("engine", [None, "llama.cpp"])
@pytest.mark.parametrize("name", ["devices", "tp", "pp", "dp", "ep", "cp"])
def test_a_degree_is_refused_before_anything_is_divided_by_it(engine, name):
    """llama.cpp's devices are stages of what the other degrees leave."""
    askers = [tf.estimate, tf.fit, tf.compare] + [tf.serving] * (name != "cp")
    for ask in askers:
        for value in (0, 1_000_001, "x", 1.5, True):
            others = {} if name == "devices" else {"devices": 4}
            with pytest.raises(UsageError, match=f"{name}=.* makes no sense: expected a whole num"):
                ask(decoder(), DEVICE, profile=engine, **{**others, name: value})
    for ask in (speculate, pick):
        with pytest.raises(UsageError, match="devices=0 makes no sense: expected a whole number"):
            ask(devices=0, profile=engine)


def field(key):
    return lambda value: _check_field("a file", key, value)


def lora(rank):
    return choose_lora(decoder().description, rank, "attention", choose_precision("bf16"), None)


# What is called with a value; values that are refused; values of which nothing is said.
ENDS = [
    (checked_target.__get__("ttft_s"), (0, 1e12, True), (1e-9, 9.9e11)),
    (lambda rate: checked_load(None, rate), (0, 1e12), (1e-9, 9.9e11)),
    (lambda value: serving(burstiness=value), (0, 1e12), (1e-3, 9.9e11)),
    (lambda value: serving(prefix_hit=value), (-0.1, 1), (0, 0.99)),
    (lambda value: plan(prefix_hit=value), (-0.1, 1), (0, 0.99)),
    (lambda value: serving(simulate=value), (9, 10_000_001), (10,)),
    (lambda value: plan_training(max_days=value), (0, 1e6), (9.9e5,)),
    (lambda value: pick(at_least=value), (-0.1, float("inf"), True), (0, 1e9)),
    (lambda value: tokens_per_check(value, 4), (-0.1, 1.1), (0, 1)),
    (lambda value: custom_profile(value, 0.0), (0, 1.1), (1e-3, 1)),
    (lambda value: custom_profile(0.5, value), (-1e-9, 1.1), (0, 1)),
    (lambda value: prices_of(value, [DEVICE]), (0, 1e6), (0.01, 9.9e5)),
    (lambda value: choose_offload(DEVICE, None, value, 1, 8), (0, 1e6), (1e-3, 9.9e5)),
    (lambda value: choose_layout(overlap=value), (-0.1, 1.1), (0, 1)),
    (lambda value: train(padded=value), (-0.1, 1), (0, 0.99)),
    (lambda value: train(tokens=value), (0, 1e30), (1, 9.9e29)),
    (lambda value: train(price=value), (0, 1e30), (1e-3, 9.9e29)),
    (checked_bandwidth, (0, 1e6, True), (1e-3, 1e5)),
    (field("memory_gb"), (0, 1e9, True, "80"), (1e-3, 9.9e8)),
    (lambda value: field("dense_tflops")({"bf16": value}), (0, 1e9), (1e-3, 9.9e8)),
    (lambda value: choose_precision(f"int4-g{value}"), (0, 1_000_000), (1, 999_999)),
    (lambda value: choose_precision(f"exl2-{value}"), (1.0, 8.1), (1.1, 8.0)),
    (lambda value: grid_of({"models": "m", "devices": "d", "prompt": value}),
     (0, str(10**15)), (1, str(10**15 - 1))),
    (lora, (0, 65537), (1, 65536)),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "refused", "taken"), ENDS)
def test_a_number_lies_between_its_ends(ask, refused, taken):
    for value in refused:
        with pytest.raises(ThermoflopError):
            ask(value)
    for value in taken:
        ask(value)
