"""Rows of published measurements from files of JSON."""

from __future__ import annotations

from typing import Any

from thermoflop.base.files import load_json, read_bytes
from thermoflop.errors import InputError

LARGEST_FILE_BYTES = 64 * 2**20
ROWS = "a JSON array of objects"


def read_rows(path: str) -> list[dict[str, Any]]:
    """The rows in a file: a JSON array of objects, or an object with ``rows``."""
    rows = load_json(read_bytes(path, ROWS, LARGEST_FILE_BYTES), path, ROWS)
    if isinstance(rows, dict):
        rows = rows.get("rows")
    if not isinstance(rows, list):
        raise InputError(f"{path} holds no rows: expected {ROWS}")
    return rows
