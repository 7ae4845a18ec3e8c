"""The table of profiles and its JSON: every figure of a profile under its own head."""

from __future__ import annotations

from thermoflop.cost.catalogue.profiles import PHASES, profiles
from thermoflop.cost.catalogue.profiles_text import profiles_json, profiles_text


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
        ends = {name: [each.low, each.high] for name, each in profile.intervals.items()}
        assert found["intervals"] == {name: ends[name] for name in PHASES if name in ends}
