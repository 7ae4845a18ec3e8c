"""Every type of transformers' mappings that builds from its defaults: exact, or refused by name.

tests/data/mappings.json.gz holds, for each class of the causal, image-text, seq2seq, masked-LM and
text-encoding mappings of transformers 5.24.0, its default configuration as the library writes it
and the number of parameters that it has on the meta device, tied ones once (tests/truth/sweep.py).
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from thermoflop.errors import ThermoflopError
from thermoflop.model.load import read_model

TYPES: list[dict[str, Any]] = json.loads(
    gzip.decompress(
        (Path(__file__).resolve().parents[1] / "data" / "mappings.json.gz").read_bytes()
    )
)
# How many types of each mapping are exact at least; only ever more.
EXACT = {"causal": 169, "image-text": 77, "seq2seq": 29, "masked": 50, "text-encoding": 32}


@pytest.fixture(scope="module")
def found() -> list[tuple[dict[str, Any], str]]:
    """Each type, and ``exact``, ``refused`` or both numbers."""
    outcomes = []
    for each in TYPES:
        try:
            params = read_model(each["config"]).params
        except ThermoflopError:
            outcomes.append((each, "refused"))
            continue
        same = params == each["params"]
        outcomes.append((each, "exact" if same else f"{params} instead of {each['params']}"))
    return outcomes


def test_no_type_is_counted_wrong(found: list[tuple[dict[str, Any], str]]) -> None:
    wrong = {each["class"]: what for each, what in found if what not in ("exact", "refused")}
    assert wrong == {}


def test_as_many_types_are_exact_as_before(found: list[tuple[dict[str, Any], str]]) -> None:
    exact = Counter(name for each, what in found if what == "exact" for name in each["mappings"])
    assert {name: exact[name] for name in EXACT if exact[name] < EXACT[name]} == {}


def test_what_a_configuration_leaves_out_is_what_its_class_takes(
    found: list[tuple[dict[str, Any], str]],
) -> None:
    """Its type and its class alone make the same model as the library writes out in full."""
    eyes_are_optional = {"step3p7"}  # without their section a model of text
    for each, outcome in found:
        config = each["config"]
        if outcome != "exact" or config["model_type"] in eyes_are_optional:
            continue
        bare = {key: config[key] for key in ("model_type", "architectures") if key in config}
        try:
            params = read_model(bare).params
        except ThermoflopError as error:
            assert "needs" in str(error)  # noqa: PT017 - a refusal that names what is missing
        else:
            assert params == each["params"], config["model_type"]
