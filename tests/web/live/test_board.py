"""One board as the page sees it, without a browser: its port, its faults, its answers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.board_lines import Pty, hello_line, sample_line, seal, settings_line
from thermoflop.errors import BoardError, BoardRefused, UsageError
from thermoflop.pico.link import Latest, Link
from thermoflop.pico.ports import Target
from thermoflop.web.live.board import BoardSource
from thermoflop.web.live.recordings import Recording
from thermoflop.web.live.simboard import SimBoard
from thermoflop.web.live.sources import MAX_BOARDS, LiveSources
from thermoflop.web.site import Site


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must come; half a minute is for a machine that is very busy."""
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


@pytest.fixture
def port() -> Pty:
    """A board that says what the test wants."""
    return Pty()


@pytest.fixture
def feed(port: Pty) -> Iterator[BoardSource]:
    """That board, opened and introduced."""
    feed = BoardSource("board1", Target(port.path))
    feed.open()
    port.say(hello_line() + settings_line() + sample_line(0))
    until(lambda: feed.state()["heard"])
    yield feed
    feed.end()


def answer(port: Pty, text: str) -> threading.Thread:
    """Answer the next command with ``text``, in which ID stands for its id."""

    def run() -> None:
        line = os.read(port.master, 200).decode()
        command_id = line[1:].split(" ")[0]
        port.say(seal(text.replace("ID", command_id)))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("least_s", "sample", "said"),
    [
        ("5.000", {"temp_c": 29.0, "fan": 0}, "auto; off for 5 s at least"),
        ("0.000", {"temp_c": 29.0, "fan": 0}, "auto"),
        ("5.000", {"temp_c": 28.9, "fan": 0}, "auto"),
        ("5.000", {"temp_c": 31.0, "fan": 1}, "auto"),
        ("5.000", {"temp_c": 31.0, "fan": 0, "mode": "off"}, "off"),
    ],
)
def test_a_fan_that_stands_still_above_its_setpoint_is_told_to_wait(
    feed: BoardSource, port: Pty, least_s: str, sample: dict[str, Any], said: str
) -> None:
    stated = '{"k":"settings","boot":"3fa2c1","part":1,"parts":1,"on_c":29.0,"min_off_s":' + least_s
    port.say(seal(stated) + sample_line(1, **sample))
    until(lambda: feed.state()["temp_c"] == sample["temp_c"])
    assert feed.state()["mode"] == said


def test_faults_are_told_in_words_and_losses_counted(feed: BoardSource, port: Pty) -> None:
    port.say(sample_line(4, temp_c=None, fan=1, flags=("open", "hot"), mode="fault") + b"junk\n")
    until(lambda: feed.state()["temp_c"] is None)
    until(lambda: dict(feed.state()["losses"])["bad lines"] == 1)
    state = feed.state()
    assert state["faults"] == ["sensor open", "too hot"]
    assert (state["fan"], state["mode"]) == (1, "fault")
    assert dict(state["losses"])["lost"] == 3
    assert (state["on_c"], state["off_c"]) == (29.0, 28.0)


def test_the_temperature_that_no_fan_may_pass_is_the_firmware_s_setting() -> None:
    board = BoardSource("board1", Target("sim://"))
    board.open()
    try:
        until(lambda: board.state()["on_c"] is not None)
        assert board.state()["max_c"] == 60.0  # t_max_c of firmware/settings.py
        board.send_command("set", ("t_max_c", "55.5"))
        board.send_command("get")
        until(lambda: board.state()["max_c"] == 55.5)
    finally:
        board.end()


def test_a_refusal_comes_back_in_the_board_s_own_words(feed: BoardSource, port: Pty) -> None:
    answer(port, '{"k":"r","id":ID,"ok":false,"err":"on_c 500 is above 110"')
    with pytest.raises(BoardRefused, match=r"^on_c 500 is above 110$"):
        feed.send_command("set", ("on_c", "500"))


def test_the_answer_to_somebody_else_is_not_ours(feed: BoardSource, port: Pty) -> None:
    port.say(seal('{"k":"r","id":7,"ok":false,"err":"not for you"'))
    answer(port, '{"k":"r","id":ID,"ok":true,"fan":"auto"')
    reply, _ = feed.send_command("fan", ("auto",))
    assert reply.detail == {"fan": "auto"}


@pytest.mark.parametrize("args", [("a\nb",), ("x" * 90,), ("\x1b[31m",), ("é",)])
def test_what_is_no_command_never_reaches_the_port(
    feed: BoardSource, port: Pty, args: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError):
        feed.send_command("set", args)


def test_a_board_that_went_away_says_so(feed: BoardSource, port: Pty) -> None:
    port.unplug()
    until(lambda: "went away for good" in feed.state()["trouble"])
    with pytest.raises(BoardError):
        feed.send_command("fan", ("auto",))


def test_a_busy_port_is_tried_again(tmp_path: Path, port: Pty) -> None:
    sources = LiveSources(Site(runs=tmp_path / "runs", gpu="none"))
    with Link(Target(port.path), Latest()):
        sources.watch(port.path)
        (feed,) = sources.boards.values()
        assert "busy" in feed.state()["trouble"]
        sources._retry()
        assert "busy" in feed.state()["trouble"]
    sources._retry()
    assert feed.state()["trouble"] == ""
    port.say(hello_line() + sample_line(0))
    until(lambda: feed.state()["heard"])
    sources.stop()


def test_there_is_room_for_so_many_boards_and_each_port_once(tmp_path: Path, port: Pty) -> None:
    sources = LiveSources(Site(runs=tmp_path / "runs", gpu="none"))
    sources.open(port.path)
    with pytest.raises(UsageError, match="is open already"):
        sources.open(port.path)
    for number in range(MAX_BOARDS - 1):
        sources.boards[f"more{number}"] = BoardSource(f"more{number}", Target("/dev/null"))
    with pytest.raises(UsageError, match="close one first"):
        sources.open("/dev/ttyACM7")
    sources.stop()


def test_every_recording_of_sim_is_a_board_of_its_own(tmp_path: Path) -> None:
    """Two of them have one address, and no curve in common; a real port is one board."""
    sources = LiveSources(Site(runs=tmp_path / "runs", gpu="none"))
    for number, port in enumerate(("sim://", "sim://", "/dev/x", "/dev/x")):
        folder = tmp_path / "runs" / f"run{number}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
        (folder / "samples.jsonl").write_text("")
        sources._meet([Recording(folder, {"port": {"url": port}})])
    try:
        boards = list(sources.boards.values())
        assert [board.target.url for board in boards] == ["sim://", "sim://", "/dev/x"]
        assert [board.of_run for board in boards] == [True, True, False]
        assert [board.run.name for board in boards] == ["run0", "run1", "run3"]
    finally:
        for board in boards:
            board.release()


def test_whoever_takes_over_a_simulated_board_hears_what_it_is() -> None:
    """A recorder has no port to tell it by, and is there after the board introduced itself."""
    board = SimBoard("sim://?heat=off")
    try:
        for _ in range(2):
            latest = Latest()
            with Link(Target(board.address), latest) as link:
                until(lambda link=link: link.tracker.board.hello is not None)
                hello = link.tracker.board.hello
            assert hello is not None
            assert hello.board.endswith("(simulated)")
    finally:
        board.end()
