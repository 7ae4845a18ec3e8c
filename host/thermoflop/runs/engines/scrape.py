"""Ask a server for its Prometheus metrics while a run is made, and note what it did meanwhile.

Each answer is set against the one before: tokens, mean time to first token and per token of that
stretch, requests that run. A server that does not answer costs these notes and nothing else.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Self
from urllib.parse import urlsplit

from thermoflop.errors import UsageError
from thermoflop.pico.track import HostEvent
from thermoflop.pico.wire import printable
from thermoflop.runs.child.marks import wall_at

EVERY_S = 1.0
TIMEOUT_S = 2.0
MOST_BYTES = 4 << 20  # vLLM's, with all its histograms, are 60 kB
PHASE = "serving"  # while tokens come or requests run
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|Inf|NaN)"
_SAMPLE = re.compile(rf"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{{[^\n]*\}})?[ \t]+({_NUMBER})(?:[ \t]+\d+)?")
_MEANS = ("ttft_s", "token_s")
_COUNTERS = ("tokens", "prompt_tokens")
_GAUGES = ("batch", "waiting", "cache_share")


@cache
def engines() -> list[dict[str, Any]]:
    """The names of each engine's metrics, from the package's data."""
    text = (files(__package__) / "data" / "metrics.json").read_text(encoding="utf-8")
    listed: list[dict[str, Any]] = json.loads(text)["engines"]
    return listed


def read_metrics(text: str) -> dict[str, float]:
    """name -> the sum over its series; what is no sample in Prometheus' text format is left out.

    Example:
        >>> read_metrics('a{x="1"} 2\\na{x="2"} 3\\n# HELP a b')
        {'a': 5.0}
    """
    sums: dict[str, float] = {}
    for line in text.splitlines():
        match = _SAMPLE.fullmatch(line.strip())
        value = float(match[2]) if match else math.nan
        if match and math.isfinite(value):
            sums[match[1]] = sums.get(match[1], 0.0) + value
    return sums


def quantities(sums: dict[str, float]) -> dict[str, float]:
    """What an engine says of itself, under our names; empty where no engine is known by them.

    Of a mean there are two: ``ttft_s.sum`` and ``ttft_s.count``.
    """
    for engine in engines():
        known: dict[str, float] = {}
        for key, names in engine.items():
            for name in names if isinstance(names, list) else ():
                if key in _MEANS and f"{name}_sum" in sums:
                    known[f"{key}.sum"] = sums[f"{name}_sum"]
                    known[f"{key}.count"] = sums.get(f"{name}_count", 0.0)
                    break
                if name in sums:
                    known[key] = sums[name]
                    break
        if known:
            return known
    return {}


def since(before: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    """What happened between two answers; a counter that fell began anew, and says nothing."""
    values = {key: now[key] for key in _GAUGES if key in now}
    grown = {
        key: now[key] - before[key] for key in now if key in before and now[key] >= before[key]
    }
    values |= {key: grown[key] for key in _COUNTERS if key in grown}
    for key in _MEANS:
        n = grown.get(f"{key}.count", 0.0)
        if n > 0 and f"{key}.sum" in grown:
            values[key] = grown[f"{key}.sum"] / n
    # llama.cpp has sums of seconds instead, over one request after the other
    if grown.get("decode_s", 0.0) > 0 and grown.get("tokens", 0.0) > 0:
        values["token_s"] = grown["decode_s"] / grown["tokens"]
    return values


class Scraper:
    """Asks one server in a thread of its own; a context manager."""

    def __init__(
        self,
        url: str,
        sink: Callable[[Sequence[HostEvent]], None],
        every_s: float = EVERY_S,
    ) -> None:
        """UsageError for what is no address of a server."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"--scrape {printable(url)[:100]!r}: expected http://HOST:PORT/metrics"
            )
        self._url = url if parts.path.strip("/") else url.rstrip("/") + "/metrics"
        self._sink = sink
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="thermoflop-scrape", daemon=True)
        self._is_serving = False
        self.answers = self.failures = 0
        self.why = "it was not asked yet"

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; an answer that is awaited is not waited for."""
        self._stop.set()
        self._thread.join(0.2)

    def notice(self) -> str | None:
        """What went wrong, in a sentence; None where nothing did."""
        if not self.failures:
            return None
        of = self.failures + self.answers
        return f"{self._url} gave no metrics {self.failures} of {of} times: {self.why}"

    def _run(self) -> None:
        before: dict[str, float] | None = None
        due_s = time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            due_s = max(due_s + self._every_s, time.monotonic())
            now = self._ask()
            if now is not None and before is not None:
                self._note(since(before, now))
            before = now if now is not None else before

    def _ask(self) -> dict[str, float] | None:
        try:
            with urllib.request.urlopen(self._url, timeout=TIMEOUT_S) as answer:  # noqa: S310
                text = answer.read(MOST_BYTES).decode("utf-8", "replace")
        except (OSError, ValueError, urllib.error.URLError) as error:
            self.failures += 1
            self.why = printable(str(getattr(error, "reason", error)))[:200]
            return None
        known = quantities(read_metrics(text))
        if not known:
            self.failures += 1
            self.why = "there is no metric of vLLM, SGLang, llama.cpp or TensorRT-LLM in it"
            return None
        self.answers += 1
        return known

    def _note(self, values: dict[str, float]) -> None:
        """A phase begins with the first tokens or requests, and ends when there are none."""
        detail: dict[str, Any] = {"by": "scrape", "values": values}
        is_serving = values.get("tokens", 0.0) > 0 or values.get("batch", 0.0) > 0
        if is_serving != self._is_serving:
            detail["phase"] = PHASE if is_serving else None
            self._is_serving = is_serving
        if is_serving or "phase" in detail:
            now_s = time.monotonic()
            self._sink([HostEvent(now_s, wall_at(now_s), "mark", detail)])
