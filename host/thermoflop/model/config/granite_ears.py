"""Granite Speech's ears: a Conformer that attends within blocks, and queries on windows of it."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Layer, Placed, Run, Stack
from thermoflop.model.architecture.grid import Grid
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Convolution, Linear, Vector
from thermoflop.model.config.blocks import biased_mlp, conformer, layer_norm, tower_stack
from thermoflop.model.config.connectors import queries_behind, query_layers
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.keys import Config
from thermoflop.model.config.projectors import linear


def granite_stack(config: Config) -> Stack:
    """Two mel frames a position, blocks, and scores of characters fed back halfway."""
    hidden, layers, scored = config["hidden_dim"], config["num_layers"], config["output_dim"]
    role, positions = "conv_frontend", 1500  # 30 s
    front = (Placed(Linear("input_linear", role, role, config["input_dim"], hidden, bias=True)),)
    back = (
        Linear("out", "other", "other", hidden, scored, bias=True),
        Linear("out_mid", "other", "other", scored, hidden, bias=True),
    )
    # behind layer number layers // 2, which the only layer of one is not
    tail = tuple(Placed(each, "token" if layers > 1 else "none") for each in back)
    runs, grid = (Run(_layer(config), layers),), Grid("fixed", (2, 1))
    return tower_stack("audio", hidden, runs, front, tail, positions, grid=grid)


def _layer(config: Config) -> Layer:
    """A Conformer that attends within a block."""
    hidden, heads, block = config["hidden_dim"], config["num_heads"], config["context_size"]
    if block > config["max_pos_emb"]:
        raise InputError(
            f"context_size is {block}, and max_pos_emb {config['max_pos_emb']}: expected no more"
        )
    dim = config["dim_head"] or head_width(hidden, heads)
    distances = Vector("relative positions", "attn", (2 * config["max_pos_emb"] + 1) * dim)
    attention = Attention(hidden, heads, heads, dim, o_bias=True, block=block, extras=(distances,))
    mlp = biased_mlp(hidden, hidden * config["feedforward_mult"], "silu")
    role, inner = "conv_frontend", hidden * config["conv_expansion_factor"]
    convolution = (
        Linear("up_conv", role, role, hidden, 2 * inner, bias=True),
        Convolution("depth_conv", role, role, 1, inner, config["conv_kernel_size"]),
        layer_norm("batch_norm", inner),
        Linear("down_conv", role, role, inner, hidden, bias=True),
    )
    return conformer(hidden, attention, mlp, convolution)


def windowed_queries(
    config: Config, _tower: Config, stack: Stack, hidden: int
) -> tuple[Stack, Stack]:
    """A BERT on learned queries, which attend to one window of positions each time."""
    own, window = config.nested["projector_config"], config["window_size"]
    queries = window // config["downsample_rate"]
    if not queries:
        raise InputError(
            f"downsample_rate is {config['downsample_rate']}, and window_size {window}: "
            "expected no more than that"
        )
    # the learned queries are the same for every window until the first layer has met it
    (seeing, *rest) = query_layers(own, own["encoder_hidden_size"])
    layer = seeing.layer
    first = replace(
        layer, mixer=replace(layer.mixer, once=True), cross=replace(layer.cross, once=True)
    )
    others = (replace(seeing, times=seeing.times - 1), *rest)
    runs = (Run(first, 1), *(run for run in others if run.times))
    front = Placed(layer_norm("embed_norm", own["hidden_size"]))
    tail = Placed(linear("linear", own["hidden_size"], hidden))
    ears, behind = queries_behind(stack, runs, queries, tail, front=(front,))
    assert ears.grid is not None and ears.positions is not None  # noqa: S101, PT018 - granite_stack
    grid = replace(ears.grid, window=window, merge=queries)
    pooled = -(-ears.positions // window) * queries
    seen = replace(ears, grid=grid, pooled=pooled)
    return seen, replace(behind, role="audio", window=window)
