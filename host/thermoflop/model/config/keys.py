"""A config.json as its family reads it: every value checked, every absence given its default."""

from __future__ import annotations

from thermoflop.base.messages import nearest, quote_value
from thermoflop.base.plain import is_between
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.config.family import Family, Key, Use
from thermoflop.model.config.ignored_keys import changes_nothing, is_unread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeGuard

# No published dimension comes near; beyond it a typing error is likelier than a model.
LARGEST_COUNT = 10**12
# Layers are listed one by one before equal ones are merged: a bound on time and memory.
LARGEST_LAYER_COUNT = 10**5
LARGEST_FACTOR = 1000
LAYER_KEYS = ("layers", "layer")
# Keys that one refusal names with their values.
MOST_SHOWN = 6


def is_factor(value: object) -> TypeGuard[float]:
    """Whether a value is a number of times that one size may be another."""
    return is_between(value, 0, LARGEST_FACTOR)


def is_count(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number that something may be as many as."""
    return type(value) is int and 0 < value < LARGEST_COUNT


def is_layer_count(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number that layers may be as many as."""
    return type(value) is int and 0 < value <= LARGEST_LAYER_COUNT


class Config:
    """The keys of one configuration, read through the eyes of its family.

    ``config["key"]`` is the checked value or the class default, for other names of a key as well; a
    key that the family does not know raises KeyError, which is a mistake in the family, not in the
    file.
    """

    def __init__(self, family: Family, raw: Mapping[str, Any], ignore: frozenset[str]) -> None:
        self.family = family
        self.ignore = ignore
        self.nested: dict[str, Config] = {}  # sections that were read, by their keys
        self.raw = _renamed(family, raw)
        self._checked: dict[str, Any] = {}
        strange = [key for key in self.raw if key not in ignore and self._is_strange(key)]
        # what other classes read and this one does not: left out, as transformers does
        self.meaningless = tuple(key for key in strange if is_unread(family, self.raw, key))
        unknown = [key for key in strange if key not in self.meaningless]
        if unknown:
            raise _not_understood(family, self.raw, unknown)

    def _is_strange(self, key: str) -> bool:
        """Whether the family does not know a key that could change a count."""
        known = key in self.family.keys or key in self.family.ignored
        return not known and not changes_nothing(key, self.raw[key])

    def __contains__(self, name: str) -> bool:
        keys = self.family.keys
        return name in keys or self.family.aliases.get(name) in keys

    def __getitem__(self, name: str) -> Any:
        if name not in self._checked:
            key = name if name in self.family.keys else self.family.aliases[name]
            rule = self.family.keys[key]
            value = self.raw.get(key, rule.default)
            if value is None and rule.kind == "flag" and not rule.nullable:
                value = False  # null is false wherever a class asks for a flag
            if key == "sliding_window" and type(value) is int and value == 0 and rule.nullable:
                value = None  # what transformers 5 writes for a window that is switched off
            if key in self.raw:
                check_value(key, value, rule)
            elif value is None and rule.kind == "count" and not rule.nullable:
                raise InputError(f"{key} is missing, and {self.family.name} has no default for it")
            self._checked[name] = value
        return self._checked[name]

    def get(self, key: str, otherwise: Any = None) -> Any:
        """The same, or ``otherwise`` where the family has no such key."""
        known = key in self
        return self[key] if known else otherwise

    def given(self, key: str) -> bool:
        """Whether the file itself has the key."""
        return key in self.raw

    def check_all(self) -> None:
        """Check the keys that no trait reads, so that a bad value in them is reported."""
        for key in self.family.keys:
            self[key]


class Traits:
    """What a reader asks for, from constants, keys or functions of the configuration."""

    def __init__(self, config: Config, defaults: Mapping[str, Any]) -> None:
        self.config = config
        self.table = {**defaults, **config.family.traits}

    def changed(self, values: Mapping[str, Any]) -> Traits:
        """The same with other values of some traits: those of one kind of layer."""
        changed = Traits(self.config, {})
        changed.table = {**self.table, **values}
        return changed

    def __getitem__(self, name: str) -> Any:
        rule = self.table[name]
        if isinstance(rule, Use):
            return self.config.get(rule.key, rule.otherwise)
        return rule(self.config) if callable(rule) else rule


def check_value(key: str, value: Any, rule: Key) -> None:
    """InputError unless the value is what the key may hold."""
    if value is None:
        if rule.nullable:
            return
        raise InputError(f"{key} is null where {_expected(key, rule)} is expected")
    if rule.kind in _CHECKS and not _CHECKS[rule.kind](key, value, rule):
        raise InputError(f"{key} is {quote_value(value)} where {_expected(key, rule)} is expected")


def largest(key: str) -> int:
    """The largest count that a key may hold."""
    return LARGEST_LAYER_COUNT if key.endswith(LAYER_KEYS) else LARGEST_COUNT


def _is_list(value: Any, kind: type) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) <= LARGEST_LAYER_COUNT
        and all(type(item) is kind for item in value)
    )


