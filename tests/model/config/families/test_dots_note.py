"""dots.note 3: its eyes are mixtures in the last layers, and a file that says otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import read_model

NOTE = {"model_type": "dots3_note"}


def test_dots_note_is_as_large_as_its_class() -> None:
    model = read_model(NOTE)
    assert model.params == 287_309_195_008
    eyes = model.description.stack("image")
    assert eyes is not None
    counts = {getattr(run.layer.feed, "experts", 0): run.times for run in eyes.runs}
    assert counts[0] == 25
    assert counts[64] == 2
    assert sum(counts.values()) == 42


@pytest.mark.parametrize(
    ("section", "said", "match"),
    [
        ("vision_config", {"pyramid_num_routed": [4] * 41}, "each of 42 layers"),
        ("vision_config", {"pyramid_num_routed": ["4"] * 42}, "each of 42 layers"),
        ("vision_config", {"mlp_layer_types": ["sparse"], "num_hidden_layers": 1,
                           "per_layer_config": {"0": {"hidden_size": 7}}}, "per_layer_config"),
        ("audio_config", {"whisper_config": {"d_model": "x"}}, "d_model"),
    ],
)  # fmt: skip
def test_what_is_no_size_of_its_towers_is_refused(
    section: str, said: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        read_model({**NOTE, section: said})
