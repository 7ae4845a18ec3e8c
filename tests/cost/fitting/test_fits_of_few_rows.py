"""Profiles of a few made-up rows: what is left out, what is pooled, and what a profile says."""

from __future__ import annotations

import numpy as np
import pytest
from kit.made_up import MIXTURE, decoder
from kit.made_up_rows import OTHER, TRUTH, row, rows_of_engine, served
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import profile_from
from thermoflop.cost.fitting import crossval
from thermoflop.cost.fitting.crossval import (
    UNKNOWN,
    Measured,
    hold_out,
    quantiles,
)
from thermoflop.cost.fitting.profiles import _as_json as as_json
from thermoflop.cost.fitting.profiles import built_from, profile_from_rows, separate
from thermoflop.cost.fitting.regression import START, fit, logs_of, start
from thermoflop.cost.fitting.rows import matrix_of
from thermoflop.cost.fitting.together import (
    KNOWN,
    OFFSETS,
    POWERS,
    Together,
    built_together,
    is_together,
)
from thermoflop.cost.inference.arguments import Workload
from thermoflop.cost.inference.question import answer
from thermoflop.cost.inference.steady import UNMEASURED, WAITING
from thermoflop.cost.kernels.attention import prompt_bound_s, prompt_s
from thermoflop.cost.kernels.rates import kernel_rates
from thermoflop.cost.kernels.sheet import sheet_of
from thermoflop.cost.roofline.formula import PARAMETERS, PROFILE_KEYS, TIED
from thermoflop.errors import UsageError

# three engines that nobody knows: of three models, of two (twice as slow), and of one
ROWS = [*rows_of_engine("alpha", (2, 4, 8)), *rows_of_engine("beta", (2, 16), 2.0),
        *rows_of_engine("gamma", (4,), 1.2)]  # fmt: skip


@pytest.fixture(scope="module")
def measured() -> Measured:
    return Measured(ROWS)


def test_tied_experts_run_at_the_rates_of_other_matrices():
    """Where both have the same rates it is all one; once they are tied, whatever experts' are."""
    one = row("vllm", 2, "token", 16)
    mixture = decoder(**MIXTURE)
    rows = [replace(one, question=replace(one.question, model=mixture))]
    points = dict(zip(PARAMETERS, logs_of(start())[0], strict=True))
    alike = points | {name: points[other] for name, other in TIED.items()}
    apart = points | dict.fromkeys(TIED, -9.0)
    matrix = matrix_of(rows)
    seconds = {
        name: matrix.seconds(np.array([list(each.values())]))[0][0]
        for name, each in (("alike", alike), ("apart", apart))
    }
    tied = matrix.tied()
    for each in (alike, apart):
        found = tied.seconds(np.array([list(each.values())]))[0][0]
        assert found == pytest.approx(seconds["alike"])
    assert seconds["apart"] > 1.1 * seconds["alike"]


def test_the_pooled_fit_weighs_an_engine_by_the_root_of_its_rows(measured):
    for without, counts in (("", {"alpha": 12, "beta": 8, "gamma": 4}),
                            ("alpha", {"beta": 8, "gamma": 4})):  # fmt: skip
        places = [n for n, each in enumerate(ROWS) if each.question.engine in counts]
        weights = np.array([counts[ROWS[n].question.engine] ** -0.5 for n in places])
        seconds = np.array([ROWS[n].measured_s for n in places])
        alone = fit(
            matrix_of([ROWS[n] for n in places]).tied(), seconds, [("family:16",)] * len(places),
            start(), weights=weights / weights.mean(),
        )  # fmt: skip
        found = measured.pooled(without)
        assert found.log_params == pytest.approx(alone.log_params, abs=1e-6)
        assert set(found.group_offsets) == {"family:16"}


