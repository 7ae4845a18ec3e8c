"""From the traits of a tower that sees or hears to a stack of layers."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Layer, Placed, Run, Stack
from thermoflop.model.architecture.grid import Grid, near_pairs
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Probe, Table, Vector
from thermoflop.model.config import decoder
from thermoflop.model.config.blocks import biased_mlp, layer_norm
from thermoflop.model.config.family import use
from thermoflop.model.config.keys import Config, Traits, is_count, is_factor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# The traits of a tower that names no other: those of a decoder's layers, and its own.
DEFAULTS: dict[str, Any] = {
    **decoder.DEFAULTS,
    "gated": False,
    "norm": "layer",
    "norm_bias": None,  # None: where the norm is a layer norm
    "q_bias": use("qkv_bias", True),
    "o_bias": True,
    "up_bias": True,
    "rotary": False,
    "channels": use("num_channels"),
    "frames": use("temporal_patch_size", 1),  # images that a patch is made of
    "patch": use("patch_size"),
    "patch_bias": True,
    "image": use("image_size"),  # pixels of a side, or None: an image keeps its size
    "overlapping": None,  # function giving rows and columns of patches that overlap
    "merge": 1,  # patches of a side that one token for the text is made of
    "class_tokens": 0,
    "positions": "grid",  # rows of the table of positions; grid: as many as positions; 0: none
    "position_group": "embed_pos",
    "mask_token": False,
    "pre_norm": False,
    "post_norm": False,
    "scales": 0,  # vectors that the branches of a layer are multiplied by
    "pooling": False,  # a learned query that attends to all (SigLIP)
    "rule": ("fixed",),  # how an image becomes patches, and its limits: architecture.grid
    "window": None,  # pixels of a side of the windows
    "windowed": 0,  # layers that attend within windows alone
    "tail": None,  # function of the configuration giving what follows the layers
}
# An image of a tower that takes any size, where none is said; pixels of a side.
ANY_SIDE = 1024


def read_tower(config: Config) -> Stack:
    """The stack of a tower that sees; ``stack`` of its family reads it where it is of no kind."""
    own = config.family.traits.get("stack")
    if own is not None:
        special: Stack = own(config)
        return special
    traits = Traits(config, DEFAULTS)
    hidden, (rows, columns) = traits["hidden"], patch_grid(traits)
    patches, extra = rows * columns, traits["class_tokens"]
    patch, (rule, *limits) = sides(traits["patch"], "patch_size"), traits["rule"]
    window = traits["window"] // patch[0] if traits["window"] else 0
    side = (rows * patch[0], columns * patch[1])
    grid = Grid(rule, patch, side, limits=tuple(limits), window=window)
    return Stack(
        "image",
        hidden,
        layer_runs(traits),
        front=tower_front(traits, patches),
        tail=_tail(config, traits),
        causal=False,
        positions=patches + extra,
        patches=patches,
        pooled=patches // traits["merge"] ** 2,
        near=near_pairs(rows, columns, window) if window else None,
        grid=grid,
    )


def ratio_of(config: Config) -> float:
    """``mlp_ratio``: neurons for each element of the hidden state."""
    ratio: Any = config["mlp_ratio"]
    if not is_factor(ratio):
        raise InputError(f"mlp_ratio is {quote_value(ratio)} where a number above 0 is expected")
    return float(ratio)


def patches_alone(config: Config) -> Stack:
    """Gemma 4 without a tower: neighbouring patches become a token by one matrix and norms."""
    patch, merge, width = (
        config["patch_size"],
        config["pooling_kernel_size"],
        config["mm_embed_dim"],
    )
    seen, side = 3 * (patch * merge) ** 2, max(1, ANY_SIDE // (patch * merge)) * patch * merge
    parts = (
        layer_norm("patch_norm_1", seen),
        Linear("patch_dense", "patch_embed", "patch_embed", seen, width, bias=True),
        layer_norm("patch_norm_2", width),
        Table("positions", "embed_pos", 2 * config["mm_posemb_size"], width, lookups=False),
        layer_norm("positions_norm", width),
    )
    patches = (side // patch) ** 2
    return Stack(
        "image", width, (), (), tuple(Placed(part, "pooled") for part in parts), False,
        positions=patches, patches=patches, pooled=patches // merge**2,
        grid=Grid("budget", (patch, patch), (side, side), limits=(280 * merge**2,)),
    )  # fmt: skip


def sides(value: Any, key: str) -> tuple[int, int]:
    """Height and width from a number or a pair of them."""
    pair = (value, value) if type(value) is int else value
    if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(is_count, pair)):
        raise InputError(f"{key} is {quote_value(value)} where one or two whole numbers are needed")
    return pair[0], pair[1]


def patch_grid(traits: Traits) -> tuple[int, int]:
    """Rows and columns of patches; what is left over at the edge is cut (Dosovitskiy 2021)."""
    if traits["overlapping"]:
        rows, columns = traits["overlapping"]
        return rows, columns
    patch = sides(traits["patch"], "patch_size")
    step = traits["merge"]
    if traits["image"] is None:
        image = tuple(max(1, ANY_SIDE // (side * step)) * side * step for side in patch)
    else:
        image = sides(traits["image"], "image_size")
    if patch[0] > image[0] or patch[1] > image[1]:
        raise InputError(f"a patch of {patch[0]} pixels is larger than an image of {image[0]}")
    return image[0] // patch[0], image[1] // patch[1]


def norm_of(traits: Traits, name: str, width: int) -> Norm:
    """A norm of the tower's kind."""
    kind, bias = traits["norm"], traits["norm_bias"]
    return Norm(name, width, kind, bias=kind == "layer" if bias is None else bias)


