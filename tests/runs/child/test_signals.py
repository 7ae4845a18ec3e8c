"""Signals on their way to a command."""

from __future__ import annotations

import signal
import threading


def test_a_signal_that_comes_while_the_command_starts_reaches_it() -> None:
    """It is kept until there is a command to give it to."""
    from thermoflop.runs.child.signals import Signals

    sent: list[int] = []

    class Starting:
        def send(self, number: int) -> None:
            sent.append(number)

    signals = Signals(threading.Event(), 10.0)
    signals._handle(signal.SIGTERM, None)
    assert sent == []
    signals.attach(Starting())  # type: ignore[arg-type]
    assert sent == [signal.SIGTERM]


def test_a_signal_that_was_ignored_before_stays_ignored() -> None:
    """So that `nohup thermoflop record` outlives its terminal."""
    from thermoflop.runs.child.signals import Signals

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals(threading.Event(), 10.0):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
