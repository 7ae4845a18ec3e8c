"""What the catalogue says of each device: who asks for one has its line alone read."""

from __future__ import annotations

from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@cache
def device_names() -> dict[str, list[str]]:
    """The devices of the catalogue, each with what drivers and people call it besides."""
    from thermoflop.cost.data import read_data

    return dict(read_data("device_names"))


@cache
def _catalogue() -> tuple[dict[str, str], list[str]]:
    """The line of each device by its name, and the sources that lines speak of by number."""
    from thermoflop.cost.data import read_data, read_lines

    # a line begins with its name: {"name": "T4", ...
    lines = {line.split('"', 4)[3]: line for line in read_lines("devices")}
    return lines, read_data("device_sources")


def sheet(name: str) -> dict[str, Any]:
    """What the catalogue says of one of its devices. KeyError for any other.

    Example:
        >>> sheet("H100-SXM-80GB")["bandwidth_gb_s"]
        3350
    """
    import json

    lines, sources = _catalogue()
    raw = json.loads(lines[name])
    return {**raw, "source": sources[raw["source"]]}
