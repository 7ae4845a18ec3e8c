"""The profiles that the package carries are what its published rows give, fitted here again."""

from __future__ import annotations

import pytest
from thermoflop.cost.data import published, read_data
from thermoflop.cost.fitting.crossval import Measured
from thermoflop.cost.fitting.profiles import LEAST_ROWS, expected_rows
from thermoflop.cost.published.row import rows_of
from thermoflop.cost.published.training import training_row
from thermoflop.cost.roofline.formula import PARAMETERS, PROFILE_KEYS

# Logarithms of parameters: another library of linear algebra may end an iteration elsewhere.
CLOSE = 1e-3


def carried(name: str) -> dict[str, dict]:
    return {profile["name"]: profile for profile in read_data(name)}


@pytest.fixture(scope="module")
def of_serving() -> Measured:
    return Measured(expected_rows(published("times")))


@pytest.fixture(scope="module")
def of_training() -> Measured:
    return Measured(rows_of(published("training"), training_row)[0])


def assert_is(regression, profile) -> None:
    keys = [PROFILE_KEYS.get(parameter, parameter) for parameter in PARAMETERS]
    found = dict(zip(keys, regression.log_params, strict=True))
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
