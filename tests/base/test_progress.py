"""Progress of long work: a share, the time left, on a terminal alone."""

from __future__ import annotations

import io

from thermoflop.base.progress import Line, duration, part, shown_on, tracked


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """True."""
        return True


def test_the_time_left_is_what_the_share_done_took_for_the_rest() -> None:
    """After 10 s a quarter is done: three quarters take 30 s; the next line is drawn over it."""
    clock = iter([0.0, 10.0, 10.1, 20.0])
    screen = Terminal()
    line = Line(screen, lambda: next(clock))
    line.show(0.25, "fitting")
    line.show(0.26, "too soon after it to be drawn")
    line.show(0.5, "fitting")
    assert screen.getvalue() == "\r 25 %  30 s left  fitting\r 50 %  20 s left  fitting"
    line.clear()
    assert screen.getvalue().endswith("\r" + " " * len(" 50 %  20 s left  fitting") + "\r")


def test_work_of_half_a_second_shows_nothing() -> None:
    """A line that flashes is worse than none."""
    clock = iter([0.0, 0.1, 0.4])
    screen = Terminal()
    line = Line(screen, lambda: next(clock))
    line.show(0.2, "fitting")
    line.show(0.9, "fitting")
    assert screen.getvalue() == ""


def test_inner_loops_and_parts_refine_the_share_of_the_outer_one() -> None:
    """Two items of two each are four quarters; a part of 0.8 to 1 is the last fifth."""
    from thermoflop.base import progress

    shares: list[float] = []
    token = progress._told.set(lambda share, _: shares.append(round(share, 6)))
    try:
        for _ in tracked([1, 2], "outer"):
            list(tracked([1, 2], "inner"))
        with part(0.8, 1.0):
            list(tracked([1, 2], "later"))
    finally:
        progress._told.reset(token)
    assert shares == [0.0, 0.0, 0.25, 0.5, 0.5, 0.75, 1.0, 0.8, 0.9, 1.0]


def test_nothing_goes_into_a_pipe_or_to_a_terminal_that_cannot_write_over() -> None:
    """Neither gets a byte, and the items come all the same."""
    for stream, dumb in ((io.StringIO(), False), (Terminal(), True)):
        with shown_on(stream, dumb):
            assert list(tracked(range(3), "counting")) == [0, 1, 2]
        assert stream.getvalue() == ""


def test_durations_are_said_in_two_units_at_most() -> None:
    """Seconds, minutes with seconds, hours with minutes."""
    assert [duration(s) for s in (0.4, 59.6, 3599, 7300)] == [
        "0 s", "1 min 0 s", "59 min 59 s", "2 h 1 min",
    ]  # fmt: skip
