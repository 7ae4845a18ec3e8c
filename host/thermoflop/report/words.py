"""Faults in words, for pictures and terminals."""

from __future__ import annotations

FAULT_WORDS = {
    "open": "sensor open",
    "short": "sensor shorted",
    "range": "out of range",
    "fast": "changes too fast",
    "frozen": "reading frozen",
    "noisy": "too noisy",
    "stale": "no fresh reading",
    "hot": "too hot",
    "pin": "fan pin does not follow",
    "settings": "settings file bad",
    "nocool": "fan does not cool",
}


def fault_words(flag: str) -> str:
    """What a fault flag means; a flag of newer firmware stands for itself."""
    return FAULT_WORDS.get(flag, flag)


def switches(n: int) -> str:
    """How often the fan was switched."""
    return "1 switch" if n == 1 else f"{n or 'no'} switches"