def test_an_engine_is_fitted_around_what_the_others_do(measured):
    """It may leave them 0.7 of the way that the parameters may leave their start."""
    places = measured.rows("beta")
    assert [ROWS[n].question.engine for n in places] == ["beta"] * 8
    found = measured.fitted("beta", places)
    groups = [("family:16", "device:made-up", "label:beta", "kernel:beta/bf16")] * 8
    centre = np.array(measured.pooled("beta").log_params)
    seconds = np.array([ROWS[n].measured_s for n in places])
    alone = fit(matrix_of([ROWS[n] for n in places]).tied(), seconds, groups, centre, 0.7)
    assert found.log_params == pytest.approx(alone.log_params, abs=1e-6)
    off = np.log(measured.predicted(found, places) / seconds)
    assert abs(off).max() < 0.1
    assert (measured.predicted(found, places) >= measured.matrix.bound_s[places]).all()


def test_what_is_known_of_an_engine_besides_takes_the_place_of_what_the_others_do(
    measured, monkeypatch
):
    """The rates that its fit is pulled toward: one is known, 0.8 of 0.96 at most, so that its point
    is -log(1/0.8 - 1/0.96); the others are pooled."""
    monkeypatch.setitem(crossval.BESIDES, "beta", {"cache": 0.8})
    *_, centre, spread = measured._problem_of("beta", measured.rows("beta"))
    pooled = dict(zip(PARAMETERS, measured.pooled("beta").log_params, strict=True))
    known = {**pooled, "cache": -np.log(1 / 0.8 - 1 / 0.96)}
    assert dict(zip(PARAMETERS, centre, strict=True)) == pytest.approx(known)
    assert spread == 0.7


def prompt_share(device, engine, architecture, new):
    """The share of the peak that measured kernels let a prompt's attention reach."""
    form = "bfloat16/bfloat16"
    groups = (f"architecture:{architecture}", f"engine:{engine}", f"format:{form}",
              f"cell:{engine}/{form}")  # fmt: skip
    sheet = sheet_of(find_device(device))
    sizes = {"batch": 1, "new": new, "heads": 40, "kv_heads": 8, "dim": 128, "out_dim": 128,
             "cache_bytes": 2.0, "peak": sheet["peak16"], "peak_best": sheet["peak16"]}  # fmt: skip
    kernel = {**sheet, **sizes}
    rates = kernel_rates()["prompt attention"].values(groups)
    return prompt_bound_s(kernel) / prompt_s(kernel, rates)


def test_what_is_known_of_attention_is_what_measured_kernels_reach():
    """SGLang's of before on the H20 of its rows; today's on an H100, whose exponentials alone take
    half of the time that its products do: 16 a cycle of 132 cores for 512 FLOPs each."""
    known = crossval.BESIDES["sglang@0.4"]
    assert prompt_share("h20", "sglang", "hopper", 32768) == pytest.approx(known["attention"], 0.03)
    hopper = ("architecture:hopper", "engine:sglang", "format:bfloat16/bfloat16",
              "cell:sglang/bfloat16/bfloat16")  # fmt: skip
    reads = kernel_rates()["decode attention"].values(hopper)["cache"]
    assert reads == pytest.approx(known["cache"], 0.06)
    reached = [prompt_share("h100", "sglang", "hopper", new) for new in (2048, 8192)]
    least, most = (share * (1 + 0.5**2) ** 0.5 for share in reached)
    assert least < KNOWN["attention"][0] < most


