"""How a family of models is described: its config keys with their defaults, and its traits.

A **key** is a name in config.json that can change a count, with the value that the family's class
takes when the key is absent. The default says what is allowed: an int, a count of at least 1;
``True`` or ``False``, a flag; ``None``, a count or null; ``maybe(n)``, a count or null that is n
when absent; ``at_least_zero(n)``; ``required()``, a count without a default; a text;
``only(value)``, that word, flag or number alone; ``names()`` or ``indices()``, a list or null.
``sizes(hidden=768, heads=12)`` gives the keys of sizes that most classes call alike, and
``called(hidden="dim")`` other names of a family's own: the trait is then read from ``dim``.

A **trait** is what the readers ask for (``hidden``, ``heads``, ``gated``, ...): a constant,
``use("key")``, or a function of the configuration.

Everything else that a config.json of the family may hold is listed in ``ignored``, or among the
keys that never change a count (``thermoflop.model.config.ignored_keys``).
"""

from __future__ import annotations

from thermoflop.base.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypedDict, Unpack

    class Sizes(TypedDict, total=False):
        """The traits of which each is a size that most classes keep under one key."""

        vocab: int | Key | None
        hidden: int | Key | None
        inner: int | Key | None
        layers: int | Key | None
        heads: int | Key | None
        kv_heads: int | Key | None
        head_dim: int | Key | None
        channels: int | Key | None
        image: int | Key | None
        patch: int | Key | None


# the usual keys of sizes, by the traits that are read from them
_USUAL_KEYS = {
    "vocab": "vocab_size",
    "hidden": "hidden_size",
    "inner": "intermediate_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "channels": "num_channels",
    "image": "image_size",
    "patch": "patch_size",
}


@record
class Key:
    """What a config key may hold: ``kind`` of value, whether null is allowed, the least count."""

    kind: str
    default: Any
    nullable: bool = False
    least: int = 1


@record
class Use:
    """A trait that is read from a config key; ``otherwise`` where the family has no such key."""

    key: str
    otherwise: Any = None


@record
class Family:
    """One ``model_type``: keys with class defaults, traits, and the reader that takes them.

    ``aliases`` are other names of keys: both may be there if they agree. ``overriding`` names win
    over the key they stand for, as they do in the class.
    """

    name: str
    reader: str
    keys: Mapping[str, Key]
    traits: Mapping[str, Any]
    aliases: Mapping[str, str]
    overriding: Mapping[str, str]
    ignored: frozenset[str]


@record
class Section:
    """A nested configuration: its key, its family, and ``init``, what it holds when it is absent.

    ``fixed``: the class is always this family's, whatever ``model_type`` the section states.
    ``optional``: when it is absent, so is what it describes. ``flat``: when it is absent, its keys
    lie beside the others, as they did before the class had sections. ``merged``: ``init`` also
    fills in what a section that is there leaves out.
    """

    key: str
    family: str
    init: Mapping[str, Any] | None = None
    fixed: bool = True
    optional: bool = False
    flat: bool = False
    merged: bool = False


FAMILIES: dict[str, Family] = {}


def use(key: str, otherwise: Any = None) -> Use:
    """The value of a config key, or ``otherwise`` where the family has no such key."""
    return Use(key, otherwise)


def required() -> Key:
    """A count that the file has to state: no class is known whose default it could be."""
    return Key("count", None)


def maybe(default: int) -> Key:
    """A count or null, ``default`` when absent."""
    return Key("count", default, nullable=True)


def at_least_zero(default: int) -> Key:
    """A count that may be 0."""
    return Key("count", default, least=0)


def maybe_zero(default: int | None) -> Key:
    """A count that may be 0 or null."""
    return Key("count", default, nullable=True, least=0)


def only(value: str | int) -> Key:
    """A word, a flag or a number that can be this one alone."""
    return Key("only", value)


def names() -> Key:
    """A list of words, or null."""
    return Key("names", None, nullable=True)


def indices() -> Key:
    """A list of whole numbers, or null."""
    return Key("indices", None, nullable=True)


def mapping() -> Key:
    """A nested configuration, or null."""
    return Key("mapping", None, nullable=True)


def sizes(**defaults: Unpack[Sizes]) -> dict[str, Any]:
    """The usual keys of sizes with their defaults, each by the trait that is read from it."""
    return {_USUAL_KEYS[trait]: default for trait, default in defaults.items()}


def called(**own: str) -> dict[str, str]:
    """A family's own names of the usual keys of sizes, by the traits that are read from them."""
    return {_USUAL_KEYS[trait]: key for trait, key in own.items()}


def spaced(text: str) -> tuple[str, ...]:
    """The words of a text: keys that a family ignores, or drops."""
    return tuple(text.split())


def anything(default: Any = None) -> Key:
    """A value whose form the family's own function checks."""
    return Key("any", default, nullable=True)


def as_key(default: Any) -> Key:
    """The key that a plain default stands for."""
    if isinstance(default, Key):
        return default
    if isinstance(default, bool):
        return Key("flag", default)
    if isinstance(default, int):
        return Key("count", default)
    if isinstance(default, str):
        return Key("text", default)
    return Key("count", None, nullable=True)


def family(
    name: str,
    like: str | None = None,
    *,
    reader: str | None = None,
    keys: Mapping[str, Any] | None = None,
    traits: Mapping[str, Any] | None = None,
    aliases: Mapping[str, str] | None = None,
    overriding: Mapping[str, str] | None = None,
    ignored: tuple[str, ...] = (),
    drop: tuple[str, ...] = (),
) -> Family:
    """Register a family; ``like`` another one, with keys changed, added or dropped.

    A key that is ignored here is dropped as well, and so are the traits that were read from it: the
    reader's default holds for them again.
    """
    parent = FAMILIES[like] if like else Family(name, "decoder", {}, {}, {}, {}, frozenset())
    all_keys = {key: rule for key, rule in parent.keys.items() if key not in ignored}
    all_keys.update({key: as_key(default) for key, default in (keys or {}).items()})
    for key in drop:
        del all_keys[key]
    gone = {*drop, *ignored}
    inherited = {
        trait: rule
        for trait, rule in parent.traits.items()
        if not (isinstance(rule, Use) and rule.key in gone)
    }
    entry = Family(
        name,
        reader or parent.reader,
        all_keys,
        {**inherited, **(traits or {})},
        {**parent.aliases, **(aliases or {})},
        {**parent.overriding, **(overriding or {})},
        parent.ignored | frozenset(ignored),
    )
    FAMILIES[name] = entry
    return entry
