"""Cards that are not alike, ``rtx-3090 + rtx-4090``: whole layers by memory, as llama.cpp splits.

Each card gets layers in proportion to its free memory (``load_tensors`` of ``llama-model.cpp``:
the upper bound of a layer's place among the cumulated shares, the output as one layer more); where
that does not hold, in the proportion that ``-ts`` would be given: each card as many as it holds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from thermoflop.base.record import record, replace
from thermoflop.cost.engines.budget import EngineMemory, engine_memory
from thermoflop.cost.engines.footprint import Load, placement_of, visible_bytes
from thermoflop.cost.engines.placement import cache_bytes, outside_bytes, placed_layers
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.inference.room import Room, largest
from thermoflop.cost.memory import Memory
from thermoflop.cost.work.share import Share
from thermoflop.errors import UsageError


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
        ([41, 39], True)
    """

    device: Device
    layers: int
    memory: Memory
    output: bool


@record
class Split:
    """A model over cards that are not alike; ``share`` is the whole of it."""

    room: Room
    cards: tuple[Device, ...]
    share: Share

    def check(self) -> None:
        """UsageError where options leave a part to the host, which is not counted here."""
        engine = self.room.engine
        if engine is None or engine.key != "llama.cpp":
            return
        if placement_of(self.share, engine.options).host_active_bytes:
            raise UsageError(
                "what n_gpu_layers, n_cpu_moe or cpu_moe leave in the computer's memory is not "
                "counted over cards that are not alike: expected one card, or alike ones (2x3090)"
            )

    def place(self, load: Load) -> tuple[Card, ...]:
        """Each card with its layers and memory, by llama.cpp's own split or one that holds."""
        parts = self._parts(load)
        # on the first card, whatever layers it has
        seen = bool(self._engine(self.cards[0]).options.get("mmproj"))
        tower = outside_bytes(self.share)[2] if seen else 0.0
        memories = [
            replace(self._engine(card).memory(self.share, load), kv_bytes=0.0,
                    weight_bytes=0.0 if index else tower)
            for index, card in enumerate(self.cards)
        ]  # fmt: skip
        placed = self._placed(self._by_memory(len(parts) - 1), parts, memories)
        if all(card.memory.fits for card in placed):
            return placed
        filled = _filled(parts, memories)
        return placed if filled is None else self._placed(filled, parts, memories)

    def _engine(self, card: Device) -> EngineMemory:
        """The engine on a card: the one that was named, or llama.cpp."""
        engine = self.room.engine or engine_memory("llama.cpp", card, None)[0]
        return replace(engine, device=card)

    def _by_memory(self, layers: int) -> list[int]:
        """Layers a card, the output counted as the last one."""
        free = [visible_bytes(card) for card in self.cards]
        shares = [part / sum(free) for part in accumulate(free)]
        counts = [0] * len(free)
        for index in range(layers + 1):
            counts[min(bisect_right(shares, index / (layers + 1)), len(free) - 1)] += 1
        return counts

    def _parts(self, load: Load) -> list[tuple[float, float]]:
        """Bytes of weights and of cache of each layer, and of the output after them."""
        options, width = self._engine(self.cards[0]).options, self.room.precision.kv_bytes
        slots = max(options.get("parallel") or 0, load.sequences)
        context = options["ctx_size"] // slots if options.get("ctx_size") else load.context
        held = options.get("ubatch_size") or 0, bool(options.get("swa_full"))
        parts = [
            (layer.weight_bytes, slots * cache_bytes(
                layer.caches, width, context, *held))
            for layer in placed_layers(self.share)
        ]  # fmt: skip
        return [*parts, (outside_bytes(self.share)[1], 0.0)]

    def _placed(
        self,
        counts: Sequence[int],
        parts: Sequence[tuple[float, float]],
        memories: Sequence[Memory],
    ) -> tuple[Card, ...]:
        placed, at = [], 0
        for device, count, memory in zip(self.cards, counts, memories, strict=True):
            output = bool(count) and at + count == len(parts)
            held = _with(memory, parts[at : at + count])
            placed.append(Card(device, count - output, held, output))
            at += count
        return tuple(placed)

    def fits(self, load: Load) -> bool:
        """Whether every card holds its part."""
        return all(card.memory.fits for card in self.place(load))

    def most(self, load: Load) -> int:
        """The most sequences at once of this context."""
        return largest(lambda sequences: self.fits(replace(load, sequences=sequences)))

    def fewest(self, load: Load) -> int | None:
        """How many of the cards hold it, the largest first; None where all are too few."""
        largest_first = sorted(self.cards, key=lambda card: -card.memory_bytes)
        for count in range(1, len(largest_first) + 1):
            if replace(self, cards=tuple(largest_first[:count])).fits(load):
                return count
        return None


def fullest(cards: Sequence[Card]) -> Card:
    """The card that has the least room left, or lacks the most."""
    return max(cards, key=lambda card: card.memory.total_bytes - card.memory.capacity_bytes)


def _with(memory: Memory, parts: Sequence[tuple[float, float]]) -> Memory:
    """The memory of a card that holds these layers besides."""
    weights, cache = (sum(part[which] for part in parts) for which in (0, 1))
    return replace(memory, weight_bytes=memory.weight_bytes + weights, kv_bytes=cache)


def _filled(parts: Sequence[tuple[float, float]], memories: Sequence[Memory]) -> list[int] | None:
    """As many layers a card as it holds, one after the other; None where some are left."""
    counts, at = [], 0
    for memory in memories:
        room = float(memory.capacity_bytes - memory.total_bytes)
        held = 0
        while at + held < len(parts) and sum(parts[at + held]) <= room:
            room -= sum(parts[at + held])
            held += 1
        counts.append(held)
        at += held
    return counts if at == len(parts) else None