@pytest.mark.parametrize("by", ["model", "device", "engine"])
def test_what_is_held_out_does_not_move_what_is_expected_of_it(measured, by):
    """Alpha's rows of 8 layers thrice as slow: nothing changes for them, all else may."""
    slow = [
        replace(each, measured_s=3 * each.measured_s)
        if each.question.engine == "alpha" and each.model_name == "8 layers" else each
        for each in ROWS
    ]  # fmt: skip
    plain, moved = hold_out(measured, by), hold_out(Measured(slow), by)
    changed = np.array([a is not b for a, b in zip(ROWS, slow, strict=True)])
    alpha = np.array([each.question.engine == "alpha" for each in ROWS])
    assert moved.seconds[changed] == pytest.approx(plain.seconds[changed], rel=1e-9)
    if by == "model":
        assert (moved.seconds[alpha & ~changed] > 1.02 * plain.seconds[alpha & ~changed]).any()
        # groups: alpha's three models, beta's two, gamma
        assert len(set(plain.group)) == 6
        assert [len(set(plain.group[n : n + 4])) for n in range(0, 24, 4)] == [1] * 6
    else:  # each engine has one device
        assert len(set(plain.group)) == 3
        assert moved.seconds[alpha] == pytest.approx(plain.seconds[alpha], rel=1e-9)
    for span in plain.spans:
        assert span.bound_s <= span.low_s <= span.expected_s <= span.high_s
    assert (np.array(UNKNOWN) == [-1, 1]).all()


def test_one_model_tells_of_another_no_more_than_other_engines_do():
    """Ten rows of one model, all as expected; of others' models the pooled rates miss some."""
    rows = [*ROWS, *(row("delta", 4, phase, batch) for phase in ("token", "prefill")
                     for batch in (1, 2, 4, 8, 16))]  # fmt: skip
    built = {profile["name"]: profile for profile in built_from(Measured(rows))}
    (low, high, count), (least, most, _) = (built[name]["spread"]["all"]
                                            for name in ("delta", "default"))  # fmt: skip
    assert count == 10
    assert low <= least < 1 < most <= high
    assert built["alpha"]["spread"]["all"][0] > least  # three models


def test_one_device_tells_of_another_what_other_engines_do_or_as_little_as_of_another_model():
    """What one device missed when it was left out says nothing of a second one."""
    built = {profile["name"]: profile for profile in built_from(Measured(ROWS))}
    for name in ("alpha", "beta"):
        own, elsewhere = (built[name][kind] for kind in ("spread", "spread_elsewhere"))
        assert len(built[name]["devices"]) == 1
        for phase, (low, high, _) in elsewhere.items():
            least, most, _ = built["default"]["spread_elsewhere"].get(
                phase, built["default"]["spread_elsewhere"]["all"]
            )
            assert (low, high) == (min(least, own[phase][0]), max(most, own[phase][1]))


def test_a_profile_is_written_from_its_fit_and_what_it_missed(measured):
    built = {profile["name"]: profile for profile in built_from(measured)}
    assert set(built) == {"default", "alpha", "beta"}  # gamma has four rows, of eight at least
    named = [name for name in PARAMETERS if name not in TIED]
    for name, regression in (("default", measured.pooled()),
                             ("beta", measured.fitted("beta", measured.rows("beta")))):  # fmt: skip
        points = dict(zip(PARAMETERS, regression.log_params, strict=True))
        assert built[name]["points"] == {
            PROFILE_KEYS.get(each, each): round(points[each], 5) for each in named
        }
    alpha, default = built["alpha"], built["default"]
    assert (alpha["rows"], alpha["models"], alpha["devices"]) == (12, 3, ["made-up"])
    assert alpha["labels"] == ["alpha"]
    assert (default["rows"], default["models"], default["devices"]) == (24, 4, [])
    assert default["labels"] == ["alpha", "beta", "gamma"]
    held = hold_out(measured)
    logs = np.log(np.array([each.measured_s for each in ROWS]) / held.seconds)
    mine = np.arange(12)
    ends = np.exp(quantiles(logs[mine], held.group[mine]))
    assert alpha["spread"]["all"] == (*np.round(ends, 4), 12)
    assert set(alpha["spread"]) == {"all"}  # six rows of a phase, of ten at least
    assert set(default["spread"]) == {"all", "token", "prefill"}
    assert default["spread"]["token"][2] == 12
    for each in built.values():
        assert profile_from(each).name == each["name"]
        assert all(abs(v) > 1e-5 for moves in each["moves"].values() for v in moves.values())


