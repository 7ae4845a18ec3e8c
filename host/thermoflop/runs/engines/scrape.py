"""Ask a server for its Prometheus metrics while a run is made, and note what it did meanwhile.

Each answer is set against the one before: tokens, mean time to first token and per token of that
stretch, requests that run. A phase begins and ends where such a stretch does, and the first and the
last one are a command's own: the server is asked as it starts and as it ends. A server that does
not answer costs these notes and nothing else.
"""

from __future__ import annotations

import http.client
import json
import math
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Self
from urllib.parse import urlsplit

from thermoflop.errors import UsageError
from thermoflop.pico.track import HostEvent
from thermoflop.pico.wire import printable

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


def named(sums: dict[str, float]) -> dict[str, str]:
    """Under which of an engine's names each quantity stands; empty where no engine is known.

    Of a mean there are two: ``ttft_s.sum`` and ``ttft_s.count``.
    """
    for engine in engines():
        known: dict[str, str] = {}
        for key, names in engine.items():
            for name in names if isinstance(names, list) else ():
                if key in _MEANS and f"{name}_sum" in sums:
                    known |= {f"{key}.sum": f"{name}_sum", f"{key}.count": f"{name}_count"}
                    break
                if name in sums:
                    known[key] = name
                    break
        if known:
            return known
    return {}


def quantities(sums: dict[str, float]) -> dict[str, float]:
    """What an engine says of itself, under our names; empty where no engine is known by them."""
    return {key: sums.get(name, 0.0) for key, name in named(sums).items()}


