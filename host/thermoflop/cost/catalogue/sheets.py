"""What the catalogue says of each device: who asks for one has its line alone read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_names: dict[str, list[str]] = {}
_lines: dict[str, str] = {}
_sources: list[str] = []


def device_names() -> dict[str, list[str]]:
    """The devices of the catalogue, each with what drivers and people call it besides."""
    if not _names:
        from thermoflop.cost.data import read_data

        _names.update(read_data("device_names"))
    return _names


def sheet(name: str) -> dict[str, Any]:
    """What the catalogue says of one of its devices. KeyError for any other.

    Example:
        >>> sheet("H100-SXM-80GB")["bandwidth_gb_s"]
        3350
    """
    import json

    if not _lines:
        from thermoflop.cost.data import read_data, read_lines

        # a line begins with its name: {"name": "T4", ...
        _lines.update((line.split('"', 4)[3], line) for line in read_lines("devices"))
        _sources.extend(read_data("device_sources"))
    raw = json.loads(_lines[name])
    return {**raw, "source": _sources[raw["source"]]}
