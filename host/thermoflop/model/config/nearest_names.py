"""The names of the catalogue that a name which is not there may mean: its own series first."""

from __future__ import annotations

import re
from math import log

from thermoflop.base.messages import nearest
from thermoflop.model.config.catalogue import names

# What a series is called and its number, which is no size: qwen3.5, llama-3.1, deepseek-v3.
_SERIES = re.compile(r"([a-z][a-z-]*?)[-_: ]?(v?)(\d+(?:\.\d+)?)(?![\d.]*[bmx])")
_SIZE = re.compile(r"(?<![a-z\d.])e?(\d+(?:\.\d+)?)([bm])(?![a-z\d])")
MOST = 3


def nearest_names(name: str) -> list[str]:
    """The likest names, best first: of the same series and number, else of the number nearest to
    it; where the catalogue lacks the series, the one that is spelled most like it."""
    own = _stem(name)
    # what is stored in another format is the same model once more
    known = (each for each in names() if not each.endswith(("fp4", "fp8")))
    like = [] if own is None else [each for each in known if _stem(each) == own]
    if not like:
        near = nearest(name, names())
        return [near] if near else []
    return sorted(like, key=lambda each: _distance(name, each))[:MOST]


def _stem(name: str) -> str | None:
    series = _SERIES.match(name)
    return None if series is None else series[1] + series[2]


def _distance(asked: str, known: str) -> tuple[float, ...]:
    """How far a name is from another of its series: by generation, the words of the one that the
    other lacks, size, number, and the words that it has besides."""
    own, other = (float(series[3]) for series in map(_SERIES.match, (asked, known)) if series)
    words, others = (set(re.findall(r"[a-z]{3,}", each)) for each in (asked, known))
    size, its = _parameters(asked), _parameters(known)
    apart = abs(log(size / its)) if size and its else 0.0
    generations = abs(int(own) - int(other))
    more = len(others - words)
    return own != other, generations, len(words - others), apart, abs(own - other), more, its


def _parameters(name: str) -> float:
    """Parameters in millions that a name says; 0 where it says none."""
    size = _SIZE.search(name)
    return 0.0 if size is None else float(size[1]) * (1000 if size[2] == "b" else 1)
