"""Cards that are not alike, ``rtx-3090 + rtx-4090``: whole layers by memory, as llama.cpp splits.

Each card gets layers in proportion to its free memory (``load_tensors`` of ``llama-model.cpp``:
the upper bound of a layer's place among the cumulated shares, the output as one layer more); where
that does not hold, in the proportion that ``-ts`` would be given: each card as many as it holds.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from thermoflop.base.record import record, replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.engines.budget import engine_memory
from thermoflop.cost.engines.footprint import visible_bytes
from thermoflop.cost.engines.placement import cache_bytes, outside_bytes, placed_layers
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.engines.footprint import Load
    from thermoflop.cost.engines.placement import PlacedLayer
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.inference.room import Room
    from thermoflop.cost.memory import Memory

MOST_CARDS = 64


@record
class Card:
    """One of several cards that are not alike.

    Attributes:
        device: the card.
        layers: layers of the model that it holds.
        memory: bytes on it.
        output: whether it holds the output as well.

    Example:
        >>> import thermoflop as tf
        >>> f = tf.fit("llama-3-70b", "rtx-3090 + rtx-4090", dtype="q4_k_m", profile="llama.cpp")
        >>> [card.layers for card in f.cards], f.fits
        ([41, 39], False)
    """

    device: Device
    layers: int
    memory: Memory
    output: bool


def named_cards(hardware: str | Device) -> list[Device]:
    """The cards that a text names, ``2 x rtx-3090 + rtx-4090``; none where it names no several."""
    if not isinstance(hardware, str) or "+" not in hardware or hardware.endswith(".toml"):
        return []
    cards: list[Device] = []
    for part in hardware.split("+"):
        many, sign, name = part.strip().partition(" x ")
        count = int(many) if sign and many.isdecimal() and len(many) < 4 else 1
        if not part.strip() or (sign and not many.isdecimal()) or count < 1:
            raise UsageError(f"{hardware!r:.60} is no list of cards: expected such as a + 2 x b")
        cards += [find_device(name if sign else part.strip())] * count
    if len(cards) > MOST_CARDS:
        raise UsageError(f"{len(cards)} cards are more than a machine has: expected {MOST_CARDS}")
    return cards


@record
class Split:
    """A model over cards that are not alike."""

    room: Room
    cards: tuple[Device, ...]

    def place(self, load: Load) -> tuple[Card, ...]:
        """Each card with its layers and memory, by llama.cpp's own split or one that holds."""
        layers = placed_layers(self.room.share(Layout()))
        counts = self._by_memory(len(layers))
        placed = self._placed(layers, counts, load)
        if all(card.memory.fits for card in placed):
            return placed
        filled = self._filled(layers, load)
        return placed if filled is None else self._placed(layers, filled, load)

    def _by_memory(self, layers: int) -> list[int]:
        """Layers a card, the output counted as the last one."""
        free = [visible_bytes(card) for card in self.cards]
        shares = [part / sum(free) for part in accumulate(free)]
        counts = [0] * len(free)
        for index in range(layers + 1):
            counts[min(bisect_right(shares, index / (layers + 1)), len(free) - 1)] += 1
        return counts

    def _filled(self, layers: Sequence[PlacedLayer], load: Load) -> list[int] | None:
        """As many layers a card as it holds, one after the other; None where some are left."""
        counts, at, total = [], 0, len(layers) + 1
        for card in self.cards:
            held = 0
            while at + held < total and self._memory(card, layers, at, held + 1, load).fits:
                held += 1
            counts.append(held)
            at += held
        return counts if at == total else None

    def _placed(
        self, layers: Sequence[PlacedLayer], counts: Sequence[int], load: Load
    ) -> tuple[Card, ...]:
        placed, at = [], 0
        for device, count in zip(self.cards, counts, strict=True):
            memory = self._memory(device, layers, at, count, load)
            output = bool(count) and at + count > len(layers)
            placed.append(Card(device, count - output, memory, output))
            at += count
        return tuple(placed)

    def _memory(
        self, device: Device, layers: Sequence[PlacedLayer], at: int, count: int, load: Load
    ) -> Memory:
        """Memory of a card with ``count`` layers from ``at`` on, the output after the last."""
        engine = self.room.engine or engine_memory("llama.cpp", device, None)[0]
        engine = replace(engine, device=device)
        share = self.room.share(Layout())
        memory = engine.memory(share, load)
        held = layers[at : at + count]
        output = outside_bytes(share)[1] if count and at + count > len(layers) else 0.0
        caches = [cache for layer in held for cache in layer.caches]
        options = engine.options
        slots = max(options["parallel"] or 0, load.sequences)
        context = options["ctx_size"] // slots if options["ctx_size"] else load.context
        kept = slots * cache_bytes(
            caches, self.room.precision.kv_bytes, context, options["ubatch_size"],
            options["swa_full"],
        )  # fmt: skip
        weights = sum(layer.weight_bytes for layer in held) + output
        return replace(memory, weight_bytes=weights, kv_bytes=kept)

    def fits(self, load: Load) -> bool:
        """Whether every card holds its part."""
        return all(card.memory.fits for card in self.place(load))

    def fewest(self, load: Load) -> int | None:
        """How many of the cards hold it, the largest first; None where all are too few."""
        largest_first = sorted(self.cards, key=lambda card: -card.memory_bytes)
        for count in range(1, len(largest_first) + 1):
            if replace(self, cards=tuple(largest_first[:count])).fits(load):
                return count
        return None
