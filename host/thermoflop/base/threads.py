"""Threads that a process does not wait for when it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable


def start_thread(name: str, run: Callable[..., None], *args: object) -> threading.Thread:
    """A thread that calls ``run`` from now on."""
    thread = threading.Thread(target=run, args=args, name=f"thermoflop-{name}", daemon=True)
    thread.start()
    return thread
