"""Generations of an engine: the ranges of its versions that one profile speaks for.

An engine changes faster than its name: rates of vLLM 0.6 say little of 0.19. The newest generation
has the engine's own name, an older one the last version that it holds: ``vllm@0.11``. A version
between or before them is spoken for by the next generation, one that is newer by the newest.
"""

from __future__ import annotations

import re
from functools import lru_cache

from thermoflop.base.record import record, replace
from thermoflop.cost.engines.engine import ENGINES, OLDER, RENEWED, Engine, find_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Version = tuple[int, ...]


@record
class Generation:
    """``first`` and ``last``: its versions; ``until``: the month of its last measured row.

    ``together``: fitted with the other engines of its time, since each of them was measured with
    few models; ``aged``: the last of its versions that came before ``YEAR``.
    """

    name: str
    engine: str
    first: Version
    last: Version
    until: str
    together: bool = False
    aged: Version = ()

    def holds(self, version: Version) -> bool:
        """Whether a version lies in its range."""
        *same, last = self.last
        return self.first <= version < (*same, last + 1)

    @property
    def versions(self) -> str:
        """``0.12 .. 0.19``, or ``0.5``."""
        return " .. ".join(dict.fromkeys(map(text_of, (self.first, self.last))))


# From here on versions of the engines that are fitted together count as of today: before, they took
# longer between kernels, by what the fit says (``age_of``).
YEAR = "2026"
# The older ones first. Versions and dates are those of the rows that the package carries.
GENERATIONS = (
    Generation("vllm@0.11", "vllm", (0, 2), (0, 11), "2025-09"),
    Generation("vllm", "vllm", (0, 12), (0, 19), "2026-04", True, (0, 13)),
    Generation("sglang@0.4", "sglang", (0, 4), (0, 4), "2025-04"),
    Generation("sglang", "sglang", (0, 5), (0, 5), "2026-04", True, (0, 5, 6)),
    Generation("tensorrt-llm@0.17", "tensorrt-llm", (0, 5), (0, 17), "2025-06"),
    Generation("tensorrt-llm", "tensorrt-llm", (1, 0), (1, 3), "2026-02", True, (1, 1)),
)
# Labels that name no version of the engine, or another product's, and what they ran: the ML.ENERGY
# Benchmark v3 is of 2025 (released that December); NIM 1.8 holds TensorRT-LLM 0.17; build 9515 of
# vLLM's nightly benchmark is of early 2025.
KNOWN = (
    ("vllm (ml.energy v3", (0, 11)),
    ("vllm (nightly benchmark, build 9515", (0, 8)),
    ("nvidia nim 1.8", (0, 17)),
)
# Not compiled before they are asked for: most labels name an engine alone.
_VERSION = r"[@ v-](\d{1,3}(?:\.\d{1,4})+)"
_DATE = r"(20\d\d)(-\d\d)?"


@lru_cache(maxsize=256)
def version_of(label: str) -> Version | None:
    """The version that a label names, as numbers: (0, 19, 0) of ``vLLM 0.19.0``."""
    low = label.strip().lower()
    for start, version in KNOWN:
        if low.startswith(start):
            return version
    if low.isalpha():
        return None
    found = re.search(_VERSION, low)
    return tuple(int(part) for part in found[1].split(".")) if found else None


def text_of(version: Version) -> str:
    """``0.19`` of (0, 19)."""
    return ".".join(str(part) for part in version)


def generations_of(engine: str) -> list[Generation]:
    """The generations of an engine, the newest last; none of one that has a single profile."""
    return [each for each in GENERATIONS if each.engine == engine]


@lru_cache(maxsize=256)
def find_generation(label: str, date: str = "") -> Generation | None:
    """The generation that a label belongs to: by its version, else by a date, else the newest."""
    known = generations_of(find_engine(label).name)
    if not known:
        return None
    version = version_of(label)
    dated = re.search(_DATE, date) or re.search(_DATE, label)
    for each in known:
        if version is not None and version[: len(each.last)] <= each.last:
            return each
        if version is None and dated and dated[0] <= each.until[: len(dated[0])]:
            return each
    return known[-1]


def age_of(label: str, date: str = "") -> str:
    """``before 2026`` for a version, or else a date, of before that year in a generation of today;
    ``since 2025-08`` where an engine without versions was renewed by then (``RENEWED``); "" for all
    others, and for a version of today.

    Example:
        >>> age_of("vllm 0.13"), age_of("vllm"), age_of("llama.cpp"), age_of("llama.cpp (2023-11)")
        ('before 2026', '', 'since 2025-08', '')
    """
    generation, version = find_generation(label, date), version_of(label)
    if generation is None or not generation.aged:
        months = [month for month, _ in _renewals(find_engine(label), f"{label} {date}")]
        return f"since {months[-1]}" if months else ""
    if version is not None:
        old = version[: len(generation.aged)] <= generation.aged
    else:
        dated = re.search(_DATE, date) or re.search(_DATE, label)
        old = dated is not None and dated[0] < YEAR
    return f"before {YEAR}" if old else ""


def _renewals(engine: Engine, label: str) -> list[tuple[str, dict[str, Any]]]:
    """The changes of an engine by the date in a label; all of them where there is none."""
    known = RENEWED.get(engine.name, ())
    if not known:
        return []
    dated = re.search(_DATE, label)
    return [each for each in known if dated is None or dated[0] >= each[0]]


def renewed(engine: Engine, label: str) -> Engine:
    """An engine as of the date in a label, such as ``(May 2024)`` or ``2026-02``; as of today where
    there is none.

    Example:
        >>> from thermoflop.cost.engines.engine import find_engine
        >>> llama = find_engine("llama.cpp")
        >>> renewed(llama, "llama.cpp (2023-11)").dequantizes, renewed(llama, "").dequantizes
        (32, None)
    """
    for _, changes in _renewals(engine, label):
        engine = replace(engine, **changes)
    return engine


@lru_cache(maxsize=64)
def generation_named(name: str) -> Generation | None:
    """The generation of exactly this name; None for any other profile."""
    return next((each for each in GENERATIONS if each.name == name), None)


@lru_cache(maxsize=64)
def engine_of(name: str, label: str) -> Engine:
    """The engine of a profile's name, with the habits of its generation, or of a label's date."""
    engine = next((each for each in ENGINES if each.name == name), find_engine(name))
    generation = generation_named(name)
    if generation is None or generation.together:
        return renewed(engine, label)
    # chunks came with the next generation
    return replace(engine, reads="passes", narrows=False, **OLDER.get(engine.name, {}))


def profile_name(label: str, date: str = "") -> str:
    """The profile that speaks for a label; one of an engine that is not known is called by it."""
    generation = find_generation(label, date)
    if generation is not None:
        return generation.name
    name = find_engine(label).name
    return label if name == "default" else name
