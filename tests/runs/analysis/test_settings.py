"""In what runs differ: settings of a board, a GPU or a prediction that a run has not are told by
that it has none."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.runs.analysis.settings import MISSING, differing, distinct_names


def board(uid: str, on_c: int) -> dict[str, Any]:
    return {"board": {"hello": {"uid": uid, "fw": "0.1.0"}, "settings": {"on_c": on_c}}}


def gpu(watts: int) -> dict[str, Any]:
    return {"gpu": {"driver": "550", "devices": [{"name": "A10", "power_limit_w": watts}]}}


PREDICTED = {"predictions": {"model": "gpt2", "hardware": "A10", "batch": 8}}


@pytest.mark.parametrize(
    ("run", "name", "value"),
    [
        (board("e6", 29), "board", "e6"),
        (gpu(300), "GPU driver", "550"),
        (PREDICTED, "model", "gpt2"),
    ],
)
def test_what_a_run_has_not_is_told_without_all_that_is_known_of_it(
    run: dict[str, Any], name: str, value: str
) -> None:
    assert differing([run, {}]) == [(name, (value, MISSING))]


def test_what_several_runs_have_is_told_where_it_differs_among_them() -> None:
    assert differing([board("e6", 29), board("e6", 31), {}]) == [
        ("board", ("e6", "e6", MISSING)),
        ("board's on_c", ("29", "31", MISSING)),
    ]
    assert differing([gpu(300), gpu(250)]) == [("GPU 0 power limit W", ("300", "250"))]


def test_settings_of_boards_without_a_name_are_told_as_they_are() -> None:
    nameless = {"board": {"settings": {"on_c": 29}}}
    assert differing([nameless, {}]) == [("board's on_c", ("29", MISSING))]


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["20261129T230001Z-a-367cc8", "20261129T230007Z-a-c49bd3"], ["a · 367cc8", "a · c49bd3"]),
        (["20261129T230001Z-a-367cc8", "mine"], ["a · 20261129T230001Z-a-367cc8", "a · mine"]),
        (["one-367cc8", "two-367cc8"], ["a · one-367cc8", "a · two-367cc8"]),
    ],
)
def test_runs_of_one_name_and_minute_are_called_by_their_ids_where_those_tell_them_apart(
    folders: list[str], names: list[str]
) -> None:
    started = {"name": "a", "started": {"utc": "2026-11-29T23:00:00Z"}}
    assert distinct_names([started, started], folders) == names
