"""A real ``thermoflop serve`` in a process of its own, and a real Chromium in front of it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from kit.commands import ENVIRONMENT, command

START_S = 30.0
_URL = re.compile(r"http://\S+")
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@cache
def chromium() -> str | None:
    """The browser of this machine, from THERMOFLOP_CHROMIUM or the path."""
    stated = os.environ.get("THERMOFLOP_CHROMIUM")
    return stated or next((found for name in _CHROMIUM if (found := shutil.which(name))), None)


@cache
def no_server() -> str:
    """Why the page cannot be served here; empty when it can."""
    return _lacks("nicegui")


def _lacks(module: str) -> str:
    there = find_spec(module) is not None
    return "" if there else f"{module} is not installed: pip install -e '.[dev]'"


@cache
def missing() -> str:
    """Why the browser tests cannot run here; empty when they can."""
    if why := no_server() or _lacks("playwright"):
        return why
    if chromium() is None:
        return "Chromium is not installed: apt-get install chromium"
    return ""


class Site:
    """``thermoflop serve`` on a free port; ``url`` is the address that it said."""

    def __init__(self, runs: Path, *options: str, cwd: Path | None = None) -> None:
        """Start it, in the folder ``cwd``, and wait until it says where it is."""
        self.runs = runs
        self.log = runs.parent / f"serve-{secrets.token_hex(4)}.log"
        words = command("serve", "--in", str(runs), "--http-port", "0")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*words, *options], stdout=log, stderr=subprocess.STDOUT, env=ENVIRONMENT, cwd=cwd
            )
        self.url = self._wait_for_url()

    def _wait_for_url(self) -> str:
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s and self.process.poll() is None:
            found = _URL.findall(self.said())
            if found:
                return found[-1]
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"serve did not start: {self.said()}")

    def said(self) -> str:
        """What it printed so far, errors included."""
        return self.log.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()
