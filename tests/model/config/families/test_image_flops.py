"""What an image costs in towers and connectors, beside what torch dispatches of the class.

The FLOPs are those of ``get_image_features`` of transformers 5.24.0 on one image of the tower's own
size (``flop_registry`` of torch 2, eager attention), the configuration as below.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop import load_model
from thermoflop.errors import InputError
from thermoflop.model.media import with_media
from thermoflop.model.operators.build import build_operators
from thermoflop.model.operators.step import Step

TINY = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 100}  # fmt: skip
ARIA = {"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 4}  # fmt: skip
FORMER = {"hidden_size": 128, "intermediate_size": 160, "num_hidden_layers": 3,
          "num_attention_heads": 4, "image_size": 64, "patch_size": 8}  # fmt: skip
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
    # half of what it dispatches for an image of two tiles, the least that it takes
    ("granite4_vision", {"text_config": {"model_type": "granite", **TINY},
                         "vision_config": {"model_type": "siglip_vision_model", **FORMER},
                         "qformer_config": {"intermediate_size": 192, "num_hidden_layers": 1,
                                            "cross_attention_frequency": 1,
                                            "use_qformer_text_input": False},
                         "downsample_rate": "2/4", "deepstack_layer_map": [[-1, 0], [-2, 1]],
                         "image_grid_pinpoints": [[64, 64]]}, 221478912 // 2),
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


MINICPM = {
    "text_config": {**TINY, "layer_types": ["full_attention"]},
    "vision_config": {
        **ARIA,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "patch_size": 14,
        "image_size": 448,
    },
    "insert_layer_id": 1,
}


@pytest.mark.parametrize(
    ("name", "mode", "size", "tokens", "flops"),
    [
        # 3.5 tiles, so 2 x 2: each 28 x 40 patches, as the whole image, of which 16 are a token
        ("minicpmv4_6", "16x", "1000x700", 5 * 28 * 40 // 16, 5226905600),
        # less than a tile is made larger: 448 / sqrt(1.5) = 365 high and 547 wide, of 56
        ("minicpmv4_7", "16x", "300x200", 7 * 10, 1045381120),
        # 7.5 tiles, so 7 below each other of 30 x 34, and 78 x 12 of the whole: 4 are a token
        ("minicpm_ocr", "4x", "500x3000", 39 * 6 + 7 * 15 * 17, 11145775104),
    ],
)
def test_minicpm_packs_slices_of_their_own_size(
    name: str, mode: str, size: str, tokens: int, flops: int
) -> None:
    model = load_model({"model_type": name, "downsample_mode": mode, **MINICPM})
    seeing, media = with_media(model.description, name, f"1x{size}")
    operators = build_operators(seeing, Step(batch=1, new=media.tokens, images=1))
    seen = [each for each in operators if each.part.startswith("vision")]
    assert media.tokens == tokens
    assert 2 * sum(each.multiplications for each in seen) == flops


def test_more_merges_than_an_image_has_patches_for_are_refused_at_once() -> None:
    with pytest.raises(InputError, match="merger_times is 1000000000"):
        load_model({"model_type": "minicpmv4_6", **MINICPM, "merger_times": 10**9})
