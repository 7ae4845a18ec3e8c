"""Small random configurations of decoders, beside what transformers built and ran of them.

Each record of tests/data/small_decoders.json.gz is a configuration, the parameters of the class
that transformers 5.24.0 makes of it, and the FLOPs that torch's FlopCounterMode counted on it
(eager attention and experts, rotary tables left out): of a prompt of 2 sequences of 9 tokens, and
of the token after it. The windows are shorter than the prompt.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from thermoflop.cost.work.shard import shard
from thermoflop.errors import UsageError
from thermoflop.model.architecture.parameters import total
from thermoflop.model.load import load_model

DATA = Path(__file__).resolve().parents[3] / "data" / "small_decoders.json.gz"
RECORDS = json.loads(gzip.decompress(DATA.read_bytes()))
TYPES = sorted({record["config"]["model_type"] for record in RECORDS})


def of(model_type: str) -> list[dict[str, Any]]:
    return [each for each in RECORDS if each["config"]["model_type"] == model_type]


@pytest.mark.parametrize("model_type", TYPES)
def test_parameters_and_flops_are_those_of_the_class(model_type: str) -> None:
    for record in of(model_type):
        model = load_model(record["config"])
        assert model.params == record["params"], record["config"]
        if "prefill" in record:
            assert model.prefill(9, 2).flops == record["prefill"], record["config"]
        if "decode" in record:
            assert model.decode(9, 2).flops == record["decode"], record["config"]


@pytest.mark.parametrize("model_type", TYPES)
def test_two_devices_hold_at_least_half_each_and_less_than_the_whole(model_type: str) -> None:
    for record in of(model_type):
        model = load_model(record["config"])
        try:
            share = total(shard(model.description, 2, 1))
        except UsageError:
            continue  # an odd number of neurons or of experts
        assert model.params / 2 <= share < model.params
