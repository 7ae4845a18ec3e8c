"""Start the wrapped command in a session of its own, and know when all of it has ended.

In its own session the command does not get the terminal's Ctrl-C; the recorder passes it on, once.
The command has ended when no process of its session or process group is left (zombies that nobody
collects do not count), so a grandchild it leaves behind is waited for. A process that starts yet
another session, as a daemon does, has taken its leave and is not followed.

Windows has neither sessions nor groups of this kind. There the command gets a console process group
of its own, Ctrl-C reaches it as Ctrl-Break, any other signal ends its first process at once, and
processes that it leaves behind are not known of. That half has not been tried on Windows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from thermoflop.base.processes import processes, stat_of
from thermoflop.base.threads import start_thread
from thermoflop.runs.child.program import refusal
from thermoflop.runs.child.terminal import Terminal

_PROC = Path("/proc")
_DEAD = "ZXx"
_HAS_GROUPS = hasattr(os, "killpg")
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows ends a process at once for either
_NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # Windows' alone
_BREAK = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM)  # to such a group; Ctrl-C cannot be


class Child:
    """A running command. ``ended`` is called, in a thread, when its first process has ended."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        ended: Callable[[], None],
        terminal: Terminal | None = None,
    ) -> None:
        """Start it, on ``terminal`` or on pipes; CommandNotRunnable when the system refuses."""
        self.argv = list(argv)
        self.started_s = time.monotonic()
        self.ended_s: float | None = None
        out = subprocess.PIPE if terminal is None else terminal.slave
        try:
            self._process = subprocess.Popen(
                self.argv,
                env=dict(env),
                stdin=None if terminal is None else out,
                stdout=out,
                stderr=out,
                bufsize=0,
                start_new_session=True,
                creationflags=_NEW_GROUP,
                preexec_fn=None if terminal is None else terminal.control,
            )
        except OSError as error:
            raise refusal(argv[0], error) from error
        self.pipes = self._pipes() if terminal is None else terminal.reader()
        self.pid = self._process.pid
        self._ended = ended
        start_thread("wait", self._wait)

    def _pipes(self) -> dict[str, IO[bytes]]:
        """Its standard output and standard error, by the name of their other ends in /proc."""
        pipes = (self._process.stdout, self._process.stderr)
        return {f"pipe:[{os.fstat(pipe.fileno()).st_ino}]": pipe for pipe in pipes if pipe}

    @property
    def exit_code(self) -> int | None:
        """As a shell gives it: 128+n for a command that signal n ended; None while it runs."""
        code = self._process.returncode
        return 128 - code if code is not None and code < 0 else code

    @property
    def signal_name(self) -> str | None:
        """The signal that ended it, like SIGKILL."""
        code = self._process.returncode
        if code is None or code >= 0:
            return None
        try:
            return signal.Signals(-code).name
        except ValueError:  # a real-time signal
            return f"signal {-code}"

    def is_running(self) -> bool:
        """Whether the command itself runs; others of its group may go on."""
        return self.ended_s is None

    def others(self) -> list[int]:
        """Its processes that are still there after the first one has ended."""
        return session_members(self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to every process of the command; one that is stopped wakes to end."""
        if not _HAS_GROUPS:
            self._process.send_signal(_BREAK if number == signal.SIGINT else number)
            return
        numbers = (number, signal.SIGCONT) if number == signal.SIGTERM else (number,)
        for each in numbers:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, each)
        own_group = {self.pid}
        for pid in self.others():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) not in own_group:
                    for each in numbers:
                        os.kill(pid, each)

    def _wait(self) -> None:
        self._process.wait()
        self.ended_s = time.monotonic()
        self._ended()


def session_members(leader: int) -> list[int]:
    """The living processes whose session or process group is ``leader``."""
    if not _HAS_GROUPS:
        return []
    try:
        os.killpg(leader, 0)
        in_group = True
    except ProcessLookupError:
        in_group = False
    except PermissionError:
        in_group = True
    if not _PROC.joinpath("self", "stat").exists():
        return [leader] if in_group else []
    return [pid for pid in processes() if _belongs(pid, leader)]


def _belongs(pid: int, leader: int) -> bool:
    fields = stat_of(pid)
    return bool(fields) and fields[0] not in _DEAD and leader in map(int, fields[2:4])
