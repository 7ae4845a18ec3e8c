"""Interleaved stages hold whole layers."""

from __future__ import annotations

import pytest
from thermoflop.cost.training.checks import check_interleaved
from thermoflop.errors import UsageError


@pytest.mark.parametrize(
    ("layers", "pp", "virtual"),
    [(32, 4, 1), (32, 4, 2), (32, 4, 8), (61, 16, 2), (32, 1, 5), (96, 8, 3)],
)
def test_stages_of_whole_layers_are_taken(layers, pp, virtual):
    check_interleaved(layers, pp, virtual)


@pytest.mark.parametrize(("layers", "pp", "virtual"), [(32, 4, 7), (32, 4, 16), (61, 16, 5)])
def test_stages_of_broken_layers_are_refused_with_those_that_would_do(layers, pp, virtual):
    with pytest.raises(UsageError, match=r"does not divide a stage of \d layers: .* 1, 2"):
        check_interleaved(layers, pp, virtual)
