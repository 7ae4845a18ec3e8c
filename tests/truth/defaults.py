"""Defaults of every configuration class of transformers: tests/data/defaults.json.gz, and the
longest sequence that each states: tests/data/class_positions.json.

    python tests/truth/defaults.py      # written again; needs transformers, and no torch

For each ``model_type`` that is a family here, the keys that the family reads and the class has,
with the value that the class states; where it states none, the one that its instance has. Where
a family gives a section sizes of its own (``llava/vision_config``), those of an instance's section.
"""

from __future__ import annotations

import gzip
import importlib
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "host"))

import transformers  # noqa: E402 - after the path is set
from thermoflop.model.config.families import MODULES, find_family  # noqa: E402
from thermoflop.model.config.family import Section  # noqa: E402
from thermoflop.model.config.positions import POSITION_KEYS  # noqa: E402

DATA = ROOT / "tests" / "data" / "defaults.json.gz"
POSITIONS = ROOT / "tests" / "data" / "class_positions.json"


def classes() -> dict[str, Any]:
    """Every configuration class by its ``model_type``, those of sections too."""
    found: dict[str, Any] = {}
    models = Path(transformers.__file__).parent / "models"
    for path in sorted(models.glob("*/configuration_*.py")):
        module = importlib.import_module(f"transformers.models.{path.parent.name}.{path.stem}")
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__:
                name = getattr(value, "model_type", "")
                if name:
                    found.setdefault(name, value)
    return found


def defaults_of(kind: Any) -> dict[str, Any]:
    """What a class states of its fields, and what one made without a key has besides."""
    stated: dict[str, Any] = {}
    for each in fields(kind):
        if each.default is not MISSING:
            stated[each.name] = each.default
        elif each.default_factory is not MISSING:
            stated[each.name] = each.default_factory()
    try:
        made = kind().to_dict()
    except Exception as error:  # a class whose sections have no defaults
        print(f"{kind.__name__}: {error}", file=sys.stderr)
        made = {}
    return {**made, **{key: value for key, value in stated.items() if value is not None}}


def sections_of(value: Any) -> Iterator[Section]:
    """The sections that a trait names, in pairs and tuples."""
    if isinstance(value, Section):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from sections_of(each)


def positions_of(known: dict[str, Any]) -> dict[str, int]:
    """The longest sequence that each class states, as Python evaluates it (``4096 * 32``)."""
    found = {}
    for name, kind in known.items():
        stated = defaults_of(kind)
        said = [stated[key] for key in POSITION_KEYS if type(stated.get(key)) is int]
        if said:
            found[name] = said[0]
    return found


def main() -> int:
    """The command."""
    logging.disable(logging.ERROR)
    known, found = classes(), {}
    POSITIONS.write_text(json.dumps(positions_of(known), indent=0, sort_keys=True) + "\n")
    for name in sorted({name for names in MODULES.values() for name in names.split()}):
        family = find_family(name)
        if family is None or name not in known:
            continue
        stated = defaults_of(known[name])
        found[name] = {
            key: stated[key]
            for key in sorted(family.keys)
            if key in stated and isinstance(stated[key], int | float | str | list | tuple | None)
        }
        for section in sections_of(tuple(family.traits.values())):
            made = stated.get(section.key)
            if section.init and isinstance(made, dict):
                found[f"{name}/{section.key}"] = {key: made.get(key) for key in section.init}
    text = json.dumps(found, separators=(",", ":"), sort_keys=True)
    DATA.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(found)} types, {sum(map(len, found.values()))} keys")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
