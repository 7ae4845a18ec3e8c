"""Towers that hear, of recognizers of speech after Whisper, and what one of them reads on with.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.model.architecture.description import Placed, Stack
from thermoflop.model.architecture.parts import Convolution, Linear
from thermoflop.model.config.families import dense, newer_towers, other_towers  # noqa: F401
from thermoflop.model.config.family import family, maybe, sizes
from thermoflop.model.config.keys import Config, Traits
from thermoflop.model.config.tower import DEFAULTS, layer_runs, norm_of

family("audioflamingo3_encoder", "voxtral_encoder")
family(
    "moss_transcribe_diarize_audio",
    "voxtral_encoder",
    keys={"num_mel_bins": 80, "d_model": 1024, "encoder_layers": 24}
    | {"encoder_attention_heads": 16, "encoder_ffn_dim": 4096},
)
family(
    "qwen3_asr_encoder",
    "qwen3_omni_moe_audio_encoder",
    keys={"d_model": 1024, "encoder_layers": 24, "encoder_attention_heads": 16}
    | {"encoder_ffn_dim": 4096},
)


def _rotating_ears(config: Config) -> Stack:
    """Whisper's convolutions, then layers whose positions are rotations, and a norm."""
    traits, role = Traits(config, DEFAULTS), "conv_frontend"
    hidden, positions = traits["hidden"], config["max_position_embeddings"]
    first = Convolution("conv1", role, role, config["num_mel_bins"], hidden, 3, bias=True)
    second = Convolution("conv2", role, role, hidden, hidden, 3, bias=True)
    front = (Placed(first, "frame"), Placed(second))
    tail = (Placed(norm_of(traits, "final_norm", hidden)),)
    runs = layer_runs(traits)
    return Stack("audio", hidden, runs, front, tail, False, positions=positions, pooled=positions)


family(
    "glmasr_encoder",
    reader="tower",
    keys={
        "num_mel_bins": 128,
        **sizes(hidden=1280, inner=5120, layers=32, heads=20, kv_heads=None, head_dim=None),
        "hidden_act": "gelu",
        "max_position_embeddings": 1500,
    },
    traits={
        "stack": _rotating_ears,
        "k_bias": False,
        "rotary": True,
    },
)
family(
    "voxtral_realtime_encoder",
    "glmasr_encoder",
    keys={**sizes(heads=32, head_dim=maybe(64)), "hidden_act": "silu"},
    traits={
        "gated": True,
        "norm": "rms",
        "up_bias": False,
        "down_bias": True,
    },
    ignored=("sliding_window", "vocab_size", "num_key_value_heads"),
)
family(
    "voxtral_realtime_text",
    "mistral",
    keys={"tie_word_embeddings": True},
    # how late it may answer scales every layer, by two matrices that run once for a stream
    traits={
        "kept": lambda config: (
            Linear("delay 1", "norm", "norm", config["hidden_size"], 32),
            Linear("delay 2", "norm", "norm", 32, config["hidden_size"]),
        )
    },
)
