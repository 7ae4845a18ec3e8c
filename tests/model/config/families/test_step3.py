"""Step 3, held to its published sizes: 321B, of which 316B are text, and 38B active."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.cache import cache_elements
from thermoflop.model.load import read_model

TEXT: dict[str, Any] = {
    "model_type": "step3_text", "hidden_size": 7168, "num_hidden_layers": 61,
    "moe_layers_enum": ",".join(str(at) for at in range(4, 60)),
}  # fmt: skip
BOTH: dict[str, Any] = {
    "model_type": "step3_vl", "architectures": ["Step3VLForConditionalGeneration"],
    "understand_projector_stride": 2, "projector_bias": False, "hidden_size": 7168,
    "text_config": TEXT,
    "vision_config": {"hidden_size": 1792, "intermediate_size": 15360, "num_hidden_layers": 63,
                      "output_hidden_size": 4096, "image_size": 728, "patch_size": 14},
}  # fmt: skip


def test_step3_has_one_head_of_keys_and_queries_from_a_latent() -> None:
    model = read_model(TEXT)
    attention = 7168 * 2048 + 2048 + 2048 * 64 * 256 + 2 * 7168 * 256 + 64 * 256 * 7168
    mixture = 49 * 3 * 7168 * 5120 + 48 * 7168
    total = 61 * (attention + 2 * 7168) + 56 * mixture + 5 * 3 * 7168 * 18432
    total += 2 * 128815 * 7168 + 7168
    assert model.params == total
    assert round(total / 1e9) == 316
    assert 38e9 < model.active_params < 39e9
    assert cache_elements(model.description, 10) == 61 * 10 * 2 * 256
    step = model.decode(1000, 1)
    # keys and values alone are written, in 16 bits, and not the queries behind the latent
    assert step.traffic.by_kind()["kv_write"] == 2 * 61 * 2 * 256
    work = step.flops
    assert 2 * (model.active_params - 128815 * 7168) < work


def test_step3_lists_its_mixtures_or_has_all_but_the_first_four_and_the_last() -> None:
    listed = {**TEXT, "moe_layers_enum": list(range(4, 60))}
    absent = {key: value for key, value in TEXT.items() if key != "moe_layers_enum"}
    assert read_model(listed).params == read_model(absent).params == read_model(TEXT).params
    with pytest.raises(InputError, match="moe_layers_enum"):
        read_model({**TEXT, "moe_layers_enum": "4,x"})


def test_step3_sees() -> None:
    model = read_model(BOTH)
    assert round(model.params / 1e9) == 321
    layer = 4 * (1792**2 + 1792) + 2 * 1792 * 15360 + 15360 + 1792 + 4 * 1792
    seen = 63 * layer + 3 * 196 * 1792 + 1792 + (52**2 + 1) * 1792 + 1792
    seen += 4 * 1792 * 4096 + 4096 + 9 * 4096 * 8192 + 8192 + 8192 * 7168
    assert model.params - read_model(TEXT).params == seen
    with pytest.raises(UnknownModel, match="stride"):
        read_model({**BOTH, "understand_projector_stride": 1})
    with pytest.raises(InputError, match="is 4096, and that of its text 7168"):
        read_model({**BOTH, "hidden_size": 4096})