_CHECKS: dict[str, Any] = {
    "count": lambda key, value, rule: type(value) is int and rule.least <= value <= largest(key),
    "flag": lambda _key, value, _rule: type(value) is bool,
    "text": lambda _key, value, _rule: type(value) is str,
    "only": lambda _key, value, rule: value == rule.default,
    "names": lambda _key, value, _rule: _is_list(value, str),
    "indices": lambda _key, value, _rule: _is_list(value, int),
    "mapping": lambda _key, value, _rule: isinstance(value, dict),
}
_DESCRIPTIONS = {
    "flag": "true or false",
    "text": "a word",
    "names": "a list of words",
    "indices": "a list of whole numbers",
    "mapping": "an object with keys of its own",
}


def _expected(key: str, rule: Key) -> str:
    if rule.kind == "count":
        return f"a whole number from {rule.least} to {largest(key)}"
    if rule.kind == "only":
        return str(rule.default)
    return _DESCRIPTIONS.get(rule.kind, "another value")


def _renamed(family: Family, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration under the family's own key names; two names that disagree are refused."""
    renamed: dict[str, Any] = {}
    for name, value in raw.items():
        if name in family.overriding:
            continue
        key = family.aliases.get(name, name)
        if key in renamed and renamed[key] != value:
            names = [other for other in (key, *family.aliases) if other in raw]
            both = " and ".join(dict.fromkeys((*names, name)))
            raise InputError(f"{both} name the same thing and disagree: {quote_value(value)}")
        renamed[key] = value
    for name, key in family.overriding.items():
        if raw.get(name) is not None:
            if key in renamed:  # it has no effect, and still has to make sense
                check_value(key, renamed[key], family.keys[key])
            renamed[key] = raw[name]
    return renamed


def _not_understood(family: Family, raw: Mapping[str, Any], keys: list[str]) -> UnknownModel:
    """The refusal of keys that could change a count and are not understood, all of them at once."""
    shown, one = keys[:MOST_SHOWN], len(keys) == 1
    said = ", ".join(f"{key[:60]} = {quote_value(raw[key])}" for key in shown)
    more = f" and {len(keys) - len(shown)} more" if len(keys) > len(shown) else ""
    near = nearest(keys[0], family.keys) if one else None
    hint = f"; did you mean {near}?" if near else ""
    which = f"not understood for model_type {family.name!r} and could change a count{hint}"
    asked = repr(keys[0]) if one else f"({', '.join(map(repr, keys))})"
    options = " ".join(f"--ignore {key}" for key in keys)
    does = "it does" if one else "they do"
    return UnknownModel(
        f"{said}{more} {'is' if one else 'are'} {which}",
        f"{';' if not near else ''} say ignore={asked} ({options}) if {does} not",
    )