def tower_front(traits: Traits, patches: int) -> tuple[Placed, ...]:
    """Patches, learned tokens and positions, a norm."""
    hidden, extra, rows = traits["hidden"], traits["class_tokens"], traits["positions"]
    height, width = sides(traits["patch"], "patch_size")
    role, taps = "patch_embed", traits["frames"] * height * width
    embed = Convolution(role, role, role, traits["channels"], hidden, taps, traits["patch_bias"])
    front = [Placed(embed, "patch")]
    if rows:
        count = patches + extra if rows == "grid" else rows
        front.append(
            Placed(Table("embed_positions", traits["position_group"], count, hidden, lookups=False))
        )
    kept = extra + int(traits["mask_token"])
    if kept:
        front.append(Placed(Vector("learned tokens", "embed_pos", kept * hidden), "none"))
    if traits["pre_norm"]:
        front.append(Placed(norm_of(traits, "pre_norm", hidden)))
    return tuple(front)


def layer_runs(traits: Traits) -> tuple[Run, ...]:
    """The layers: those within windows, and those that attend to everything."""
    if traits["kinds"] or traits["shapes"]:
        return decoder.decoder_runs(traits)
    hidden, layers, windowed = traits["hidden"], traits["layers"], traits["windowed"]
    norms = tuple(
        norm_of(traits, f"norm {index + 1}", hidden) for index in range(traits["layer_norms"])
    )
    scales = tuple(
        Vector(f"scale {index + 1}", "layer_scale", hidden) for index in range(traits["scales"])
    )
    attention = decoder.attention_of(traits)
    layer = Layer(
        "attention + MLP", hidden, norms, attention, feed=decoder.mlp_of(traits),
        kept=(*scales, *traits["kept"]),
    )  # fmt: skip
    near = replace(layer, kind="windowed attention + MLP", mixer=replace(attention, near=True))
    counts = ((near, windowed), (layer, layers - windowed))
    return tuple(Run(each, count) for each, count in counts if count)


def _tail(config: Config, traits: Traits) -> tuple[Placed, ...]:
    """The last norm, and what the tower ends in."""
    hidden = traits["hidden"]
    tail = [Placed(norm_of(traits, "post_norm", hidden))] if traits["post_norm"] else []
    if traits["pooling"]:
        tail += pooling(hidden, traits["heads"], traits["inner"], traits["activation"])
    own = config.family.traits.get("tail")
    return (*tail, *(own(config) if own else ()))


def pooling(hidden: int, heads: int, inner: int, activation: str) -> list[Placed]:
    """SigLIP's head: a learned query attends to every token, then an MLP on what it found."""
    group = "pooling_head"

    def linear(name: str, rows: str) -> Placed:
        return Placed(Linear(name, group, group, hidden, hidden, bias=True), rows)

    probe = Probe("probe", group, heads, decoder.head_width(hidden, heads))
    mlp = replace(biased_mlp(hidden, inner, activation), group=group)
    return [
        linear("probe q_proj", "sequence"),
        linear("probe k_proj", "token"),
        linear("probe v_proj", "token"),
        Placed(probe, "sequence"),
        linear("probe o_proj", "sequence"),
        Placed(layer_norm("probe_norm", hidden), "sequence"),
        *(Placed(part, "sequence") for part in mlp.linears()),
    ]
