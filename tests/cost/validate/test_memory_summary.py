"""What `validate memory` says of a group of rows, by hand on four made-up ones."""

from __future__ import annotations

import json

import pytest
from thermoflop.cost.validate.memory import MemoryReport, MemoryRow


@pytest.mark.parametrize(
    ("predicted", "figures"),
    [
        # errors of -20, -10, +30 and +40 %: half between the middle two, sizes 10, 20, 30, 40
        ((80.0, 90.0, 130.0, 140.0), {"median": 0.25, "p90": 0.4, "bias": 0.1}),
        ((80.0, 90.0, 130.0), {"median": 0.2, "p90": 0.3, "bias": -0.1}),
    ],
)
def test_a_group_has_its_middle_error_and_that_of_nine_in_ten(predicted, figures):
    rows = tuple(
        MemoryRow(str(place), "a kind", "vllm", "m", 100.0, each, True)
        for place, each in enumerate(predicted)
    )
    found = json.loads(MemoryReport(len(rows), rows, ()).json_text())
    assert found["by_kind"]["a kind | vllm"] == {"rows": len(rows), **figures}
