"""The closest known word to an unknown one, for messages that help."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like ``word``, or None when nothing is close."""
    from difflib import get_close_matches

    found = get_close_matches(word[:100], list(known), n=1, cutoff=0.5)
    return found[0] if found else None
