"""Between which values each argument makes sense: both ends, as the refusals and the manual say."""

from __future__ import annotations

import numpy as np
import pytest
import thermoflop as tf
from kit.made_up import DEVICE, decoder
from thermoflop.cost.catalogue.profiles import custom_profile, find_profile
from thermoflop.cost.engines.options import read_options
from thermoflop.cost.hardware.device import _check_field
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference import arguments, room
from thermoflop.cost.inference.room import largest
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.inference.speculative import tokens_per_check
from thermoflop.cost.plan.pick import UNBOUNDED
from thermoflop.cost.plan.prices import prices_of
from thermoflop.cost.serving import trace
from thermoflop.cost.serving.asked import checked_load, checked_target
from thermoflop.cost.serving.lengths import lengths_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.replica import Replica
from thermoflop.cost.sweep.grid import grid_of
from thermoflop.cost.training.lora import choose_lora
from thermoflop.cost.training.offload import choose_offload
from thermoflop.cost.work.share import choose_layout
from thermoflop.errors import InputError, ThermoflopError, UsageError

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
    return choose_lora(decoder(), rank, "attention", choose_precision("bf16"), None)


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
    (lambda value: fit(host_bandwidth=value), (0.99, 100_001, True), (1, 1e5)),
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


def test_an_option_of_an_engine_is_a_whole_number_of_32_bits():
    """Signed, as C and JSON's readers of such files have it."""
    assert read_options("vllm", {"max_num_seqs": 2**31 - 1})["max_num_seqs"] == 2**31 - 1
    with pytest.raises(UsageError, match=r"max_num_seqs=2147483648 makes no sense"):
        read_options("vllm", {"max_num_seqs": 2**31})


def test_what_nothing_limits_ends_above_all_that_may_be_asked_for():
    """The search for the most; from half of it on a context is said to be any."""
    assert largest(lambda _: True) == room.LARGEST == 2**40
    assert largest(lambda number: number <= 10**12) == arguments.LARGEST == 10**12
    assert arguments.LARGEST / 2 < UNBOUNDED < room.LARGEST
    assert 2 * UNBOUNDED == room.LARGEST


@pytest.mark.parametrize(("held", "served"), [(2**40, 2**20), (7, 7)])
def test_a_replica_decodes_no_more_sequences_than_slots_may_be_asked_for(monkeypatch, held, served):
    monkeypatch.setattr(room.Room, "most", lambda *_: held)
    model, formats = decoder(), choose_precision("bf16")
    known = room.room_of(model, DEVICE, "bf16", None, None, None, None)
    setting = Setting(model, DEVICE, choose_layout(), formats, find_profile(None))
    policy = Policy("mixed", 1024, 8, "")
    assert Replica(setting, known, lengths_of(16, 4), policy).largest_batch == served


@pytest.mark.parametrize(("number", "refused"), [(20_000_000, False), (20_000_001, True)])
def test_a_trace_has_twenty_million_requests_at_most(monkeypatch, tmp_path, number, refused):
    path = tmp_path / "trace.csv"
    path.write_text("arrival,prompt,generate\n0,1,2\n1,1,2\n", encoding="utf-8")
    counted = lambda rows, _first: ((number, row) for row in rows)  # noqa: E731
    monkeypatch.setattr(trace, "enumerate", counted, raising=False)
    if refused:
        with pytest.raises(InputError, match="has more than 20,000,000 requests"):
            trace.read_trace(str(path))
    else:
        assert trace.read_trace(str(path)).prompts == [1, 1]


def test_a_grid_has_a_million_values_a_list_and_parts_of_a_hundred_thousand_rows():
    def grid(**lists):
        return grid_of({"models": "m", "devices": "d", **lists})

    lists = {"batch": "1:1000000", "prompt": "1:1000", "generate": "1:1000"}
    whole = grid(**lists)
    assert (whole.total_rows, whole.parts) == (10**12, 10**7)
    with pytest.raises(InputError, match="rows: expected at most 1,000,000,000,000"):
        grid(**lists, tp=[1, 2])
    with pytest.raises(InputError, match="has more than 1,000,000 values"):
        grid(batch="1:1000001")


def estimate(**options):
    return tf.estimate(decoder(), DEVICE, **{**SMALL, **options})


def named(**options):
    return tf.pick(DEVICE, **options)


def compare(**options):
    return tf.compare(decoder(), DEVICE, **{**SMALL, **options})


SEVERAL = np.array([1, 2])


@pytest.mark.parametrize(
    ("ask", "asked"),
    [(ask, {name: None}) for ask in (estimate, fit, serving, train, speculate)
     for name in ("pp", "ep")]
    + [(ask, {"dp": None}) for ask in (estimate, fit, serving, speculate)]
    + [(ask, {name: SEVERAL}) for ask in (serving, plan, speculate)
       for name in ("prompt", "generate")]
    + [(ask, {"dtype": SEVERAL}) for ask in (estimate, fit, serving, train)]
    + [(ask, {"kv_dtype": SEVERAL}) for ask in (estimate, fit, serving, plan)]
    + [(plan, {"dtypes": each}) for each in ("bf16", [1], -1, [], SEVERAL)]
    + [(train, asked) for asked in (
        {"padded": None}, {"recomputed": None}, {"zero": None}, {"zero": SEVERAL}, {"zero": True},
        {"zero": 4}, {"lengths": float("nan")}, {"optimizer": [1]}, {"recompute": SEVERAL})]
    + [(plan_training, {"tokens": None}), (plan, {"price": "a" * 300}),
       (plan, {"price": "a" * 2000}), (named, {"pattern": 5}),
       (speculate, {"acceptance": None}), (speculate, {"batch": SEVERAL}),
       (speculate, {"drafted": SEVERAL}), (serving, {"trace": 0}), (serving, {"trace": "\0"}),
       (serving, {"lengths": SEVERAL}), (compare, {"rank": ""}), (compare, {"rank": True}),
       (compare, {"groups": True})],
)  # fmt: skip
def test_what_makes_no_sense_gets_one_sentence(ask, asked):
    with pytest.raises(ThermoflopError) as refused:
        ask(**asked)
    assert len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("ask", "asked"),
    [(serving, {"tpot_s": 4}), (serving, {"ttft_s": 4}), (serving, {"rate": 2}),
     (serving, {"users": 2}), (plan, {"users": 2}), (plan, {"max_devices": 4}), (plan, {"rate": 2}),
     (plan_training, {"max_devices": 4}), (plan_training, {"top": 2})],
)  # fmt: skip
def test_a_number_of_numpys_means_what_pythons_own_means(ask, asked):
    """With a target in float64 a server that holds hundreds of users was met by 0."""
    [(name, value)] = asked.items()
    plain = ask(**{name: value})
    assert str(ask(**{name: np.int64(value)})) == str(plain)
    if name in ("tpot_s", "ttft_s", "rate"):
        assert str(ask(**{name: np.float64(value)})) == str(ask(**{name: float(value)}))
