"""Inkling's eyes and ears: patches folded by a few matrices, and tables of levels of a spectrum."""

from __future__ import annotations

from itertools import pairwise
from math import log

from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.grid import Grid
from thermoflop.model.architecture.parts import Linear, Norm, Table
from thermoflop.model.config.blocks import tower_stack
from thermoflop.model.config.tower import ANY_SIDE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.architecture.description import Stack
    from thermoflop.model.config.keys import Config

# An image keeps its size, padded to whole patches: a limit that no image reaches.
_NO_LIMIT = 1 << 16
_SECONDS, _A_SECOND = 30, 20  # of sound, and its tokens of 50 ms


def _factors(number: int) -> list[int]:
    """The prime factors, largest first."""
    found, prime = list[int](), 2
    while prime * prime <= number:
        while number % prime == 0:
            found.append(prime)
            number //= prime
        prime += 1
    return [*([number] if number > 1 else []), *reversed(found)]


def _scales(frames: int, side: int, channels: int) -> list[tuple[int, int, int]]:
    """Frames, pixels of a side and elements of what a patch may be folded to, smallest first."""
    scales, width = [(1, 1, channels)], 1
    for factor in _factors(side):
        width *= factor
        scales.append((1, width, -(-channels * width**2 // 64) * 64))
    taken = 1
    for factor in _factors(frames):
        taken *= factor
        scales.append((taken, width, -(-channels * taken * width**2 // 64) * 64))
    return scales


def _chosen(scales: list[tuple[int, int, int]], layers: int, elements: int) -> list[int]:
    """Which of the scales the layers fold to: those whose sizes are nearest to even steps.

    The least sum of distances, over scales that rise; the first and the last are given.
    """
    ideal = [log(elements) * step / layers for step in range(layers + 1)]
    sizes = [log(taken * width**2) for taken, width, _ in scales]
    none = (float("inf"), tuple[int, ...]())
    ends = [(abs(ideal[0] - size), (*none[1], at)) for at, size in enumerate(sizes)]
    for aim in ideal[1:]:
        before = [min(ends[:at], default=none) for at in range(len(sizes))]
        ends = [
            (cost + abs(aim - sizes[at]), (*path, at)) for at, (cost, path) in enumerate(before)
        ]
    return [0, *min(ends)[1][1:-1], len(scales) - 1]


def folded_stack(config: Config, hidden: int | None = None) -> Stack:
    """A patch of some frames, folded by matrices between norms to one token."""
    side, frames, layers = (
        config[key] for key in ("patch_size", "temporal_patch_size", "num_hidden_layers")
    )
    hidden, channels = hidden or config["text_hidden_size"], config["num_channels"]
    scales = _scales(frames, side, channels)
    if layers >= len(scales):
        raise InputError(
            f"vision: {layers} layers are more than a patch of {side} can be folded by"
        )
    tail, role = list[Placed](), "patch_embed"
    path = [scales[at] for at in _chosen(scales, layers, channels * frames * side**2)]
    for at, ((taken, width, inner), (frame, pixels, outer)) in enumerate(pairwise(path)):
        left = frames * side**2 // (frame * pixels**2)
        last = at == layers - 1
        seen, made = inner * (frame // taken) * (pixels // width) ** 2, hidden if last else outer
        tail.append(Placed(Linear(f"fold {at + 1}", role, role, seen, made), "pooled", left))
        if not last:
            tail.append(Placed(Norm(f"fold_norm {at + 1}", made), "pooled", left))
    tail.append(Placed(Norm("final_norm", hidden), "pooled"))
    rows = max(1, ANY_SIDE // side)
    grid = Grid("longest", (side, side), (rows * side, rows * side), limits=(_NO_LIMIT,))
    return tower_stack("image", hidden, (), (), tuple(tail), rows**2, grid=grid)


def levels_stack(config: Config, hidden: int | None = None) -> Stack:
    """A row for each of the levels that the bands of a spectrum have, added up, and a norm."""
    bands, levels = config["n_mel_bins"], config["mel_vocab_size"]
    hidden = hidden or config["text_hidden_size"]
    front = (
        Placed(Table("levels", "embed_tokens", bands * levels, hidden), "token", bands),
        Placed(Norm("embed_norm", hidden)),
    )
    grid = Grid("fixed", (5, 1))
    return tower_stack("audio", hidden, (), front, (), _SECONDS * _A_SECOND, grid=grid)
