"""Where a configuration comes from, and everything that can be wrong with a file."""

from __future__ import annotations

import os

from thermoflop.base.files import read_json
from thermoflop.errors import InputError, UnknownModel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from typing import Any


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


def _from_catalogue(name: str) -> tuple[Mapping[str, Any], str, str]:
    """The configuration of a named model."""
    from thermoflop.model.config.catalogue import entry, names

    named = entry(name)
    if named is not None:
        return named["config"], named["name"], named["source"]
    from thermoflop.base.messages import nearest

    near = nearest(name.lower(), names())
    hint = f"; the nearest name is {near}" if near else ""
    raise UnknownModel(
        f"{name[:80]!r} is no file, no folder and no name in the catalogue{hint}; "
        "`thermoflop models` lists the names"
    )
