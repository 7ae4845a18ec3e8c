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
        ({"conv_kernel_size": 6}, "is even"),
        ({"subsampling_factor": 1}, "2 at least"),
        ({"num_mel_bins": 84}, "leaves 11"),
    ],
)
def test_what_the_class_cannot_run_is_refused(keys: dict[str, int], why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_model({"model_type": "parakeet_encoder", **keys})


# what the classes build: ParakeetForTDT of 0.6B v3, of few words and durations, ParakeetForRNNT
LARGE = {"attention_bias": False, "convolution_bias": False, "num_mel_bins": 128}
TRANSDUCERS: list[tuple[dict[str, Any], int]] = [
    ({"model_type": "parakeet_tdt"}, 627_008_134),
    (
        {"model_type": "parakeet_tdt", "decoder_hidden_size": 48, "num_decoder_layers": 3,
         "vocab_size": 77, "durations": [0, 1]},
        608_995_183,
    ),
    (
        {"model_type": "parakeet_rnnt", "decoder_hidden_size": 40, "num_decoder_layers": 1,
         "vocab_size": 99},
        608_943_395,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "params"), TRANSDUCERS)
def test_transducers_have_the_parameters_of_their_classes(
    keys: dict[str, Any], params: int
) -> None:
    assert read_model({**keys, "encoder_config": LARGE}).params == params


def test_the_work_of_a_transducer_is_that_of_its_encoder_and_a_map_of_each_position() -> None:
    """Two clips of 160 frames leave 2 x 20 positions; what chooses tokens is held and said."""
    alone = read_model({"model_type": "parakeet_encoder", **EIGHTH}).encode(160, batch=2).flops
    file = {"model_type": "parakeet_tdt", "decoder_hidden_size": 10, "encoder_config": EIGHTH}
    model = read_model(file)
    assert model.encode(160, batch=2).flops == alone + 2 * 40 * 24 * 10
    assert model.notes[0].endswith("held, and their work is not counted: prediction and joint")
