"""Labels of the operators under the roofline: on no dot and on no other label."""

from __future__ import annotations

from typing import Any

from thermoflop.web.estimator.chart_data import place_labels

CORNERS = [(1.0, 1.0), (100.0, 100.0)]  # two decades each way: 295 by 130 px a decade


def sides(*dots: tuple[float, float, str]) -> list[str]:
    """Where the labels of these dots stand: FLOP/byte, TFLOP/s, label."""
    rows: list[list[Any]] = [[x, y, label, "memory", label] for x, y, label in dots]
    place_labels(rows, CORNERS)
    return [row[5] for row in rows]


def test_a_label_stands_to_the_right_of_its_dot_where_there_is_room() -> None:
    assert sides((10, 10, "attention"), (10, 50, "norm")) == ["right", "right"]


def test_a_label_gives_way_to_dots_to_labels_and_to_the_edge() -> None:
    assert sides((10, 10, "attention"), (11, 10, "norm")) == ["left", "right"]  # 12 px apart
    # 10 px above each other: the second finds the right taken by a label and the bottom by a dot
    assert sides((10, 10, "attention"), (10, 12, "norm")) == ["right", "left"]
    assert sides((99, 10, "attention")) == ["left"]


def test_a_label_stands_off_the_roof_where_it_can() -> None:
    """From (1, 1) to (100, 100), 10 px below a dot of (10, 12): it rises through its right."""
    assert sides((10, 12, "above it")) == ["left"]
    assert sides((10, 3, "below it")) == ["right"]
    assert sides((10, 10, "a long one on it")) == ["right"]  # where no side is off it


def test_a_label_that_fits_nowhere_is_left_out() -> None:
    around = [(x, y, "a") for x in (9.0, 11.0) for y in (9.0, 10.0, 11.0)]
    assert sides((10, 10, "a rather long name"), *around, (10, 9, "b"), (10, 11, "c"))[0] == ""
