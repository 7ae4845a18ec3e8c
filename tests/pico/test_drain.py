"""One thread reads all ports, and none of them can stop it for the others."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from kit.board_lines import Pty, sample_line
from thermoflop.pico import link as link_module
from thermoflop.pico.drain import Drain
from thermoflop.pico.link import Link
from thermoflop.pico.ports import Target
from thermoflop.pico.track import Item


class Heard:
    """A sink that can be waited for."""

    def __init__(self) -> None:
        self.n = 0
        self._came = threading.Condition()

    def __call__(self, items: list[Item]) -> None:
        with self._came:
            self.n += len(items)
            self._came.notify_all()

    def wait(self, n: int) -> bool:
        """Whether so many items came."""
        with self._came:
            return self._came.wait_for(lambda: self.n >= n, 30)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_sink_that_fails_ends_its_own_board_alone() -> None:
    heard, failed = Heard(), threading.Event()

    def fail(_: list[Item]) -> None:
        failed.set()
        raise KeyError("a fault of ours")

    with Pty() as bad, Pty() as good:
        broken = Link(Target(bad.path), fail)
        with broken, Link(Target(good.path), heard):
            bad.say(sample_line(0))
            assert failed.wait(30)
            good.say(sample_line(0) + sample_line(1))
            assert heard.wait(2)
        assert broken.gone == "KeyError: 'a fault of ours'"


def test_ports_that_the_system_can_wait_for_share_a_thread() -> None:
    with Pty() as one, Pty() as other:
        heard = Heard()
        before = threading.active_count()
        with Link(Target(one.path), heard), Link(Target(other.path), heard):
            assert threading.active_count() <= before + 1
            one.say(sample_line(0))
            other.say(sample_line(0))
            assert heard.wait(2)


def test_where_the_system_cannot_wait_each_link_has_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("select.epoll", raising=False)
    monkeypatch.setattr(link_module, "DRAIN", Drain())
    heard = Heard()
    with Pty() as port, Link(Target(port.path), heard):
        port.say(sample_line(0))
        assert heard.wait(1)
        assert [each.name for each in threading.enumerate()].count("thermoflop-link") == 1


def test_a_file_that_is_always_ready_is_not_shared() -> None:
    with Path(__file__).open("rb") as file:
        assert not Drain().add(file.fileno(), lambda: None)
