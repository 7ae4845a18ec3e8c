"""The profiles that the package carries are what its published rows give, fitted here again."""

from __future__ import annotations

import json

import numpy as np
import pytest
import thermoflop as tf
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.data import published, read_lines
from thermoflop.cost.engines.generation import GENERATIONS
from thermoflop.cost.fitting.crossval import GENERATED, Measured
from thermoflop.cost.fitting.profiles import (
    LEAST_ROWS,
    _of_one,
    carried_rows,
    expected_rows,
    separate,
)
from thermoflop.cost.fitting.rows import engine_name
from thermoflop.cost.fitting.together import Together
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.published.row import Row, rows_of
from thermoflop.cost.published.training import training_row
from thermoflop.cost.roofline.formula import PARAMETERS, PROFILE_KEYS, TIED

# Logarithms of parameters: another library of linear algebra may end an iteration elsewhere.
CLOSE = 1e-3


def carried(name: str) -> dict[str, dict]:
    return {profile["name"]: profile for profile in map(json.loads, read_lines(name))}


@pytest.fixture(scope="module")
def rows() -> tuple[list[Row], list[Row]]:
    """Those that are fitted engine by engine, and those of generations of one time."""
    return separate(expected_rows(carried_rows()))


@pytest.fixture(scope="module")
def of_serving(rows) -> Measured:
    return Measured(rows[0])


@pytest.fixture(scope="module")
def of_training() -> Measured:
    return Measured(rows_of(published("training"), training_row)[0])


def assert_is(regression, profile) -> None:
    keys = [PROFILE_KEYS.get(parameter, parameter) for parameter in PARAMETERS]
    found = dict(zip(keys, regression.log_params, strict=True))
    found = {key: found[key] for key in profile["points"]}
    assert {*found} | {*TIED} == {*keys}
    assert found == pytest.approx(profile["points"], abs=CLOSE), profile["name"]
    for group, offsets in profile["moves"].items():
        refitted = regression.group_offsets[group]
        by_key = {PROFILE_KEYS.get(name, name): value for name, value in refitted.items()}
        for key, value in offsets.items():
            assert by_key[key] == pytest.approx(value, abs=CLOSE), (profile["name"], group, key)


@pytest.mark.parametrize(
    ("fixture", "file"), [("of_serving", "profiles"), ("of_training", "training_profiles")]
)
def test_a_carried_profile_is_the_fit_to_its_published_rows(fixture, file, request):
    measured, profiles = request.getfixturevalue(fixture), carried(file)
    for generation in GENERATIONS:
        if generation.together:
            profiles.pop(generation.name, None)
    assert_is(measured.pooled(), profiles.pop("default"))
    for engine in sorted(set(measured.engine)):
        places = measured.rows(engine)
        assert (engine in profiles) == (len(places) >= LEAST_ROWS)
        if engine in profiles:
            profile = profiles.pop(engine)
            rows = [measured.measured[place] for place in places]
            assert profile["rows"] == len(rows)
            assert profile["devices"] == sorted({row.question.device.name for row in rows})
            assert_is(measured.fitted(engine, places), profile)
    assert not profiles


def test_generations_of_one_time_are_the_fit_to_all_their_rows_together(rows):
    steps = [row for row in rows[1] if row.phase != "client"]
    together, profiles = Together(steps), carried("profiles")
    regression, _ = together.fitted(np.full(len(steps), True))
    assert together.engines == sorted(each.name for each in GENERATIONS if each.together)
    for engine in together.engines:
        own = regression.group_offsets[f"engine:{engine}"]
        for name, value in zip(PARAMETERS, regression.log_params, strict=True):
            shipped = profiles[engine]["points"][PROFILE_KEYS.get(name, name)]
            assert shipped == pytest.approx(value + own.get(name, 0.0), abs=CLOSE), (engine, name)
        assert profiles[engine]["rows"] == together.at_load.sum()


def test_the_pooled_rates_name_no_rows_of_an_engine_that_they_are_not_fitted_to():
    profiles = carried("profiles")
    pooled, apart = profiles["default"], profiles["mlx"]
    assert not {*pooled["labels"]} & {*apart["labels"]}
    assert pooled["rows"] == pooled["spread"]["all"][2]