def since(before: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    """What happened between two answers."""
    values = {key: now[key] for key in _GAUGES if key in now}
    grown = _grown(before, now)
    values |= {key: grown[key] for key in _COUNTERS if key in grown}
    return values | {key: total / n for key, (total, n) in means(before, now).items()}


def means(before: dict[str, float], now: dict[str, float]) -> dict[str, tuple[float, int]]:
    """The seconds that a mean between two answers is of, and of how many: of two stretches with a
    hundred requests and with one the mean is not halfway."""
    grown, known = _grown(before, now), dict[str, tuple[float, int]]()
    for key in _MEANS:
        n = grown.get(f"{key}.count", 0.0)
        if n > 0 and f"{key}.sum" in grown:
            known[key] = grown[f"{key}.sum"], round(n)
    # llama.cpp has sums of seconds instead, over one request after the other
    if grown.get("decode_s", 0.0) > 0 and grown.get("tokens", 0.0) > 0:
        known["token_s"] = grown["decode_s"], round(grown["tokens"])
    return {key: (total, n) for key, (total, n) in known.items() if n > 0}


def _grown(before: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    """By how much each counter grew. Where one of them fell the server began anew, and none of the
    others, which may have passed what they were before, says anything."""
    grown = {key: now[key] - before[key] for key in now if key in before and key not in _GAUGES}
    return {} if any(by < 0 for by in grown.values()) else grown


class Scraper:
    """Asks one server in a thread of its own; a context manager."""

    def __init__(
        self,
        url: str,
        sink: Callable[[Sequence[HostEvent]], None],
        every_s: float = EVERY_S,
    ) -> None:
        """UsageError for what is no address of a server, or shows a password to all."""
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # of a bracket that is not closed, or a port that is none
            is_address = False
        if not is_address or not url.isprintable() or " " in url:
            shown = printable(url.rpartition("@")[2])[:100]
            raise UsageError(f"--scrape {shown!r}: expected http://HOST:PORT/metrics")
        if "@" in parts.netloc:
            raise UsageError(
                "--scrape holds credentials, which every user of this machine can see while it "
                "runs, and which would stand in the run: name an address without"
            )
        self._url = url if parts.path.strip("/") else url.rstrip("/") + "/metrics"
        self._sink = sink
        self._every_s = every_s
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._asked: list[threading.Event] = []  # by whom an answer is awaited
        self._thread = threading.Thread(target=self._run, name="thermoflop-scrape", daemon=True)
        self._is_serving = False
        self.answers = self.failures = 0
        self.why = "it has not answered"
        self._names: dict[str, str] = {}
        self._before: dict[str, float] | None = None
        self._before_s = 0.0  # when that was

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; an answer that is awaited is not waited for."""
        self._stop.set()
        self._wake.set()
        self._thread.join(0.2)

    def ask(self) -> threading.Event:
        """Ask now, not only when it is time; set once that was answered, or failed."""
        asked = threading.Event()
        with self._lock:
            self._asked.append(asked)
            self._wake.set()
        return asked

    def begin(self, mono_s: float) -> None:
        """A command started right after it was asked: what comes is the command's."""
        self._before_s = max(self._before_s, mono_s)
        self._is_serving = False

    def notice(self) -> str | None:
        """What went wrong, in a sentence; None where nothing did."""
        of = self.failures + self.answers
        if self.failures or not of:
            return (
                f"{self._url} gave no metrics {self.failures or 1} of {of or 1} times: {self.why}"
            )
        return None

    def _run(self) -> None:
        due_s = time.monotonic()
        while True:
            self._wake.wait(max(0.0, due_s - time.monotonic()))
            with self._lock:
                self._wake.clear()
                asked, self._asked = self._asked, []
            if self._stop.is_set():
                return
            due_s = max(due_s + self._every_s, time.monotonic())
            now = self._ask()
            if now is not None and self._before is not None:
                self._note(since(self._before, now), means(self._before, now))
            if now is not None:
                self._before, self._before_s = now, time.monotonic()
            for each in asked:
                each.set()

    def _ask(self) -> dict[str, float] | None:
        try:
            sums = read_metrics(self._text())
        except (OSError, ValueError, http.client.HTTPException) as error:  # URLError is an OSError
            self.failures += 1
            said = str(getattr(error, "reason", error)) or type(error).__name__
            self.why = printable(said)[:200]
            return None
        names = named(sums)
        if not names:
            self.failures += 1
            self.why = "there is no metric of vLLM, SGLang, llama.cpp or TensorRT-LLM in it"
            return None
        self.answers += 1
        if names != self._names:  # another engine or version: its counters are others
            self._names, self._before = names, None
        return quantities(sums)

    def _text(self) -> str:
        """The answer, whole and in time; a piece of one would hold numbers that are cut short."""
        end_s = time.monotonic() + TIMEOUT_S
        parts: list[bytes] = []
        left = MOST_BYTES
        with urllib.request.urlopen(self._url, timeout=TIMEOUT_S) as answer:  # noqa: S310
            while part := answer.read1(left):
                parts.append(part)
                left -= len(part)
                if left <= 0:
                    raise ValueError(f"its answer is longer than {MOST_BYTES >> 20} MiB")
                if time.monotonic() > end_s:
                    raise ValueError(f"its answer took longer than {TIMEOUT_S:g} s")
            if answer.length:
                raise ValueError(f"its answer ended {answer.length} bytes early")
        return b"".join(parts).decode("utf-8", "replace")

    def _note(self, values: dict[str, float], means: dict[str, tuple[float, int]]) -> None:
        """What came since the answer before. A phase begins there with the first tokens or
        requests, and ends there when none have come."""
        is_serving = values.get("tokens", 0.0) > 0 or values.get("batch", 0.0) > 0
        marks: list[HostEvent] = []
        if is_serving != self._is_serving:
            name = PHASE if is_serving else None
            begun = {"by": "scrape", "values": dict[str, float](), "phase": name}
            marks.append(HostEvent.at(self._before_s, "mark", begun))
            self._is_serving = is_serving
        if is_serving:
            sums = values | {key: total for key, (total, _) in means.items()}
            counts = dict.fromkeys(values, 1) | {key: n for key, (_, n) in means.items()}
            now = {"by": "scrape", "values": values, "lines": 1, "sums": sums, "counts": counts}
            marks.append(HostEvent.at(time.monotonic(), "mark", now))
        if marks:
            self._sink(marks)
