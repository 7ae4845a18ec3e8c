"""What several runs were: names that tell them apart, and the settings in which they differ."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from thermoflop.base.plain import inside, mapping, mappings
from thermoflop.runs.command import command_text
from thermoflop.runs.folder.index import labels_of

MISSING = "–"
_ID = re.compile(r"-([0-9a-f]{6})$")  # at the end of a folder's name; `runs show` finds it by that
# what is read off run.json: the name that people know it by, and where it stands
_FACTS = (
    ("command", ("command",)),
    ("second command", ("against",)),
    ("model", ("predictions", "model")),
    ("predicted for", ("predictions", "hardware")),
    ("layout", ("predictions", "plan")),
    ("format", ("predictions", "dtype")),
    ("batch", ("predictions", "batch")),
    ("prompt", ("predictions", "prompt")),
    ("tokens generated", ("predictions", "generate")),
    ("git revision", ("git", "revision")),
    ("git: with changes", ("git", "changed")),
    ("machine", ("host", "node")),
    ("system", ("host", "release")),
    ("Python", ("host", "python")),
    ("thermoflop", ("host", "thermoflop")),
    ("GPU driver", ("gpu", "driver")),
    ("GPUs of the command", ("gpu", "own")),
    ("GPU readings a second", ("gpu", "rate_hz")),
    ("exit code", ("exit_code",)),
    ("board", ("board", "hello", "uid")),
    ("firmware", ("board", "hello", "fw")),
)
_PREDICTED = ("predicted for", "layout", "format", "batch", "prompt", "tokens generated")
_OF_GPU = (
    ("name", "name"), ("power limit W", "power_limit_w"), ("highest clock MHz", "sm_max_mhz"),
    ("", "uuid"),
)  # fmt: skip


def differing(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    """The settings and versions that are not the same in all runs, each with a value per run.

    Args:
        runs: what the runs' run.json hold; anything may stand there.

    Returns:
        Names with the text of each run's value, ``MISSING`` where it has none.

    Example:
        >>> differing([{"labels": {"fan": "on"}}, {"labels": {"fan": "off"}}])
        [('label fan', ('on', 'off'))]
    """
    each = [_settings(run) for run in runs]
    names = dict.fromkeys(name for settings in each for name in settings)
    rows = [(name, tuple(settings.get(name, MISSING) for settings in each)) for name in names]
    return [
        (name, values)
        for name, values in rows
        if len({values[n] for n, run in enumerate(each) if _has(run, _of(name), names)}) > 1
    ]


def _of(name: str) -> str:
    """Whose a setting is, "" of the run's own: without a board, that alone is told."""
    if name.startswith("board's ") or name == "firmware":
        return "board"
    if name.startswith("GPU ") and name != "GPU driver":
        return "GPU driver"
    return "model" if name in _PREDICTED else ""


def _has(settings: Mapping[str, str], whose: str, names: Mapping[str, Any]) -> bool:
    """Whether a run has a board, a GPU or a prediction; where none is named, all are taken to."""
    return whose not in names or whose in settings


def distinct_names(runs: Sequence[Mapping[str, Any]], folders: Sequence[str]) -> list[str]:
    """A name for each run by which it is told from the others.

    That it was given; where others have it too, with the labels in which they differ, then with the
    local time of its start, the id at the end of its folder's name, and at last all of that.
    """
    names = [str(run.get("name") or folder) for run, folder in zip(runs, folders, strict=True)]
    for add in (_differing_labels, _start, _id, _folder):
        for name in {each for each in names if names.count(each) > 1}:
            alike = [n for n, each in enumerate(names) if each == name]
            told = add([runs[n] for n in alike], [folders[n] for n in alike])
            for n, text in zip(alike, told, strict=True):
                names[n] = f"{name} · {text}" if text else name
    return names


def _differing_labels(runs: Sequence[Mapping[str, Any]], _: Sequence[str]) -> list[str]:
    labels = [labels_of(run) for run in runs]
    keys = dict.fromkeys(key for each in labels for key in each)
    told = [key for key in keys if len({each.get(key) for each in labels}) > 1]
    return [" ".join(f"{key}={each[key]}" for key in told if key in each) for each in labels]


def _start(runs: Sequence[Mapping[str, Any]], _: Sequence[str]) -> list[str]:
    times = [local_time(run) for run in runs]
    return times if len(set(times)) > 1 else [""] * len(runs)


def _id(_: Sequence[Mapping[str, Any]], folders: Sequence[str]) -> list[str]:
    found = [_ID.search(folder) for folder in folders]
    ids = [each[1] if each else "" for each in found]
    return ids if all(found) and len(set(ids)) == len(ids) else [""] * len(ids)


def _folder(_: Sequence[Mapping[str, Any]], folders: Sequence[str]) -> list[str]:
    return list(folders)


def local_time(run: Mapping[str, Any]) -> str:
    """When a run began, on this machine's clock, to the minute; "" where that is not known."""
    wall_s = inside(run, "started", "wall_s")
    try:
        if not isinstance(wall_s, int | float):
            wall_s = calendar_s(str(inside(run, "started", "utc")))
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(wall_s))
    except (ValueError, OverflowError, OSError):
        return ""


def calendar_s(utc: str) -> float:
    """Unix time of a text as run.json has it: 2026-01-31T12:00:00Z. ValueError for another."""
    import calendar

    return float(calendar.timegm(time.strptime(utc, "%Y-%m-%dT%H:%M:%SZ")))


def _settings(run: Mapping[str, Any]) -> dict[str, str]:
    known = {name: inside(run, *path) for name, path in _FACTS}
    known["git revision"] = known["git revision"] and str(known["git revision"])[:12]
    known |= {f"label {key}": value for key, value in labels_of(run).items()}
    for number, device in enumerate(mappings(run, "gpu", "devices")):
        known |= {f"GPU {number} {word}".strip(): device.get(key) for word, key in _OF_GPU}
    trials = run.get("trials")
    if isinstance(trials, list):
        warm = [each for each in trials if isinstance(each, dict) and each.get("warmup")]
        known |= {"repetitions": len(trials) - len(warm), "warm-ups": len(warm)}
    settings, environment = mapping(run, "board", "settings"), mapping(run, "environment")
    known |= {f"board's {key}": value for key, value in settings.items()}
    known |= {str(key): value for key, value in environment.items()}
    return {name: _text(value) for name, value in known.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return command_text(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
