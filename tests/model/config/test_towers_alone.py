"""Towers that see for other models, alone: as transformers 5.24.0 builds them by default."""

from __future__ import annotations

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import read_model

BUILT = {
    "cosmos3_edge_vision": 412_649_712,
    "exaone4_5_vision": 2_671_868_672,
    "gemma4_vision": 167_364_608,
    "glm4v_moe_vision": 892_498_432,
    "glm4v_vision": 892_498_432,
    "glm5_next_vision": 460_072_448,
    "glm_ocr_vision": 434_120_192,
    "hy_v4_vl_vision": 1_235_126_784,
    "idefics3_vision": 152_395_776,
    "internvl_vision": 303_938_560,
    "kimi_k25_vision": 416_866_032,
    "lfm3_vl_vision": 164_206_336,
    "muse_glimmer_vision": 1_852_639_744,
    "muse_spark_vision": 1_852_639_744,
    "pixtral": 403_489_792,
    "qianfan_ocr_vision": 304_012_288,
    "qwen2_5_vl_vision": 3_083_025_152,
    "qwen3_5_vision": 453_650_672,
    "qwen3_vl_vision": 566_949_104,
    "radio": 651_727_360,
    "sam_vision_model": 89_670_912,
    "smolvlm_vision": 152_395_776,
    "video_llama_3_vision": 85_646_592,
}


@pytest.mark.parametrize("name", BUILT)
def test_as_many_parameters_as_the_class_has(name: str) -> None:
    model = read_model({"model_type": name})
    assert model.params == BUILT[name]
    assert model.purpose == "embed"


@pytest.mark.parametrize(
    ("name", "flops"),
    [("internvl_vision", 723_593_035_776), ("sam_vision_model", 972_077_334_528)],
)
def test_an_image_costs_as_many_flops_as_torch_dispatches(name: str, flops: int) -> None:
    assert read_model({"model_type": name}).encode(0, batch=1, images=1).flops == flops


def test_what_is_more_than_a_tower_is_refused() -> None:
    with pytest.raises(InputError, match="PixtralForImageClassification, which is no tower alone"):
        read_model({"model_type": "pixtral", "architectures": ["PixtralForImageClassification"]})
