"""Wrappers beside what transformers builds of them.

``tests/data/wrappers.json.gz`` holds small configurations drawn at random, some keys absent, with
the parameters that transformers 5.24.0 has of them on torch's meta device, tied ones once.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from thermoflop import load_model
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.config.families import MODULES

PATH = Path(__file__).resolve().parents[3] / "data" / "wrappers.json.gz"
DRAWN = json.loads(gzip.decompress(PATH.read_bytes()))
LLAMA = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
         "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100}  # fmt: skip
CLIP = {"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4}  # fmt: skip


@pytest.mark.parametrize("drawn", DRAWN, ids=lambda drawn: drawn["config"]["model_type"])
def test_a_wrapper_has_as_many_parameters_as_its_class(drawn: dict[str, Any]) -> None:
    assert load_model(drawn["config"]).params == drawn["params"]


def test_every_wrapper_was_drawn() -> None:
    drawn = {entry["config"]["model_type"] for entry in DRAWN}
    modules = [names for module, names in MODULES.items() if module.endswith("wrappers")]
    named = {name for names in modules for name in names.split()}
    # transformers 5.24 has no class of these that a configuration builds; those whose code lies
    # beside their weights are held to published sizes in test_beside_weights.py
    beside = set(f"{MODULES['beside_wrappers']} {MODULES['served_wrappers']}".split())
    assert named - drawn - beside <= {"kimi_k3", "qwen3_8_flash_next", "step3p7"}


def test_the_text_of_a_wrapper_is_counted_as_its_family_alone() -> None:
    whole = load_model({"model_type": "llava", "text_config": LLAMA, "vision_config": CLIP})
    alone = load_model(LLAMA)
    assert whole.prefill(64).flops == alone.prefill(64).flops
    assert whole.kv_bytes(1) == alone.kv_bytes(1)
    assert f"{whole.params - alone.params:,} of the parameters see or hear" in whole.notes[-1]


def test_a_class_without_a_head_has_none_and_a_part_that_is_unknown_is_named() -> None:
    sections = {"model_type": "llava", "text_config": LLAMA, "vision_config": CLIP}
    bare = load_model({**sections, "architectures": ["LlavaModel"]})
    assert bare.params == load_model(sections).params - 64 * 100
    with pytest.raises(UnknownModel, match="text_config of llava needs the family 'zebra'"):
        load_model({**sections, "text_config": {**LLAMA, "model_type": "zebra"}})
    with pytest.raises(UnknownModel, match="n_experts = 3 is not understood"):
        load_model({**sections, "vision_config": {**CLIP, "n_experts": 3}})


def test_a_class_of_blip_with_another_half_is_refused() -> None:
    with pytest.raises(InputError, match="BlipForQuestionAnswering, and its head is not"):
        load_model({"model_type": "blip", "architectures": ["BlipForQuestionAnswering"]})
