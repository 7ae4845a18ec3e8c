"""Swin: attention within windows that shift, in stages that merge two by two patches into one.

Liu et al. 2021, and 2022 for the second version, as the classes of transformers 5.24 build them:
what does not fill a window, a patch or a square of four patches is filled up with zeros, and
windows are computed whole.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Placed, Run, Stack
from thermoflop.model.architecture.parts import Convolution, Linear, Table, Vector
from thermoflop.model.config.architectures import built, label_count
from thermoflop.model.config.blocks import biased_layer, classifier, layer_norm, tower_stack
from thermoflop.model.config.keys import Config, is_layer_count
from thermoflop.model.config.tower import ratio_of, sides

# stages of a tower: none has as many, a bound on work
MOST_STAGES = 16
_KINDS = ("bare", "image", "masked image")


def read_swin(config: Config) -> Description:
    """A stack for each stage, each on a quarter of the positions of the one before."""
    kind = built(config, "SwinForImageClassification", _KINDS)
    stages, (height, width) = _stages(config), _grid(config)
    stacks = []
    for index, (depth, heads) in enumerate(stages):
        stacks.append(_stage(config, index, (height, width), depth, heads))
        height, width = -(-height // 2), -(-width // 2)
    hidden, last = stacks[-1].hidden, stacks[-1]
    tail = [Placed(layer_norm("final_norm", hidden))]
    extras = []
    if kind == "image":
        tail.append(Placed(classifier("classifier", hidden, label_count(config)), "sequence"))
    elif kind == "masked image":
        outputs, role = config["encoder_stride"] ** 2 * config["num_channels"], "classifier"
        tail.append(Placed(Convolution("pixels", role, role, hidden, outputs, 1, bias=True)))
        extras.append(Placed(Vector("mask token", "embed_pos", config["embed_dim"]), "none"))
    stacks[-1] = replace(last, tail=tuple(tail))
    return Description(tuple(stacks), tuple(extras), needs_images=True)


def _stages(config: Config) -> list[tuple[int, int]]:
    """Layers and heads of each stage."""
    depths, heads = config["depths"], config["num_heads"]
    if not 0 < len(depths) == len(heads) <= MOST_STAGES:
        raise InputError("depths and num_heads do not name as many stages each")
    if not all(map(is_layer_count, (*depths, *heads))):
        raise InputError("depths and num_heads hold a count that makes no sense")
    return list(zip(depths, heads, strict=True))


def _grid(config: Config) -> tuple[int, int]:
    """Rows and columns of patches; a patch at the edge is filled up."""
    pairs = zip(*(sides(config[key], key) for key in ("image_size", "patch_size")), strict=True)
    rows, columns = (-(-pixels // patch) for pixels, patch in pairs)
    return rows, columns


def _second(config: Config) -> bool:
    """Swin's second version: scores of positions that a small MLP makes, once for all windows."""
    return config.family.name == "swinv2"


def _window(config: Config, index: int) -> int:
    """Patches of a side of a stage's windows; the second version has none beyond its rows."""
    window: int = config["window_size"]
    if not _second(config):
        return window
    if config["use_absolute_embeddings"]:  # a row too many for the class to add
        raise InputError("swinv2 with use_absolute_embeddings is nothing that its class can run")
    rows = sides(config["image_size"], "image_size")[0]
    rows = rows // sides(config["patch_size"], "patch_size")[0] >> index
    if not rows:
        raise InputError(f"an image of {config['image_size']} pixels leaves stage {index} no rows")
    return min(window, rows)


def _stage(config: Config, index: int, grid: tuple[int, int], depth: int, heads: int) -> Stack:
    """Patches or the merging of four, then layers that attend within windows."""
    hidden, window, positions = config["embed_dim"] * 2**index, _window(config, index), 1
    filled = window**2
    for side in grid:
        positions, filled = positions * side, filled * -(-side // window)
    bias = config["qkv_bias"]
    own = {"q_bias": bias, "k_bias": bias and not _second(config), "v_bias": bias}
    distances, others = (2 * window - 1) ** 2, tuple[Placed, ...]()
    scores = Vector("relative_position_bias", "attn", distances * heads)
    if _second(config):
        scores = Vector("logit_scale", "attn", heads)
        where = ("attn", "position_bias")
        made = (Linear("cpb 1", *where, 2, 512, bias=True), Linear("cpb 2", *where, 512, heads))
        others = tuple(Placed(part, "once", distances) for part in made)
    layer = biased_layer(
        *(hidden, heads, int(ratio_of(config) * hidden), config["hidden_act"]),
        kind="windowed attention + MLP",
        **own,
        near=True,
        padded=filled,
        extras=(scores,),
    )
    front = _merging(config, hidden) if index else _patches(config, positions)
    runs, near = (Run(replace(layer, others=others), depth),), filled * window**2
    return tower_stack("image", hidden, runs, front, (), positions, near=near)


def _patches(config: Config, positions: int) -> tuple[Placed, ...]:
    """Patches and their norm, with a table of positions where there is one."""
    (height, width), hidden = sides(config["patch_size"], "patch_size"), config["embed_dim"]
    role, sizes = "patch_embed", (config["num_channels"], hidden, height * width)
    front = (
        Placed(Convolution(role, role, role, *sizes, bias=True)),
        Placed(layer_norm("embed_norm", hidden)),
    )
    if not config["use_absolute_embeddings"]:
        return front
    return (*front, Placed(Table("embed_positions", "embed_pos", positions, hidden, lookups=False)))


def _merging(config: Config, hidden: int) -> tuple[Placed, ...]:
    """Four patches of half the width side by side, normed before they are mapped, or after it."""
    role, inputs = "patch_merging", 2 * hidden
    reduced = Placed(Linear(role, role, role, inputs, hidden))
    if _second(config):
        return (reduced, Placed(layer_norm("merging_norm", hidden)))
    return (Placed(layer_norm("merging_norm", inputs)), reduced)
