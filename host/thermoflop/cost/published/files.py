"""Rows of published measurements from files of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.errors import InputError

if TYPE_CHECKING:
    from typing import Any


LARGEST_FILE_BYTES = 64 * 2**20


def read_rows(path: str) -> list[dict[str, Any]]:
    """The rows in a file: a JSON array of objects, or an object with ``rows``."""
    import json
    import os

    try:
        if os.path.getsize(path) > LARGEST_FILE_BYTES:  # noqa: PTH202
            raise InputError(f"{path} is larger than {LARGEST_FILE_BYTES:,} bytes")
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            found = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} holds no rows: {error}") from error
    if isinstance(found, dict):
        found = found.get("rows")
    if not isinstance(found, list):
        raise InputError(f"{path} holds no rows: expected a JSON array of objects")
    return found
