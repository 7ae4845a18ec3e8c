"""Arithmetic that takes numbers, arrays and symbols alike."""

from __future__ import annotations

import numpy as np
from thermoflop.base.number import one_where


def test_a_comparison_is_one_where_it_holds_also_element_by_element():
    assert (one_where(3 > 2), one_where(2 > 3)) == (1.0, 0.0)
    assert type(one_where(3 > 2)) is float
    found = one_where(np.array([1, 2, 3]) > 2)
    assert (found.tolist(), found.dtype) == ([0, 0, 1], np.float64)
