"""A model that the user has downloaded already: its config.json in Hugging Face's local cache.

The layout is that of ``huggingface_hub``: ``models--OWNER--NAME/refs/main`` holds a revision, and
``snapshots/REVISION/config.json`` is the file, or a link into ``blobs``. Nothing is downloaded,
and nothing outside the cache is read, wherever its links lead.
"""

from __future__ import annotations

import os

from thermoflop.base.files import read_bytes
from thermoflop.errors import InputError

_FOLDER_VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")  # the second is the older name
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def cache_folder() -> str:
    """Where the cache lies, by the variables that ``huggingface_hub`` reads, in its order."""
    for variable in _FOLDER_VARIABLES:
        if os.environ.get(variable):
            return os.path.expanduser(os.environ[variable])  # noqa: PTH111
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")  # noqa: PTH118
    home = os.environ.get("HF_HOME") or os.path.join(caches, "huggingface")  # noqa: PTH118
    return os.path.expanduser(os.path.join(home, "hub"))  # noqa: PTH111, PTH118


def find_cached(name: str) -> str | None:
    """The config.json of a Hugging Face id in the cache, or None where it holds none.

    InputError for a cache that leads out of itself or names a revision that is none.
    """
    parts = name.split("/")
    if len(parts) > 2 or not all(_is_word(part) for part in parts):
        return None
    folder = os.path.join(cache_folder(), "--".join(("models", *parts)))  # noqa: PTH118
    reference = os.path.join(folder, "refs", "main")  # noqa: PTH118
    if not os.path.isfile(reference):  # noqa: PTH113
        return None
    check_inside(reference)
    revision = read_bytes(reference, "a revision", 1000).decode("ascii", "replace").strip()
    if not _is_word(revision):
        raise InputError(f"{reference} holds {revision[:40]!r}: expected a revision")
    path = os.path.join(folder, "snapshots", revision, "config.json")  # noqa: PTH118
    if not os.path.isfile(path):  # noqa: PTH113
        return None
    check_inside(path)
    return path


def _is_word(text: str) -> bool:
    """Whether a text is one name of a file that stays in its folder."""
    return 0 < len(text) <= 96 and _LETTERS.issuperset(text) and text not in (".", "..")


def check_inside(path: str) -> None:
    """InputError for a link that leads out of the cache."""
    cache = cache_folder()
    root, real = os.path.realpath(cache), os.path.realpath(path)
    if not real.startswith(os.path.join(root, "")):  # noqa: PTH118
        raise InputError(f"{path} leads out of the cache {cache}: nothing is read from there")
