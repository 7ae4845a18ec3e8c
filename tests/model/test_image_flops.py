"""What an image costs in towers and connectors, beside what torch dispatches of the class.

The FLOPs are those of ``get_image_features`` of transformers 5.24.0 on one image of the tower's own
size (``flop_registry`` of torch 2, eager attention), the configuration as below.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop import load_model

TINY = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 100}  # fmt: skip
ARIA = {"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 4}  # fmt: skip
THREE = {"num_hidden_layers": 3}
SEEN: list[tuple[str, dict[str, Any], int]] = [
    ("got_ocr2", {}, 977446043648),
    ("janus", {}, 388660985856),
    ("qianfan_ocr", {}, 740772904960),
    ("ovis2", {}, 186062995456),
    ("kosmos-2", {}, 169729425408),
    ("deepseek_vl_hybrid", {}, 1029350436864),
    ("git", {}, 35358511104),
    ("blip-2", {"vision_config": THREE}, 53232222720),
    ("aria", {"projector_patch_to_query_dict": {"49": 128}, "text_config": ARIA,
              "vision_config": {"model_type": "idefics3_vision", "hidden_size": 1152,
                                "num_hidden_layers": 2}}, 4724663296),
    ("idefics2", {"text_config": {"model_type": "mistral", **TINY}, "vision_config": THREE,
                  "perceiver_config": {}}, 2610287616),
]  # fmt: skip


@pytest.mark.parametrize(("name", "keys", "flops"), SEEN, ids=lambda each: str(each)[:20])
def test_an_image_costs_what_its_class_multiplies(
    name: str, keys: dict[str, Any], flops: int
) -> None:
    model = load_model({"model_type": name, **keys})

    def products(images: int) -> int:
        table = model.prefill(600, images=images)
        return 2 * sum(operator.multiplications for operator in table)

    assert products(1) - products(0) == flops
