"""Parakeet's encoder: strided convolutions over mel frames, a Conformer with relative positions.

Gulati et al. 2020 (Conformer) and Rekesh et al. 2023 (its faster front), as the classes of
transformers 5.24 build them.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Layer, Placed, Run, Stack
from thermoflop.model.architecture.grid import Grid
from thermoflop.model.architecture.mixers import Relative
from thermoflop.model.architecture.parts import Convolution, Linear, Vector
from thermoflop.model.config.blocks import biased_attention, biased_mlp, conformer, tower_stack
from thermoflop.model.config.keys import Config

# names of a convolution's groups: the map to characters is one too, of a single tap
CONVOLUTION = ("conv_frontend", "conv_frontend")


def conformer_stack(config: Config, tail: tuple[Placed, ...]) -> Stack:
    """Convolutions that leave one position of so many frames, and the layers."""
    front, windows = _subsampling(config)
    runs = (Run(_layer(config), config["num_hidden_layers"]),)
    return Stack("decoder", config["hidden_size"], runs, front, tail, False, windows=windows)


def parakeet_ears(config: Config) -> Stack:
    """The encoder before a text: on clips, of which each position is so many mel frames."""
    heard = conformer_stack(config, ())
    factor, step = config["subsampling_factor"], config["subsampling_conv_stride"]
    count = len(heard.windows)
    front = []
    for placed in heard.front:
        rows, _, index = placed.rows.partition(" ")
        left = step ** (count - 1 - int(index)) if rows == "window" else 1
        front.append(replace(placed, rows="token", times=placed.times * left))
    positions, grid = 3000 // factor, Grid("fixed", (factor, 1))  # 30 s
    return tower_stack("audio", heard.hidden, heard.runs, tuple(front), (), positions, grid=grid)


def _subsampling(config: Config) -> tuple[tuple[Placed, ...], tuple[tuple[int, int], ...]]:
    """The convolutions over time and frequency, with what each leaves of the time."""
    taps, step, channels = (
        config[f"subsampling_conv_{key}"] for key in ("kernel_size", "stride", "channels")
    )
    factor, mels = config["subsampling_factor"], config["num_mel_bins"]
    times = factor.bit_length() - 1
    if times < 1:
        raise InputError(f"subsampling_factor is {factor} where 2 at least is expected")
    padded, where = (taps - 1) // 2, ("patch_embed", "patch_embed")
    front, size = list[Placed](), mels
    for index in range(times):
        size = (size + 2 * padded - taps) // step + 1
        name = "depthwise" if index else "conv"
        parts = [Convolution(name, *where, 1, channels, taps**2, bias=True)]
        if index:
            parts.append(Convolution("pointwise", *where, channels, channels, 1, bias=True))
        front += [Placed(part, f"window {index}", size) for part in parts]
    if size < 1 or size != mels // step**times:
        raise InputError(
            f"num_mel_bins {mels} leaves {max(0, size)} behind its convolutions, and the map "
            f"behind them reads {mels // step**times}"
        )
    out = Linear("out", "other", "other", channels * size, config["hidden_size"], bias=True)
    # padded by as much on both sides: what a window of the rest leaves
    return (*front, Placed(out)), ((taps - 2 * padded, step),) * times


def _layer(config: Config) -> Layer:
    """A Conformer that attends with relative keys."""
    hidden, bias, taps = (
        config[key] for key in ("hidden_size", "attention_bias", "conv_kernel_size")
    )
    if taps % 2 == 0:
        raise InputError(f"conv_kernel_size {quote_value(taps)} is even: it would lose a position")
    relative = Relative(hidden, hidden, None, True, False, key_bias=False, fewer=1)
    heads = config["num_attention_heads"]
    kv_heads = config["num_key_value_heads"] or heads
    if heads % kv_heads:
        raise InputError(f"{heads} query heads do not divide into {kv_heads} key-value heads")
    attention = biased_attention(
        hidden, heads, kv_heads=kv_heads,
        **dict.fromkeys(("q_bias", "k_bias", "v_bias", "o_bias"), bias),
        relative=relative, extras=(Vector("bias_u, bias_v", "attn", 2 * hidden),),
    )  # fmt: skip
    mlp = biased_mlp(hidden, config["intermediate_size"], config["hidden_act"])
    mlp = replace(mlp, up_bias=bias, down_bias=bias)
    biased = config["convolution_bias"]
    convolution = (
        Linear("gate_conv", *CONVOLUTION, hidden, 2 * hidden, biased),
        Convolution("depth_conv", *CONVOLUTION, 1, hidden, taps, biased),
        Linear("last_conv", *CONVOLUTION, hidden, hidden, biased),
    )
    return conformer(hidden, attention, mlp, convolution, ("mlp", "conv", "batch", "last"))
