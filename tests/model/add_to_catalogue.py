"""Write entries of the catalogue: ``python tests/model/add_to_catalogue.py SOURCE PATH...``.

PATH is a file of records (the format of ``thermoflop/model/data/published.json``), a folder with a
config.json, or a config.json; SOURCE says where they are from (of records, their first note says
it). What is not read, or does not come to its record's parameters, is left out and said. Keys that
change nothing of the model are dropped.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from thermoflop.errors import ThermoflopError
from thermoflop.model.config.readers import AHEAD_KEYS
from thermoflop.model.config.source import read_source
from thermoflop.model.load import load_model, read_model

MODELS = Path(load_model.__code__.co_filename).parent / "data" / "models"
KEPT = {"model_type", "architectures", "tie_word_embeddings", "dtype", "torch_dtype", *AHEAD_KEYS}


def trimmed(config: dict[str, Any], whole: dict[str, Any], place: tuple[str, ...]) -> None:
    """Drop the keys without which the model is the same."""
    model = read_model(whole)
    for key in list(config):
        value = config[key]
        if isinstance(value, dict) and key.endswith("_config") and "quant" not in key:
            trimmed(value, whole, (*place, key))
        if key in KEPT:
            continue
        del config[key]
        try:
            same = read_model(whole) == model
        except ThermoflopError:
            same = False
        # a size that the class happens to take when it is absent stays in sight
        if not same or (type(value) is int and value > 1):
            config[key] = value


def write(name: str, source: str, config: dict[str, Any], params: int | None) -> None:
    """One entry."""
    made: dict[str, Any] = {"name": name, "source": source}
    if "memory" in source:
        made["recalled"] = True
    trimmed(config, config, ())
    made["config"] = dict(sorted(config.items()))
    if params is not None:
        made["params"] = params
    text = json.dumps(made, separators=(",", ": "))
    (MODELS / f"{name}.json").write_text(text + "\n")
    print(f"{name}: {read_model(made['config']).params:,}")


def found_in(path: Path, source: str) -> list[tuple[str, str, dict[str, Any], int | None]]:
    """Name, source, configuration and parameters of everything in a path."""
    if path.is_file() and path.name != "config.json":
        records = json.loads(path.read_text())
        if isinstance(records, list):
            return [
                (each["name"], each["notes"][0], each["config"], each["params_total"])
                for each in records
            ]
        return [(path.stem.lower(), source, records, None)]
    here = read_source(path)
    config = dict(here.raw)
    if here.beside is not None and not config.get("quantization_config"):
        config["quantization_config"] = {"quant_method": "modelopt", **here.beside["quantization"]}
    name = here.name.rsplit("--", 1)[-1].lower().removesuffix("-instruct").removesuffix("-bf16")
    return [(name, source, config, None)]


def main(source: str, paths: list[str]) -> None:
    """Write what can be read and is not there yet."""
    for path in paths:
        for name, where, config, params in found_in(Path(path), source):
            if (MODELS / f"{name}.json").exists():
                print(f"{name}: there already")
                continue
            try:
                counted = read_model(config).params
            except ThermoflopError as error:
                print(f"{name}: left out, {error}")
                continue
            if params not in (None, counted):
                print(f"{name}: left out, {counted:,} where the record says {params:,}")
                continue
            write(name, where, config, params)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
