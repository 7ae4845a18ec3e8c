"""Where a configuration comes from, and everything that can be wrong with a file."""

from __future__ import annotations

import os

from thermoflop.errors import InputError, UnknownModel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from typing import Any

# The largest published config.json is below 200 kB; checkpoints begin well above this.
LARGEST_FILE_BYTES = 8 * 2**20


def read_source(
    source: str | PathLike[str] | Mapping[str, Any],
) -> tuple[Mapping[str, Any], str, str]:
    """The configuration, a name for it, and where it comes from."""
    if isinstance(source, dict):
        return source, "", "dictionary"
    if not isinstance(source, str | os.PathLike):
        raise InputError(f"{source!r:.60} is no model: expected a path, a dictionary or a name")
    path = os.fspath(source)
    if not isinstance(path, str) or not path or "\0" in path:
        raise InputError(f"{path!r:.60} is no path to a config.json and no name of a model")
    if _is_path(path):
        return _from_path(path)
    return _from_catalogue(path)


def _is_path(path: str) -> bool:
    """Whether something lies there; a folder without a config.json gives way to a known name."""
    if not os.path.exists(path):  # noqa: PTH110 - pathlib costs more than this whole module
        return False
    if not os.path.isdir(path) or os.path.exists(os.path.join(path, "config.json")):  # noqa: PTH110, PTH112, PTH118
        return True
    from thermoflop.model.config.catalogue import entry

    return entry(path) is None


def _from_path(path: str) -> tuple[Mapping[str, Any], str, str]:
    """A config.json, or the one in a folder, named after the folder it lies in."""
    if os.path.isdir(path):  # noqa: PTH112
        path = os.path.join(path, "config.json")  # noqa: PTH118
        if not os.path.isfile(path):  # noqa: PTH113
            raise InputError(f"{path} does not exist: expected a folder with a config.json")
    folder = os.path.basename(os.path.dirname(os.path.abspath(path)))  # noqa: PTH100, PTH119, PTH120
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122
    return read_json(path), folder if name == "config" and folder else name, path


def read_json(path: str) -> dict[str, Any]:
    """The JSON object in a file; InputError, in one sentence, for anything else."""
    try:
        if not os.path.isfile(path):  # noqa: PTH113
            raise InputError(f"{path} is not a file: expected a config.json")
        size = os.path.getsize(path)  # noqa: PTH202
        if size > LARGEST_FILE_BYTES:
            raise InputError(
                f"{path} has {size:,} bytes: a config.json has at most {LARGEST_FILE_BYTES:,}"
            )
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123
            return parse_json(file.read(), path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8: expected a config.json") from None


def parse_json(text: str, name: str) -> dict[str, Any]:
    """The JSON object in a text; InputError, calling it ``name``, for anything else."""
    import json

    try:
        found = json.loads(text, object_pairs_hook=_without_contradiction)
    except RecursionError:
        raise InputError(f"{name} is nested too deeply to be a config.json") from None
    except ValueError as error:
        raise InputError(f"{name} is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{name} holds a {type(found).__name__}: expected an object with keys")
    return found


def _without_contradiction(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key that is there twice with different values is refused."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise ValueError(f"{key[:60]!r} is there twice, with different values")
        found[key] = value
    return found


def _from_catalogue(name: str) -> tuple[Mapping[str, Any], str, str]:
    """The configuration of a named model."""
    from thermoflop.model.config.catalogue import entry, names

    found = entry(name)
    if found is not None:
        return found["config"], found["name"], found["source"]
    from thermoflop.base.words import nearest

    near = nearest(name.lower(), names())
    hint = f"; the nearest name is {near}" if near else ""
    raise UnknownModel(
        f"{name[:80]!r} is no file, no folder and no name in the catalogue{hint}; "
        "`thermoflop models` lists the names"
    )
