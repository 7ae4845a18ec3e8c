"""Encoders of sound from its samples. Defaults are those of the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.config.family import (
    Key,
    Section,
    called,
    family,
    mapping,
    maybe,
    sizes,
    spaced,
    use,
)

_FRAMES = "what it reads is mel frames, 100 of them a second"


def _list(default: list[int]) -> Key:
    return Key("indices", default)


family(
    "wav2vec2",
    reader="speech",
    keys={
        **sizes(vocab=32, hidden=768, layers=12, heads=12, inner=3072),
        "hidden_act": "gelu",
        "feat_extract_norm": "group",
        "conv_dim": _list([512] * 7),
        "conv_stride": _list([5, 2, 2, 2, 2, 2, 2]),
        "conv_kernel": _list([10, 3, 3, 3, 3, 2, 2]),
        "conv_bias": False,
        "num_conv_pos_embeddings": 128,
        "num_conv_pos_embedding_groups": 16,
        "mask_time_prob": Key("any", 0.05, nullable=True),
        "mask_feature_prob": Key("any", 0.0, nullable=True),
        "use_weighted_layer_sum": False,
        "classifier_proj_size": 256,
    },
    ignored=spaced(
        "do_stable_layer_norm num_feat_extract_layers feat_extract_activation ctc_loss_reduction"
        " ctc_zero_infinity num_codevectors_per_group num_codevector_groups"
        " contrastive_logits_temperature num_negatives codevector_dim proj_codevector_dim tdnn_dim"
        " tdnn_kernel tdnn_dilation xvector_output_dim adapter_kernel_size adapter_stride"
        " num_adapter_layers output_hidden_size"
    ),
)
family(
    "hubert",
    "wav2vec2",
    keys={"feat_proj_layer_norm": True},
)
family("wavlm", "wav2vec2", keys={"num_buckets": 320}, ignored=("max_bucket_distance",))
# a token for what is masked is there whether anything is masked or not
_MASKS = ("mask_time_prob", "mask_feature_prob")
family("unispeech", "wav2vec2", drop=_MASKS, ignored=("num_ctc_classes", "replace_prob"))
family("unispeech-sat", "unispeech", ignored=("num_clusters",))
# convolutions for positions one behind another, whose norms have no weights
family(
    "data2vec-audio",
    "wav2vec2",
    keys={"num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 19},
    traits={"pos_normed": False},
    drop=("feat_extract_norm",),
)
family(
    "omniasr_audio",
    "wav2vec2",
    keys={**sizes(hidden=1024, layers=24, heads=16, inner=4096), "conv_bias": True},
    traits={"masks": False, "pos_normed": False, "class": "Model"},
    drop=("vocab_size", "feat_extract_norm", *_MASKS, "use_weighted_layer_sum",
          "classifier_proj_size"),
)  # fmt: skip
family(
    "omniasr_ctc",
    reader="speech.omni_characters",
    keys={"vocab_size": 10288, "audio_config": mapping()},
    traits={"sections": (Section("audio_config", "omniasr_audio"),)},
    ignored=("ctc_loss_reduction", "ctc_zero_infinity"),
)
family(
    "moonshine",
    reader="moonshine",
    keys={
        **sizes(vocab=32768, hidden=288, inner=1152),
        "encoder_num_hidden_layers": 6,
        "decoder_num_hidden_layers": 6,
        "encoder_num_attention_heads": 8,
        "decoder_num_attention_heads": 8,
        "encoder_num_key_value_heads": None,
        "decoder_num_key_value_heads": None,
        "pad_head_dim_to_multiple_of": None,
        "encoder_hidden_act": "gelu",
        "decoder_hidden_act": "silu",
        "attention_bias": False,
        "tie_word_embeddings": True,
    },
    traits={"note": "encoder= is positions behind its convolutions, one for each 384 samples"},
    aliases={
        **called(
            kv_heads="decoder_num_key_value_heads",
            heads="decoder_num_attention_heads",
            layers="decoder_num_hidden_layers",
        ),
        "hidden_act": "decoder_hidden_act",
    },
)
family(
    "parakeet_encoder",
    reader="parakeet",
    keys={
        # the class has as many key heads as heads where its file names none
        **sizes(hidden=1024, layers=24, heads=8, kv_heads=None, inner=4096),
        "hidden_act": "silu",
        "attention_bias": True,
        "convolution_bias": True,
        "conv_kernel_size": 9,
        "subsampling_factor": 8,
        "subsampling_conv_channels": 256,
        "num_mel_bins": 80,
        "subsampling_conv_kernel_size": 3,
        "subsampling_conv_stride": 2,
    },
    traits={"note": _FRAMES},
    ignored=("dropout_positions", "scale_input"),
)
family(
    "parakeet_ctc",
    reader="parakeet.characters",
    keys={"vocab_size": 1025, "encoder_config": mapping()},
    traits={"sections": (Section("encoder_config", "parakeet_encoder"),), "note": _FRAMES},
    ignored=("ctc_loss_reduction", "ctc_zero_infinity"),
)
family(
    "parakeet_rnnt",
    reader="parakeet.transducer",
    keys={
        "vocab_size": 8193,
        "decoder_hidden_size": 640,
        "num_decoder_layers": 2,
        "encoder_config": mapping(),
    },
    traits={"sections": (Section("encoder_config", "parakeet_encoder"),), "note": _FRAMES},
    ignored=("max_symbols_per_step",),
)
family("parakeet_tdt", "parakeet_rnnt", keys={"durations": _list([0, 1, 2, 3, 4])})
_WRITES = {
    **sizes(vocab=16384, hidden=1024, inner=4096, layers=8, heads=8, kv_heads=None, head_dim=None),
    "hidden_act": "relu",
    "max_position_embeddings": 1024,
    "attention_bias": True,
}
_PLAIN = {
    "norm": "layer",
    "norm_bias": True,
    "gated": False,
    "up_bias": True,
    "rotary": False,
}
_HEARS = {"num_mel_bins": 128, "scale_input": False, "layerdrop": 0.0}
family(
    "cohere_asr",
    reader="transcribing",
    keys={**_WRITES, "encoder_config": mapping(), "tie_word_embeddings": False},
    traits={
        **_PLAIN,
        "sections": (
            Section(
                "encoder_config",
                "parakeet_encoder",
                {**_HEARS, **sizes(hidden=1280, layers=48, heads=8, inner=5120)},
                merged=True,
            ),
        ),
        "positions": use("max_position_embeddings"),
        "maps_encoder": True,
        "note": _FRAMES,
    },
)
family(
    "canary_decoder",
    keys={**_WRITES, **sizes(kv_heads=maybe(8), head_dim=maybe(128))},
    traits=_PLAIN,
)
family(
    "canary",
    reader="transcribing",
    keys={
        "encoder_config": mapping(),
        "decoder_config": mapping(),
        "tie_word_embeddings": True,
        "vocab_size": 16384,
    },
    traits={
        "sections": (
            Section("encoder_config", "parakeet_encoder", {**_HEARS, **sizes(layers=32)}),
            Section("decoder_config", "canary_decoder"),
        ),
        "maps_encoder": False,
        "note": _FRAMES,
    },
)
