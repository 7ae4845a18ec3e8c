"""Printed marks as events: every number counts, no flood of events, and how each phase came."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from thermoflop.pico.track import HostEvent
from thermoflop.runs.child.printed import MAX_PHASES_PER_S, PrintedMarks


class Stream:
    """A stream of output, read at chosen moments."""

    def __init__(self) -> None:
        self.events: list[HostEvent] = []
        self.marks = PrintedMarks(self._take, 100.0)

    def _take(self, events: Sequence[HostEvent]) -> None:
        self.events += events

    def sum(self, key: str) -> float:
        """Of all events, as an analysis adds them up."""
        return sum(e.detail.get("sums", e.detail["values"]).get(key, 0.0) for e in self.events)


@pytest.mark.parametrize("line", [b"tokens=1\n", b"tokens=1 step=%d\n", b"tokens=%d\n"])
def test_of_a_hundred_thousand_lines_a_second_none_is_left_out(line: bytes) -> None:
    """In at most a hundred events; the sum is the arithmetic one, the last value is kept."""
    stream = Stream()
    lines = [line % n if b"%" in line else line for n in range(100_000)]
    for at in range(0, 100_000, 100):  # a read each millisecond
        stream.marks.feed(b"".join(lines[at : at + 100]), 100.0 + at / 100_000)
    stream.marks.finish()
    is_counter = line == b"tokens=%d\n"
    assert stream.sum("tokens") == (100_000 * 99_999 // 2 if is_counter else 100_000)
    assert sum(e.detail.get("lines", 1) for e in stream.events) == 100_000
    assert len(stream.events) <= 101
    assert stream.events[-1].detail["values"].get("step", 99_999.0) == 99_999.0


def test_lines_that_come_slowly_have_an_event_each_at_their_own_moment() -> None:
    stream = Stream()
    for n in range(50):
        stream.marks.feed(b"tokens=3\n", 100.0 + 0.02 * n)
    assert [e.mono_s for e in stream.events] == [100.0 + 0.02 * n for n in range(50)]
    assert all(e.detail == {"by": "output", "values": {"tokens": 3.0}} for e in stream.events)


def test_what_is_being_added_up_is_passed_on_in_a_hundredth_of_a_second() -> None:
    """Also when nothing comes any more."""
    stream = Stream()
    stream.marks.feed(b"tokens=1\n", 100.0)
    stream.marks.feed(b"tokens=2\ntokens=3\n", 100.005)
    assert stream.marks.is_waiting
    assert stream.sum("tokens") == 1
    stream.marks.turn(100.0101)
    assert not stream.marks.is_waiting
    assert stream.sum("tokens") == 6


def test_numbers_stay_on_their_side_of_a_phase() -> None:
    """Two before it and three after it, all of one read."""
    stream = Stream()
    stream.marks.feed(b"n=1\nn=1\nphase=b n=5\nn=1\nn=1\nn=1\n", 101.0)
    stream.marks.finish()
    assert [e.detail.get("phase") for e in stream.events] == [None, "b", None]
    assert [e.detail.get("sums", {}).get("n") for e in stream.events] == [2, None, 3]
    assert stream.events[1].detail["values"] == {"n": 5.0}


def test_a_phase_says_how_it_came() -> None:
    """Alone, or with others a second and a half after the read before; in a buffer cut anywhere."""
    stream = Stream()
    stream.marks.feed(b"phase=a\n", 100.5)
    stream.marks.feed(b"phase=b\nn=1\nphase=c\n", 102.0)
    stream.marks.feed(b"phase=d\n".ljust(4096, b"."), 102.25)
    reads = {e.detail["phase"]: e.detail["read"] for e in stream.events if "phase" in e.detail}
    late = {"gap_s": 1.5, "lines": 3, "phases": 2, "cut": False}
    assert reads == {
        "a": {"gap_s": 0.5, "lines": 1, "phases": 1, "cut": False},
        "b": late,
        "c": late,
        "d": {"gap_s": 0.25, "lines": 1, "phases": 1, "cut": True},
    }


def test_a_flood_of_phases_is_counted_and_its_numbers_stay() -> None:
    """Those of phases left out are marked as such; a second later phases are taken again."""
    stream = Stream()
    n = MAX_PHASES_PER_S + 500
    stream.marks.feed(b"phase=p tokens=1\ntokens=1\n" * n, 200.1)
    stream.marks.feed(b"phase=q tokens=1\n", 201.1)
    stream.marks.finish()
    assert stream.marks.left_out == 500
    left = [e for e in stream.events if e.detail.get("phase_left_out")]
    assert sum(e.detail.get("sums", e.detail["values"])["tokens"] for e in left) == 1000
    assert stream.sum("tokens") == 2 * n + 1
    assert stream.events[-1].detail["phase"] == "q"
    assert len(stream.events) < 2 * MAX_PHASES_PER_S + 10


def test_many_names_make_more_events_and_no_long_one() -> None:
    stream = Stream()
    stream.marks.feed(b"".join(b"k%d=1\n" % n for n in range(1000)), 100.0)
    stream.marks.finish()
    assert {key for e in stream.events for key in e.detail["values"]} == {
        f"k{n}" for n in range(1000)
    }
    assert max(len(e.detail["values"]) for e in stream.events) <= 80
