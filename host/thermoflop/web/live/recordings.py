"""Recordings: each is a process ``thermoflop record`` that outlives the page.

The page starts it in a session of its own, watches its folder, and stops it through the control
file in there. When the page ends, or is killed, the recording goes on; the next page finds it by
the lock that its recorder holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from thermoflop.base.plain import inside, is_between
from thermoflop.errors import InputError, StorageError, ThermoflopError
from thermoflop.pico.wire import printable
from thermoflop.runs.command import WAIT
from thermoflop.runs.folder import control
from thermoflop.runs.folder.reader import read_run
from thermoflop.runs.folder.store import RUN, is_being_written, safe_name

START_S = 20.0
YOUNG_S = 10.0  # a folder so young may not have its lock yet
MAX_RECORDINGS = 4
PYTHON = (sys.executable, "-P", "-m")  # -P: no module of the folder that the page was started in


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """What to record: for how long (None: until stopped), with which GPUs, under which name.

    ``bench`` names a model whose operators are run on this machine's processor meanwhile.
    """

    name: str = "page"
    duration_s: float | None = None
    gpu: str = "auto"
    bench: str | None = None

    def command(self) -> list[str]:
        """The command line to record."""
        bench = [*PYTHON, "thermoflop", "bench", self.bench] if self.bench else []
        if bench and self.duration_s is None:
            return bench
        duration = [] if self.duration_s is None else [f"{self.duration_s:g}"]
        return [*PYTHON, WAIT, *duration, *bench]


@dataclass
class Recording:
    """One recording, running or just ended."""

    folder: Path
    run: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    board: str | None = None  # the key of its board on this page
    request: RecordingRequest | None = None

    @property
    def port(self) -> str | None:
        """The board's port."""
        url = inside(self.run, "port", "url")
        return None if url is None else str(url)

    @property
    def is_ours(self) -> bool:
        """Whether its run.json is the page's owner's; in a shared folder anybody may lay one."""
        try:
            return not hasattr(os, "getuid") or (self.folder / RUN).lstat().st_uid == os.getuid()
        except OSError:
            return False

    @property
    def serial_number(self) -> str | None:
        """The board's USB serial number."""
        number = inside(self.run, "port", "serial_number")
        return str(number) if number else None

    @property
    def started_wall_s(self) -> float | None:
        """Start, in Unix time."""
        value = inside(self.run, "started", "wall_s")
        return float(value) if is_between(value, -1e12, 1e12) else None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return max(0.0, time.time() - self.started_wall_s) if self.started_wall_s else 0.0

    @property
    def can_stop(self) -> bool:
        """Whether it has a control file; one started by hand may not."""
        return (self.folder / control.CONTROL).is_file()

    @property
    def is_on(self) -> bool:
        """Whether its recorder runs."""
        if self.process is not None:
            return self.process.poll() is None
        return is_being_written(self.folder)

    def stop(self) -> None:
        """Order it to stop. Raises InputError without a control file."""
        control.order(self.folder, control.STOP)


class Recordings:
    """The running recordings of one folder of runs."""

    def __init__(self, runs: Path) -> None:
        """``runs`` need not exist yet."""
        self.runs = runs
        self.now: dict[str, Recording] = {}  # folder name -> recording
        self.last: list[Recording] = []  # that ended while we looked, newest last
        self._looked_at: set[str] = set()
        self._lock = threading.RLock()

    def start(self, request: RecordingRequest, port: str) -> Recording:
        """Start a recording. Raises InputError with the recorder's message when it cannot."""
        safe_name(request.name)
        arguments = [
            "record",
            "--control",
            "--port",
            port,
            "--gpu",
            request.gpu,
            "--name",
            request.name,
        ]
        arguments += ["--out", str(self.runs), "--", *request.command()]
        with self._lock, tempfile.TemporaryFile() as output:  # nobody else may meet it before us
            if len(self.now) >= MAX_RECORDINGS:
                raise InputError(f"{MAX_RECORDINGS} recordings go on already: stop one first")
            process = _spawn([*PYTHON, "thermoflop", *arguments], output)
            folder = self._wait_for(process, output)
            recording = Recording(folder, read_run(folder), process, request=request)
            self._looked_at.add(folder.name)
            self.now[folder.name] = recording
        return recording

    def _wait_for(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> Path:
        """Wait for the run folder that this recorder makes."""
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s:
            for folder in self._folders():
                if folder.name in self._looked_at or not is_being_written(folder):
                    continue
                if _pid(folder) == process.pid:
                    return folder
            if process.poll() is not None:
                output.seek(0)
                lines = output.read().decode("utf-8", "replace").strip().splitlines()
                text = printable(lines[-1]) if lines else "the recorder ended at once"
                raise InputError(text.removeprefix("thermoflop record: "))
            time.sleep(0.05)
        process.terminate()
        raise StorageError(f"the recording did not start in {START_S:g} s")

    def look(self) -> list[Recording]:
        """Running recordings not known before: started by hand, or before a restart."""
        met = []
        for folder in self._folders():
            with self._lock:
                if folder.name in self._looked_at:
                    continue
                if is_being_written(folder):
                    try:
                        recording = Recording(folder, read_run(folder))
                    except InputError:  # its run.json comes in a moment
                        continue
                    self.now[folder.name] = recording
                    met.append(recording)
                    self._looked_at.add(folder.name)
                elif _age_s(folder) > YOUNG_S:
                    control.take_away(folder)
                    self._looked_at.add(folder.name)
        return met

    def ended(self) -> list[Recording]:
        """Recordings that ended since the last call."""
        with self._lock:
            over = [recording for recording in self.now.values() if not recording.is_on]
            for recording in over:
                del self.now[recording.folder.name]
                control.take_away(recording.folder)
        self.last = [*self.last, *over][-MAX_RECORDINGS:]
        return over

    def _folders(self) -> Sequence[Path]:
        try:
            return [path for path in self.runs.iterdir() if path.name not in self._looked_at]
        except OSError:
            return []


def _spawn(arguments: list[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # the page's end, and Ctrl-C at its terminal, are not for it
    )


def _pid(folder: Path) -> int | None:
    try:
        value = read_run(folder).get("pid")
    except ThermoflopError:
        return None
    return value if isinstance(value, int) else None


def _age_s(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return 0.0
