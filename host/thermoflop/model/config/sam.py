"""SAM's tower: attention within windows and to all, scores of rows and columns, a neck.

Windows at the edge are filled up with zeros, and attention works on those as well.
Source: Kirillov et al. 2023, and Li et al. 2021 (ViTDet) for windows and relative positions.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.description import Placed, Run, Stack
from thermoflop.model.architecture.grid import Grid
from thermoflop.model.architecture.parts import Convolution, Linear, Table
from thermoflop.model.config.blocks import biased_layer, layer_norm, tower_stack
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.keys import Config, Traits
from thermoflop.model.config.tower import DEFAULTS, patch_grid, sides, tower_front

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def sam_stack(config: Config) -> Stack:
    """The tower with its neck, which leaves a position for each patch."""
    hidden, window = config["hidden_size"], config["window_size"]
    traits = Traits(config, {**DEFAULTS, "positions": "grid" if config["use_abs_pos"] else 0})
    rows, columns = patch_grid(traits)
    layers, patches = config["num_hidden_layers"], rows * columns
    seeing_all = {at for at in config["global_attn_indexes"] or () if 0 <= at < layers}
    wide = len(seeing_all) if window else layers
    filled = window**2 * -(-rows // window) * -(-columns // window) if window else patches
    runs = (
        *_layers(config, layers - wide, (window, window), filled),
        *_layers(config, wide, (rows, columns), patches),
    )
    patch = sides(config["patch_size"], "patch_size")
    return tower_stack(
        "image",
        hidden,
        runs,
        tower_front(traits, patches),
        tuple(Placed(part) for part in neck(hidden, config["output_channels"])),
        patches,
        near=filled * window**2 if window else None,
        grid=Grid("fixed", patch, (rows * patch[0], columns * patch[1])),
    )


def _layers(config: Config, count: int, seen: tuple[int, int], positions: int) -> tuple[Run, ...]:
    """Layers that attend within ``seen`` patches, windows or all, on so many positions."""
    if not count:
        return ()
    hidden, heads, bias = (
        config[key] for key in ("hidden_size", "num_attention_heads", "qkv_bias")
    )
    near = seen == (config["window_size"],) * 2
    layer = biased_layer(
        *(hidden, heads, Traits(config, DEFAULTS)["inner"], config["hidden_act"]),
        kind="windowed attention + MLP" if near else "attention + MLP",
        **dict.fromkeys(("q_bias", "k_bias", "v_bias"), bias),
        near=near,
        padded=positions if near else None,
    )
    if config["use_rel_pos"]:
        dim = head_width(hidden, heads)
        # of both directions: a row for each distance; every query meets one for each row and column
        table = Table("relative positions", "rel_pos_bias", 2 * sum(seen) - 2, dim, lookups=False)
        role = ("rel_pos_bias", "attn_score")
        scores = Linear("relative scores", *role, dim, sum(seen), tied=True)
        placed = Placed(scores, "sequence", heads * positions)
        layer = replace(layer, kept=(table,), others=(placed,))
    return (Run(layer, count),)


def neck(inputs: int, outputs: int) -> tuple[Any, ...]:
    """Two convolutions with a norm behind each."""
    role = "neck"
    return (
        Convolution("neck_conv1", role, role, inputs, outputs, 1),
        layer_norm("neck_norm_1", outputs),
        Convolution("neck_conv2", role, role, outputs, outputs, 9),
        layer_norm("neck_norm_2", outputs),
    )
