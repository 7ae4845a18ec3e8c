"""GPUs that one thread reads in turn, and what becomes of the others when one does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from thermoflop.pico.track import HostEvent
from thermoflop.runs.gpu.rounds import CALM_S, LATE_ROUNDS, WAIT_S, Round
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.gpu.sampler import GpuSampler
from thermoflop.runs.gpu.simulated import Body, SimulatedNvml


class Turns:
    """Something with turns, which take ``take_s`` of a clock that stands still otherwise."""

    now_s = 100.0

    def __init__(self, take_s: float = 0.0, during: Callable[[], None] = lambda: None) -> None:
        self.taken = self.missed = 0
        self.take_s = take_s
        self.during = during

    def turn(self) -> None:
        self.taken += 1
        Turns.now_s += self.take_s
        self.during()


def clock() -> float:
    return Turns.now_s


@pytest.mark.parametrize(("take_s", "is_apart"), [(WAIT_S / 2, False), (2 * WAIT_S, True)])
def test_whoever_keeps_the_others_waiting_is_left_alone(take_s: float, is_apart: bool) -> None:
    """And those after it have their turn in the new round, once."""
    found: list[Round | None] = []
    slow = Turns(take_s, lambda: found.append(each.rest()))
    first, last = Turns(), Turns()
    each = Round([first, slow, last], 0.1, clock)
    each.turn()
    (rest,) = found
    assert [one.taken for one in (first, slow, last)] == [1, 1, 0 if is_apart else 1]
    assert (rest is not None) == is_apart
    if rest is not None:
        rest.turn()
        assert [one.taken for one in (first, slow, last)] == [2, 1, 1]
        assert list(each.watches) == [slow]
    Turns.now_s += 9  # between two rounds nobody waits for anybody
    assert each.rest() is None


def test_a_round_that_is_too_long_again_and_again_is_halved() -> None:
    """Five times 30 ms are more than 100 ms: three stay, two go, and then each half is in time."""
    turns = [Turns(0.03) for _ in range(5)]
    each, stop = Round(turns, 0.1, clock), threading.Event()
    turns[-1].during = lambda: stop.set() if turns[-1].taken > LATE_ROUNDS * 2 else None
    each.run(stop)
    assert [one.missed for one in turns] == [16 - 11] * 5  # of 16 that 1.65 s have room for
    rest = each.rest()
    assert rest is not None
    assert (list(each.watches), list(rest.watches)) == (turns[:3], turns[3:])
    assert each.rest() is None
    assert rest.rest() is None


@pytest.mark.parametrize(("took_s", "calm_s", "is_one"), [
    (0.02, CALM_S + 1, True), (0.02, CALM_S - 1, False), (0.03, CALM_S + 1, False),
])  # fmt: skip
def test_those_who_were_quick_for_long_are_read_by_one_thread_again(
    took_s: float, calm_s: float, is_one: bool
) -> None:
    """A quarter of 100 ms is 25 ms; the thread of those who left ends by itself."""
    turns = [Turns(), Turns(took_s)]
    one, other = (Round([turn], 0.1, clock) for turn in turns)
    turns[0].during = lambda: asked.append(one.join(other))
    asked: list[bool] = []
    Turns.now_s += calm_s
    other.turn()
    one.turn()
    assert asked == [False]  # not while one is being read
    assert one.join(other) is is_one
    assert len(one.watches) == (2 if is_one else 1)
    if is_one:
        other.run(threading.Event())
        assert turns[1].taken == 1


def test_a_gpu_that_hangs_costs_the_page_no_reading_of_the_others_from_then_on() -> None:
    """Three of which the middle one does not return; when it does, it is read again."""
    end, others, back = threading.Event(), threading.Event(), threading.Event()
    read: list[int] = []

    class Driver(SimulatedNvml):
        def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:  # noqa: N802
            if handle == 1:
                end.wait(60)
            return super().nvmlDeviceGetTemperature(handle, sensor)

    def sink(items: list[GpuSample | HostEvent]) -> None:
        read.extend(item.gpu for item in items if isinstance(item, GpuSample))
        if min(read.count(0), read.count(2)) > 3:
            others.set()
        if 1 in read:
            back.set()

    with GpuSampler(Driver([Body()] * 3), sink, 50, details=lambda *_: None):
        assert others.wait(30)
        assert 1 not in read
        end.set()
        assert back.wait(30)
