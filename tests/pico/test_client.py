"""One command, one answer: known by its id, sent again once, refused in the board's own words."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from kit.board_lines import Pty, event_line, sample_line, seal, settings_line
from thermoflop.errors import BoardError, BoardRefused, UsageError
from thermoflop.pico.client import ask
from thermoflop.pico.ports import Target

Answers = Callable[[int, str], bytes]


class Board:
    """Answers each command that it hears with what ``answer(id, text)`` gives."""

    def __init__(self, pty: Pty, answer: Answers) -> None:
        self.heard: list[bytes] = []
        self._pty = pty
        self._answer = answer
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                data = self._pty.hear()
            except OSError:
                return
            for line in data.splitlines():
                self.heard.append(line)
                match = re.fullmatch(rb"!(\d+) (.*)", line)
                if match:
                    reply = self._answer(int(match[1]), match[2].decode())
                    self._pty.say(sample_line(0) + reply)


def test_the_reply_with_our_id_is_the_answer() -> None:
    """Another command's reply passes by."""

    def answer(number: int, _: str) -> bytes:
        other = seal(f'{{"k":"r","id":{number + 1},"ok":true,"on_c":99.000')
        return other + seal(f'{{"k":"r","id":{number},"ok":true,"on_c":29.500')

    with Pty() as pty:
        board = Board(pty, answer)
        result = ask(Target(pty.path), "set", ["on_c", "29.5"])
        assert len(board.heard) == 1
    assert result.detail == {"on_c": 29.5}


def test_a_refusal_is_said_in_the_boards_words_and_cleaned() -> None:
    """No control character reaches the terminal."""

    def answer(number: int, _: str) -> bytes:
        return seal(f'{{"k":"r","id":{number},"ok":false,"err":"bad \\u001b[2J value"')

    with Pty() as pty:
        Board(pty, answer)
        with pytest.raises(BoardRefused, match=r"^the board refused: bad \\x1b\[2J value$"):
            ask(Target(pty.path), "set", ["on_c", "20"])


def test_an_unanswered_command_is_sent_once_more_with_the_same_id() -> None:
    """The board applies it only once."""
    tries: list[str] = []

    def answer(number: int, text: str) -> bytes:
        tries.append(f"{number} {text}")
        if len(tries) == 1:
            return b""
        return seal(f'{{"k":"r","id":{number},"ok":true,"dup":true')

    with Pty() as pty:
        Board(pty, answer)
        result = ask(Target(pty.path), "save", reply_s=1.0)
    assert len(tries) == 2
    assert tries[0] == tries[1]
    assert result.detail == {"dup": True}


def test_counts_are_waited_for_whole() -> None:
    """Four forms, after the reply, exact."""

    def answer(number: int, _: str) -> bytes:
        lines = [seal(f'{{"k":"r","id":{number},"ok":true')]
        for form, value in (("page", 1770868703232), ("script", 2), ("exact", 3)):
            lines.append(seal(f'{{"k":"m","id":{number},"form":"{form}","mults":{value}'))
        lines.append(seal(f'{{"k":"m","id":{number},"form":"params","params":174563733504'))
        return b"".join(lines)

    with Pty() as pty:
        Board(pty, answer)
        result = ask(Target(pty.path), "mults", ["96", "96", "12288", "128", "2048", "49152"])
    assert result.to_json()["page"] == 1770868703232
    assert result.to_json()["params"] == 174563733504
    assert len(result.mults) == 4


def test_lines_that_belong_to_a_reply_come_with_it() -> None:
    """`get` alone prints all settings."""

    def answer(number: int, _: str) -> bytes:
        return settings_line() + event_line(0) + seal(f'{{"k":"r","id":{number},"ok":true')

    with Pty() as pty:
        Board(pty, answer)
        result = ask(Target(pty.path), "get")
    assert [line.line + b"\n" for line in result.lines] == [settings_line()]


def test_a_board_that_talks_and_does_not_answer_is_told_from_silence() -> None:
    """Two sentences for two troubles."""
    with Pty() as pty:
        Board(pty, lambda *_: b"")
        with pytest.raises(BoardError, match="is heard but did not answer"):
            ask(Target(pty.path), "id", reply_s=0.5)
    with Pty() as pty, pytest.raises(BoardError, match="nothing came from"):
        ask(Target(pty.path), "id", reply_s=0.5)


def test_a_command_that_cannot_be_said_opens_no_port() -> None:
    """Its fault is named first."""
    with pytest.raises(UsageError, match="bytes long"):
        ask(Target("/dev/none"), "set", ["x" * 80])
