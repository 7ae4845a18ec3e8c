"""The live picture: fits its terminal, shows faults in words, lets nothing drive the terminal."""

from __future__ import annotations

import pytest
from kit.board_lines import event_line, introduction, sample_line, seal
from rich.cells import cell_len
from thermoflop.pico.track import Tracker
from thermoflop.report.messages import describe_event, describe_host_event
from thermoflop.report.terminal.braille import Canvas
from thermoflop.report.terminal.live import Live
from thermoflop.report.terminal.plain import PlainLines, plain_line


def lively(columns: int, rows: int, *lines: bytes) -> list[str]:
    """The picture of a board that said ``lines``."""
    tracker = Tracker()
    tracker.opened()
    live = Live("/dev/ttyACM0")
    for n, line in enumerate((introduction(), *lines)):
        live.add(tracker.feed(line, 0.2 * n, 1.75e9 + 0.2 * n))
    text = live.render(columns, rows, tracker.board, tracker.counters, True)
    return [line.plain for line in text]


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (200, 60), (132, 43)])
def test_the_picture_fits_its_terminal(size: tuple[int, int]) -> None:
    """No line too many, no column too wide."""
    lines = lively(*size, *(sample_line(n, temp_c=25 + n % 9, fan=n % 2) for n in range(99)))
    assert len(lines) <= size[1]
    assert max(map(cell_len, lines)) <= size[0]


def test_it_shows_temperature_fan_thresholds_losses_and_who_it_is() -> None:
    """What a person looks for."""
    text = "\n".join(lively(80, 24, sample_line(0), sample_line(5, temp_c=31.5, fan=1)))
    for words in ("31.50 °C", "fan ON", "mode auto", "on 29.0", "off 28.0", "4 lost", "no fault"):
        assert words in text
    assert "Pico W" in text


def test_a_fault_is_said_in_words() -> None:
    """Not as a flag."""
    text = "\n".join(lively(80, 24, sample_line(0, temp_c=None, flags=("open", "brandnew"))))
    assert "no valid reading" in text
    assert "FAULT: sensor open, brandnew" in text


def test_nothing_heard_yet_is_a_picture_too() -> None:
    """Of an empty plot."""
    assert "listening" in "\n".join(lively(80, 24))


def test_text_from_the_board_cannot_drive_the_terminal() -> None:
    """Neither escape sequences nor rich's own markup."""
    evil = seal('{"k":"log","boot":"3fa2c1","text":"\\u001b[2J[bold red]x[/]\\u0007"')
    lines = lively(80, 24, sample_line(0), evil)
    assert any("\\x1b[2J[bold red]x[/]\\x07" in line for line in lines)
    assert not any("\x1b" in line or "\x07" in line for line in lines)


def test_plain_lines_say_the_same() -> None:
    """One line for each item that is worth one."""
    tracker = Tracker()
    tracker.opened()
    data = introduction() + sample_line(0, fan=1, flags=("hot",)) + b"x\n" + event_line(0)
    lines = [plain_line(item) for item in tracker.feed(data, 0.0, 1.75e9)]
    assert [line for line in lines if line] == [
        "15:06:40  25.310 °C  fan on  auto  FAULT too hot",
        "15:06:40  bad line (no checksum, 1 bytes)",
        "15:06:40  fan on: warm enough to start at 29.01 °C",
    ]


def test_what_the_host_notices_is_said_in_words() -> None:
    """A port opened in the middle of a line, samples that were lost: no names of events."""
    tracker = Tracker()
    tracker.opened()
    data = b'5,"fan":0}\n' + introduction() + sample_line(0) + sample_line(5)
    said = [line for item in tracker.feed(data, 0.0, 1.75e9) if (line := plain_line(item))]
    assert said[0] == (
        "15:06:40  joined in the middle of a line, as usual: its last 10 bytes are left out"
    )
    assert said[-2] == "15:06:40  samples lost: 4"  # 1 to 4
    assert describe_host_event("of_tomorrow", {"n": 1}) == "of_tomorrow: n 1"


def test_a_flood_of_bad_lines_is_one_line_a_second() -> None:
    """Garbage must not bury what the board says."""
    tracker = Tracker()
    tracker.opened()
    plain = PlainLines()
    first = list(plain.add(tracker.feed(introduction() + b"x\n", 0.0, 1.75e9)))
    rest = list(plain.add(tracker.feed(b"x\n" * 500 + b"\xff\n" * 7, 0.5, 1.75e9)))
    late = list(plain.add(tracker.feed(b"x\n", 1.5, 1.75e9)))
    assert [line for line in first if "bad" in line] == ["15:06:40  1 bad line (no checksum 1)"]
    assert rest == []
    assert late == ["15:06:40  508 bad lines (no checksum 501, foreign bytes 7)"]


def test_events_are_said_as_people_say_them() -> None:
    """And one that is not known, as it is."""
    fault = {"fault": "open", "set": 1, "value": 3, "limit": 40, "unit": "code"}
    assert describe_event("fault", fault) == "FAULT sensor open: 3 code, limit 40 code"
    assert describe_event("fault", fault | {"set": 0}) == "fault over: sensor open"
    assert describe_event("settings", {"what": "set", "key": "on_c"}) == "settings set: on_c"
    assert describe_event("settings", {"what": "saved"}) == "settings saved"
    assert describe_event("dance", {"steps": 3}) == "dance: steps 3"


def test_a_stroke_joins_its_points_and_stays_inside() -> None:
    """Dots beyond the canvas are left out."""
    canvas = Canvas(2, 1)
    canvas.line([(-5, 0), (0, 0), (3, 3), (99, 99)])
    assert canvas.row(0) == "⠑⢄"


def test_a_reading_too_cold_to_be_true_says_what_a_wrong_part_looks_like() -> None:
    fault = {"fault": "cold", "set": 1, "value": -16.2, "limit": 0.0, "unit": "degC"}
    assert describe_event("fault", fault) == (
        "FAULT colder than t_min_c (wrong part?): -16.2 °C, limit 0.0 °C; a part of more ohm "
        "than set reads so: 100k on a board set to 10k shows -19 °C at 25"
    )
