"""Which layer is which: every rule by which layers differ, against the classes of transformers.

tests/data/layers.json.gz holds, for each decoder of transformers 5.24.0 that has such a rule,
configurations with the rule's keys changed, and what the class builds on the meta device: for each
layer its parameters (0: not compared), and whether its attention meets all keys, a window or a
chunk of them (tests/truth/layers.py).
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from thermoflop.model.architecture.description import Layer
from thermoflop.model.load import read_model

DATA = Path(__file__).resolve().parents[3] / "data" / "layers.json.gz"
ROWS: list[tuple[dict[str, Any], str, list[tuple[int, str]]]] = json.loads(
    gzip.decompress(DATA.read_bytes())
)


def met(layer: Layer) -> str:
    """Which keys the attention of a layer meets."""
    for mixer in layer.mixers:
        for word in ("window", "chunk"):
            if getattr(mixer, word, None) is not None:
                return word
    return "all"


def layers_of(config: dict[str, Any]) -> list[tuple[int, str]]:
    """Parameters and the keys that are met, of each layer in its place."""
    (stack,) = (each for each in read_model(config).description.stacks if each.role == "decoder")
    found: dict[int, tuple[int, str]] = {}
    for run in stack.runs:
        each = sum(part.parameters for part in run.layer.parts()), met(run.layer)
        found |= dict.fromkeys(run.at or range(len(found), len(found) + run.sets), each)
    return [found[place] for place in sorted(found)]


@pytest.mark.parametrize("name", sorted({config["model_type"] for config, _, _ in ROWS}))
def test_a_layer_is_where_its_class_puts_it(name: str) -> None:
    for config, letters, kinds in ROWS:
        if config["model_type"] == name:
            expected = [tuple(kinds[ord(letter) - ord("a")]) for letter in letters]
            ours = layers_of(config)
            counted = [
                each if kind[0] else (0, each[1]) for each, kind in zip(ours, expected, strict=True)
            ]
            assert counted == expected, config
