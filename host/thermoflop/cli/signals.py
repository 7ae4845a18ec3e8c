"""Ctrl-C, SIGTERM and the end of the terminal (SIGHUP) as a request to end in order."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from thermoflop.base.signal_event import SignalEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def stop_on_signals(on_stop: Callable[[], None] = lambda: None) -> SignalEvent:
    """An event that the first Ctrl-C, SIGTERM or SIGHUP sets, calling ``on_stop``; a second Ctrl-C
    interrupts. Under nohup, SIGHUP stays ignored."""
    stop = SignalEvent()

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()
        on_stop()

    signal.signal(signal.SIGINT, handle)
    _on_end(handle)
    return stop


def interrupt_on_end() -> None:
    """From now on SIGTERM and SIGHUP interrupt as Ctrl-C does; nohup keeps SIGHUP ignored."""

    def handle(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    _on_end(handle)


def _on_end(handle: Callable[[int, FrameType | None], None]) -> None:
    signal.signal(signal.SIGTERM, handle)
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        signal.signal(hangup, handle)