def test_prompts_of_an_engine_that_was_measured_decoding_have_an_interval_wider_by_the_rule():
    """Errors that do not know of each other add by their squares; 0.24 is one deviation. Of one
    model or device alone it is that of an engine that was never measured."""
    many = [each for each in carried("profiles").values() if each["models"] > 1]
    alone = [each for each in many if "token" in each["spread"]]
    derived = [each for each in alone if each["spread"].get("prefill", [0, 0, 1])[2] == 0]
    assert {"gpt-fast", "mlc", "sglang@0.4", "vllm@0.11"} <= {each["name"] for each in derived}
    for profile in derived:
        kinds = ("spread", "spread_elsewhere")[: min(2, len(profile["devices"]))]
        for spread in (profile[kind] for kind in kinds):
            low, high, _ = spread["all"]
            wider = np.hypot(np.log([low, high]), 1.2815515655446004 * 0.24)
            ends = spread["prefill"][:2]
            assert ends == pytest.approx([np.exp(-wider[0]), np.exp(wider[1])], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    ("engine", "device", "phase"),
    [("mlx", "Apple M1 Ultra (64c)", "prefill"), ("exllama", "RTX 3090 Ti", "prefill"),
     ("transformers", "Jetson AGX Orin 64GB", "token")],
)  # fmt: skip
def test_a_phase_that_was_not_measured_on_a_device_has_the_interval_of_another_device(
    engine, device, phase, rows
):
    """Decoding tells nothing of how fast a device reads prompts."""
    own = [row for row in rows[0] if engine_name(row.question) == engine]
    here = [row for row in own if row.question.device.name == device]
    other_phase = {"prefill": "token", "token": "prefill"}[phase]
    assert {"token" if row.phase in GENERATED else row.phase for row in here} == {other_phase}
    profile, known = find_profile(engine), find_device(device)
    ends = profile.intervals_unseen_device.get(phase) or profile.intervals_unseen_device["all"]
    other = next(name for name in profile.devices if name not in profile.lacking[phase])
    spread = profile.interval(phase, known)
    here = profile.intervals.get(phase) or profile.intervals["all"]
    assert spread.high >= ends.high > here.high
    assert profile.interval(phase, find_device(other)).high < spread.high
    precision = choose_precision("bf16")
    assert f"of them on {device}: interval of those widened" in profile.provenance(known, precision)


def test_mixtures_built_alike_tell_of_each_other_alone() -> None:
    """DeepSeek-V3 and Kimi K2 both have latent attention: each is within a few per cent of what the
    other is expected to take, which says nothing of a mixture with other attention. Its interval is
    that of a device that was left out, where that is wider."""
    made = {"spread": {"all": (0.9, 1.1, 8)}, "spread_elsewhere": {"all": (0.7, 1.05, 8)}}
    pooled = {"spread": {"all": (0.8, 1.3, 99)}, "spread_elsewhere": {"all": (0.8, 1.3, 99)}}
    assert _of_one(made, pooled, 2, 3, twins=True)["spread"] == {"all": (0.7, 1.1, 8)}
    assert _of_one(made, pooled, 2, 3, twins=False)["spread"] == {"all": (0.9, 1.1, 8)}
    (mixtures,) = [each for each in map(json.loads, read_lines("training_profiles"))
                   if each["name"] == "megatron-bridge/experts"]  # fmt: skip
    assert mixtures["models"] == 2
    assert mixtures["spread"]["all"] == mixtures["spread_elsewhere"]["all"]


# Mixtures that no fit has seen, tokens/s a device, of Megatron-Bridge's performance summary (25.09
# container; which experts' tokens are dropped, and so no row; of Qwen3-30B on B200 25.11, where
# none are: 18,066 with): model, device, devices, sequences, at once, tp, pp, virtual, ep.
UNSEEN = [
    ("qwen3-30b-a3b", "gb200", 8, 512, 4, 1, 1, 1, 8, 22775),
    ("qwen3-235b-a22b", "gb200", 64, 1024, 1, 2, 1, 1, 64, 4452),
    ("qwen3-30b-a3b", "b200", 8, 512, 1, 1, 1, 1, 8, 9299),
    ("qwen3-235b-a22b", "b200", 64, 1024, 1, 1, 8, 2, 8, 4104),
]


@pytest.mark.parametrize("row", UNSEEN)
def test_a_mixture_that_no_fit_saw_lies_in_its_interval(row: tuple) -> None:
    model, device, devices, batch, micro, tp, pp, virtual, ep, rate = row
    found = tf.train(
        model, device, devices=devices, global_batch=batch, micro_batch=micro, sequence=4096,
        tp=tp, pp=pp, virtual=virtual, ep=ep, dtype="fp8", profile="megatron-bridge",
    ).iteration  # fmt: skip
    measured = batch * 4096 / devices / rate
    assert found.low_s < measured < found.high_s
