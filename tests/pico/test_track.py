"""Counting: every byte that comes is accounted for, and nothing stale or torn is believed."""

from __future__ import annotations

import random

import pytest
from kit.board_lines import event_line, hello_line, sample_line, seal, settings_line
from thermoflop.pico.settings import MAX_SETTINGS
from thermoflop.pico.track import MAX_STALE_RUN, BadLine, BoardLine, HostEvent, Item, Tracker
from thermoflop.pico.wire import Sample


def feed(tracker: Tracker, data: bytes, at_s: float = 1.0) -> list[Item]:
    """All of ``data`` in one chunk."""
    return tracker.feed(data, at_s, 1.75e9 + at_s)


def opened(*lines: bytes) -> Tracker:
    """A tracker past the first newline that has heard ``lines``."""
    tracker = Tracker()
    tracker.opened()
    feed(tracker, b"\n" + b"".join(lines))
    return tracker


def seqs(items: list[Item]) -> list[int]:
    """The sequence numbers of the samples that were believed."""
    return [
        i.message.seq for i in items if isinstance(i, BoardLine) and isinstance(i.message, Sample)
    ]


def events(items: list[Item]) -> list[str]:
    """The names of what the host noticed."""
    return [item.ev for item in items if isinstance(item, HostEvent)]


def test_the_rest_of_a_running_line_at_open_is_no_bad_line() -> None:
    """What stands before the first newline is dropped and counted apart."""
    tracker = Tracker()
    tracker.opened()
    items = feed(tracker, sample_line(4)[20:] + sample_line(5))
    assert seqs(items) == [5]
    assert tracker.counters.torn_at_open == 1
    assert tracker.counters.bad_lines == 0


def test_a_whole_first_line_is_not_thrown_away() -> None:
    """A board that says hello right after the open is heard."""
    tracker = Tracker()
    tracker.opened()
    feed(tracker, hello_line())
    assert tracker.board.hello is not None
    assert tracker.counters.torn_at_open == 0


def test_a_log_line_of_full_length_is_believed_with_its_carriage_return() -> None:
    """What a crashing board prints as text ends in both."""
    head = '{"k":"log","boot":"3fa2c1","text":"'
    line = seal(head + "x" * (256 - len(seal(head + '"'))) + '"')
    assert len(line) == 256
    for data in (line, line[:-1] + b"\r\n"):
        for size in (1, 7, 300):
            tracker = opened()
            items = [i for at in range(0, len(data), size) for i in feed(tracker, data[at:][:size])]
            assert [item.line for item in items if isinstance(item, BoardLine)] == [line[:-1]]
    assert opened(b"x" * 256 + b"\r\n").counters.bad == {"too_long": 1}


def test_the_first_sample_heard_is_no_gap_and_its_boot_no_reboot() -> None:
    """Joining a board that has been running loses nothing."""
    tracker = opened(sample_line(1000))
    assert (tracker.counters.gaps, tracker.counters.reboots) == (0, 0)


def test_missing_numbers_are_a_gap_with_its_length() -> None:
    """Three missing samples are one gap of three."""
    tracker = opened(sample_line(5))
    items = feed(tracker, sample_line(9))
    gap = next(item for item in items if isinstance(item, HostEvent))
    assert (gap.ev, gap.detail["after"], gap.detail["seq"], gap.detail["missing"]) == (
        "gap", 5, 9, 3,
    )  # fmt: skip
    assert (tracker.counters.gaps, tracker.counters.gap_samples) == (1, 3)


def test_what_the_board_says_it_dropped_is_not_blamed_on_the_way() -> None:
    """Of three missing samples the board owns up to two: one was lost."""
    tracker = opened(sample_line(5, drops=7))
    feed(tracker, sample_line(9, drops=9))
    assert (tracker.counters.board_drops, tracker.counters.lost_samples) == (2, 1)


def test_drops_from_before_we_listened_are_not_ours() -> None:
    """The board's counter starts at its boot, ours when we join."""
    assert opened(sample_line(5, drops=7)).counters.board_drops == 0


def test_a_repeated_sample_is_stale() -> None:
    """A number that is not newer is dropped and counted."""
    tracker = opened(sample_line(5), sample_line(6))
    items = feed(tracker, sample_line(6) + sample_line(5) + sample_line(7))
    assert seqs(items) == [7]
    assert tracker.counters.stale == 2
    assert tracker.counters.gaps == 0


def test_a_new_boot_id_is_a_reboot_and_its_start_is_ours_to_lose() -> None:
    """Samples missing from the start of a boot that we saw begin are a gap."""
    tracker = opened(sample_line(50, "aaaaaa"))
    items = feed(tracker, sample_line(2, "bbbbbb"))
    assert events(items) == ["reboot", "gap"]
    assert (tracker.counters.reboots, tracker.counters.gap_samples) == (1, 2)


def test_a_line_of_an_earlier_boot_is_stale() -> None:
    """It comes from a buffer, whatever its number says."""
    tracker = opened(sample_line(50, "aaaaaa"), sample_line(0, "bbbbbb"))
    items = feed(
        tracker, sample_line(51, "aaaaaa") + event_line(9, "aaaaaa") + hello_line("aaaaaa")
    )
    assert seqs(items) == []
    assert (tracker.counters.stale, tracker.counters.reboots) == (3, 1)