def test_a_profile_of_ones_own_needs_five_rows():
    raw = {"engine": "mine", "gpu": "h100", "model": "gpt2", "batch": 1, "precision": "fp16",
           "metric": "tpot_ms", "value": 3.0, "input_len": 9, "output_len": 9}  # fmt: skip
    with pytest.raises(UsageError, match="4 rows can be compared: expected at least 5"):
        profile_from_rows([raw] * 4, "mine")
    first = {**raw, "metric": "ttft_ms", "max_concurrency": 2}  # what a client waits for is none
    with pytest.raises(UsageError, match="4 rows"):
        profile_from_rows([raw] * 4 + [first] * 3, "mine")


SERVED = [*served("vllm", (2, 4, 8), 1.1), *served("sglang", (2, 16), 0.9, device=OTHER),
          row("vllm", 2, "token", 1, factor=5.0)]  # fmt: skip


@pytest.fixture(scope="module")
def together() -> Together:
    return Together(SERVED)


def test_rows_of_todays_engines_are_fitted_together_and_clients_waits_by_nobody_else():
    waits = row("alpha", 2, "client", mixes=True)
    apart, joined = separate([*ROWS, *SERVED, waits])
    assert apart == ROWS
    assert joined == SERVED
    assert [is_together(each) for each in (*SERVED, *ROWS)] == [True] * 21 + [False] * 24
    old = replace(SERVED[0], question=replace(SERVED[0].question, engine="vllm 0.6"))
    assert not is_together(old)


def test_an_engines_model_weighs_by_the_fourth_root_of_its_rows(together):
    """Half of the start's width for the base, a twentieth for an engine."""
    assert together.engines == ["sglang", "vllm"]
    steps = [each for each in SERVED if each.phase != "client"]
    # of no stated load: judged alone
    places = np.flatnonzero([each.question.mixes_prefill for each in steps])
    assert len(places) == 10
    found = together.regression(places)
    weights = np.full(10, 2**-0.25)
    seconds = np.array([steps[n].measured_s for n in places])
    groups = [together.groups[n] for n in places]
    assert groups[0][0] == "engine:vllm"
    assert set(groups[0][1:]) >= {"family:16", "device:made-up", "label:vllm"}
    alone = fit(matrix_of([steps[n] for n in places]), seconds, groups, start(KNOWN), 0.5,
                weights=weights / weights.mean(), offsets=OFFSETS, known=KNOWN,
                powers=POWERS)  # fmt: skip
    assert found.log_params == pytest.approx(alone.log_params, abs=1e-6)
    assert OFFSETS["engine"] == {name: pytest.approx(KNOWN[name][1] * 0.035) for name in PARAMETERS}
    # of tiles of 16 queries half are empty; those of older engines hold 16 or 64
    assert KNOWN["q_half"][0] == 16 / 2
    assert START["q_half"] == ((16 * 64) ** 0.5, 1.0)
    uneven = np.array([0, 1, 2, 3, 4, 6, 7, 8])  # one of vllm's 8 layers
    once = together.regression(uneven)
    counts = [2, 2, 2, 2, 1, 2, 2, 1]
    weights = np.array(counts) ** -0.25
    alone = fit(matrix_of([steps[n] for n in uneven]),
                np.array([steps[n].measured_s for n in uneven]),
                [together.groups[n] for n in uneven], start(KNOWN), 0.5,
                weights=weights / weights.mean(), offsets=OFFSETS, known=KNOWN,
                powers=POWERS)  # fmt: skip
    assert once.log_params == pytest.approx(alone.log_params, abs=1e-6)


