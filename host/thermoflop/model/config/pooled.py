"""Funnel: blocks of layers of which each halves the text, and layers on the whole of it again.

Dai et al. 2020 (Funnel-Transformer), as the classes of transformers 5.24 build it.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Layer, Run
from thermoflop.model.config.architectures import built, class_name
from thermoflop.model.config.encoder import read_encoder
from thermoflop.model.config.keys import Config, is_layer_count

# halved so often, no text has more than one position left: a bound on work
MOST_BLOCKS = 40


def block_sizes(config: Config) -> list[tuple[int, int]]:
    """Layers of each block, and how often each of them runs."""
    sizes = config["block_sizes"]
    sizes = [4, 4, 4] if sizes is None else sizes
    repeats = config["block_repeats"]
    repeats = [1] * len(sizes) if repeats is None else repeats
    if len(sizes) != len(repeats) or not 0 < len(sizes) <= MOST_BLOCKS:
        raise InputError(
            f"block_sizes and block_repeats are not lists of one length, up to {MOST_BLOCKS}"
        )
    if not all(map(is_layer_count, (*sizes, *repeats))):
        raise InputError("block_sizes and block_repeats hold a count that makes no sense")
    return list(zip(sizes, repeats, strict=True))


def read_pooled(config: Config) -> Description:
    """The blocks, each on half the positions of the one before, and the layers behind them."""
    plain = read_encoder(config)
    (whole,) = plain.stacks
    layer, halves = whole.runs[0].layer, _halving(config)
    stacks = [
        replace(
            whole,
            runs=_block(config, layer, index, *block),
            front=() if index else whole.front,
            tail=(),
            windows=(halves,) * index,
        )
        for index, block in enumerate(block_sizes(config))
    ]
    kind, name = (
        built(config, "ForMaskedLM", config.family.traits["classes"]),
        class_name(config, ""),
    )
    if kind in ("sequence", "choice") or name.endswith("BaseModel"):
        stacks[-1] = replace(stacks[-1], tail=whole.tail)
    else:
        count = config["num_decoder_layers"]
        runs = (Run(layer, count),) if count else ()
        stacks.append(replace(whole, runs=runs, front=()))
    return replace(plain, stacks=tuple(stacks))


def _halving(config: Config) -> tuple[int, int]:
    """Taps and step that leave half: the first token stays beside the others where it is apart."""
    apart = config["separate_cls"] and not config["truncate_seq"]
    return (0 if apart else 1), 2


def _block(config: Config, layer: Layer, index: int, size: int, repeats: int) -> tuple[Run, ...]:
    """The layers of a block; in the first one halved queries meet what is not halved yet."""
    if index == 0 or not config["pool_q_only"]:
        return (Run(layer, size * repeats, size),)
    first = replace(layer, kind=f"pooling {layer.kind}", mixer=replace(layer.mixer, cross=True))
    rest = (Run(layer, size * repeats - 1, size - 1),) if size * repeats > 1 else ()
    return (Run(first, 1), *rest)
