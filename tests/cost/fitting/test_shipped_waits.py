"""What clients wait for, as the package carries it, is the fit to its published first tokens."""

from __future__ import annotations

import pytest
from thermoflop.cost.catalogue.profiles import profiles
from thermoflop.cost.fitting.profiles import carried_rows
from thermoflop.cost.fitting.together import is_together
from thermoflop.cost.fitting.waiting import fitted_waiting
from thermoflop.cost.published.row import rows_of
from thermoflop.cost.published.serving import serving_row


def test_carried_waits_are_the_fit_to_the_carried_rows() -> None:
    words = ("ttft", "first")
    raw = [each for each in carried_rows() if any(word in str(each["metric"]) for word in words)]
    rows = [row for row in rows_of(raw, serving_row)[0] if row.expected and is_together(row)]
    carried = {name: each for name, each in profiles().items() if each.waiting is not None}
    found = fitted_waiting(carried, [row for row in rows if row.phase == "client"])
    assert carried
    for name, profile in carried.items():
        assert found[name].waiting == pytest.approx(profile.waiting, rel=1e-4), name
