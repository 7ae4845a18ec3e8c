"""The table of profiles and its JSON: every figure of a profile under its own head."""

from __future__ import annotations

import pytest
from thermoflop.cost.catalogue.profile import PHASES
from thermoflop.cost.catalogue.profiles import profiles
from thermoflop.cost.catalogue.profiles_text import ELSEWHERE, profiles_json, profiles_text
from thermoflop.cost.engines.options import OPTIONS, option_defaults, read_options


def test_a_row_holds_its_profile_in_the_order_of_its_head() -> None:
    head, *lines = profiles_text().partition("\n\n")[0].splitlines()
    places = [head.index(name) for name in ("versions", "until", "fitted")]
    rows = {line.split()[0]: line for line in lines}
    assert {*rows} == {*profiles()}
    for name, profile in profiles().items():
        versions, until, fitted = (rows[name][place:].split("  ")[0] for place in places)
        made = profile.generation
        assert (versions, until) == (("-", "-") if made is None else (made.versions, made.until))
        assert fitted == profile.fitted
        token = profile.intervals.get("token", profile.intervals["all"])
        figures = [f"{profile.rows:,}", str(profile.models), str(len(profile.devices) or "-")]
        interval = ["x", f"{token.low:.2f}", "..", f"{token.high:.2f}"]
        assert rows[name].split()[-7:] == [*figures, *interval]


def test_an_object_has_the_figures_of_its_profile() -> None:
    for found, profile in zip(profiles_json(), profiles().values(), strict=True):
        made = profile.generation
        assert (found["name"], found["fitted"]) == (profile.name, profile.fitted)
        assert found["versions"] == (None if made is None else made.versions)
        assert found["until"] == (None if made is None else made.until)
        assert (found["rows"], found["models"]) == (profile.rows, profile.models)
        assert found["devices"] == list(profile.devices)
        assert [*found["engine_options"]] == [
            option.name for option in OPTIONS.get(profile.engine.name, ())
        ]
        ends = {name: [each.low, each.high] for name, each in profile.intervals.items()}
        assert found["intervals"] == {name: ends[name] for name in PHASES if name in ends}


def test_the_options_of_an_engines_memory_stand_below_its_profiles() -> None:
    told = " ".join(profiles_text(lambda name: "vllm" in name).split())
    for name, default in option_defaults("vllm").items():
        assert f"{name} ({default})" in told
    assert "max_model_len (the model's)" in told
    assert "num_ctx (what is asked for)" in " ".join(
        profiles_text(lambda name: "llama" in name).split()
    )
    every = " ".join(profiles_text().split())
    assert ELSEWHERE in every
    assert "max_model_len" not in every
    assert "memory of" not in profiles_text(lambda name: name == "mlc")


@pytest.mark.parametrize("engine", OPTIONS)
def test_each_option_says_what_it_is_where_nothing_is_said(engine: str) -> None:
    values = read_options(engine, None)
    for name, said in option_defaults(engine).items():
        if values[name] is None:
            assert said not in ("", "none")
        else:
            assert said == str(values[name]).lower()
