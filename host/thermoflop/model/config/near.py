"""The known family that an unknown ``model_type`` is of the kind of, by its name."""

from __future__ import annotations

import re

from thermoflop.model.config.families import FAMILY_NAMES

# Words that say what a part is for, and not whose it is.
_OF_ANY = frozenset(
    ("audio", "decoder", "encoder", "image", "model", "speech", "text", "video", "vision")
)
# Above this, names that share no word differ by a typing error; csm and esm do not.
_TYPED_WRONG = 0.85
_TELLING = 5


def near_family(name: str) -> str | None:
    """A family whose name begins with the same word, shares a telling one, or is typed almost so,
    of several the nearest and the newest; None where there is none: letters alone make bart no kin
    of arctic."""
    from difflib import get_close_matches

    low = name[:100].lower()
    words = _words(low)
    first = [known for known in FAMILY_NAMES if words and _words(known)[:1] == words[:1]]
    telling = {word for word in words if len(word) >= _TELLING}
    kin = first or [known for known in FAMILY_NAMES if telling & set(_words(known))]
    if kin:
        return max(kin, key=lambda known: (_likeness(low, known.lower()), _numbers(known)))
    known = {each.lower(): each for each in FAMILY_NAMES}
    close = get_close_matches(low, known, n=1, cutoff=_TYPED_WRONG)
    return known[close[0]] if close else None


def _likeness(name: str, known: str) -> float:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, re.sub(r"\d+", "0", name), re.sub(r"\d+", "0", known)).ratio()


def _numbers(name: str) -> list[str]:
    """Its numbers as they are written: v32 is 3.2, and older than v4."""
    return re.findall(r"\d+", name)


def _words(name: str) -> list[str]:
    """The words of a name that say whose it is."""
    return [word for word in re.findall("[a-z]+", name.lower()) if word not in _OF_ANY]
