"""Frozen, typed records: what ``dataclasses`` does, without the 10 ms that importing it costs.

``thermoflop ops`` has to start in a few tens of milliseconds, and ``dataclasses`` pulls in
``inspect``, ``ast`` and ``dis``. A class under ``@record`` gets an ``__init__`` from its
annotations, equality, hashing and a readable ``repr`` that leaves out fields at their default. To
a type checker it is a frozen dataclass. The fields of a record that it derives from come first.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")


class _Frozen:
    """What every record class gets."""

    __slots__ = ()
    __record_defaults__: dict[str, Any]

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        same: bool = self.__dict__ == other.__dict__
        return same

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        defaults = type(self).__record_defaults__
        fields = [
            f"{name}={value!r}"
            for name, value in self.__dict__.items()
            if not (name in defaults and defaults[name] is value)
        ]
        return f"{type(self).__name__}({', '.join(fields)})"


_SHARED = ("__setattr__", "__delattr__", "__eq__", "__hash__", "__repr__")
# writing out an ``__init__`` takes as long as making some hundred instances without one, and of
# most of the classes that a command touches it makes fewer than these
_MADE_FIRST = 100


def _make_init(names: tuple[str, ...], defaults: dict[str, Any]) -> Any:
    """An ``__init__`` written out for these fields: as fast as one written by hand."""
    arguments = [f"{name}=_d[{name!r}]" if name in defaults else name for name in names]
    body = "; ".join(f"d[{name!r}] = {name}" for name in names)
    source = f"def __init__(self, {', '.join(arguments)}):\n d = self.__dict__; {body}\n"
    space: dict[str, Any] = {"_d": defaults}
    exec(source, space)  # noqa: S102 - the text is made of this module's own field names
    return space["__init__"]


def _decorate(cls: Any) -> Any:
    own = vars(cls).get("__annotations__", {})
    names = (*getattr(cls, "__record_fields__", ()), *own)
    defaults = dict(getattr(cls, "__record_defaults__", {}))
    defaults.update((name, cls.__dict__[name]) for name in own if name in cls.__dict__)

    made = 0
    fields, required = {**dict.fromkeys(names), **defaults}, set(names) - set(defaults)

    def first_init(self: Any, *args: Any, **kwargs: Any) -> None:
        """Fill in the first instances from what is known, and then write the real ``__init__``."""
        nonlocal made
        made += 1
        values = {**dict(zip(names, args, strict=False)), **kwargs}
        if made <= _MADE_FIRST and len(values) == len(args) + len(kwargs):
            filled = {**fields, **values}  # in the order of the fields
            if len(filled) == len(names) and required <= values.keys():
                self.__dict__.update(filled)
                return
        # many of them, or wrong arguments: the real one raises as Python does
        cls.__init__ = _make_init(names, defaults)
        cls.__init__(self, *args, **kwargs)

    cls.__init__ = first_init
    cls.__record_fields__ = names
    cls.__record_defaults__ = defaults
    for name in _SHARED:
        if name not in cls.__dict__ or name == "__hash__":
            setattr(cls, name, _Frozen.__dict__[name])
    return cls


if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True)
    def record(cls: type[T]) -> type[T]:
        """A frozen record, for the type checker."""
        return cls

else:
    record = _decorate


def replace(instance: T, **changes: object) -> T:
    """A copy of a record with some fields changed; TypeError for a name that is no field."""
    filled = {**instance.__dict__, **changes}
    if len(filled) > len(instance.__dict__):
        return type(instance)(**filled)  # which says what is no field
    return type(instance)(*filled.values())  # they stand in order, and names would have to be found


def fields_of(instance: object) -> dict[str, Any]:
    """The fields of a record and their values, in order."""
    return dict(instance.__dict__)


def is_record(value: object) -> bool:
    """Whether a value is an instance of a record class."""
    return hasattr(type(value), "__record_fields__")


def plain(value: Any) -> Any:
    """A record, array or number as JSON takes it: infinities become null."""
    if is_record(value):
        return {name: plain(item) for name, item in value.__dict__.items()}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if type(value).__module__ == "numpy":
        return plain(value.tolist())
    return value
