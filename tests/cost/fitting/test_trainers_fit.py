"""The pooled profile of trainers is where its fit ends: a step from there leads nowhere."""

from __future__ import annotations

import json

import numpy as np
from thermoflop.cost.data import published, read_lines
from thermoflop.cost.fitting.crossval import OF_TRAINERS, Measured
from thermoflop.cost.fitting.regression import _posed, solve, start
from thermoflop.cost.published.row import rows_of
from thermoflop.cost.published.training import training_row
from thermoflop.cost.roofline.formula import PARAMETERS, PROFILE_KEYS


def test_a_step_of_the_fit_from_the_pooled_trainers_leads_nowhere() -> None:
    """Of the posterior of all rows, a trainer's weighed by their root: a wrong row, term, start or
    width would move it."""
    measured = Measured(rows_of(published("training"), training_row)[0])
    (carried,) = [
        each
        for each in map(json.loads, read_lines("training_profiles"))
        if each["name"] == "default"
    ]
    counts = {name: len(measured.rows(name)) for name in measured.engine}
    weights = np.array([counts[name] ** -0.5 for name in measured.engine])
    groups = [
        tuple(name for name in each if name.startswith(OF_TRAINERS)) for each in measured.groups
    ]
    unknowns, problem = _posed(
        measured.matrix, measured.seconds, groups, start(), 1.0, weights / weights.mean()
    )
    keys = [PROFILE_KEYS.get(name, name) for name in PARAMETERS]
    point = problem.prior.copy()
    for place, (owner, column) in enumerate(unknowns):
        if owner is not None:
            point[place] = carried["moves"].get(owner, {}).get(keys[column], 0.0)
        elif keys[column] in carried["points"]:
            point[place] = carried["points"][keys[column]]
    further = solve(problem, point)
    # along a kink what kernels wait for moves by a few per cent and gains next to nothing
    assert np.abs(further - point).max() < 0.05
    assert problem.at(point)[0] - problem.at(further)[0] < 0.01
    assert carried["rows"] == len(measured.measured)
    assert set(carried["moves"]) == {name for each in groups for name in each}
