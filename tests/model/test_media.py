"""Images and sound by size: the tokens that the image processors of the classes come to."""

from __future__ import annotations

import re
from typing import Any

import pytest
from thermoflop import estimate, fit, load_model
from thermoflop.errors import UsageError
from thermoflop.model.media import Media, parse_images, parse_seconds, with_media

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}
EYES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
QWEN = {"depth": 3, "hidden_size": 32, "num_heads": 4, "out_hidden_size": 64,
        "intermediate_size": 48, "fullatt_block_indexes": [2]}  # fmt: skip


def model(kind: str, text: dict[str, Any], eyes: dict[str, Any], **more: Any) -> Any:
    return load_model({"model_type": kind, "text_config": text, "vision_config": eyes, **more})


LLAMA = {"model_type": "llama", **TEXT}
CLIP = {"model_type": "clip_vision_model", **EYES, "image_size": 336, "patch_size": 14}
# model, width, height, tokens of one image, and where they come from
CASES = [
    # a token is 28 x 28 pixels: 1024 / 28 = 36.6 and 768 / 28 = 27.4, rounded
    ("qwen2_5_vl", model("qwen2_5_vl", TEXT, QWEN), 1024, 768, 37 * 27),
    # a token is 32 x 32 pixels
    ("qwen3_vl", model("qwen3_vl", TEXT, {"depth": 1}), 640, 480, 20 * 15),
    # the tower's one size: (336 / 14)^2
    ("llava", model("llava", LLAMA, CLIP), 640, 480, 576),
    # on 672 x 672: 48 columns of 36 rows (48 x 480 / 640), a token more a row, 576 of the whole
    ("llava_next", model("llava_next", LLAMA, CLIP), 640, 480, 36 * 49 + 576),
    # 1540 pixels at most, 28 a token, each row ends in one more: 1540 / 28 = 55, 1155 / 28 = 41.25
    ("mistral3", model("mistral3", {**TEXT, "model_type": "mistral"},
                       {**EYES, "model_type": "pixtral", "image_size": 1540, "patch_size": 14}),
     2048, 1536, 42 * 56),
    # the nearest shape of up to 12 tiles of 448 pixels is 4 x 3, and the whole in one more
    ("internvl", model("internvl", {**TEXT, "model_type": "qwen2"}, EYES), 1024, 768, 13 * 256),
    # the smallest canvas of tiles of 336 pixels that holds 640 x 480: 2 x 2, and the whole
    ("llama4", model("llama4", {**TEXT, "head_dim": 16, "intermediate_size_mlp": 96},
                     {**EYES, "image_size": 336, "patch_size": 14, "intermediate_size": 128}),
     640, 480, 5 * 144),
    # at most 12,845,056 pixels: smaller by sqrt(32,000,000 / 12,845,056) = 1.578, rounded down
    ("qwen2_5_vl", model("qwen2_5_vl", TEXT, QWEN), 8000, 4000, 181 * 90),
    # at least 3,136 pixels: larger by sqrt(3,136 / 1,200) = 1.617, rounded up
    ("qwen2_5_vl", model("qwen2_5_vl", TEXT, QWEN), 40, 30, 3 * 2),
]  # fmt: skip


@pytest.mark.parametrize(("known", "width", "height", "tokens"), [case[1:] for case in CASES])
def test_an_image_is_as_many_tokens_as_its_processor_makes_of_it(
    known: Any, width: int, height: int, tokens: int
) -> None:
    _, media = with_media(known.description, known.name, f"3x{width}x{height}")
    assert (media.images, media.tokens) == (3, 3 * tokens)


def test_windows_of_an_image_meet_only_their_own_patches() -> None:
    """74 x 54 patches in windows of 8 x 8: 9 and a rest of 2 down one side, 6 and 6 the other."""
    known = CASES[0][1]
    table = known.operators(1, 999, images="1x1036x756")
    near, full = (operator for operator in table if operator.name == "scores"
                  and operator.part.startswith("vision"))  # fmt: skip
    patches = 74 * 54
    pairs = (9 * 64 + 4) * (6 * 64 + 36)
    assert near.flops == 2 * 2 * 4 * 8 * pairs  # 2 layers, 4 heads of 8 dimensions
    assert full.flops == 1 * 2 * 4 * 8 * patches**2


