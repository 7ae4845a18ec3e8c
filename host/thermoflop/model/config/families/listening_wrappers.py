"""Wrappers that hear and have no eyes: recognizers of speech, as in transformers 5.24."""

from __future__ import annotations

from thermoflop.model.config import projectors
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.families import listening_towers  # noqa: F401 - sections are there
from thermoflop.model.config.families.sections import ears_of, text_of, wrapper
from thermoflop.model.config.family import sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from thermoflop.model.architecture.description import Stack
    from thermoflop.model.config.keys import Config


def _merged(
    merge: int | str,
    widths: Callable[[Config, Config, int, int], tuple[int, int]],
    *,
    bias: Any = True,
) -> Callable[[Config, Config, Stack, int], Stack]:
    """So many positions side by side, or their mean, through two matrices."""

    def project(config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
        several = config[merge] if isinstance(merge, str) else merge
        inputs, inner = widths(config, tower, stack.hidden, hidden)
        biased = config[bias] if isinstance(bias, str) else bias
        maps = (
            projectors.linear("linear_1", inputs, inner, biased),
            projectors.linear("linear_2", inner, hidden, biased),
        )
        return projectors.ending(stack, *maps, left=stack.pooled // several)

    return project


# Qwen3's text of 0.6B and 1.7B, which differ in the two widths
_SMALL_QWEN3 = sizes(layers=28, heads=16, kv_heads=8, head_dim=128)

_FLAMINGO = _merged(2, lambda _config, _tower, seen, hidden: (seen, hidden), bias="projector_bias")
for _name in ("audioflamingo3", "musicflamingo"):
    wrapper(
        _name,
        text_of("qwen2"),
        None,
        ears=(ears_of("audioflamingo3_encoder"), _FLAMINGO),
        keys={"projector_bias": True},
        ignored=("audio_frame_step", "head_dim"),
    )
wrapper(
    "glmasr",
    text_of(
        "llama",
        sizes(vocab=59264, hidden=2048, inner=6144, layers=28, heads=16, kv_heads=4),
    ),
    None,
    tie=True,
    ears=(
        ears_of("glmasr_encoder"),
        _merged(4, lambda _config, tower, _seen, hidden: (tower["intermediate_size"], 2 * hidden)),
    ),
)
wrapper(
    "voxtral_realtime",
    text_of(
        "voxtral_realtime_text",
        {
            **sizes(vocab=131072, hidden=3072, inner=9216, layers=26, head_dim=128),
            "sliding_window": 8192,
        },
        fixed=True,
    ),
    None,
    tie=True,
    keys={"downsample_factor": 4},
    ears=(
        ears_of("voxtral_realtime_encoder", fixed=True),
        _merged(
            "downsample_factor",
            lambda config, _tower, seen, hidden: (seen * config["downsample_factor"], hidden),
            bias=False,
        ),
    ),
    ignored=("audio_length_per_tok", "default_num_delay_tokens"),
)
_PACKED = _merged(
    "audio_merge_size",
    lambda config, _tower, seen, hidden: (seen * config["audio_merge_size"], hidden),
    bias="projector_bias",
)


def _packed_and_normed(config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """MOSS: four positions side by side through two matrices, and a norm."""
    return projectors.ending(_PACKED(config, tower, stack, hidden), layer_norm("norm", hidden))


wrapper(
    "moss_transcribe_diarize",
    text_of("qwen3", _SMALL_QWEN3 | sizes(hidden=1024, inner=3072)),
    None,
    tie=True,
    keys={"projector_bias": True, "audio_merge_size": 4},
    ears=(ears_of("moss_transcribe_diarize_audio"), _packed_and_normed),
    ignored=("audio_chunk_size",),
)
_SCORED = ("token_classification_bias",)
wrapper(
    "qwen3_asr",
    text_of("qwen3", _SMALL_QWEN3 | sizes(hidden=2048, inner=6144)),
    None,
    tie=True,
    ears=(ears_of("qwen3_asr_encoder"), None),
    # of a class that scores each token
    traits={"shared": lambda config: {key: config.raw.get(key, False) for key in _SCORED}},
)
