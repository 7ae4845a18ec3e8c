"""Towers that hear: Whisper's encoder, as several classes have it, and the Conformer of Phi-4."""

from __future__ import annotations

from math import prod

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.grid import Grid
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Part, Table, Vector
from thermoflop.model.config.blocks import (
    biased_attention,
    biased_layer,
    biased_mlp,
    conformer,
    layer_norm,
    mel_front,
    tower_stack,
)
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.keys import Config
from thermoflop.model.config.tower import ratio_of, sides


def _layer(config: Config, kind: str, **attention: bool) -> Layer:
    """A layer of Whisper's encoder."""
    keys = ("d_model", "encoder_attention_heads", "encoder_ffn_dim", "activation_function")
    hidden, heads, inner, activation = (config[key] for key in keys)
    norms = ("self_norm", "output_norm")
    return biased_layer(hidden, heads, inner, activation, kind=kind, norms=norms, **attention)


def whisper_stack(config: Config) -> Stack:
    """Two convolutions over mel frames, positions, layers without a bias on the keys, a norm."""
    hidden, source = config["d_model"], config["max_source_positions"]
    runs = (Run(_layer(config, "attention + MLP", k_bias=False), config["encoder_layers"]),)
    tail = (Placed(layer_norm("final_norm", hidden)),)
    return tower_stack("audio", hidden, runs, mel_front(config), tail, source, patches=0)


def omni_stack(config: Config) -> Stack:
    """Qwen2.5-Omni: Whisper's layers without a table, learned ends, two positions into one."""
    stack = whisper_stack(config)
    first, second, _ = stack.front
    out = config["output_dim"]
    ends = Placed(Table("audio ends", "embed_tokens", 2, out, lookups=False), "none")
    project = Linear("proj", "projector", "projector", stack.hidden, out, bias=True)
    positions = config["max_source_positions"]
    return replace(
        stack,
        front=(first, second, ends),
        tail=(*stack.tail, Placed(project, "pooled")),
        patches=positions,
        pooled=positions // 2,
        grid=Grid("fixed", (2, 1), merge=2),
    )