def test_a_step_with_images_of_a_size_runs_the_tower_and_reads_their_tokens() -> None:
    known = CASES[2][1]
    table = known.step_table(prefill=10, images="2x640x480")
    assert (table.step.new, table.step.images) == (10 + 2 * 576, 2)
    text = known.operators(1, 10 + 2 * 576)
    tower = known.operators(1, 0, images=2, logits="none")
    assert table.flops == text.flops + tower.flops
    decoding = known.step_table(decode=10, images="2x640x480")
    assert decoding.flops == known.decode(10 + 2 * 576).flops


def test_estimate_and_fit_add_the_tokens_to_the_prompt_and_the_tower_to_the_first_token() -> None:
    known = CASES[2][1]
    seeing = estimate(known, "h100", prompt=100, images="2x640x480")
    blind = estimate(known, "h100", prompt=100 + 2 * 576)
    assert seeing.prompt == 100 + 2 * 576
    assert seeing.first_token.bound_s > blind.first_token.bound_s
    assert seeing.first_token.expected_s > blind.first_token.expected_s
    assert seeing.per_token == blind.per_token
    assert fit(known, "h100", prompt=100, images="2x640x480").prompt == 100 + 2 * 576


@pytest.mark.parametrize("text", ["2x3", "0x3x4", "axbxc", "", "1x2x3x4", "1x-2x3", "1x1000000x2"])
def test_what_is_no_size_of_images_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="such as 2x1024x768"):
        parse_images(text)


@pytest.mark.parametrize(("given", "seconds"), [("30s", 30.0), (12, 12.0), ("1.5m", 90.0)])
def test_the_length_of_a_clip_is_seconds(given: Any, seconds: float) -> None:
    assert parse_seconds(given) == seconds


@pytest.mark.parametrize("given", ["", "s", "-3s", "nan", "1e9", True, None])
def test_what_is_no_length_is_refused_by_name(given: Any) -> None:
    with pytest.raises(UsageError, match="such as 30s"):
        parse_seconds(given)


@pytest.mark.parametrize(("brought", "is_some"), [
    (Media(), False), (Media(images=1), True), (Media(clips=1), True), (Media(tokens=9), False),
])  # fmt: skip
def test_a_prompt_brings_something_when_it_brings_an_image_or_a_clip(
    brought: Media, is_some: bool
) -> None:
    assert bool(brought) is is_some


def test_a_model_of_text_is_told_that_it_sees_and_hears_nothing() -> None:
    text = load_model("gpt2")
    with pytest.raises(UsageError, match="gpt2 sees nothing"):
        text.step_table(images="1x2x3")
    with pytest.raises(UsageError, match="gpt2 hears nothing"):
        estimate(text, "h100", audio="30s")


def test_a_clip_that_the_source_holds_is_the_source_and_a_longer_one_is_several_runs() -> None:
    """Whisper's 1,500 positions are 3,000 mel frames of 10 ms, padded (its feature extractor)."""
    whisper = load_model("whisper-tiny")
    whole = whisper.prefill(4)
    assert whisper.prefill(4, audio="30s").flops == whole.flops
    assert whisper.prefill(4, audio="3s").flops == whole.flops
    with pytest.raises(UsageError, match="hears 30 s at a time"):
        estimate(whisper, "h100", audio="31s")


def test_an_encoder_that_sees_hears_nothing() -> None:
    with pytest.raises(UsageError, match="hears nothing: audio='3s'"):
        load_model({"model_type": "vision-encoder-decoder"}).prefill(4, audio="3s")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wav2vec2-base-960h", "in samples (16,000 a second): say prompt=48000"),
        ("parakeet-ctc-1.1b", "in mel frames (100 a second): say prompt=300"),
    ],
)
def test_a_model_whose_prompt_is_sound_says_how_long_a_clip_is_in_it(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        estimate(name, "h100", audio="3s")
