"""One wrong number costs no event that follows, and what is missing is counted right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.board_lines import event_line, sample_line
from thermoflop.pico.event_numbers import MAX_STALE
from thermoflop.pico.track import Tracker


def hear(*numbers: int, joined: bool = True) -> Tracker:
    """A tracker that has heard these events, of a board that it joined or saw start."""
    tracker = Tracker()
    tracker.opened()
    lines = [sample_line(0, boot="aaaa")] * (not joined) + [event_line(n) for n in numbers]
    tracker.feed(b"\n" + b"".join(lines), 1.0, 1.75e9)
    return tracker


@pytest.mark.parametrize("wrong", [907, 2**53, 11])
@pytest.mark.parametrize("place", [0, 1, 10])
def test_one_number_that_is_too_high_costs_no_event(wrong: int, place: int) -> None:
    """It may be the first, the second or a later one; it is kept as a line like any other."""
    numbers = [*range(place), wrong, *range(place, 600)]
    counters = hear(*numbers).counters
    assert (counters.events, counters.stale, counters.gap_events) == (601, 0, 0)


def test_several_wrong_numbers_cost_nothing_either() -> None:
    """Each is taken back by the event after it."""
    counters = hear(0, 907, 1, 500, 2, 907, 3, 4).counters
    assert (counters.events, counters.stale, counters.gap_events) == (8, 0, 0)


def test_two_wrong_numbers_in_a_row_cost_a_few() -> None:
    """The second confirms the first; the row of those that are called stale then ends it."""
    counters = hear(0, 907, 908, *range(1, 601)).counters
    assert counters.stale == MAX_STALE
    assert counters.events == 603 - MAX_STALE


def test_a_gap_that_the_next_event_confirms_stays() -> None:
    """Five are missing, and a late copy of what came before it is stale."""
    counters = hear(0, 1, 7, 8, 7, 1).counters
    assert (counters.events, counters.gap_events, counters.stale) == (4, 5, 2)


def test_events_missing_from_a_boot_that_began_under_our_eyes_are_counted() -> None:
    """Its first number is 0."""
    assert hear(3, 4, joined=False).counters.gap_events == 3
    assert hear(3, 4).counters.gap_events == 0


@given(st.lists(st.integers(0, 2**53), max_size=60))
def test_every_event_is_stored_or_stale_and_never_fewer_than_none_are_missing(
    numbers: list[int],
) -> None:
    """Whatever numbers come."""
    counters = hear(*numbers).counters
    assert counters.events + counters.stale == len(numbers)
    assert counters.gap_events >= 0
