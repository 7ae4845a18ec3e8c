"""Parts of messages: a value cut to a readable length, the known name nearest to an unknown one."""

from __future__ import annotations

from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def quote_value(value: Any) -> str:
    """A value in at most 40 characters."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        text = f"a {type(value).__name__} too large to show"
    return text if len(text) <= 40 else f"{text[:37]}..."


def reason(error: Exception) -> str:
    """What went wrong, without the system's number and a second naming of the file."""
    return str(getattr(error, "strerror", None) or error)


def expected(word: str, known: Iterable[str]) -> str:
    """What belongs in the place of a word: all that is known, or of many the one most like it."""
    words = list(known)
    near = nearest(word, words)
    if near is None:
        return f"expected one of {', '.join(words)}"
    listed = f"expected one of {', '.join(words)}; " if len(words) <= 12 else ""
    return f"{listed}did you mean {near}?"


def check_word(name: str, word: object, known: Iterable[str], is_no: str = "is not known") -> None:
    """UsageError for a word of an option that is none of those known."""
    words = list(known)
    if not isinstance(word, str) or word not in words:
        raise UsageError(f"{name}={word!r:.40} {is_no}: {expected(str(word), words)}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like ``word``, or None when nothing is close."""
    from difflib import get_close_matches

    # difflib takes the square of the length; below half of it alike, a hint would mislead
    matches = get_close_matches(word[:100], list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None