def test_a_wrong_idea_of_the_boot_does_not_lose_the_rest() -> None:
    """A corrupted line that passed its crc must not turn all that follows into stale lines."""
    tracker = opened(sample_line(0), sample_line(1, "bbbbbb"))
    items = feed(tracker, b"".join(sample_line(n) for n in range(2, 200)))
    assert seqs(items) == list(range(2 + MAX_STALE_RUN, 200))
    tracker = opened(sample_line(0), sample_line(10**9))
    items = feed(tracker, b"".join(sample_line(n) for n in range(1, 200)))
    assert seqs(items) == list(range(1 + MAX_STALE_RUN, 200))


def test_missing_events_are_counted() -> None:
    """Events have numbers of their own."""
    tracker = opened(event_line(0))
    assert "gap_events" in events(feed(tracker, event_line(3)))
    assert tracker.counters.gap_events == 2


def test_a_bad_line_is_kept_as_evidence() -> None:
    """Reason, beginning and length."""
    tracker = opened(sample_line(0))
    (item,) = feed(tracker, b"nonsense\n")
    assert isinstance(item, BadLine)
    assert (item.reason, item.head, item.n_bytes) == ("no_crc", b"nonsense", 8)


def test_a_megabyte_line_is_one_bad_line() -> None:
    """Counted once, with all its bytes."""
    tracker = opened(sample_line(0))
    feed(tracker, b"x" * (1 << 20) + b"\n" + sample_line(1))
    assert tracker.counters.bad == {"too_long": 1}
    assert tracker.counters.bad_bytes == 1 << 20
    assert tracker.counters.samples == 2


def test_a_cable_pulled_in_the_middle_of_a_line_tears_only_that_line() -> None:
    """The half before and the half after are never joined."""
    tracker = opened(sample_line(0))
    feed(tracker, sample_line(1)[:40])
    tracker.closed()
    tracker.opened()
    items = feed(tracker, sample_line(1)[40:] + sample_line(2))
    assert seqs(items) == [2]
    assert (tracker.counters.torn_at_close, tracker.counters.torn_at_open) == (1, 1)


def test_settings_in_parts_make_one_whole() -> None:
    """Identity and settings are kept as last heard, and forgotten at a reboot."""
    tracker = opened(hello_line(), settings_line(on_c=31.0))
    assert tracker.board.settings["on_c"] == 31.0
    feed(tracker, sample_line(0, "bbbbbb"))
    assert tracker.board.settings == {}


class BadCable:
    """Says six boots of a board over a cable that drops, corrupts and tears, and keeps count."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.boots = [f"{self.rng.getrandbits(24):06x}" for _ in range(6)]
        self.delivered: dict[tuple[str, int], bytes] = {}
        self.bad = self.lost = 0
        self.stream = b"\n" + b"".join(map(self._boot, self.boots))

    def _boot(self, boot: str) -> bytes:
        sent, drops = b"", 0
        for seq in range(1700):
            # the first of all and the last of each boot arrive: a loss there leaves no trace
            is_safe = seq == 1699 or (boot == self.boots[0] and seq == 0)
            dice = 1.0 if is_safe else self.rng.random()
            line = sample_line(seq, boot, temp_c=self.rng.uniform(20, 40), drops=drops)
            if dice < 0.01:
                drops += 1
                continue
            if dice >= 0.04:
                self.delivered[boot, seq] = line
            sent += self._mangle(line, dice) if dice < 0.04 else line
        return sent

    def _mangle(self, line: bytes, dice: float) -> bytes:
        self.lost += 1
        if dice < 0.02:
            return b""
        at = self.rng.randrange(1, len(line) - 1)
        if dice < 0.03:
            line = line[:at] + bytes([line[at] ^ self.rng.choice([1, 2, 64])]) + line[at + 1 :]
        else:
            line = line[:at] + b"\n"
        self.bad += line.count(b"\n")
        return line


@pytest.mark.parametrize("seed", range(3))
def test_no_bad_sample_is_believed_and_every_loss_is_counted(seed: int) -> None:
    """Ten thousand lines with corruption, drops, tears and reboots: the counts agree."""
    cable = BadCable(seed)
    tracker = Tracker()
    tracker.opened()
    got: list[Item] = []
    data = cable.stream
    while data:
        cut = cable.rng.randrange(1, 5000)
        got += feed(tracker, data[:cut])
        data = data[cut:]
    believed = {
        (item.message.boot, item.message.seq): item.line + b"\n"
        for item in got
        if isinstance(item, BoardLine) and isinstance(item.message, Sample)
    }
    assert believed == cable.delivered
    counters = tracker.counters
    assert counters.bad_lines == cable.bad
    assert counters.lost_samples == cable.lost
    assert counters.gap_samples == cable.lost + counters.board_drops
    assert counters.reboots == len(cable.boots) - 1
    assert counters.stale == 0


def test_a_board_that_invents_settings_does_not_fill_the_memory() -> None:
    """What it said first is kept up to date; keys beyond the bound are not taken up."""
    tracker = opened(settings_line(on_c=29.0))
    for i in range(1000):
        feed(tracker, seal(f'{{"k":"settings","boot":"3fa2c1","part":1,"parts":1,"k{i}":{i}'))
    feed(tracker, settings_line(on_c=31.0))
    assert len(tracker.board.settings) == MAX_SETTINGS
    assert tracker.board.settings["on_c"] == 31.0
