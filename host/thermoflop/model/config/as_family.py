"""An unknown ``model_type``: the known family that has a name of its kind, or exactly its keys.

Code that comes with a model names its own type, and is often a known one: its configuration then
has the keys of that family and no other. Whoever knows that may say so; it is never concluded.
"""

from __future__ import annotations

import re

from thermoflop.errors import InputError, UnknownModel, UsageError
from thermoflop.model.config.families import FAMILY_NAMES, find_family
from thermoflop.model.config.ignored_keys import changes_nothing
from thermoflop.model.config.keys import Config
from thermoflop.model.config.readers import reader_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from thermoflop.model.config.family import Family

# Where several families fit equally well, the plainest first.
_PLAIN = ("llama", "gpt2", "gpt_neox", "mixtral", "deepseek_v3", "bert")


def chosen_family(raw: Mapping[str, Any], wanted: str, ignored: frozenset[str]) -> Family:
    """The family that the user says an unknown type is of.

    UsageError for a type that is known; UnknownModel for a name that is no family, and for keys
    that are not exactly the family's.
    """
    if wanted not in FAMILY_NAMES:
        near = near_family(str(wanted))
        hint = f"; the nearest is {near}" if near else ""
        raise UnknownModel(f"{wanted!r:.60} is no family that is known{hint}")
    own = raw.get("model_type")
    if own in FAMILY_NAMES and own != wanted:
        raise UsageError(f"model_type {own!r} is known and counted as what it is, not as {wanted}")
    family = find_family(wanted)
    if family is None:
        raise UsageError(f"{wanted!r} is no family that is counted alone")
    if own != wanted:
        reason = misfit(family, raw, ignored)
        if reason:
            raise UnknownModel(f"this configuration is not one of {wanted}: {reason}")
    return family


def misfit(family: Family, raw: Mapping[str, Any], ignored: frozenset[str]) -> str:
    """Why the keys are not exactly the family's; empty where they are."""
    names = family.keys.keys() | family.aliases.keys() | family.overriding.keys()
    for key, value in raw.items():
        known = key in names or key in family.ignored or key in ignored
        if not known and not changes_nothing(key, value):
            return f"{key[:60]} is no key of it"
    sizes = [
        key
        for key, rule in family.keys.items()
        if rule.kind == "count" and not rule.nullable and rule.least > 0 and rule.default != 1
    ]
    if len(sizes) < 3:  # a wrapper, whose sizes are in a configuration inside it
        return "it has no sizes of its own"
    given = {family.overriding.get(key, family.aliases.get(key, key)) for key in raw}
    missing = [key for key in sizes if key not in given]
    return f"{missing[0]} is missing" if missing else ""


def fitting_families(raw: Mapping[str, Any]) -> list[str]:
    """The families that have exactly these keys, at most three: the most of them first."""
    fitting = []
    for name in FAMILY_NAMES:
        family = find_family(name)
        if family and not misfit(family, raw, frozenset()) and _reads(family, raw):
            fitting.append((-sum(key in family.keys for key in raw), name not in _PLAIN, name))
    return [name for *_, name in sorted(fitting)[:3]]


def _reads(family: Family, raw: Mapping[str, Any]) -> bool:
    """Whether the family makes a model of it."""
    try:
        config = Config(family, raw, frozenset())
        reader_of(family.reader)(config)
        config.check_all()
    except InputError:
        return False
    return True


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
        # numbers as they are written: v32 is 3.2, and older than v4
        numbers = re.compile(r"\d+").findall
        return max(kin, key=lambda known: (_likeness(low, known.lower()), numbers(known)))
    known = {each.lower(): each for each in FAMILY_NAMES}
    close = get_close_matches(low, known, n=1, cutoff=_TYPED_WRONG)
    return known[close[0]] if close else None


def _likeness(name: str, known: str) -> float:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, re.sub(r"\d+", "0", name), re.sub(r"\d+", "0", known)).ratio()


def _words(name: str) -> list[str]:
    """The words of a name that say whose it is."""
    return [word for word in re.findall("[a-z]+", name.lower()) if word not in _OF_ANY]
