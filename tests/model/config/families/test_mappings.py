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
from thermoflop.model.model import Model

TYPES: list[dict[str, Any]] = json.loads(
    gzip.decompress(
        (Path(__file__).resolve().parents[3] / "data" / "mappings.json.gz").read_bytes()
    )
)
# How many types of each mapping are exact at least; only ever more.
EXACT = {"causal": 169, "image-text": 77, "seq2seq": 29, "masked": 50, "text-encoding": 32}


# The class keeps the inward half of experts that do nothing, which no weights are published for.
LARGER = {"LongcatFlashForCausalLM": 28 * 256 * 2 * 2048 * 6144}


@pytest.fixture(scope="module")
def found() -> list[tuple[dict[str, Any], Model | None]]:
    """Each type with its model, None where it is refused."""
    outcomes: list[tuple[dict[str, Any], Model | None]] = []
    for each in TYPES:
        try:
            outcomes.append((each, read_model(each["config"])))
        except ThermoflopError:
            outcomes.append((each, None))
    return outcomes


@pytest.fixture(scope="module")
def exact(found: list[tuple[dict[str, Any], Model | None]]) -> list[tuple[dict[str, Any], Model]]:
    """The configurations whose model has as many parameters as its class."""
    return [(each["config"], model) for each, model in found
            if model is not None and model.params == each["params"]]  # fmt: skip


def test_no_type_is_counted_wrong(found: list[tuple[dict[str, Any], Model | None]]) -> None:
    wrong = {each["class"]: (model.params, each["params"]) for each, model in found
             if model is not None
             and model.params + LARGER.get(each["class"], 0) != each["params"]}  # fmt: skip
    assert wrong == {}


def test_as_many_types_are_exact_as_before(
    found: list[tuple[dict[str, Any], Model | None]],
) -> None:
    exact = Counter(
        name for each, model in found if model is not None and model.params == each["params"]
        for name in each["mappings"]
    )  # fmt: skip
    assert {name: exact[name] for name in EXACT if exact[name] < EXACT[name]} == {}


# Wrappers whose class gives the sizes of a section that is left out; one that states its type alone
# has its own class's (transformers 5.24, configuration_llava.py: CLIPVisionConfig of these sizes).
SIZED_SECTIONS = {
    "text_config": "got_ocr2 moss_transcribe_diarize lighton_ocr mistral3 paligemma pp_chart2table"
    " glmasr qwen3_asr voxtral_realtime",
    "vision_config": "cohere2_vision lighton_ocr llava llava_next llava_next_video llava_onevision"
    " mistral3 mistral_large4 paligemma video_llava vipllava ultravbert",
}


def made_of(config: dict[str, Any]) -> Model | None:
    """The model of a configuration; None where it is refused for what it leaves out."""
    try:
        return read_model(config)
    except ThermoflopError as error:
        assert "needs" in str(error)  # noqa: PT017 - a refusal that names what is missing
        return None


def test_what_a_configuration_leaves_out_is_what_its_class_takes(
    exact: list[tuple[dict[str, Any], Model]],
) -> None:
    """Its type and its class alone make the same model as the library writes out in full: the same
    layers, with all that is read of them, for many a default is no parameter (heads, experts that a
    token takes, windows, activations)."""
    eyes_are_optional = {"step3p7"}  # without their section a model of text
    for config, whole in exact:
        bare: dict[str, Any] = {
            key: config[key] for key in ("model_type", "architectures") if key in config
        }
        made = made_of(bare)
        if made is not None and config["model_type"] not in eyes_are_optional:
            assert made.params == whole.params, config["model_type"]
            assert made.description == whole.description, config["model_type"]


def test_what_a_section_leaves_out_is_what_the_class_of_its_type_takes(
    exact: list[tuple[dict[str, Any], Model]],
) -> None:
    differ: dict[str, set[str]] = {name: set() for name in SIZED_SECTIONS}
    for config, whole in exact:
        for name, section in config.items():
            if not name.endswith("_config") or "model_type" not in (section or ()):
                continue
            made = made_of({**config, name: {"model_type": section["model_type"]}})
            if made is not None and made.description != whole.description:
                differ.setdefault(name, set()).add(config["model_type"])
    assert differ == {name: set(names.split()) for name, names in SIZED_SECTIONS.items()}