def test_a_profile_is_the_base_with_what_its_engine_adds(together):
    regression, profiles = together.fitted(np.full(len(SERVED), True))
    for engine, profile in profiles.items():
        own = regression.group_offsets[f"engine:{engine}"]
        for name, base in zip(PARAMETERS, regression.log_params, strict=True):
            assert profile.log_params[name] == pytest.approx(base + own.get(name, 0.0))
        assert not any(name.startswith("engine:") for name in profile.group_offsets)
        assert profile.group_offsets["family:16"] == regression.group_offsets["family:16"]
        assert (profile.rows, profile.models) == (10, 4)
        assert profile.devices == ("made-up", "other")
        assert profile.seen.formats == ("bf16",)
        assert profile.seen.kinds == ("dense",)
        assert set(profile.waiting) == set(WAITING)
    # clients of vllm wait a tenth longer than the unmeasured parts say, those of sglang less long
    longer = [profiles["vllm"].waiting[name] / value
              for name, value in zip(WAITING, UNMEASURED, strict=True)]  # fmt: skip
    shorter = [profiles["sglang"].waiting[name] / value
               for name, value in zip(WAITING, UNMEASURED, strict=True)]  # fmt: skip
    assert sum(np.log(longer)) > 0 > sum(np.log(shorter))


def test_a_row_is_expected_without_its_model_or_its_device(together):
    """Models of two layers thrice as slow: what is expected of them stays, under both engines."""
    slow = [replace(each, measured_s=3 * each.measured_s) if each.model_name == "2 layers" else each
            for each in SERVED]  # fmt: skip
    two = np.array([each.model_name == "2 layers" for each in SERVED])
    plain, profiles = together.by_model
    moved, _ = Together(slow).by_model
    assert moved.seconds[two] == pytest.approx(plain.seconds[two], rel=1e-9)
    assert (moved.seconds[~two] > 1.02 * plain.seconds[~two]).any()
    assert plain.logs == pytest.approx(
        np.log([each.measured_s for each in SERVED]) - np.log(plain.seconds)
    )
    assert [profile.name for profile in profiles] == [each.question.engine for each in SERVED]
    # 14 rows that timed steps at a load, less those of the row's own model
    assert profiles[0].rows == 10 - 4
    spans = together.spans()
    elsewhere = together.elsewhere()
    for name, found in (("model", spans), ("device", elsewhere)):
        for each, span, bound in zip(SERVED, found, together.bounds(), strict=True):
            assert span.bound_s == bound, name
            assert bound <= span.low_s <= span.expected_s <= span.high_s, name
            assert bound <= each.measured_s * 1.2
    assert [span.expected_s for span in spans] == pytest.approx(list(plain.seconds))
    other = [span for each, span in zip(SERVED, elsewhere, strict=True)
             if each.question.device.name == "other"]  # fmt: skip
    assert len(other) == 8
    # a first token is never before its own prompt, alone on an idle device
    clients = [n for n, each in enumerate(SERVED) if each.phase == "client"]
    prompt = answer(replace(SERVED[clients[0]].question, phase="prefill", engine="vllm",
                            workload=Workload(1, 400, 50, 0)), TRUTH)  # fmt: skip
    assert together.bounds()[clients[0]] == pytest.approx(prompt.bound_s)
    part = np.array([each.question.engine == "vllm" for each in SERVED])
    left, names = together.left_out(part)
    assert len(left.seconds) == len(names) == part.sum()


def test_profiles_of_a_time_are_written_as_they_are_read(together):
    for profile in built_together(SERVED):
        left, _ = together.by_model
        assert profile.intervals == left.intervals(profile.name)
        read = profile_from(as_json(profile))
        assert read.log_params == pytest.approx(profile.log_params, abs=1e-5)
        for group, moves in profile.group_offsets.items():
            assert read.group_offsets[group] == pytest.approx(moves, abs=1e-5)
        assert read.intervals == profile.intervals
        for field in ("rows", "models", "devices", "labels", "seen", "waiting"):
            assert getattr(read, field) == getattr(profile, field)
