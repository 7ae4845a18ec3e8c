"""The text of a scrape, which is the same as that of the last one but for its numbers.

prometheus-client writes the start of every line (name, labels, escapes) and every head, once, in
whichever format the scraper asks for; from then on only the values are written. Of a hundred boards
that is a tenth of the time that the library takes for the whole.
"""

from __future__ import annotations

import gzip
import threading
from typing import TYPE_CHECKING

from thermoflop.base.record import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

    from thermoflop.web.export.metrics import Family, RoomCollector

    Encoder = Callable[[Collector], bytes]

_MOST_FORMATS = 4  # that are kept: who asks says which, and may ask for another every time
_ZERO = "0.0\n"
_USUAL = {0.0: _ZERO, 1.0: "1.0\n"}  # most values of a room


@record
class _Only:
    """A registry of one family."""

    collector: RoomCollector
    family: Family

    def collect(self) -> list[Metric]:
        """That family."""
        return [self.collector.metric_of(self.family)]


class _Lines:
    """A family in one format: its head, and how the line of each series starts."""

    def __init__(self, encode: Encoder, collector: RoomCollector, family: Family) -> None:
        self._encode = encode
        self._collector = collector
        self.head = self._written(family._replace(series=[]))
        self.starts: dict[tuple[str, ...], str] = {}

    def start(self, family: Family, labels: tuple[str, ...]) -> str:
        """Of a series that is new."""
        text = self._written(family._replace(series=[(labels, 0.0)]))
        return text.removeprefix(self.head).removesuffix(_ZERO)

    def _written(self, family: Family) -> str:
        text = self._encode(_Only(self._collector, family)).decode()
        return text.removesuffix("# EOF\n")


class Exposition:
    """What a scrape of a room answers; asked by several threads."""

    def __init__(self, collector: RoomCollector) -> None:
        """Nothing is read yet."""
        self._collector = collector
        self._lock = threading.Lock()
        self._formats: dict[str, dict[str, _Lines]] = {}

    def answer(self, accept: str, encodings: str) -> tuple[list[tuple[str, str]], bytes]:
        """Headers and body, for the headers Accept and Accept-Encoding of a request."""
        from prometheus_client.exposition import choose_encoder, gzip_accepted

        encode, content_type = choose_encoder(accept)
        with self._lock:
            body = self._text(encode, content_type).encode()
        headers = [("Content-Type", content_type)]
        if gzip_accepted(encodings):
            body = gzip.compress(body, compresslevel=1)  # lines alike: a thirtieth, at any level
            headers.append(("Content-Encoding", "gzip"))
        return headers, body

    def _text(self, encode: Encoder, content_type: str) -> str:
        from prometheus_client import utils

        number: Callable[[float], str] = utils.floatToGoString
        if content_type not in self._formats and len(self._formats) >= _MOST_FORMATS:
            self._formats.clear()
        families = self._formats.setdefault(content_type, {})
        written: list[str] = []
        for family in self._collector.families():
            lines = families.get(family.name)
            if lines is None:
                lines = families[family.name] = _Lines(encode, self._collector, family)
            written.append(lines.head)
            before, now = lines.starts, {}
            for labels, value in family.series:
                start = before.get(labels) or lines.start(family, labels)
                now[labels] = start  # those that are gone are forgotten
                written.append(start)
                written.append(_USUAL.get(value) or number(value) + "\n")
            lines.starts = now
        if content_type.startswith("application/openmetrics-text"):
            written.append("# EOF\n")
        return "".join(written)
