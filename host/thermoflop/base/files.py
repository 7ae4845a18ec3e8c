"""Reading files within bounds and writing them whole."""

from __future__ import annotations

import os

from thermoflop.errors import InputError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# The largest published config.json is below 200 kB; checkpoints begin well above this.
LARGEST_FILE_BYTES = 8 * 2**20


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
        content = json.loads(text, object_pairs_hook=_without_contradiction)
    except RecursionError:
        raise InputError(f"{name} is nested too deeply to be a config.json") from None
    except ValueError as error:
        raise InputError(f"{name} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{name} holds a {type(content).__name__}: expected an object with keys")
    return content


def _without_contradiction(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key that is there twice with different values is refused."""
    merged: dict[str, Any] = {}
    for key, value in pairs:
        if key in merged and merged[key] != value:
            raise ValueError(f"{key[:60]!r} is there twice, with different values")
        merged[key] = value
    return merged


def write_picture(path: str, text: str) -> None:
    """Write a picture. StorageError where that cannot be done."""
    try:
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
