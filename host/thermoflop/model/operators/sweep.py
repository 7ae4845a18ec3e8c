"""Sizes that are numpy arrays: which numbers carry them without ever being silently wrong.

All counts grow with every size. So the table of the largest sizes bounds every total of the sweep:
if it stays below 2^62, int64 is exact; if not, the sizes become float64, and the table says so.
"""

from __future__ import annotations

from thermoflop.base.number import ARITHMETIC, INT64_SAFE, Number, is_array, kind_of
from thermoflop.base.record import fields_of, is_record
from thermoflop.errors import UsageError
from thermoflop.model.operators.build import build_operators
from thermoflop.model.operators.table import OperatorTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from thermoflop.model.architecture.description import Description
    from thermoflop.model.architecture.formats import Formats
    from thermoflop.model.operators.operator import Operator
    from thermoflop.model.operators.step import Step

# bytes per element (4) times the largest numerator of a format (int4-g4096: 1025 of 2048)
_FORMAT_HEADROOM = 4 * 1025


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """A description or step with ``change`` applied to every number, array and symbol in it."""
    if is_record(value):
        fields = {name: mapped(item, change) for name, item in value.__dict__.items()}
        return type(value)(**fields)
    if isinstance(value, tuple):
        return tuple(mapped(item, change) for item in value)
    if value is None or isinstance(value, bool | str):
        return value
    return change(value)


def _holds_array(value: Any) -> bool:
    if is_record(value):
        return any(_holds_array(item) for item in value.__dict__.values())
    if isinstance(value, tuple):
        return any(_holds_array(item) for item in value)
    return is_array(value)


def description_holds_array(description: Description) -> bool:
    """Whether any size of the model itself is an array: none is, for models read from files."""
    return kind_of(description.stacks[0].hidden) != "int" and _holds_array(description)


def shape_of_sweep(description: Description, step: Step) -> tuple[int, ...]:
    """The common shape of all sizes, numpy's rules of broadcasting applied; at least (1,)."""
    import numpy

    shapes: list[tuple[int, ...]] = [(1,)]

    def note(value: Any) -> Any:
        if kind_of(value) == "numpy":
            shapes.append(numpy.shape(value))
        return value

    mapped(step, note)
    if description_holds_array(description):
        mapped(description, note)
    try:
        return tuple(numpy.broadcast_shapes(*shapes))
    except ValueError:
        raise UsageError(f"sizes of the shapes {shapes[1:]} do not go together") from None


def _largest(value: Any) -> Any:
    """The largest number of an array, as a Python number that cannot wrap."""
    if kind_of(value) != "numpy":
        return value
    import numpy

    largest = numpy.max(value)
    return float(largest) if numpy.asarray(value).dtype.kind == "f" else int(largest)


def _carried(exact: bool) -> Callable[[Any], Any]:
    """Arrays as int64, or as float64 where that could wrap."""
    import numpy

    kind = numpy.int64 if exact else numpy.float64
    return lambda value: numpy.asarray(value, dtype=kind) if kind_of(value) == "numpy" else value


def widened(count: Callable[..., Number], *sizes: Any) -> Number:
    """``count(*sizes)``, arrays carried as int64 where the largest count fits, else as float64.

    A small integer type would wrap long before 2^63.
    """
    if not any(_holds_array(size) for size in sizes):
        return count(*sizes)
    bound = count(*(mapped(size, _largest) for size in sizes))
    exact = type(bound) is int and bound * _FORMAT_HEADROOM < INT64_SAFE
    return count(*(mapped(size, _carried(exact)) for size in sizes))


def table_of(name: str, description: Description, step: Step, formats: Formats) -> OperatorTable:
    """The operator table of a step; where sizes are arrays, in numbers that are exact, or say so.

    Arrays are carried as int64 where no total can pass 2^62, else as float64.
    """
    if not (_holds_array(step) or description_holds_array(description)):
        symbols = any(kind_of(size) == "sympy" for size in fields_of(step).values())
        arithmetic = ARITHMETIC["sympy" if symbols else "int"]
        return OperatorTable(name, build_operators(description, step), step, formats, arithmetic)
    shape = shape_of_sweep(description, step)
    bound = sum(
        _bound(operator)
        for operator in build_operators(mapped(description, _largest), mapped(step, _largest))
    )
    exact = type(bound) is int and bound < INT64_SAFE
    carried = _carried(exact)
    description, step = mapped(description, carried), mapped(step, carried)
    arithmetic = ARITHMETIC["int64" if exact else "float64"]
    operators = build_operators(description, step)
    return OperatorTable(name, operators, step, formats, arithmetic, shape)


def _bound(operator: Operator) -> Number:
    """More than any intermediate value that the totals of an operator pass through."""
    elements = sum(_whole(count) for count in operator.moved.__dict__.values())
    work = 4 * operator.multiplications + operator.elementwise_flops
    return work + _FORMAT_HEADROOM * operator.times * elements


def _whole(count: Number) -> Number:
    """An expected number of elements, rounded up."""
    return int(count) + 1 if type(count) is float and count < INT64_SAFE else count
