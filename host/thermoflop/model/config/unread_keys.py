"""Keys that the class of a type never reads: evidence instead of guesses.

``data/unread_keys.json.gz`` is written by tests/truth/unread.py from the sources of transformers:
every name of a key that any class has, and for each type those that its classes read. What a
class does not read changes nothing there, whatever it holds.
"""

from __future__ import annotations

import functools
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from thermoflop.model.config.family import Family

_TABLE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "unread_keys.json.gz")  # noqa: PTH118, PTH120
# The names under which classes take their width and depth.
_CORE = (
    "hidden_size", "n_embd", "d_model", "dim",
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers",
)  # fmt: skip


@functools.cache
def _table() -> tuple[list[str], dict[str, list[int]]]:
    import gzip
    import json

    with gzip.open(_TABLE) as file:
        table = json.loads(file.read())
    return table["keys"].split(), table["read"]


@functools.cache
def unread_keys(model_type: str) -> frozenset[str]:
    """The keys of other classes that those of this type never read; none for a type unknown."""
    keys, read = _table()
    if model_type not in read:
        return frozenset()
    return frozenset(keys) - {keys[number] for number in read[model_type]}


def is_unread(family: Family, raw: Mapping[str, Any], key: str) -> bool:
    """Whether the class of a family never reads a key that other classes have.

    A configuration that leaves its width or depth out might say it under another class's name,
    and a mixture of experts in a family that has none is code of its own: neither is believed.
    """
    if any(core in family.keys and core not in raw for core in _CORE):
        return False
    if ("expert" in key or "moe" in key) and not any("expert" in own for own in family.keys):
        return False
    return key in unread_keys(family.name)
