"""Interleaved stages hold whole layers."""

from __future__ import annotations

import pytest
from thermoflop.cost.training.iteration import check_interleaved
from thermoflop.errors import UsageError


@pytest.mark.parametrize(
    ("layers", "pp", "virtual"),
    [(32, 4, 1), (32, 4, 2), (32, 4, 8), (61, 16, 2), (32, 1, 5), (96, 8, 3)],
)
def test_stages_of_whole_layers_are_taken(layers, pp, virtual):
    check_interleaved(layers, pp, virtual)


@pytest.mark.parametrize(
    ("layers", "pp", "virtual", "stage", "divisors"),
    [
        (32, 4, 7, "8 layers", "1, 2, 4, 8"),
        (32, 4, 16, "8 layers", "1, 2, 4, 8"),
        (61, 16, 5, "4 layers", "1, 2, 4"),
        (2, 2, 2, "1 layer", "1"),
        (4, 2, 3, "2 layers", "1, 2"),
    ],
)
def test_stages_of_broken_layers_are_refused_with_those_that_would_do(
    layers, pp, virtual, stage, divisors
):
    with pytest.raises(UsageError, match=f"divide a stage of {stage}: expected one of {divisors}$"):
        check_interleaved(layers, pp, virtual)
