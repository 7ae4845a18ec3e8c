"""Towers that hear: on how many positions each part runs, and how far each position is heard."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.model.architecture.description import Stack
from thermoflop.model.architecture.parts import Convolution, Linear
from thermoflop.model.load import read_model


def ears_of(name: str, **keys: Any) -> Stack:
    ears = read_model({"model_type": name, **keys}).description.stack("audio")
    assert ears is not None
    return ears


def front(ears: Stack) -> list[tuple[str, int, int, int]]:
    """Convolutions and matrices before the layers: name, inputs, outputs, and how often each runs
    for a position at the end."""
    return [
        (placed.part.name, placed.part.inputs, placed.part.outputs, placed.times)
        for placed in ears.front
        if isinstance(placed.part, Convolution | Linear)
    ]  # type: ignore[misc]


def test_phi_4_halves_time_and_frequency_three_times() -> None:
    """Of 80 bins 40, 20 and 10 are left, of 8 frames 4, 2 and 1; 1024 channels of 10 bins make a
    position, which hears every other one; 1000 distances to either side have a bias a head."""
    ears = ears_of("phi4_multimodal")
    assert front(ears) == [
        ("conv", 1, 1024, 4 * 40),
        ("depthwise", 1, 1024, 2 * 20), ("pointwise", 1024, 1024, 2 * 20),
        ("depthwise", 1, 1024, 1 * 10), ("pointwise", 1024, 1024, 1 * 10),
        ("out", 1024 * 10, 1024, 1),
    ]  # fmt: skip
    model = read_model({"model_type": "phi4_multimodal"})
    rows = {
        each.name: each for each in model.operators(1, 9, audio="30s") if each.part == "audio front"
    }
    assert (rows["conv"].m, rows["out"].m) == (375 * 160, 375)


def test_phi_4_may_halve_once() -> None:
    """One convolution: of 80 bins 40 are left, and of two frames one."""
    ears = ears_of("phi4_multimodal", audio_config={"time_reduction": 2})
    assert front(ears) == [("conv", 1, 1024, 40), ("out", 1024 * 40, 1024, 1)]


@pytest.mark.parametrize("name", ["qwen3_asr", "qwen3_omni_moe_thinker"])
def test_qwen_3_halves_the_spectrogram_three_times_and_hears_a_window(name: str) -> None:
    """Of 128 bins 64, 32 and 16 are left; 800 frames are 100 positions."""
    ears = ears_of(name)
    hidden = ears.hidden
    assert front(ears) == [
        ("conv1", 1, 480, 64 * 4), ("conv2", 480, 480, 32 * 2), ("conv3", 480, 480, 16),
        ("conv_out", 480 * 16, hidden, 1),
    ]  # fmt: skip
    assert ears.near == 375 * 100


def test_qwen_3_hears_a_position_of_its_window_at_least_and_all_at_most() -> None:
    for frames, positions in ((7, 1), (16, 2), (10**6, 375)):
        ears = ears_of("qwen3_asr", audio_config={"n_window_infer": frames})
        assert ears.near == 375 * positions


def test_muse_spark_makes_patches_of_patches() -> None:
    """16 samples, 6 of these, 5 and 4: 120, 20 and 4 before each last position of 1920 samples."""
    found = [each for each in front(ears_of("muse_spark")) if each[0] == "patch"]
    assert found == [
        ("patch", 16, 256, 120), ("patch", 256 * 6, 512, 20), ("patch", 512 * 5, 1024, 4),
        ("patch", 1024 * 4, 2048, 1),
    ]  # fmt: skip
    inner = [each[2] for each in front(ears_of("muse_spark")) if each[0] == "up_proj"]
    assert inner == [4 * width for width in (256, 256, 512, 512, 1024, 1024, 2048, 2048)]


def test_gemma_hears_within_chunks() -> None:
    """Two convolutions leave a quarter of 128 bins in 32 channels; chunks of 12 hear 12 before
    them and themselves: 63 of them in 750 positions."""
    ears = ears_of("gemma3n")
    assert front(ears)[:3] == [
        ("conv1", 1, 128, 2 * 64), ("conv2", 128, 32, 32), ("input_proj", 32 * 32, ears.hidden, 1),
    ]  # fmt: skip
    assert ears.near == 63 * 12 * (12 + 13 - 1)


def test_whisper_reads_two_frames_a_position() -> None:
    ears = ears_of("qwen2_audio")
    assert front(ears) == [("conv1", 128, 1280, 1), ("conv2", 1280, 1280, 1)]
    assert [placed.rows for placed in ears.front] == ["frame", "token", "token"]
    model = read_model({"model_type": "qwen2_audio"})
    rows = {each.name: each.m for each in model.operators(1, 9, audio=1)}
    assert (rows["conv1"], rows["conv2"]) == (3000, 1500)
