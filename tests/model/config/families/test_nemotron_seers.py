"""Nemotron Nano with eyes and ears, against its checkpoints on the Hub.

The configuration of Nemotron 3 Nano Omni is the published one without its keys of training, which
are 149 of the 156 in ``args``; its total is that of unsloth's copy of the BF16 checkpoint, as
llmfit 1.1.17 on PyPI lists it (October 2026).
"""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.grid import Grid, see
from thermoflop.model.load import read_model
from thermoflop.model.media import with_media

TEXT: dict[str, Any] = {
    "model_type": "nemotron_h", "vocab_size": 131072, "hidden_size": 2688,
    "intermediate_size": 1856, "num_hidden_layers": 52, "num_attention_heads": 32,
    "num_key_value_heads": 2, "head_dim": 128, "mamba_num_heads": 64, "mamba_head_dim": 64,
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    "n_groups": 8, "ssm_state_size": 128, "conv_kernel": 4, "n_routed_experts": 128,
    "num_experts_per_tok": 6, "moe_intermediate_size": 1856, "n_shared_experts": 1,
    "moe_shared_expert_intermediate_size": 3712, "tie_word_embeddings": False,
}  # fmt: skip
TEACHERS = [{"name": name} for name in ("clip", "siglip", "dino_v2", "sam")]
EYES: dict[str, Any] = {
    "version": "c-radio_v4-h", "patch_size": 16, "preferred_resolution": [768, 768],
    "max_resolution": 2048, "video_temporal_patch_size": 2, "separate_video_embedder": True,
    "args": {
        "model": "vit_huge_patch16_224", "cpe_max_size": 2048, "register_multiple": 10,
        "cls_token_per_teacher": True, "teachers": TEACHERS, "lr_base": 0.001,
        "min_num_patches": 1024, "max_num_patches": 13312,
    },
}  # fmt: skip
EARS: dict[str, Any] = {
    "model_type": "parakeet", "hidden_size": 1024, "num_attention_heads": 8,
    "num_hidden_layers": 24, "intermediate_size": 4096, "conv_kernel_size": 9,
    "convolution_bias": False, "subsampling_conv_channels": 256, "subsampling_factor": 8,
    "subsampling_conv_kernel_size": 3, "subsampling_conv_stride": 2, "num_mel_bins": 128,
    "projection_hidden_size": 4096, "projection_bias": False, "sampling_rate": 16000,
}  # fmt: skip
OMNI: dict[str, Any] = {
    "model_type": "NemotronH_Nano_Omni_Reasoning_V3",
    "architectures": ["NemotronH_Nano_Omni_Reasoning_V3"], "downsample_ratio": 0.5,
    "projector_hidden_size": 20480, "vit_hidden_size": 1280, "force_image_size": 512,
    "llm_config": TEXT, "vision_config": EYES, "sound_config": EARS,
}  # fmt: skip


def test_nano_omni_is_as_large_as_its_checkpoint() -> None:
    """The checkpoint holds besides: a bias an expert for 23 routers, means and variances of 24
    batch norms, 128 filters of 257 frequencies, a window of 400 samples, two triples of numbers."""
    stored = 23 * 128 + 24 * 2 * 1024 + 128 * 257 + 400 + 2 * 3
    assert read_model(OMNI).params == 33_015_632_214 - stored


def test_each_part_of_nano_omni_is_as_large_as_its_class() -> None:
    """By hand: RADIO has 32 layers of 1,280, positions of 128 x 128 patches, four classes and six
    registers; its projector a norm and two matrices on 2 x 2 patches."""
    text = read_model(TEXT).params
    layer = 2 * 2 * 1280 + 4 * (1280 + 1) * 1280 + 2 * 1280 * 5120 + 5120 + 1280
    eyes = 32 * layer + (128**2 + 10) * 1280 + (3 + 2 * 3) * 16**2 * 1280
    projector = 5120 + 5120 * 20480 + 20480 * 2688
    deaf = read_model({**OMNI, "sound_config": None})
    assert deaf.params == text + eyes + projector
    assert text == tf.load_model("nemotron-3-nano-30b-a3b").params


def test_teachers_and_registers_are_tokens_of_radio() -> None:
    """One class without a token for each teacher, and no register without their multiple."""
    alone = {**EYES, "args": {"model": "vit_huge_patch16_224"}}
    fewer = read_model(OMNI).params - read_model({**OMNI, "vision_config": alone}).params
    assert fewer == (10 - 1) * 1280


@pytest.mark.parametrize(
    ("height", "width", "tokens"),
    [
        # vLLM's processor, by hand: 62.5 + 0.5 patches a side are 63, then 64 for whole tokens
        (1000, 1000, 32 * 32),
        # 180 a side are too many: 115, of which 114 and 116 are 13,224, and 116 squared too many
        (2880, 2880, 57 * 58),
        (256, 256, 16 * 16),  # 16 a side, made 32 for the least of 1,024
    ],
)
def test_an_image_keeps_its_size_between_the_fewest_and_most_patches(
    height: int, width: int, tokens: int
) -> None:
    grid = Grid("patches", (16, 16), merge=2, limits=(1024, 13312))
    assert see(grid, height, width, 0).tokens == tokens
    _, media = with_media(read_model(OMNI).description, "", f"1x{width}x{height}", None)
    assert media.tokens == tokens


def test_a_sliver_of_an_image_keeps_a_row_of_tokens() -> None:
    """10 x 100,000 pixels: a row of 6,250 patches is made 1,024 at most, 0.4 of one high."""
    seen = see(Grid("patches", (16, 16), merge=2, limits=(512, 1024)), 10, 100_000, 0)
    assert (seen.rows, seen.columns, seen.tokens) == (2, 512, 256)


def test_a_clip_has_a_token_for_eight_mel_frames() -> None:
    _, media = with_media(read_model(OMNI).description, "", None, "30s")
    assert media.tokens == 375


def test_nano_vl_cuts_an_image_into_tiles_of_256_tokens() -> None:
    """Without a number of patches in its file: tiles of 512 pixels, and the whole once more."""
    args = {"model": "vit_huge_patch16_224", "cpe_max_size": 2048}
    eyes = {"version": "radio_v2.5-h", "patch_size": 16, "args": args}
    vl = {**OMNI, "model_type": "NemotronH_Nano_VL_V2", "architectures": ["NemotronH_Nano_VL_V2"],
          "vision_config": eyes, "sound_config": None}  # fmt: skip
    _, media = with_media(read_model(vl).description, "", "1x1024x512", None)
    assert media.tokens == 3 * 256


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"model": "vit_giant"}, UnknownModel),
        ({"cpe_max_size": "2048"}, InputError),
        ({"teachers": ["clip"]}, InputError),
        ({"teachers": 5}, InputError),
    ],
)
def test_a_tower_that_is_not_known_is_refused(args: dict[str, Any], error: type) -> None:
    with pytest.raises(error, match="args"):
        read_model({**OMNI, "vision_config": {**EYES, "args": args}})


def test_patches_that_are_no_count_do_not_change_the_rule_of_images() -> None:
    with pytest.raises(InputError, match="min_num_patches"):
        read_model({**OMNI, "vision_config": {**EYES, "min_num_patches": "x"}})
