"""By which rule each family's images become patches and tokens: its processor's settings.

Limits are those of the preprocessor_config.json published with the first model of a class, or the
defaults of its processor in transformers 5.24; Qwen's, GLM's and Kimi's count pixels of one frame.
"""

from __future__ import annotations

import pytest
from thermoflop.model.architecture.description import Stack
from thermoflop.model.architecture.grid import Grid
from thermoflop.model.load import read_model


def eyes_of(name: str) -> tuple[Stack, Grid]:
    """The first tower of a family's own sizes, and its rule."""
    eyes = read_model({"model_type": name}).description.stack("image")
    assert eyes is not None
    assert eyes.grid is not None
    return eyes, eyes.grid


# 1024 x 1024 pixels, where an image keeps its size: whole tokens of 28 or 32 pixels
AT_28, AT_32 = (37 * 2, 37 * 37), (32 * 2, 32 * 32)
# rule, limits: patch, what its wrappers are called
SMART: list[tuple[tuple[int, int], int, str]] = [
    ((56 * 56, 28 * 28 * 16_384), 14, ("qwen2_vl qwen2_5_vl qwen2_5_omni_thinker exaone4_5"
     " hyperclovax_vision_v2 ernie4_5_vl_moe ernie4_5_moe_vl")),
    ((256 * 256, 4096 * 4096), 16, ("qwen3_vl qwen3_vl_moe qwen3_5 qwen3_5_moe lfm3_vl"
     " qwen3_omni_moe_thinker cosmos3_omni cosmos3_edge")),
    ((256 * 256, 4096 * 4096), 14, "muse_glimmer muse_spark"),
    # two frames a patch, of which an image is one twice
    ((112 * 112 // 2, 28 * 28 * 15_000 // 2), 14, "glm4v glm4v_moe glm46v glm_ocr glmga glm5_next"),
    ((147_384, 28 * 28 * 3600), 14, "paddleocr_vl"),
    ((512 * 512, 2048 * 2048), 16, "hy_v4_vl"),
    ((56 * 56, 28 * 28 * 14_400), 14, "dots_ocr"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "patch", "name"),
    [(limits, patch, name) for limits, patch, names in SMART for name in names.split()],
)
def test_an_image_is_rounded_to_whole_tokens_between_limits(
    limits: tuple[int, int], patch: int, name: str
) -> None:
    eyes, grid = eyes_of(name)
    rows, tokens = AT_28 if patch == 14 else AT_32
    found = (grid.rule, grid.limits, grid.patch)
    assert found == ("smart", limits, (patch, patch))
    assert (eyes.positions, eyes.patches, eyes.pooled) == (rows**2, rows**2, tokens)


# patch, side of a tile, limits, positions, patches and tokens of it; with ends of rows or windows
Rule = tuple[str, int, int, tuple[int, ...], int, int, int]
OTHERS: dict[str, Rule] = {
    "video_llama_3": ("smart", 16, 1024, (56 * 56, 28 * 28 * 4096), 64**2, 64**2, 64**2),
    # at most 672 x 672 pixels
    "minimax_m3_vl": ("smart", 14, 1022, (4 * 28 * 28, 672**2), 48**2, 48**2, 24**2),
    # 16384 patches in all and 512 a side
    "kimi_k25": ("padded", 14, 1022, (16_384, 512), 74**2, 74**2, 37**2),
    "kimi_k3": ("padded", 14, 1022, (16_384, 512), 74**2, 74**2, 37**2),
    "kimi_vl": ("padded", 14, 1022, (16_384, 512), 74**2, 74**2, 37**2),
    "lighton_ocr": ("longest", 14, 1022, (1540,), 74**2, 74**2, 37**2),
    "mistral3": ("longest", 14, 1022, (1540,), 74**2, 74**2, 37**2),
    "mistral_large4": ("longest", 14, 1022, (1540,), 74**2, 74**2, 37**2),
    "fuyu": ("longest", 30, 1020, (1920,), 35**2, 35**2, 35**2),
    # so many tiles at most: 2 x 2 patches are a token
    "internvl": ("shape", 14, 448, (12,), 32**2 + 1, 32**2, 16**2),
    "interns1": ("shape", 14, 448, (12,), 32**2 + 1, 32**2, 16**2),
    "internvl_chat": ("shape", 14, 448, (12,), 32**2 + 1, 32**2, 16**2),
    "qianfan_ocr": ("shape", 14, 448, (12,), 32**2 + 1, 32**2, 16**2),
    "cohere2_vision": ("shape", 16, 512, (12,), 32**2, 32**2, 16**2),
    "phi4_multimodal": ("shape", 14, 448, (36,), 32**2, 32**2, 16**2),
    "phi3_v": ("shape", 14, 336, (16,), 24**2 + 1, 24**2, 12**2),
    "llama4": ("canvas", 14, 448, (16,), 32**2 + 1, 32**2, 16**2),
    "lfm2_vl": ("split", 16, 512, (64 * 32**2, 256 * 32**2, 10), 32**2, 32**2, 16**2),
    "lfm2-vl": ("split", 16, 512, (64 * 32**2, 256 * 32**2, 10), 32**2, 32**2, 16**2),
    "idefics3": ("cut", 32, 224, (), 7**2, 7**2, 7**2 // 4),
    "smolvlm": ("cut", 32, 224, (), 7**2, 7**2, 7**2 // 4),
    "modernvbert": ("cut", 16, 224, (), 14**2, 14**2, 14**2 // 16),
    "ultravbert": ("cut", 16, 224, (), 14**2, 14**2, 14**2 // 16),
    "minicpmv": ("slices", 16, 224, (), 14**2, 14**2, 64),
    "minicpmv4_6": ("packed", 16, 224, (4,), 14**2, 14**2, 14**2 // 16),
    "minicpm_ocr": ("packed", 16, 224, (2,), 14**2, 14**2, 14**2 // 4),
    "llava_next": ("pinpoints", 14, 336, (), 24**2 + 1, 24**2, 24**2),
    "llava_onevision": ("pinpoints", 14, 378, (9,), 27**2, 27**2, 27**2),
    # one size: a position more for the class, queries, patches side by side
    "llava": ("fixed", 14, 336, (), 24**2 + 1, 24**2, 24**2),
    "video_llava": ("fixed", 14, 224, (), 16**2 + 1, 16**2, 16**2),
    "paligemma": ("fixed", 14, 224, (), 16**2, 16**2, 16**2),
    "gemma3": ("fixed", 16, 224, (), 14**2, 14**2, 256),
    "shieldgemma2": ("fixed", 16, 224, (), 14**2, 14**2, 256),
    "aria": ("fixed", 32, 224, (), 7**2, 7**2, 256),
    "blip": ("fixed", 16, 384, (), 24**2 + 1, 24**2, 24**2 + 1),
    "blip-2": ("fixed", 14, 224, (), 16**2 + 1, 16**2, 32),
    "git": ("fixed", 16, 224, (), 14**2 + 1, 14**2, 14**2 + 1),
    "idefics": ("fixed", 14, 224, (), 16**2 + 1, 16**2, 16**2 + 1),
    "idefics2": ("fixed", 32, 224, (), 7**2, 7**2, 64),
    "kosmos-2": ("fixed", 14, 224, (), 16**2 + 1, 16**2, 64),
    "kosmos-2.5": ("fixed", 1, 64, (), 4096, 4096, 2048),
    "got_ocr2": ("fixed", 16, 1024, (), 64**2, 64**2, 16**2),
    "granite_docling": ("fixed", 16, 512, (), 32**2, 32**2, 8**2),
    "gemma3n": ("fixed", 48, 768, (), 16**2, 16**2, 16**2),
    "janus": ("fixed", 16, 384, (), 24**2, 24**2, 24**2),
    "molmo2": ("fixed", 14, 378, (), 27**2, 27**2, 27**2 // 4),
    "ovis2": ("fixed", 14, 224, (), 16**2, 16**2, 16**2),
    "dinov2": ("fixed", 14, 224, (), 16**2 + 1, 16**2, 16**2),
    "dinov2_with_registers": ("fixed", 16, 224, (), 14**2 + 1 + 4, 14**2, 14**2),
    "siglip2": ("fixed", 16, 256, (), 16**2, 16**2, 16**2),
}


@pytest.mark.parametrize("name", OTHERS)
def test_an_image_becomes_tiles_of_these_sizes(name: str) -> None:
    eyes, grid = eyes_of(name)
    assert (grid.patch[0], grid.side[0]) == (grid.patch[1], grid.side[1])
    found = (grid.rule, grid.patch[0], grid.side[0], grid.limits)
    assert (*found, eyes.positions, eyes.patches, eyes.pooled) == OTHERS[name]


def test_windows_ends_of_rows_and_canvases() -> None:
    near = [eyes_of(name)[0].near for name in ("qwen2_5_vl", "muse_glimmer", "got_ocr2")]
    # of 74 patches, windows of 112 pixels or of 32 patches; of 64 (SAM), five of 14, filled up
    sides = (9 * 8**2 + 2**2, 2 * 32**2 + 10**2, 5 * 14**2)
    assert near == [side**2 for side in sides]
    ends = {name for name in OTHERS if eyes_of(name)[1].breaks}
    assert ends == {"mistral3", "mistral_large4", "fuyu"}
    sizes = ((336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008))
    assert eyes_of("llava_next")[1].sizes == sizes
    tiles = [384 * n for n in range(1, 7)]
    canvases = tuple((tall, wide) for tall in tiles for wide in tiles)
    assert eyes_of("llava_onevision")[1].sizes == canvases


def test_llama_sees_four_tiles_of_whole_eights_of_positions() -> None:
    """448 / 14 patches of a side and one for the class: 1025 of 1032 positions of each tile; what
    the text attends to is one token of its prompt."""
    eyes = read_model({"model_type": "mllama"}).description.stack("image")
    assert eyes is not None
    found = (eyes.positions, eyes.patches, eyes.pooled, eyes.tokens)
    assert found == (4 * 1032, 4 * 32**2, 4 * 1025, 1)


# frames to a position, positions to a token, positions of a window; positions, tokens of 30 s
EARS: dict[str, tuple[tuple[int, int, int] | None, int, int]] = {
    # Whisper's two frames a position: two or four positions to a token
    "qwen2_audio": (None, 1500, 750), "voxtral": (None, 1500, 375), "glmasr": (None, 1500, 375),
    "audioflamingo3": (None, 1500, 750), "musicflamingo": (None, 1500, 750),
    "moss_transcribe_diarize": (None, 1500, 375), "voxtral_realtime": (None, 1500, 375),
    "qwen2_5_omni_thinker": ((2, 2, 0), 1500, 750),
    # three convolutions that halve
    "phi4_multimodal": ((8, 1, 0), 375, 375), "qwen3_asr": ((8, 1, 0), 375, 375),
    "qwen3_omni_moe_thinker": ((8, 1, 0), 375, 375),
    "gemma3n": ((4, 4, 0), 750, 188),
    # 1920 samples a position, 160 of which are a frame
    "muse_spark": ((12, 1, 0), 250, 250),
    # three queries on each 15 positions
    "granite_speech": ((2, 3, 15), 1500, 300), "granite_speech_plus": ((2, 3, 15), 1500, 300),
}  # fmt: skip


@pytest.mark.parametrize("name", EARS)
def test_half_a_minute_of_sound_is_so_many_positions(name: str) -> None:
    ears = read_model({"model_type": name}).description.stack("audio")
    assert ears is not None
    grid = ears.grid and (ears.grid.patch[0], ears.grid.merge, ears.grid.window)
    assert (grid, ears.positions, ears.pooled) == EARS[name]
