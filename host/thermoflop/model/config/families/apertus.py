"""Apertus 1.5, which reads codes of images and of sound as words (transformers 5.24)."""

from __future__ import annotations

from thermoflop.model.architecture.parts import Vector
from thermoflop.model.config.families import own_parts  # noqa: F401 - apertus is defined there
from thermoflop.model.config.families.sections import text_of, wrapper
from thermoflop.model.config.family import Key, Section, family, mapping, only, spaced
from thermoflop.model.config.image_codes import apertus_codes, sound_codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

# it reads codes and writes words alone
family(
    "apertus1p5_text",
    "apertus",
    keys={"vocab_size": 266752, "output_vocab_size": None},
    traits={
        "vocab": lambda config: config["output_vocab_size"] or config["vocab_size"],
        "embed_rows": lambda config: config["vocab_size"],
    },
)
family(
    "apertus1p5_vision_tokenizer",
    reader="tower",
    keys={
        "codebook_size": 131072,
        "embed_dim": 256,
        "latent_channels": 256,
        "in_channels": 3,
        "base_channels": 256,
        "channel_multiplier": Key("indices", (1, 1, 2, 2, 4)),
        "num_res_blocks": 4,
        "attn_resolutions": Key("indices", (16,)),
        "resolution": 256,
        "double_latent": only(False),
    },
    ignored=("spatial_scale_factor",),
)
family(
    "wavtokenizer_encoder",
    reader="tower",
    keys={
        "audio_channels": 1,
        "num_filters": 32,
        "upsampling_ratios": Key("indices", (6, 5, 5, 4)),
        "num_residual_layers": 1,
        "compress": 2,
        "kernel_size": 7,
        "last_kernel_size": 7,
        "residual_kernel_size": 3,
        "num_lstm_layers": 2,
        "hidden_size": 512,
        "use_conv_shortcut": only(True),
        "norm_type": only("weight_norm"),
    },
    # of what makes sound of codes, which the class does not build
    ignored=spaced(
        "sampling_rate dilation_growth_rate use_causal_conv pad_mode codebook_size codebook_dim"
        " decoder_hidden_size decoder_intermediate_size decoder_num_layers"
        " adanorm_num_embeddings decoder_attention_num_groups norm_eps"
    ),
)


def _codes(config: Config, _hidden: int) -> list[Any]:
    eyes, ears = config.nested["vision_config"], config.nested["audio_config"]
    return [*apertus_codes(eyes), Vector("audio tokenizer", "audio_codes", sound_codes(ears))]


wrapper(
    "apertus1p5",
    text_of("apertus1p5_text", fixed=True),
    None,
    keys={"vision_config": mapping(), "audio_config": mapping()},
    traits={
        "extras": _codes,
        "note": "what makes codes of images and sound is kept, and its work is not counted",
        "sections": (
            Section("vision_config", "apertus1p5_vision_tokenizer"),
            Section("audio_config", "wavtokenizer_encoder"),
        ),
    },
    ignored=("image_token_offset", "audio_token_offset"),
)
