"""An event that a signal's handler sets."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest
from thermoflop.base.signal_event import SignalEvent


@pytest.mark.skipif(sys.platform == "win32", reason="there is no timer that signals")
def test_a_handler_may_set_it_at_any_step_of_a_wait_and_of_a_clear() -> None:
    """``threading.Event`` stands still in this within some twenty signals of a thousand."""
    script = """
        import signal
        from thermoflop.base.signal_event import SignalEvent

        event, came = SignalEvent(), []
        signal.signal(signal.SIGALRM, lambda *_: (came.append(1), event.set()))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while len(came) < 500:
            event.wait(0.0)
            event.clear()
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)


def test_everyone_who_waits_wakes_and_a_cleared_one_is_waited_for_again() -> None:
    event = SignalEvent()
    threads = [threading.Thread(target=event.wait) for _ in range(3)]
    for each in threads:
        each.start()
    event.set()
    for each in threads:
        each.join(30)
    assert not any(each.is_alive() for each in threads)
    assert event.wait()
    assert event.is_set()
    event.clear()
    assert not event.is_set()
    assert not event.wait(0.01)
    event.set()
    assert event.wait(30)
