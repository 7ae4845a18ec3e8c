"""Models that see or mark, as their classes are built: transformers 5.24.0, on torch's meta device.

FLOPs are those that torch's FlopCounterMode counts for one image, with eager attention.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import read_model

# what is asked of the class, and its parameters
BUILT: list[tuple[str, str, dict[str, Any], int]] = [
    ("beit", "BeitForImageClassification", {}, 85_658_114),
    ("beit", "BeitForImageClassification",
     {"use_relative_position_bias": True, "image_size": 384}, 85_976_642),
    ("beit", "BeitModel", {"use_shared_relative_position_bias": True, "use_mask_token": True,
                           "use_mean_pooling": False}, 85_666_128),
    ("data2vec-vision", "Data2VecVisionForImageClassification", {}, 85_658_114),
    ("data2vec-vision", "Data2VecVisionModel",
     {"use_relative_position_bias": True, "hidden_size": 1024, "num_attention_heads": 16,
      "num_hidden_layers": 24, "intermediate_size": 4096}, 303_403_520),
    ("pixio", "PixioModel", {}, 631_013_120),
    ("mlcd_vision_model", "MLCDVisionModel", {}, 1_842_349_748),
    ("mlcd_vision_model", "MLCDVisionModel",
     {"image_size": 448, "hidden_size": 1024, "num_hidden_layers": 24,
      "intermediate_size": 4096}, 302_916_640),
    ("aimv2_vision_model", "Aimv2VisionModel", {}, 312_345_600),
    ("aimv2_vision_model", "Aimv2VisionModel",
     {"use_head": False, "qkv_bias": True, "mlp_bias": True, "is_native": True}, 309_193_728),
    ("aimv2_vision_model", "Aimv2VisionModel",
     {"qkv_bias": True, "hidden_size": 3072, "intermediate_size": 8192,
      "num_attention_heads": 24, "image_size": 448}, 2_751_636_480),
    ("vit_mae", "ViTMAEModel", {}, 85_798_656),
    ("vit_mae", "ViTMAEForPreTraining", {}, 111_907_840),
    ("vit_mae", "ViTMAEForPreTraining", {"qkv_bias": False}, 111_867_904),
    ("vit_mae", "ViTMAEForPreTraining",
     {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16,
      "intermediate_size": 5120, "patch_size": 14}, 657_074_508),
    ("metaclip_2", "MetaClip2ForImageClassification", {}, 87_457_538),
    ("metaclip_2", "MetaClip2Model", {}, 151_277_313),
    ("metaclip_2", "MetaClip2Model",
     {"text_config": {"vocab_size": 901_629, "hidden_size": 1024, "num_hidden_layers": 24,
                      "num_attention_heads": 16, "intermediate_size": 4096},
      "vision_config": {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16,
                        "intermediate_size": 5120, "patch_size": 14},
      "projection_dim": 1024}, 1_858_783_745),
    ("dpr", "DPRContextEncoder", {}, 108_891_648),
    ("dpr", "DPRQuestionEncoder", {"projection_dim": 128}, 108_990_080),
    ("splinter", "SplinterModel", {}, 108_891_648),
    ("openai_privacy_filter", "OpenAIPrivacyFilterModel", {}, 1_399_465_712),
    ("openai_privacy_filter", "OpenAIPrivacyFilterForTokenClassification",
     {"num_labels": 33}, 1_399_486_865),
]  # fmt: skip


@pytest.mark.parametrize(("name", "cls", "keys", "count"), BUILT)
def test_as_many_parameters_as_the_class_has(name, cls, keys, count) -> None:
    assert read_model({"model_type": name, "architectures": [cls], **keys}).params == count


SEEN = [
    ("beit", "BeitForImageClassification", {"use_relative_position_bias": True}, 35_126_123_520),
    ("pixio", "PixioModel", {}, 344_111_185_920),
    ("mlcd_vision_model", "MLCDVisionModel", {"num_hidden_layers": 4}, 186_961_848_320),
    ("aimv2_vision_model", "Aimv2VisionModel", {}, 165_667_667_968),
    ("vit_mae", "ViTMAEModel", {}, 35_126_120_448),
    ("metaclip_2_vision_model", "MetaClip2VisionModel", {}, 8_816_836_608),
]


@pytest.mark.parametrize(("name", "cls", "keys", "flops"), SEEN)
def test_as_many_flops_as_torch_dispatches(name, cls, keys, flops) -> None:
    model = read_model({"model_type": name, "architectures": [cls], **keys})
    assert model.encode(0, batch=1, images=1).flops == flops


def test_what_rebuilds_hidden_patches_does_no_work() -> None:
    bare, whole = (
        read_model({"model_type": "vit_mae", "architectures": [f"ViTMAE{name}"]})
        for name in ("Model", "ForPreTraining")
    )
    assert bare.encode(0, images=1).flops == whole.encode(0, images=1).flops
    with pytest.raises(InputError, match="does not divide"):
        read_model({"model_type": "vit_mae", "architectures": ["ViTMAEForPreTraining"],
                    "decoder_num_attention_heads": 7})  # fmt: skip


def test_a_marker_of_private_words_attends_both_ways_within_its_window() -> None:
    (stack,) = read_model({"model_type": "openai_privacy_filter"}).description.stacks
    assert not stack.causal
    assert {run.layer.mixer.window for run in stack.runs} == {128}


def test_numbers_as_tokens_are_read_by_a_t5() -> None:
    """Chronos-T5: how numbers become tokens changes no count; what has other heads is refused."""
    keys = {"model_type": "t5", "vocab_size": 4096, "d_model": 256, "d_ff": 1024, "num_layers": 4,
            "num_heads": 4, "chronos_config": {"n_tokens": 4096}}  # fmt: skip
    whole = read_model({**keys, "architectures": ["T5ForConditionalGeneration"]})
    plain = {key: each for key, each in keys.items() if key != "chronos_config"}
    assert whole.params == read_model(plain).params
    with pytest.raises(InputError, match="head is not understood"):
        read_model({**keys, "architectures": ["ChronosBoltModelForForecasting"]})
