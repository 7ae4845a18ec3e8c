"""The cable does what the menu says, and its truth says exactly what it did."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.board_lines import seal
from kit.simulated_board import bad, board, samples
from thermoflop.pico.simulated.cable import (
    HOST_BUFFER_BYTES,
    USB_BUFFER_BYTES,
    Cable,
    LinkBusy,
    LinkLost,
    corrupted,
)
from thermoflop.pico.simulated.truth import CableTruth
from thermoflop.pico.wire import Bad, Sample, decode

LINE = seal('{"k":"t","boot":"3fa2c1","seq":7,"up_s":1.200,"drops":0')


def cable() -> Cable:
    return Cable((), 1, CableTruth())


def say(end: Cable, data: bytes) -> None:
    """What the firmware does: byte by byte, as long as there is room."""
    for byte in data:
        assert end.can_send(0.0)
        end.send(bytes((byte,)))


def test_a_line_arrives_as_it_was() -> None:
    end = cable()
    ticket = end.attach()
    say(end, LINE)
    end.move(0.0)
    assert end.read(ticket, 1000) == LINE
    assert (end.truth.lines_sent, end.truth.lines_delivered) == (1, 1)


def test_reading_wakes_no_reader() -> None:
    end = cable()
    ticket = end.attach()
    say(end, LINE)
    end.move(0.0)
    woken: list[bool] = []
    end.on_data = lambda: woken.append(True)
    assert end.read(ticket, 1000) == LINE
    assert end.read(ticket, 1000) == b""
    assert not woken  # it would call itself back for ever, and never sleep


def test_with_nobody_listening_the_latest_bytes_stay() -> None:
    end = cable()
    for _ in range(20):
        say(end, LINE)
    ticket = end.attach()
    end.move(0.0)
    data = end.read(ticket, 10_000)
    assert data.endswith(LINE)
    assert len(data) == USB_BUFFER_BYTES
    assert (LINE * 20).endswith(data)
    assert end.truth.bytes_unheard == 20 * len(LINE) - USB_BUFFER_BYTES


def test_a_reader_who_does_not_read_makes_the_board_wait() -> None:
    end = cable()
    end.attach()
    sent = 0
    while end.can_send(0.0):
        end.send(b"x" * 9 + b"\n")
        sent += 10
    assert HOST_BUFFER_BYTES <= sent <= HOST_BUFFER_BYTES + 2 * USB_BUFFER_BYTES


def test_a_pulled_cable_gives_what_had_arrived_and_then_an_error() -> None:
    end = cable()
    ticket = end.attach()
    say(end, LINE)
    end.move(0.0)
    end.pull()
    assert end.waiting(ticket) == len(LINE)
    assert end.read(ticket, 1000) == LINE
    for use in (end.waiting, lambda t: end.read(t, 1), lambda t: end.write(t, b"x")):
        with pytest.raises(LinkLost):
            use(ticket)
    with pytest.raises(LinkLost):
        end.attach()
    end.plug()
    assert end.attach() != ticket


def test_a_cut_comes_in_the_middle_of_a_line() -> None:
    end = cable()
    ticket = end.attach()
    end.cut()
    say(end, LINE)
    end.move(0.0)
    assert not end.plugged
    data = end.read(ticket, 1000) if end.unread_bytes else b""
    assert LINE.startswith(data)
    assert len(data) < len(LINE)


def test_only_one_reads() -> None:
    end = cable()
    end.attach()
    with pytest.raises(LinkBusy):
        end.attach()


def test_a_closed_port_can_be_opened_again() -> None:
    end = cable()
    end.detach(end.attach())
    end.attach()


def test_what_is_typed_comes_in_order_and_no_more_than_there_is_room() -> None:
    end = cable()
    ticket = end.attach()
    assert end.write(ticket, b"abc", timeout_s=0) == 3
    assert end.write(ticket, b"x" * 10_000, timeout_s=0) == 4096 - 3
    assert end.typed(2) == b"ab"
    assert end.typed(4) == b"cxxx"


@given(seed=st.integers(0, 10_000))
def test_a_corrupted_line_is_one_line_still_and_never_believed(seed: int) -> None:
    changed = corrupted(LINE, random.Random(seed))
    assert changed != LINE
    assert len(changed) == len(LINE)
    assert changed.count(b"\n") == 1
    assert changed.endswith(b"\n")
    assert isinstance(decode(changed[:-1]), Bad)


@pytest.mark.parametrize(
    ("fault", "count"),
    [
        ("drop=0.05", "lines_dropped"),
        ("corrupt=0.05", "lines_corrupted"),
        ("tear=0.05", "lines_torn"),
    ],
)
def test_each_line_fault_is_counted_and_shows(fault: str, count: str) -> None:
    with board(fault=fault) as pico:
        lines = pico.run(200.0)
    truth = pico.truth.to_json()
    assert 20 < truth[count] < 90
    assert truth["bad_lines"] == len(bad(lines))
    assert truth["samples_delivered"] == len(samples(lines))
    lost = truth["samples_sent"] - truth["samples_delivered"]
    assert lost > 0
    if "drop" in fault:
        assert not bad(lines)
        assert truth["lines_sent"] - truth["lines_dropped"] == truth["lines_delivered"]
    if "corrupt" in fault:
        assert truth["bad_lines"] == truth["lines_corrupted"]
    if "tear" in fault:
        assert truth["bad_lines"] <= truth["lines_torn"] <= lost + 10


def missing(taken: list[Sample]) -> int:
    return sum(b.seq - a.seq - 1 for a, b in pairwise(taken))


def test_a_short_unplug_costs_what_was_on_the_way() -> None:
    with board(fault="unplug@5:2") as pico:
        taken = samples(pico.run(20.0))
    assert len({s.boot for s in taken}) == 1
    assert 1 <= missing(taken) == pico.truth.samples_missing <= 5
    assert taken[-1].drops == 0
    assert pico.truth.unplugs == 1


def test_a_long_unplug_fills_the_board_which_counts_its_drops() -> None:
    with board(fault="unplug@5:60") as pico:
        taken = samples(pico.run(80.0))
    assert missing(taken) == pico.truth.samples_missing > 200
    assert missing(taken) - 5 <= taken[-1].drops == pico.truth.drops_told


def test_a_board_that_lives_on_usb_power_starts_anew() -> None:
    with board(fault="unplug@5:4=power") as pico:
        taken = samples(pico.run(20.0))
    assert len({s.boot for s in taken}) == 2
    assert pico.truth.reboots == {"power": 1}
    assert not pico.truth.samples_missing


def test_the_truth_knows_lines_by_every_byte() -> None:
    truth = CableTruth()
    truth.sent(LINE)
    truth.arrived(LINE.replace(b"7", b"8"))
    assert (truth.bad_lines, truth.lines_delivered) == (1, 0)
    truth.arrived(LINE[:10])
    truth.arrived(LINE[10:])
    assert (truth.bad_lines, truth.samples_delivered) == (1, 1)
    truth.arrived(LINE[:10])
    truth.link_closed()
    assert truth.torn_at_close == 1


def test_the_truth_stays_small() -> None:
    truth = CableTruth()
    for seq in range(20_000):
        truth.sent(b'{"k":"t","boot":"3fa2c1","seq":%d,"drops":0,"crc":"0000"}\n' % seq)
    assert len(truth._outstanding) <= 4096
