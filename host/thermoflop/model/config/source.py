"""Where a configuration comes from, and everything that can be wrong with a file."""

from __future__ import annotations

import os

from thermoflop.base.files import read_json
from thermoflop.base.record import record
from thermoflop.errors import InputError, UnknownModel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from typing import Any

# Where a configuration speaks of its number formats; the second is an older name, the third MLX's.
QUANTIZATION_KEYS = ("quantization_config", "compression_config", "quantization")


@record
class Source:
    """A configuration, a name for it, where it comes from, and what lies beside it.

    ``beside`` is the hf_quant_config.json in the same folder, where there is one; ``beside_fault``
    says why it could not be read.
    """

    raw: Mapping[str, Any]
    name: str = ""
    origin: str = ""
    beside: Mapping[str, Any] | None = None
    beside_fault: str = ""


def read_source(source: str | PathLike[str] | Mapping[str, Any]) -> Source:
    """The configuration that a dictionary, a path, a Hugging Face id or a name stands for."""
    if isinstance(source, dict):
        return Source(source, "", "dictionary")
    if not isinstance(source, str | os.PathLike):
        raise InputError(f"{source!r:.60} is no model: expected a path, a dictionary or a name")
    path = os.fspath(source)
    if not isinstance(path, str) or not path or "\0" in path:
        raise InputError(f"{path!r:.60} is no path to a config.json and no name of a model")
    if _is_path(path):
        return _from_path(path)
    # an id with its owner is more exact in the user's own cache than in the catalogue
    cached = _from_cache(path) if "/" in path else None
    return cached or _from_catalogue(path) or _from_cache(path) or _unknown(path)


def _is_path(path: str) -> bool:
    """Whether something lies there; a folder without a config.json gives way to a known name."""
    if not os.path.exists(path):  # noqa: PTH110 - pathlib costs more than this whole module
        return False
    if not os.path.isdir(path) or os.path.exists(os.path.join(path, "config.json")):  # noqa: PTH110, PTH112, PTH118
        return True
    from thermoflop.model.config.catalogue import entry

    return entry(path) is None


def _from_path(path: str) -> Source:
    """A config.json, or the one in a folder, named after the folder it lies in."""
    if os.path.isdir(path):  # noqa: PTH112
        path = os.path.join(path, "config.json")  # noqa: PTH118
        if not os.path.isfile(path):  # noqa: PTH113
            raise InputError(f"{path} does not exist: expected a folder with a config.json")
    folder = os.path.basename(os.path.dirname(os.path.abspath(path)))  # noqa: PTH100, PTH119, PTH120
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122
    return _with_beside(path, folder if name == "config" and folder else name, path)


def _with_beside(path: str, name: str, origin: str, cached: bool = False) -> Source:
    """A config.json and what a tool that quantizes wrote beside it, which can change no count."""
    raw = read_json(path)
    other = os.path.join(os.path.dirname(path), "hf_quant_config.json")  # noqa: PTH118, PTH120
    if not os.path.isfile(other) or os.path.basename(path) != "config.json":  # noqa: PTH113, PTH119
        return Source(raw, name, origin)
    try:
        if cached:
            from thermoflop.model.config.hub_cache import check_inside

            check_inside(other)
        return Source(raw, name, origin, read_json(other, "an hf_quant_config.json"))
    except InputError as fault:
        return Source(raw, name, origin, None, str(fault))


def _from_cache(name: str) -> Source | None:
    """The configuration of a Hugging Face id in the user's local cache, or None."""
    from thermoflop.model.config.hub_cache import find_cached

    path = find_cached(name)
    if path is None:
        return None
    return _with_beside(path, name.rsplit("/", 1)[-1], f"{path}, in the local cache", True)


def _from_catalogue(name: str) -> Source | None:
    """The configuration of a named model, or None."""
    from thermoflop.model.config.catalogue import entry

    named = entry(name)
    return Source(named["config"], named["name"], named["source"]) if named else None


def _unknown(name: str) -> Source:
    """UnknownModel, with the name that may be meant."""
    from thermoflop.base.messages import nearest
    from thermoflop.model.config.catalogue import names

    near = nearest(name.lower(), names())
    hint = f"; the nearest name is {near}" if near else ""
    raise UnknownModel(
        f"{name[:80]!r} is no file, no folder and no name in the catalogue{hint}; "
        "`thermoflop models` lists the names"
    )
