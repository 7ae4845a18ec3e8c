"""Which keys of a config.json the class of each type never reads: the table of inert keys.

    python tests/truth/unread.py [--check llama,mpnet]

A key is read by a type if the sources of its configuration or model name it as an attribute or a
text (or those of a type that they import, or the code that all types share). All names of keys
that any class or any of our records has are tried; those that a type does not read change nothing
there, whatever they hold. ``--check`` builds types with all of those keys present and absent and
compares every parameter; ``--check all`` takes half an hour. Writes
host/thermoflop/model/data/unread_keys.json.gz, with the version of transformers.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import re
import sys
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "host"))

import classes  # noqa: E402 - after the path is set
import transformers  # noqa: E402
from thermoflop.model.config.ignored_keys import changes_nothing  # noqa: E402
from transformers.models.auto import modeling_auto  # noqa: E402
from transformers.models.auto.configuration_auto import (  # noqa: E402
    CONFIG_MAPPING,
    CONFIG_MAPPING_NAMES,
    model_type_to_module_name,
)

TABLE = ROOT / "host" / "thermoflop" / "model" / "data" / "unread_keys.json.gz"
SOURCES = Path(transformers.__file__).parent
SHARED = ("configuration_utils", "modeling_utils", "cache_utils", "masking_utils",
          "modeling_layers", "modeling_rope_utils", "pytorch_utils", "backbone_utils",
          "integrations/moe", "integrations/sdpa_attention")  # fmt: skip
NAMED = re.compile(r"""\.([A-Za-z_]\w*)|["']([A-Za-z_]\w*)["']""")
IMPORTED = re.compile(r"^from \.\.(?!\.)(\w+)", re.MULTILINE)
RECORDS = ("tests/data/published_2026.json.gz", "tests/data/fuzz.json.gz")


def all_keys() -> set[str]:
    """Names of keys that any class of transformers or any of our records has."""
    found: set[str] = set()
    for name in CONFIG_MAPPING_NAMES:
        try:
            _collect(CONFIG_MAPPING[name]().to_dict(), found)
        except Exception as error:  # some classes have no defaults, or need another package
            print(f"no keys of {name}: {type(error).__name__}", file=sys.stderr)
    for path in RECORDS:
        for entry in json.loads(gzip.decompress((ROOT / path).read_bytes())):
            _collect(entry["config"], found)
    return {key for key in found if re.fullmatch(r"[A-Za-z_]\w*", key)}


def _collect(config: dict[str, Any], found: set[str]) -> None:
    for key, value in config.items():
        found.add(key)
        if isinstance(value, dict) and "config" in key:
            _collect(value, found)


def named_in(path: Path) -> set[str]:
    """Every word that a source names as an attribute or a text."""
    return {word for pair in NAMED.findall(path.read_text()) for word in pair if word}


def named_by(module: str, seen: set[str]) -> set[str]:
    """Every word that the sources in a folder name, and those of the folders that they import."""
    words: set[str] = set()
    if module in seen or module == "auto":
        return words
    seen.add(module)
    folder = SOURCES / "models" / module.replace(".", "/")
    for path in (*folder.glob("configuration_*.py"), *folder.glob("modeling_*.py")):
        words |= named_in(path)
        for other in IMPORTED.findall(path.read_text()):
            words |= named_by(other, seen)
    return words


def folders_of_types() -> dict[str, set[str]]:
    """The folders of each type: its own, and those of classes that it borrows from other types."""
    where = {
        name: path.parent.name
        for path in SOURCES.glob("models/*/modeling_*.py")
        for name in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE)
    }
    folders = {name: {model_type_to_module_name(name)} for name in CONFIG_MAPPING_NAMES}
    for attribute in dir(modeling_auto):
        if attribute.endswith("_MAPPING_NAMES"):
            for name, value in getattr(modeling_auto, attribute).items():
                named = (value,) if isinstance(value, str) else value
                folders[name] |= {where[each] for each in named if each in where}
    return folders


def tabulate() -> dict[str, Any]:
    """The table: the keys, and for each type those of them that it reads, as their numbers."""
    shared: set[str] = set().union(*(named_in(SOURCES / f"{name}.py") for name in SHARED))
    keys = sorted(key for key in all_keys() - shared if not changes_nothing(key, 7))
    read = {}
    for name, folders in sorted(folders_of_types().items()):
        seen: set[str] = set()
        words = set().union(*(named_by(folder, seen) for folder in folders))
        read[name] = [number for number, key in enumerate(keys) if key in words]
    return {"transformers": transformers.__version__, "keys": " ".join(keys), "read": read}


def unread_of(table: dict[str, Any], model_type: str) -> list[str]:
    """The keys of the table that a type does not read."""
    read = set(table["read"][model_type])
    return [key for number, key in enumerate(table["keys"].split()) if number not in read]


def differs(table: dict[str, Any], mapping: str, name: str, class_name: str) -> str | None:
    """What a class builds differently when all keys that it does not read are there, or None."""
    plain = classes.make_config(name, class_name)
    inert = unread_of(table, plain.model_type)
    shapes = []
    for extra in ({}, dict.fromkeys(inert, 3), dict.fromkeys(inert, True)):
        keys = {key: value for key, value in extra.items() if not hasattr(plain, key)}
        config = classes.make_config(name, class_name, **keys)
        model = classes.build(class_name, config)
        parameters = classes.parameters_of(model)
        shapes.append({key: tuple(each.shape) for key, each in parameters.items()})
    return None if shapes[0] == shapes[1] == shapes[2] else f"{mapping} {name} ({class_name})"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", default="", help="types to build with these keys, or all")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    table = tabulate()
    wrong = []
    for mapping in classes.MAPPINGS if args.check else ():
        for name, class_name in classes.types_of(mapping).items():
            if args.check == "all" or name in args.check.split(","):
                try:
                    wrong.append(differs(table, mapping, name, class_name))
                except Exception as error:  # it does not build from its defaults, either
                    print(f"not built: {name} {type(error).__name__}: {error}"[:150])
    text = json.dumps(table, separators=(",", ":"))
    TABLE.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    found = [each for each in wrong if each]
    print(f"{len(table['keys'].split())} keys, {len(table['read'])} types, {len(wrong)} checked")
    print("\n".join(f"CHANGED BY A KEY THAT IT DOES NOT READ: {each}" for each in found))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
