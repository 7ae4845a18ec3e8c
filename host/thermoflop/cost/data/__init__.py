"""Data that the package carries: devices, profiles, and what others measured and published."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_data(name: str) -> Any:
    """The JSON file of that name beside this module, or the one that is compressed."""
    import json

    path = os.path.join(os.path.dirname(__file__), f"{name}.json")  # noqa: PTH118, PTH120
    if not os.path.exists(path):  # noqa: PTH110
        import gzip

        with gzip.open(f"{path}.gz") as packed:
            return json.load(packed)
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs more than reading it
        return json.load(file)


def read_lines(name: str) -> list[str]:
    """The lines of the file of that name beside this module that has a JSON object in each."""
    path = os.path.join(os.path.dirname(__file__), f"{name}.jsonl")  # noqa: PTH118, PTH120
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs more than reading it
        return file.readlines()


def published(name: str) -> list[dict[str, Any]]:
    """The published rows of that name: ``times``, ``serving_2026``, ``training`` or ``memory``.

    In the file, long values that many rows share are kept once and referred to by number.
    """
    data = read_data(name)
    shared = {key: values for key, values in data.items() if key != "rows"}
    return [
        {key: shared[key][value] if key in shared else value for key, value in row.items()}
        for row in data["rows"]
    ]
