"""mpremote as a child process: each call does one thing on the board or raises with the reason.

The command line is used, not the Python API: the API's own notes promise that it will change, it
waits without end for a board that has fallen silent, and what runs here is then what a person can
type. ``resume`` keeps mpremote from soft-resetting the board: the watchdog survives a soft reset.
"""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from thermoflop.base.threads import start_thread
from thermoflop.errors import BoardError
from thermoflop.pico.wire import printable

QUIET_S = 20.0  # longer than mpremote's own 10 s, and than any file takes
_ANSWER = "@answer "

# what mpremote or pyserial says -> what it means
_BROKEN = re.compile(
    r"SerialException|Input/output error|No such device|Bad file descriptor|termios\.error"
    r"|PermissionError|ClearCommError|could not exec command|raw paste"
)
_FULL = re.compile(r"OSError: (\[Errno 28\]|28\b|.*ENOSPC)|No space left")


class Silent(BoardError):
    """The connection broke, or the board stopped answering."""


class Mpremote:
    """mpremote on one port."""

    def __init__(self, port: str, quiet_s: float | None = None) -> None:
        """``quiet_s``: how long the board may say nothing, by default QUIET_S."""
        self.port = port
        self._quiet_s = QUIET_S if quiet_s is None else quiet_s

    def call(self, function: str, *args: object) -> dict[str, Any]:
        """Run a function of onboard.py on the board; its answer."""
        output = self.run("exec", source_of(function, *args))
        for line in reversed(output):
            if line.startswith(_ANSWER):
                answer: dict[str, Any] = json.loads(line[len(_ANSWER) :])
                return answer
        raise Silent(f"the board at {self.port} did not answer")

    def run(self, *args: str, on_line: Callable[[str], None] = lambda _: None) -> list[str]:
        """One mpremote command; the lines it printed. ``on_line`` hears each as it comes."""
        # -P: no module of the folder that we stand in, which may be anybody's
        python = [sys.executable, "-P", "-m"]
        command = [*python, "mpremote", "connect", self.port, "resume", *args]
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:replace"},
        )
        lines: queue.Queue[str | None] = queue.Queue()
        drain = start_thread("mpremote", _drain, child, lines)
        try:
            output = self._listen(lines, on_line)
            child.wait()
        finally:
            child.kill()  # nothing to do when it has ended; else a Ctrl-C or a silent board
            child.wait()
            drain.join()
        if child.returncode:
            raise self._why(output)
        return output

    def _listen(self, lines: queue.Queue[str | None], on_line: Callable[[str], None]) -> list[str]:
        """The child's lines until it ends; Silent when it stays quiet for too long."""
        output: list[str] = []
        while True:
            try:
                line = lines.get(timeout=self._quiet_s)
            except queue.Empty:
                raise Silent(
                    f"no answer from the board at {self.port} within {self._quiet_s:g} s: "
                    "it may not run MicroPython"
                ) from None
            if line is None:
                return output
            output.append(line)
            on_line(line)

    def _why(self, output: list[str]) -> BoardError:
        """What mpremote's last words mean."""
        text = "\n".join(output)
        if "failed to access" in text:
            return BoardError(f"port {self.port} went away, or another program took it")
        if "could not enter raw repl" in text:
            return BoardError(
                f"the board at {self.port} does not give a MicroPython prompt: install MicroPython "
                "for the Pico W first (hold BOOTSEL while plugging in, then copy its .uf2 file)"
            )
        if _FULL.search(text):
            return BoardError("the board's flash is full: remove files that are not needed from it")
        if _BROKEN.search(text):
            return Silent(f"the connection to the board at {self.port} broke")
        last = next((line for line in reversed(output) if line.strip()), "no word of explanation")
        return BoardError(f"mpremote failed: {printable(last.strip())}")


def source_of(function: str, *args: object) -> str:
    """The text that runs a function of onboard.py on the board and prints its answer."""
    arguments = ", ".join(repr(arg) for arg in args)
    source = files("thermoflop.pico").joinpath("onboard.py").read_text(encoding="utf-8")
    return f"{source}\nimport json\nprint('{_ANSWER}' + json.dumps({function}({arguments})))\n"


def _drain(child: subprocess.Popen[bytes], lines: queue.Queue[str | None]) -> None:
    """Put the child's lines into a queue, None at the end."""
    assert child.stdout is not None  # noqa: S101  a pipe was asked for
    with child.stdout as pipe:
        for raw in pipe:
            lines.put(raw.decode("utf-8", "replace").rstrip("\r\n"))
    lines.put(None)
