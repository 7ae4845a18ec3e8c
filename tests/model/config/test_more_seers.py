"""More models as their classes are built: transformers 5.24.0, on torch's meta device.

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
    ("data2vec-audio", "Data2VecAudioForCTC", {}, 93_188_896),
    ("data2vec-audio", "Data2VecAudioForCTC", {"mask_time_prob": 0.0}, 93_188_128),
    ("data2vec-audio", "Data2VecAudioModel",
     {"hidden_size": 1024, "num_attention_heads": 16, "num_hidden_layers": 24,
      "intermediate_size": 4096, "conv_bias": True}, 313_280_000),
    ("data2vec-audio", "Data2VecAudioForAudioFrameClassification",
     {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 8}, 90_546_946),
    ("omniasr_ctc", "OmniASRForCTC", {}, 325_982_768),
    ("omniasr_ctc", "OmniASRCTCModel", {}, 315_437_568),
    ("omniasr_ctc", "OmniASRForCTC",
     {"audio_config": {"model_type": "omniasr_audio", "hidden_size": 1280,
                       "num_attention_heads": 16, "num_hidden_layers": 48,
                       "intermediate_size": 5120}}, 975_674_928),
    ("chinese_clip", "ChineseCLIPModel", {}, 197_134_081),
    ("chinese_clip", "ChineseCLIPModel",
     {"text_config": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
                      "intermediate_size": 4096, "vocab_size": 21_128},
      "vision_config": {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16,
                        "intermediate_size": 5120, "patch_size": 14},
      "projection_dim": 1024}, 957_598_209),
    ("chinese_clip_text_model", "ChineseCLIPTextModel", {}, 109_482_240),
    ("chinese_clip_vision_model", "ChineseCLIPVisionModel", {}, 87_456_000),
    ("audio-spectrogram-transformer", "ASTForAudioClassification", {}, 86_190_338),
    ("audio-spectrogram-transformer", "ASTModel",
     {"frequency_stride": 16, "time_stride": 12, "max_length": 128, "qkv_bias": False},
     85_290_240),
    ("visual_bert", "VisualBertForPreTraining", {"visual_embedding_dim": 2048}, 112_074_812),
    ("visual_bert", "VisualBertModel", {}, 110_270_976),
    ("imagegpt", "ImageGPTForCausalImageModeling", {}, 76_682_240),
    ("imagegpt", "ImageGPTForCausalImageModeling",
     {"n_embd": 1536, "n_layer": 48, "n_head": 16}, 1_362_914_304),
    ("imagegpt", "ImageGPTModel", {"n_inner": 1000}, 50_639_296),
    ("embedding_gemma2", "EmbeddingGemma2Model", {}, 271_002_624),
    ("embedding_gemma2", "EmbeddingGemma2Model",
     {"text_config": {"model_type": "embedding_gemma2_text", "num_hidden_layers": 14},
      "vision_config": {"model_type": "gemma4_vision"},
      "audio_config": {"model_type": "gemma4_audio"}}, 688_241_440),
    ("embedding_gemma2", "EmbeddingGemma2Model",
     {"vision_config": {"model_type": "gemma4_vision", "num_hidden_layers": 8}}, 363_237_376),
    ("embedding_gemma2_text", "EmbeddingGemma2TextModel",
     {"attention_bias": True, "embedding_dim": 512}, 270_937_088),
    ("timesfm", "TimesFmModelForPrediction", {"num_hidden_layers": 20}, 203_568_960),
    ("timesfm", "TimesFmModelForPrediction",
     {"head_dim": 64, "num_attention_heads": 12, "intermediate_size": 2000,
      "quantiles": [0.1, 0.5]}, 459_747_008),
    ("timesfm", "TimesFmModel", {}, 493_909_920),
    ("timesfm2_5", "TimesFm2_5ModelForPrediction",
     {"use_bias": True, "attention_bias": True}, 231_442_880),
    ("timesfm2_5", "TimesFm2_5ModelForPrediction",
     {"num_key_value_heads": 4, "horizon_length": 64}, 180_498_880),
    ("timesfm2_5", "TimesFm2_5Model", {}, 198_521_280),
    ("aimv2", "Aimv2Model", {}, 436_221_441),
    (
        "aimv2",
        "Aimv2Model",
        {
            "text_config": {
                "model_type": "aimv2_text_model",
                "qkv_bias": True,
                "mlp_bias": True,
            },
            "vision_config": {
                "model_type": "aimv2_vision_model",
                "use_head": False,
                "num_hidden_layers": 8,
            },
            "projection_dim": 300,
        },
        227_235_329,
    ),
    ("aimv2_text_model", "Aimv2TextModel", {"num_hidden_layers": 5}, 73_402_368),
    ("imagegpt", "ImageGPTForImageClassification", {}, 76_421_120),
    ("vjepa2", "VJEPA2Model", {}, 325_971_328),
    (
        "vjepa2",
        "VJEPA2Model",
        {
            "qkv_bias": False,
            "hidden_size": 384,
            "num_attention_heads": 6,
            "mlp_ratio": 3.5,
            "frames_per_clip": 16,
        },
        61_186_944,
    ),
    (
        "vjepa2",
        "VJEPA2Model",
        {
            "hidden_size": 1408,
            "num_attention_heads": 22,
            "num_hidden_layers": 40,
            "mlp_ratio": 4.363636363636363,
            "crop_size": 384,
            "pred_num_mask_tokens": 4,
            "pred_mlp_ratio": 2.0,
        },
        1_027_465_856,
    ),
    ("videomae", "VideoMAEModel", {}, 86_225_664),
    ("videomae", "VideoMAEModel", {"use_mean_pooling": False}, 86_227_200),
    ("videomae", "VideoMAEForPreTraining", {}, 94_209_408),
    (
        "videomae",
        "VideoMAEForPreTraining",
        {
            "qv_bias": False,
            "hidden_size": 384,
            "num_attention_heads": 6,
            "intermediate_size": 1536,
        },
        29_703_168,
    ),
    ("videomae", "VideoMAEForVideoClassification", {"use_mean_pooling": False}, 86_228_738),
    ("vivit", "VivitModel", {}, 89_236_992),
    ("vivit", "VivitModel", {"num_frames": 16, "tubelet_size": [4, 16, 16]}, 88_610_304),
    ("vivit", "VivitModel", {"qkv_bias": False, "pooler_output_size": 100}, 88_695_652),
    ("vivit", "VivitForVideoClassification", {}, 88_647_938),
    ("tipsv2", "Tipsv2Model", {}, 195_948_289),
    ("tipsv2_vision_model", "Tipsv2VisionModel", {}, 86_316_288),
    (
        "tipsv2_vision_model",
        "Tipsv2VisionModel",
        {"use_swiglu_ffn": True, "num_register_tokens": 4},
        86_330_880,
    ),
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
    ("videomae", "VideoMAEForVideoClassification", {}, 360_689_175_552),
    ("vivit", "VivitForVideoClassification", {}, 903_048_895_488),
    ("vivit", "VivitModel", {"num_frames": 16}, 360_975_863_808),
    ("audio-spectrogram-transformer", "ASTForAudioClassification", {}, 261_027_941_376),
    ("tipsv2_vision_model", "Tipsv2VisionModel", {}, 214_016_606_208),
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
    assert {run.layer.mixer.window for run in stack.runs} == {129}  # 128 to each side


def test_numbers_as_tokens_are_read_by_a_t5() -> None:
    """Chronos-T5: how numbers become tokens changes no count; what has other heads is refused."""
    keys = {"model_type": "t5", "vocab_size": 4096, "d_model": 256, "d_ff": 1024, "num_layers": 4,
            "num_heads": 4, "chronos_config": {"n_tokens": 4096}}  # fmt: skip
    whole = read_model({**keys, "architectures": ["T5ForConditionalGeneration"]})
    plain = {key: each for key, each in keys.items() if key != "chronos_config"}
    assert whole.params == read_model(plain).params
    with pytest.raises(InputError, match="head is not understood"):
        read_model({**keys, "architectures": ["ChronosBoltModelForForecasting"]})


def test_as_many_flops_of_two_seconds_of_sound_as_torch_dispatches() -> None:
    model = read_model({"model_type": "data2vec-audio"})
    assert model.encode(32_000).flops == 27_763_394_560


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"model_type": "vivit", "tubelet_size": [2, 16]}, "three whole numbers"),
        ({"model_type": "vivit", "num_frames": 1}, "larger than the clip"),
        ({"model_type": "videomae", "patch_size": 300}, "larger than the clip"),
        ({"model_type": "vjepa2", "mlp_ratio": "wide"}, "mlp_ratio is 'wide'"),
        ({"model_type": "vjepa2", "pred_mlp_ratio": 0}, "pred_mlp_ratio is 0"),
    ],
)
def test_a_clip_has_patches(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_model(keys)


def test_windows_to_both_sides_and_wider_heads_of_an_embedder() -> None:
    """EmbeddingGemma 2: 512 tokens to each side; every sixth layer meets all, with heads of 512."""
    (stack,) = read_model({"model_type": "embedding_gemma2_text"}).description.stacks
    assert not stack.causal
    found = {(run.layer.mixer.window, run.layer.mixer.head_dim, run.layer.mixer.kv_heads, run.times)
             for run in stack.runs}  # fmt: skip
    assert found == {(513, 256, 2, 20), (None, 512, 1, 4)}


def test_patches_of_a_spectrogram_overlap() -> None:
    """16 of 128 by 16 of 1024, ten apart: 12 x 101, and two tokens before them."""
    model = read_model({"model_type": "audio-spectrogram-transformer"})
    (stack,) = model.description.stacks
    assert (stack.patches, stack.positions) == (1212, 1214)
    with pytest.raises(InputError, match="larger than the spectrogram"):
        read_model({"model_type": "audio-spectrogram-transformer", "max_length": 9})


def test_regions_of_an_image_cost_a_text_nothing() -> None:
    bert, seeing = (
        read_model({"model_type": name, "architectures": ["Model"]})
        for name in ("bert", "visual_bert")
    )
    assert seeing.params > bert.params
    assert seeing.encode(64).flops == bert.encode(64).flops


def test_quantiles_are_a_list_of_numbers() -> None:
    for wrong in (0.5, [0.1] * 2000):
        with pytest.raises(InputError, match="no list of numbers"):
            read_model({"model_type": "timesfm", "quantiles": wrong})
