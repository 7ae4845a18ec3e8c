"""The index of a folder of runs: each run found by its name, filtered, described in a line."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermoflop.base.plain import attributes, inside, is_between, mapping
from thermoflop.errors import InputError, StorageError
from thermoflop.runs.folder.reader import read_run
from thermoflop.runs.folder.store import RUN, SAMPLES, is_being_written

_IS_NAME = re.compile(r"\d{8}T\d{6}Z-.+-[0-9a-f]{6}").fullmatch
_DOOMED = ".deleting-" + "[0-9a-f]" * 8


STATE_WORDS = {"time": "done", "no end": "cut off", "gone": "port went away"}
WELL = ("exit 0", "time", "stopped")  # what a run ended with that was not cut off


@dataclass(frozen=True, slots=True)
class Entry:
    """One run of the index; ``run`` is empty when its run.json cannot be read."""

    folder: Path
    run: dict[str, Any]

    @property
    def started(self) -> str:
        """When, in UTC."""
        utc = inside(self.run, "started", "utc")
        return utc if isinstance(utc, str) else ""

    @property
    def duration_s(self) -> float | None:
        """From start to end; None of a run without an end, or with one that makes no sense."""
        value = inside(self.run, "ended", "duration_s")
        return float(value) if is_between(value, -1e12, 1e12) else None

    @property
    def state(self) -> str:
        """How it ended, in a word."""
        if not self.run:
            return "unreadable"
        ended = self.run.get("ended")
        if not isinstance(ended, dict):
            return "recording" if is_being_written(self.folder) else "no end"
        code = self.run.get("exit_code")
        if not code and ended.get("end") == "failed":
            return "failed"  # before, such a run had the exit code 0
        return f"exit {code}" if isinstance(code, int) else str(ended.get("end", "ended"))

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than it was meant to, so far as it did end."""
        return self.state not in (*WELL, "recording")

    @property
    def labels(self) -> dict[str, str]:
        """The labels it was given."""
        return labels_of(self.run)

    @property
    def names(self) -> list[str]:
        """What it may be called: its folder, the name it was given, its id, its labels."""
        labels = [text for key, value in self.labels.items() for text in (value, f"{key}={value}")]
        folder = self.folder.name
        return [folder, str(self.run.get("name", "")), folder.rpartition("-")[2], *labels]

    def to_json(self) -> dict[str, Any]:
        """The line as data."""
        return {
            "folder": str(self.folder),
            "name": self.run.get("name"),
            **attributes(self, "started", "duration_s", "state"),
            "command": self.run.get("command"),
            "labels": self.labels,
        }


def labels_of(run: Mapping[str, Any]) -> dict[str, str]:
    """The labels in a run.json."""
    return {str(k): str(v) for k, v in mapping(run, "labels").items()}


def is_run(folder: Path) -> bool:
    """Whether a folder is a run: it has samples, or was made for them by a recorder cut off there.

    Such a folder is empty, and its name is one that a recorder gives.
    """
    if (folder / SAMPLES).is_file():
        return True
    return _IS_NAME(folder.name) is not None and folder.is_dir() and not any(folder.iterdir())


def without_samples(where: Path) -> list[str]:
    """Names of folders that were runs, as name or run.json says, and have no samples any more."""
    return [
        folder.name
        for folder in sorted(where.iterdir())
        if not folder.name.startswith(".") and folder.is_dir() and not is_run(folder)
        and (_IS_NAME(folder.name) or (folder / RUN).is_file())
    ]  # fmt: skip


def entries(where: Path) -> list[Entry]:
    """Every run below ``where``, oldest first."""
    if not where.is_dir():
        raise InputError(f"{where} is not a folder with runs in it")
    runs = []
    for folder in sorted(where.iterdir()):
        if folder.name.startswith(".") or not is_run(folder):
            continue
        try:
            run = read_run(folder)
        except InputError:
            run = {}
        runs.append(Entry(folder, run))
    return runs


def choose(
    runs: Sequence[Entry],
    *,
    name: str | None = None,
    labels: Sequence[tuple[str, str]] = (),
    failed: bool = False,
) -> list[Entry]:
    """Runs with ``name`` in their folder and all ``labels``; with ``failed`` those that failed."""
    return [
        entry
        for entry in runs
        if (name is None or name in entry.folder.name)
        and all(entry.labels.get(key) == value for key, value in labels)
        and (not failed or entry.failed)
    ]


MAKE_ONE = "`thermoflop demo` makes one, or `thermoflop record -- COMMAND`"


def find(word: str, where: Path) -> Path:
    """A run by its folder, its name, id or label, or a part of its folder's name, the whole before
    the beginning and that before what is inside; "last" is the newest."""
    path = Path(word)
    if is_run(path):
        return path
    if word and path.is_dir():
        raise InputError(f"{word} is not a run: there is no {SAMPLES} in it")
    known = entries(where) if where.is_dir() else []
    if word == "last" and known:
        return max(known, key=lambda entry: (entry.started, entry.folder.name)).folder
    if word == "last":
        raise InputError(f"there is no run in {where} yet: {MAKE_ONE}")
    matches = _called(word, known) if word else []
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise InputError(f"there is no run {word!r}, neither as a folder nor in {where}")
    names = ", ".join(folder.name for folder in matches[:5])
    raise InputError(f"{word!r} means {len(matches)} runs of {where}: {names}")


def _called(word: str, runs: Sequence[Entry]) -> list[Path]:
    """The runs that a word means best: those called so, else those that begin so, else the rest."""
    ways: tuple[Callable[[str], bool], ...] = (word.__eq__, lambda name: name.startswith(word))
    for fits in ways:
        if found := [run.folder for run in runs if any(map(fits, run.names))]:
            return found
    return [run.folder for run in runs if word in run.folder.name]


def delete(folder: Path, where: Path) -> None:
    """Delete the run in ``folder``, a folder directly below ``where``; no way leads elsewhere.

    InputError for a link, for what is no run or not in ``where``, and for a run that is being
    recorded; StorageError when the system refuses. It is renamed first, so that a deletion that was
    cut short leaves no half of a run in the index.
    """
    if folder.is_symlink() or (folder / SAMPLES).is_symlink():
        raise InputError(f"{folder} is a link: what it leads to is not deleted")
    if folder.parent.resolve() != where.resolve() or folder.name in ("", ".", ".."):
        raise InputError(f"{folder} is not in {where}: name the folder that it is in with --in")
    if not is_run(folder):
        raise InputError(f"{folder} is not a run: there is no {SAMPLES} in it")
    if is_being_written(folder):
        raise InputError(f"{folder.name} is being recorded: stop the recording first")
    doomed = where / f".deleting-{secrets.token_hex(4)}"
    try:
        folder.rename(doomed)
        for each in where.glob(_DOOMED):  # those of a deletion that was killed, too
            shutil.rmtree(each)  # follows no link
    except OSError as error:
        raise StorageError(f"cannot delete {folder}: {error.strerror or error}") from error


def size_bytes(folder: Path) -> tuple[int, int]:
    """How many files a run has, and their bytes."""
    sizes = [
        os.lstat(os.path.join(path, name)).st_size  # noqa: PTH118
        for path, _, names in os.walk(folder)
        for name in names
    ]
    return len(sizes), sum(sizes)
