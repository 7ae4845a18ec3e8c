"""MobileNetV5, the tower of Gemma 3n: inverted bottlenecks, and attention of many queries to one
key head (mobilenetv5_300m_enc of timm 1.0.31; Qin et al. 2024, MobileNetV4, for the blocks).

Every image is resized to 768 x 768, and 16 x 16 tokens are left of it.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.description import Placed, Stack
from thermoflop.model.architecture.grid import Grid
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Vector
from thermoflop.model.config.blocks import tower_stack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.model.config.keys import Config

NAME, SIDE, LEFT = "mobilenetv5_300m_enc", 768, 16
ROLE = "mobilenet"
# (taps before, times as wide, taps between) of each inverted bottleneck, the first with a step of
# two; ``attention``: heads, their dimensions, the step between keys
_Block = tuple[int, int, int]
_FEED: _Block = (0, 2, 0)
_STAGES: tuple[tuple[int, tuple[_Block, ...], int, tuple[int, int, int]], ...] = (
    (256, ((3, 6, 5), (5, 4, 0), (3, 4, 0), (5, 4, 0), (3, 4, 0)), 0, (0, 0, 0)),
    (640, ((5, 6, 5), *(((5, 4, 0),) * 7), (0, 1, 0)), 14, (12, 64, 2)),
    (1280, ((5, 6, 5),), 19, (16, 96, 1)),
)
FUSED = 2048  # what the last two stages are fused to


def mobilenet_stack(config: Config) -> Stack:
    """The tower of an image of 768 x 768 pixels."""
    if config["architecture"] != NAME or config["do_pooling"] or config["model_args"]:
        raise UnknownModel(
            f"architecture {quote_value(config['architecture'])} with do_pooling or model_args is "
            f"no tower described here: {NAME} without them is"
        )
    grid = Grid("fixed", (SIDE // LEFT, SIDE // LEFT), (SIDE, SIDE))
    return tower_stack("image", FUSED, (), tuple(_tower()), (), LEFT**2, grid=grid)


def _tower() -> Iterator[Placed]:
    """Stem, four stages, and the fusion of the last two."""
    side = SIDE // 2
    yield from _conv(3, 64, 9, side, bias=True)
    side, width = side // 2, 64
    for _ in range(3):
        yield from _conv(width, 4 * width, 9, side)
        yield from _conv(4 * width, 128, 1, side)
        width = 128
    for out, blocks, pairs, attention in _STAGES:
        for at, (before, times, between) in enumerate(blocks):
            left = side if at else side // 2
            yield from _bottleneck(width, out, (before, times, between), side, left)
            width, side = out, left
        for _ in range(pairs):
            yield from _attention(width, side, *attention)
            yield from _bottleneck(width, width, _FEED, side, side)
    # as large as the last but one; then the mean of what becomes a token
    side, fused = 2 * side, sum(stage[0] for stage in _STAGES[-2:])
    yield from _conv(fused, 2 * fused, 1, side)
    yield from _conv(2 * fused, FUSED, 1, side)
    yield Placed(Norm("fused_norm", FUSED))


def _conv(inputs: int, outputs: int, taps: int, side: int, bias: bool = False) -> Iterator[Placed]:
    """A convolution that leaves ``side`` x ``side`` positions, and its norm."""
    convolution = Convolution("conv", ROLE, ROLE, inputs, outputs, taps, bias)
    yield Placed(convolution, "sequence", side**2)
    yield Placed(Norm("conv_norm", outputs), "sequence", side**2)


def _bottleneck(width: int, out: int, block: _Block, side: int, left: int) -> Iterator[Placed]:
    """Each channel alone, all of them to more, each alone, and back; the step is in the middle."""
    before, times, between = block
    wide = times * width
    if before:
        yield from _conv(1, width, before**2, side)
    yield from _conv(width, wide, 1, side)
    if between:
        yield from _conv(1, wide, between**2, left)
    yield from _conv(wide, out, 1, left)
    yield Placed(Vector("layer_scale", "layer_scale", out), "none")


def _attention(width: int, side: int, heads: int, dim: int, step: int) -> Iterator[Placed]:
    """Every position meets the keys that a step of two leaves, of one head for all."""
    keys = (side // step) ** 2
    where = ("attn", "attn_proj")
    yield Placed(Norm("attention_norm", width), "sequence", side**2)
    yield Placed(Linear("q_proj", *where, width, heads * dim), "sequence", side**2)
    for name in ("k_proj", "v_proj"):
        if step > 1:
            yield from _conv(1, width, 9, side // step)
        yield Placed(Linear(name, *where, width, dim), "sequence", keys)
    # products of activations: no weights
    for role, sizes in (("attn_score", (dim, keys)), ("attn_value", (keys, dim))):
        product = Linear(role, "attn", role, *sizes, tied=True)
        yield Placed(product, "sequence", heads * side**2)
    yield Placed(Linear("o_proj", *where, heads * dim, width), "sequence", side**2)
    yield Placed(Vector("layer_scale", "layer_scale", width), "none")
