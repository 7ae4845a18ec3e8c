"""Parakeet as its classes of transformers 5.24.0 build it and torch multiplies it (eager)."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import read_model

EIGHTH = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
          "intermediate_size": 40, "conv_kernel_size": 5, "subsampling_conv_channels": 6,
          "num_mel_bins": 40}  # fmt: skip
QUARTER = {**EIGHTH, "num_hidden_layers": 1, "num_attention_heads": 2, "num_mel_bins": 32,
           "subsampling_factor": 4, "attention_bias": False, "convolution_bias": False,
           "subsampling_conv_kernel_size": 5}  # fmt: skip
# frames of two clips; parameters and FLOPs of the encoder, then with 33 characters
BUILT = [
    (EIGHTH, 160, (19_456, 2_344_992), (20_281, 2_408_352)),
    (EIGHTH, 163, (19_456, 2_466_360), (20_281, 2_532_888)),
    (QUARTER, 160, (10_434, 3_261_696), (11_259, 3_388_416)),
    (QUARTER, 163, (10_434, 3_359_040), (11_259, 3_488_928)),
]


@pytest.mark.parametrize(("keys", "frames", "alone", "whole"), BUILT)
def test_as_the_class_builds_and_torch_counts(
    keys: dict[str, Any], frames: int, alone: tuple[int, int], whole: tuple[int, int]
) -> None:
    encoder = {"model_type": "parakeet_encoder", **keys}
    files = (encoder, {"model_type": "parakeet_ctc", "vocab_size": 33, "encoder_config": encoder})
    for file, counts in zip(files, (alone, whole), strict=True):
        model = read_model(file)
        assert (model.params, model.encode(frames, batch=2).flops) == counts


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"conv_kernel_size": 8}, "is even"),
        ({"subsampling_factor": 1}, "2 at least"),
        ({"num_mel_bins": 84}, "leaves 11"),
    ],
)
def test_what_the_class_cannot_run_is_refused(keys: dict[str, int], why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_model({"model_type": "parakeet_encoder", **keys})
