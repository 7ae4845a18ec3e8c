"""Swin as its classes of transformers 5.24.0 build it and torch multiplies (eager, two images)."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import read_model

# sides and windows that nothing fills: 15 x 15 patches, 8 x 8, 4 x 4, in windows of 4 x 4
DEEP = {"image_size": 60, "embed_dim": 12, "depths": [2, 1, 2], "num_heads": [3, 2, 4],
        "window_size": 4, "mlp_ratio": 2.5}  # fmt: skip
PLAIN = {"image_size": 60, "embed_dim": 12, "depths": [1, 2], "num_heads": [3, 2], "window_size": 4,
         "qkv_bias": False, "use_absolute_embeddings": True, "num_channels": 2,
         "num_labels": 5}  # fmt: skip
BUILT = [
    (DEEP, "ForImageClassification", 58_542, 8_745_216),
    (DEEP, "Model", 58_444, 8_744_832),
    (DEEP, "ForMaskedImageModeling", 208_984, 18_182_016),
    (PLAIN, "ForImageClassification", 21_036, 6_592_992),
    (PLAIN, "Model", 20_911, 6_592_512),
    (PLAIN, "ForMaskedImageModeling", 72_123, 19_175_424),
]


@pytest.mark.parametrize(("keys", "name", "params", "flops"), BUILT)
def test_as_the_class_builds_and_torch_counts(
    keys: dict[str, Any], name: str, params: int, flops: int
) -> None:
    model = read_model({"model_type": "swin", "architectures": [f"Swin{name}"], **keys})
    assert (model.params, model.operators(2, 0, images=2).flops) == (params, flops)


# 32 x 56 pixels: a window as high as the rows that a stage has left
WIDE = {"image_size": [32, 56], "embed_dim": 8, "depths": [2, 2, 1], "num_heads": [1, 2, 4]}
SECOND = [
    (DEEP, "ForImageClassification", 73_358, 11_281_664),
    (DEEP, "Model", 73_260, 11_281_280),
    (DEEP, "ForMaskedImageModeling", 223_800, 20_718_464),
    (WIDE, "ForImageClassification", 36_932, 5_133_056),
]


@pytest.mark.parametrize(("keys", "name", "params", "flops"), SECOND)
def test_the_second_version_too(keys: dict[str, Any], name: str, params: int, flops: int) -> None:
    model = read_model({"model_type": "swinv2", "architectures": [f"Swinv2{name}"], **keys})
    assert (model.params, model.operators(2, 0, images=2).flops) == (params, flops)


@pytest.mark.parametrize("keys", [{"use_absolute_embeddings": True}, {"image_size": 16}])
def test_a_second_version_that_its_class_cannot_run_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"can run|no rows"):
        read_model({"model_type": "swinv2", **keys})


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"depths": [2, 2]}, "as many stages"),
        ({"depths": [0] * 4}, "makes no sense"),
        ({"num_heads": [5, 6, 12, 24]}, "does not divide"),
        ({"architectures": ["SwinBackbone"]}, "head is not understood"),
    ],
)
def test_what_makes_no_tower_is_refused(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_model({"model_type": "swin", **keys})
