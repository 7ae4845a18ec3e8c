"""The named models: one small JSON file each in ``data/models``, with its source.

A file holds ``name``, ``source``, ``config`` (the keys of the published config.json that say
something about the shape), ``recalled`` where the configuration was written from memory and not
read or measured, and ``params``, a published total that the tests hold the count against.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "models")  # noqa: PTH118, PTH120
_OTHER_NAMES = {
    "gpt-2": "gpt2",
    "gpt-2-medium": "gpt2-medium",
    "gpt-2-large": "gpt2-large",
    "gpt-2-xl": "gpt2-xl",
    "gpt-3": "gpt-3-175b",
    "gpt3": "gpt-3-175b",
    "nemotron-nano-9b-v2": "nvidia-nemotron-nano-9b-v2",
    "nemotron-nano-12b-v2": "nvidia-nemotron-nano-12b-v2",
    "bert-base": "bert-base-uncased",
    "bert-large": "bert-large-uncased",
    "distilbert": "distilbert-base-uncased",
    "mixtral": "mixtral-8x7b",
    "mistral-7b": "mistral-7b-v0.3",
    "command-r": "command-r-v01",
    "bloom": "bloom-176b",
    "whisper-large": "whisper-large-v3",
    "vit-base": "vit-base-patch16-224",
    "vit-large": "vit-large-patch16-224",
}


def names() -> list[str]:
    """The names of all models, in order."""
    return sorted(file[:-5] for file in os.listdir(_FOLDER) if file.endswith(".json"))  # noqa: PTH208


def canonical(name: str) -> str:
    """The name in the catalogue for what people write: any case, with or without the owner."""
    short = name.rsplit("/", 1)[-1].lower()
    return _OTHER_NAMES.get(short, short)


def entry(name: str) -> dict[str, Any] | None:
    """What the catalogue holds under a name, or None."""
    from thermoflop.base.files import read_json

    key = canonical(name)
    # a name from outside must not lead out of the folder, nor be longer than a file name can be
    if not key or key.startswith(".") or "\\" in key or len(key) > 100:
        return None
    path = os.path.join(_FOLDER, f"{key}.json")  # noqa: PTH118
    return read_json(path) if os.path.isfile(path) else None  # noqa: PTH113