def staged_stack(config: Config) -> Stack:
    """Muse Spark: samples into patches, stage by stage, with convolutions between."""
    patches, widths, depths = (config[key] for key in ("patch_sizes", "hidden_sizes", "depths"))
    if not len(patches) == len(widths) == len(depths) > 0 or min(*patches, *widths, *depths) < 1:
        raise InputError("patch_sizes, hidden_sizes and depths name as many stages each")
    front, where, before = list[Placed](), ("conv_frontend", "conv_frontend"), 1
    for at, (patch, width, depth) in enumerate(zip(patches, widths, depths, strict=True)):
        inner, taps = int(width * ratio_of(config)), config["conv_kernel_size"]
        left = prod(patches[at + 1 :])  # positions of this stage for each of the last one
        block = (
            Convolution("conv", *where, 1, width, taps, bias=True),
            Norm("conv_norm", width),
            *biased_mlp(width, inner, config["hidden_act"]).linears(),
        )
        patched = Linear("patch", *where, before * patch, width, bias=True)
        stage = (patched, Norm("patch_norm", width), *(block * depth))
        front += [Placed(part, "token", left) for part in stage]
        before = width
    out, frames = config["out_hidden_size"], max(1, prod(patches) // 160)
    last = (Norm("norm", before), Linear("proj", "projector", "projector", before, out, bias=True))
    tail = (*(Placed(part) for part in last), Placed(Norm("post_proj_norm", out)))
    positions = 3000 // frames  # 30 s
    grid = Grid("fixed", (frames, 1))
    return tower_stack("audio", before, (), tuple(front), tail, positions, grid=grid)


def samples_alone(config: Config) -> Stack:
    """Gemma 4 without a tower: as many samples of sound as a token is wide, 40 ms of them."""
    positions, grid = 750, Grid("fixed", (4, 1))  # 30 s: four frames of 10 ms each
    return tower_stack("audio", config["audio_embed_dim"], (), (), (), positions, grid=grid)


def strided_front(bands: int, channels: int, hidden: int) -> tuple[Placed, ...]:
    """Three strided convolutions over a spectrogram of so many bands, and the map behind them."""
    where, size, front = ("conv_frontend", "conv_frontend"), bands, list[Placed]()
    for at, inputs in enumerate((1, channels, channels)):
        size = (size + 1) // 2
        # of the map that each leaves, for each position at the end: a half, a quarter, an eighth
        conv = Convolution(f"conv{at + 1}", *where, inputs, channels, 9, bias=True)
        front.append(Placed(conv, "token", size * 4 // 2**at))
    return (*front, Placed(Linear("conv_out", "other", "other", channels * size, hidden)))


def strided_stack(config: Config) -> Stack:
    """Qwen3-Omni: three strided convolutions over the spectrogram, then layers within windows."""
    hidden, channels = config["d_model"], config["downsample_hidden_size"]
    front = strided_front(config["num_mel_bins"], channels, hidden)
    layer = _layer(config, "windowed attention + MLP", near=True)
    role, out = "projector", config["output_dim"]
    tail = (
        Placed(layer_norm("final_norm", hidden)),
        Placed(Linear("proj1", role, role, hidden, hidden, bias=True)),
        Placed(Linear("proj2", role, role, hidden, out, bias=True)),
    )
    positions = 375  # 30 s
    near = positions * min(positions, max(1, config["n_window_infer"] // PHI_REDUCTION))
    runs, grid = (Run(layer, config["encoder_layers"]),), Grid("fixed", (PHI_REDUCTION, 1))
    return tower_stack("audio", hidden, runs, front, tail, positions, near=near, grid=grid)


# Each position is made of eight mel frames, by three strided convolutions of 3 x 3 taps.
PHI_REDUCTION = 8


def phi_stack(config: Config) -> Stack:
    """Phi-4's Conformer: convolutions over the spectrogram, then half MLPs around attention."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    runs = (Run(_phi_layer(config), config["num_blocks"]),)
    # a bias for each distance: as many as 1,000 and their negatives
    distances = config["bias_max_distance"] * (1 if config["bias_symmetric"] else 2)
    table = Table("relative bias", "embed_tokens", distances, heads, lookups=False)
    front = (*_phi_front(config), Placed(table, "none"))
    grid = Grid("fixed", (PHI_REDUCTION, 1))
    return tower_stack("audio", hidden, runs, front, (), 375, grid=grid)


def _phi_front(config: Config) -> tuple[Placed, ...]:
    """Strided convolutions over time and frequency, and the map to the hidden width."""
    channels, hidden = config["nemo_conv_channels"], config["hidden_size"]
    where = ("patch_embed", "patch_embed")
    steps = config["time_reduction"].bit_length() - 1
    if steps < 1:
        raise InputError("time_reduction is 1 where 2 at least is expected")
    size, parts = config["input_size"], [Convolution("conv", *where, 1, channels, 9, bias=True)]
    for _ in range(steps - 1):
        parts.append(Convolution("depthwise", *where, 1, channels, 9, bias=True))
        parts.append(Convolution("pointwise", *where, channels, channels, 1, bias=True))
    # positions of the map that each convolution leaves, for each position at the end
    kept, areas = 2 ** (steps - 1), []
    for _ in range(steps):
        size = (size - 1) // 2 + 1
        areas.append(size * kept)
        kept //= 2
    out = Linear("out", "other", "other", channels * size, hidden, bias=True)
    rows = [areas[0], *(area for area in areas[1:] for _ in range(2))]
    placed = [Placed(part, "token", times) for part, times in zip(parts, rows, strict=True)]
    return (*placed, Placed(out))


def _phi_layer(config: Config) -> Layer:
    """A Conformer whose convolutions have widths of their own."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    role, outer = "conv_frontend", config["ext_pw_out_channel"]
    depth = config["depthwise_separable_out_channel"]
    multiplied = hidden * config["depthwise_multiplier"]
    mlp = Mlp(hidden, inner, True, True, True, "silu")
    convolutions = (
        Convolution("gate_conv", role, role, hidden, 2 * outer, 1, bias=True),
        Convolution("depth_conv", role, role, 1, multiplied, config["kernel_size"], bias=True),
        Convolution("point_conv", role, role, multiplied, depth, 1, bias=True),
        Convolution("last_conv", role, role, hidden, outer, 1, bias=True),
    )
    attention = biased_attention(hidden, config["num_attention_heads"])
    kept = (Vector("gate bias", "other", 2 * outer),)
    return replace(conformer(hidden, attention, mlp, convolutions), kept=kept)


def gemma_stack(config: Config) -> Stack:
    """Gemma 4's Conformer: two strided convolutions, and layers that attend within chunks.

    Gemma 3n's has no map behind it, and leaves every fourth position.
    """
    hidden, out = config["hidden_size"], config.get("output_proj_dims")
    key = "subsampling_conv_channels"
    first, second = sides([128, 32] if config[key] is None else config[key], key)
    where = ("conv_frontend", "conv_frontend")
    # a quarter of the mel bins is left, in as many channels as the second convolution has
    width = config.get("input_feat_size", first) // 4 * second
    front = (
        Placed(Convolution("conv1", *where, 1, first, 9), "token", 2 * 64),
        Placed(Norm("conv1_norm", first, "layer"), "token", 2 * 64),
        Placed(Convolution("conv2", *where, first, second, 9), "token", 32),
        Placed(Norm("conv2_norm", second, "layer"), "token", 32),
        Placed(Linear("input_proj", *where, width, hidden)),
    )
    project = Linear("output_proj", "projector", "projector", hidden, out or 0, bias=True)
    tail = (Placed(project),) if out else ()
    positions, fewer = 750, config.get("reduction_factor", 1)  # 30 s: four mel frames a position
    chunk = config["attention_chunk_size"]
    seen = chunk + config["attention_context_left"] - 1 + config["attention_context_right"]
    return tower_stack(
        "audio", hidden, (Run(_gemma_layer(config), config["num_hidden_layers"]),), front, tail,
        positions, pooled=-(-positions // fewer), near=-(-positions // chunk) * chunk * seen,
        grid=Grid("fixed", (4, 1), merge=fewer),
    )  # fmt: skip


def _gemma_layer(config: Config) -> Layer:
    """Half an MLP, attention with relative keys, a gated convolution, half an MLP."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    role, taps = "conv_frontend", config["conv_kernel_size"]
    mlp = Mlp(hidden, 4 * hidden, False)
    names = ("conv", "conv_inner", "out", "mlp_before", "mlp_after", "second_before")
    others: tuple[Part, ...] = (
        *(Norm(f"{name}_norm", hidden) for name in names),
        *mlp.linears(),
        Linear("linear_start", role, role, hidden, 2 * hidden),
        Convolution("depthwise", role, role, 1, hidden, taps),
        Linear("linear_end", role, role, hidden, hidden),
    )
    norms = [Norm(f"{name}_norm", hidden) for name in ("attention", "post_attention")]
    norms.append(Norm("second_after_norm", hidden))
    dim = head_width(hidden, heads)
    # of the distances that a query meets, not of the sound; products of activations have no weights
    distances = config["attention_context_left"] + config["attention_context_right"]
    relative = Linear("relative_k_proj", "attn", "attn_proj", hidden, hidden)
    scores = Linear("relative scores", "attn", "attn_score", hidden, distances, tied=True)
    return Layer(
        "Conformer", hidden, tuple(norms[:1]), Attention(hidden, heads, heads, dim, near=True),
        feed=mlp, kept=(*norms[1:], Vector("per_dim_scale", "other", dim)),
        others=(
            *(Placed(part) for part in (*others, scores)), Placed(relative, "sequence", distances)
        ),
    )  # fmt: skip
