"""Ctrl-C before a command runs, and while it does."""

from __future__ import annotations

import signal
import subprocess
import sys

from thermoflop.cli.streams import interrupts

ASK = """
import signal
import thermoflop.__main__
print(signal.getsignal(signal.SIGINT) == signal.{})
"""


def asked(handler: str, ignored: bool = False) -> str:
    how = "signal.signal(signal.SIGINT, signal.SIG_IGN)" if ignored else ""
    code = f"import signal; {how}\n{ASK.format(handler)}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout


def test_until_a_command_runs_an_interrupt_ends_the_process_without_a_traceback() -> None:
    assert asked("SIG_DFL") == "True\n"


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    assert asked("SIG_IGN", ignored=True) == "True\n"


def test_a_running_command_is_interrupted_by_an_exception_again() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        interrupts()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_else_hears_an_interrupt_keeps_it() -> None:
    heard: list[int] = []
    own = lambda number, _: heard.append(number)  # noqa: E731
    before = signal.signal(signal.SIGINT, own)
    try:
        interrupts()
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)
