"""A profile of a user's rows, a file of kernels' rates, and what a command asks for, made small."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from kit.made_up_rows import row, rows_of_engine
from thermoflop.base.record import replace
from thermoflop.cost.fitting import kernels as of_kernels
from thermoflop.cost.fitting import profiles as of_profiles
from thermoflop.cost.fitting.crossval import Measured, quantiles
from thermoflop.cost.kernels.forms import FORMS
from thermoflop.cost.kernels.rates import KernelRates

MINE = rows_of_engine("mine", (2, 4, 8), 1.3)
OTHERS = [*rows_of_engine("beta", (2, 16), 2.0), *rows_of_engine("gamma", (4,), 1.2)]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(of_profiles, "expected_rows", lambda raw: raw)
    monkeypatch.setattr(of_profiles, "carried_rows", lambda: OTHERS)
    waits = row("mine", 2, "client", mixes=True)  # no step: nothing is fitted to it
    unnamed = replace(MINE[0], question=replace(MINE[0].question, engine=""))
    return of_profiles.profile_from_rows([*MINE, waits, unnamed], "here")


def test_a_profile_of_ones_own_is_the_fit_to_ones_rows_around_all_others(
    built: dict[str, Any],
) -> None:
    """Its interval is what each model shows where it is left out: three groups of four rows."""
    renamed = [replace(each, question=replace(each.question, engine="here")) for each in MINE]
    measured, mine = Measured([*renamed, *OTHERS]), np.arange(12)
    whole = measured.fitted("here", mine)
    assert built["name"] == "here"
    assert (built["rows"], built["models"], built["labels"]) == (12, 3, ["here"])
    key = of_profiles._key("matmul")
    assert built["points"][key] == pytest.approx(whole.log_params[0], abs=1e-5)
    logs, group = np.zeros(12), np.zeros(12, dtype=int)
    for number in range(3):
        fold = np.arange(4 * number, 4 * number + 4)
        rest = np.setdiff1d(mine, fold)
        predicted = measured.predicted(measured.fitted("here", rest), fold)
        logs[fold] = np.log(measured.seconds[fold] / predicted)
        group[fold] = number
    low, high = np.exp(quantiles(logs, group))
    assert built["spread"]["all"] == (round(float(low), 4), round(float(high), 4), 12)
    assert built["spread_elsewhere"] == built["spread"]


def test_rows_of_one_model_and_device_are_predicted_by_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(of_profiles, "expected_rows", lambda raw: raw)
    monkeypatch.setattr(of_profiles, "carried_rows", lambda: OTHERS)
    alone = [*rows_of_engine("mine", (2,), 1.3), row("mine", 2, "token", 4, factor=1.3)]
    found = of_profiles.profile_from_rows(alone, "here")
    renamed = [replace(each, question=replace(each.question, engine="here")) for each in alone]
    measured = Measured([*renamed, *OTHERS])
    predicted = measured.predicted(measured.pooled("here"), np.arange(5))
    logs = np.log(measured.seconds[:5] / predicted)
    low, high = np.exp(quantiles(logs, np.zeros(5, dtype=int)))
    assert found["spread"]["all"] == (round(float(low), 4), round(float(high), 4), 5)


def test_moves_below_two_hundredths_are_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    moves = {"link": 0.0199, "switch": 0.02, "fixed_s": -0.5, "device_s": -0.01, "overlap": 0.0}
    points = dict.fromkeys(moves, -1.23456)
    rates = KernelRates(FORMS["all-reduce"], points, {"engine:a": moves})
    monkeypatch.setattr(of_kernels, "catalogue", dict)
    monkeypatch.setattr(of_kernels, "carried_kernels", lambda _: {"all-reduce": None})
    monkeypatch.setattr(of_kernels, "fit_kernels", lambda _: rates)
    of_kernels.write(str(tmp_path / "rates.json"))
    written = json.loads((tmp_path / "rates.json").read_text())
    assert written == {
        "all-reduce": {"points": [-1.2346] * 5, "offsets": {"engine:a": {"1": 0.02, "2": -0.5}}}
    }
