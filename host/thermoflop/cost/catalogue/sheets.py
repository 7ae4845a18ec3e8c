"""What the catalogue says of each device."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_sheets: dict[str, dict[str, Any]] = {}


def sheets() -> dict[str, dict[str, Any]]:
    """What the catalogue says of each device, by name."""
    if not _sheets:
        from thermoflop.cost.data import read_data

        data = read_data("devices")
        for raw in data["devices"]:
            _sheets[raw["name"]] = {**raw, "source": data["sources"][raw["source"]]}
    return _sheets
