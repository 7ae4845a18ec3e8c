"""The queue between the reading threads (link, GPU sampler, output pump) and the writing one.

A slow disk makes the queue grow, not the board wait; past ``MAX_QUEUED_BYTES`` (minutes of a
stalled disk) items are dropped and counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from thermoflop.pico.track import BoardLine
from thermoflop.runs.folder.records import Record

MAX_QUEUED_BYTES = 64 << 20
_ITEM_OVERHEAD_BYTES = 200  # of Python's objects around a line; only to bound memory
_OTHER_BYTES = 100  # of an event or a GPU's reading, about


class ItemQueue:
    """Keeps every item until it is taken, counts their bytes, and never makes a reader wait."""

    def __init__(self, max_bytes: int = MAX_QUEUED_BYTES) -> None:
        """Past ``max_bytes`` new items are dropped and counted in ``dropped``."""
        self._items: deque[Sequence[Record]] = deque()
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._ready = threading.Condition()
        self.dropped = 0

    def __call__(self, items: Sequence[Record]) -> None:
        """Take items; the sink of a link."""
        n_bytes = sum(map(_cost_bytes, items))
        with self._ready:
            if self._n_bytes + n_bytes > self._max_bytes:
                self.dropped += len(items)
                return
            self._n_bytes += n_bytes
            self._items.append(items)
            self._ready.notify()

    def take(self, wait_s: float) -> list[Record]:
        """All items that are waiting, after at most ``wait_s`` seconds."""
        with self._ready:
            if not self._items:
                self._ready.wait(wait_s)
            items = [item for batch in self._items for item in batch]
            self._items.clear()
            self._n_bytes = 0
        return items


def _cost_bytes(item: Record) -> int:
    size = len(item.line) if isinstance(item, BoardLine) else _OTHER_BYTES
    return size + _ITEM_OVERHEAD_BYTES
