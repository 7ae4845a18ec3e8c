"""The shelf: all runs of a folder, found by name, filtered, and shown in one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermoflop.errors import InputError
from thermoflop.runs.reader import read_run
from thermoflop.runs.store import SAMPLES


@dataclass(frozen=True, slots=True)
class Entry:
    """One run on the shelf; ``run`` is empty when its run.json cannot be read."""

    folder: Path
    run: dict[str, Any]

    @property
    def started(self) -> str:
        """When, in UTC."""
        started = self.run.get("started")
        known = isinstance(started, dict) and isinstance(started.get("utc"), str)
        return str(started["utc"]) if known and started else ""

    @property
    def duration_s(self) -> float | None:
        """From start to end; None of a run without an end."""
        ended = self.run.get("ended")
        value = ended.get("duration_s") if isinstance(ended, dict) else None
        return float(value) if isinstance(value, int | float) else None

    @property
    def state(self) -> str:
        """How it ended, in a word."""
        if not self.run:
            return "unreadable"
        ended = self.run.get("ended")
        if not isinstance(ended, dict):
            return "no end"
        code = self.run.get("exit_code")
        return f"exit {code}" if isinstance(code, int) else str(ended.get("end", "ended"))

    @property
    def labels(self) -> dict[str, str]:
        """The labels it was given."""
        labels = self.run.get("labels")
        return {str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {}

    def to_json(self) -> dict[str, Any]:
        """The line as data."""
        return {
            "folder": str(self.folder),
            "name": self.run.get("name"),
            "started": self.started,
            "duration_s": self.duration_s,
            "state": self.state,
            "command": self.run.get("command"),
            "labels": self.labels,
        }


def entries(where: Path) -> list[Entry]:
    """Every run below ``where``, oldest first."""
    if not where.is_dir():
        raise InputError(f"{where} is not a folder with runs in it")
    found = []
    for folder in sorted(where.iterdir()):
        if not (folder / SAMPLES).is_file():
            continue
        try:
            run = read_run(folder)
        except InputError:
            run = {}
        found.append(Entry(folder, run))
    return found


def choose(
    found: Sequence[Entry],
    *,
    name: str | None = None,
    labels: Sequence[tuple[str, str]] = (),
    failed: bool = False,
) -> list[Entry]:
    """Those whose folder has ``name`` in it, that carry all labels, and that failed if asked."""
    return [
        entry
        for entry in found
        if (name is None or name in entry.folder.name)
        and all(entry.labels.get(key) == value for key, value in labels)
        and (not failed or entry.state != "exit 0")
    ]


def find(word: str, where: Path) -> Path:
    """A run by its folder, or by a part of its folder's name; "last" is the newest."""
    path = Path(word)
    if (path / SAMPLES).is_file():
        return path
    if path.is_dir():
        raise InputError(f"{word} is not a run: there is no {SAMPLES} in it")
    known = entries(where) if where.is_dir() else []
    if word == "last" and known:
        return max(known, key=lambda entry: (entry.started, entry.folder.name)).folder
    matches = [entry.folder for entry in known if word in entry.folder.name]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise InputError(f"there is no run {word!r}, neither as a folder nor in {where}")
    names = ", ".join(folder.name for folder in matches[:5])
    raise InputError(f"{word!r} means {len(matches)} runs of {where}: {names}")
