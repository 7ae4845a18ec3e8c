"""The public interface: documented name by name, with examples that run, and changed on purpose.

The interface is written down in ``data/public_api.txt``. A deliberate change of it:
``python tests/test_public_api.py`` writes that file anew; read the diff.
"""

from __future__ import annotations

import ast
import doctest
import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import thermoflop

SNAPSHOT = Path(__file__).parent / "data" / "public_api.txt"
# What public functions return, beside public classes, and what those hold in turn.
RETURNED = {
    "model.architecture.formats": ("Format", "Formats"),
    "model.architecture.quantization": ("Quantization", "Stored"),
    "model.operators.generation": ("Generation",),
    "model.operators.operator": ("Moved", "Operator", "Traffic"),
    "model.operators.totals": ("Totals",),
    "model.operators.training": ("Training",),
    "cost.energy": ("Energy",),
    "cost.hardware.precision": ("Precision",),
    "cost.inference.compare": ("Variant",),
    "cost.inference.speculative": ("Speculation",),
    "cost.memory": ("Memory",),
    "cost.roofline.span": ("Span",),
    "cost.serving.result": ("Bounds",),
    "cost.training.memory": ("TrainingMemory",),
    "cost.work.share": ("Layout",),
    "runs.judged": ("Judged",),
}
# Operators of each kind: documented by their own fields and those of Operator, which has examples.
KINDS = ("Attend", "Convolve", "Lookup", "MatMul", "Pass", "Scan", "Softmax")
# Classes of which each method shows an example of its own.
WITH_EXAMPLES = ("Model.", "OperatorTable.")
# They raise nothing: the recorder must not end a benchmark, and a total is always there.
NEVER_RAISE = {
    "mark", "note", "phase", "Format.bytes_of", "Moved.traffic", "OperatorTable.by_group",
    "OperatorTable.by_part", "OperatorTable.record", "OperatorTable.rows", "OperatorTable.totals",
    "OperatorTable.traffic_of", "Quantization.by_group", "Quantization.format_of",
    "Quantization.line", "Device.has_peak", "Device.recalls", "Step.conventions", "Stored.bytes_of",
    "Totals.plus", "Totals.traffic", "Traffic.by_kind", "TrainingEstimate.why",
}  # fmt: skip


def _load(module: str, name: str) -> Any:
    return getattr(import_module(f"thermoflop.{module}"), name)


PUBLIC: dict[str, Any] = {name: getattr(thermoflop, name) for name in thermoflop._PUBLIC}
PUBLIC |= {name: _load(module, name) for module, names in RETURNED.items() for name in names}
OPERATORS = {name: _load("model.operators.kinds", name) for name in KINDS}
CLASSES = {name: value for name, value in (PUBLIC | OPERATORS).items() if inspect.isclass(value)}
RECORDS = {name: cls for name, cls in CLASSES.items() if hasattr(cls, "__record_fields__")}


def _bases(cls: type) -> tuple[type, ...]:
    return tuple(base for base in cls.__mro__ if base is not object)


def _members(cls: type) -> dict[str, Any]:
    """Methods and properties under a public name, inherited ones too, fields left out."""
    fields = getattr(cls, "__record_fields__", ())
    members: dict[str, Any] = {}
    for base in reversed(_bases(cls)):
        for name, value in vars(base).items():
            is_member = inspect.isfunction(value) or isinstance(value, property)
            if is_member and not name.startswith("_") and name not in fields:
                members[name] = value
    return members


def _callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function, and every public method of a public class."""
    for name, value in (PUBLIC | OPERATORS).items():
        if not inspect.isclass(value):
            yield name, value
            continue
        for member, method in _members(value).items():
            if inspect.isfunction(method):
                yield f"{name}.{member}", method


CALLABLES = dict(_callables())


def _section(thing: Any, title: str) -> list[str]:
    """The lines below ``Title:`` in a docstring."""
    text = inspect.cleandoc(thing.__doc__ or "")
    found = re.search(rf"^{title}:\n((?:(?: .*)?\n)+)", f"{text}\n", re.MULTILINE)
    return found[1].splitlines() if found else []


def _entries(thing: Any, title: str) -> list[str]:
    """The names that a section explains, in order."""
    matches = (re.match(r" {4}\*{0,2}(\w+): \S", line) for line in _section(thing, title))
    return [match[1] for match in matches if match]


def _parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def _examples(thing: Any) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    things = _bases(thing) if inspect.isclass(thing) else (thing,)
    tests = (test for each in things for test in finder.find(each, each.__name__, False, {}, {}))
    return [test for test in tests if test.examples]


@pytest.mark.parametrize("name", PUBLIC)
def test_the_examples_in_the_documentation_run(name: str) -> None:
    runner = doctest.DocTestRunner(verbose=False)
    tests = _examples(PUBLIC[name])
    assert tests, f"{name} shows no example"
    report: list[str] = []
    for test in tests:
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


def test_the_example_of_the_package_runs() -> None:
    result = doctest.testmod(thermoflop)
    assert (result.attempted > 0, result.failed) == (True, 0)


@pytest.mark.parametrize("name", [name for name in CALLABLES if name.startswith(WITH_EXAMPLES)])
def test_each_method_of_models_and_tables_has_an_example(name: str) -> None:
    assert _examples(CALLABLES[name])


@pytest.mark.parametrize("name", CALLABLES)
def test_every_parameter_is_explained_in_the_order_of_the_signature(name: str) -> None:
    assert _entries(CALLABLES[name], "Args") == _parameters(CALLABLES[name])


@pytest.mark.parametrize("name", RECORDS)
def test_every_field_of_a_record_is_explained_in_order(name: str) -> None:
    cls = RECORDS[name]
    explained = [entry for base in reversed(_bases(cls)) for entry in _entries(base, "Attributes")]
    fields = list(cls.__record_fields__)
    assert explained if name in OPERATORS else explained == fields
    assert set(fields) <= set(explained)


@pytest.mark.parametrize("name", CLASSES)
def test_every_property_is_explained(name: str) -> None:
    for member, value in _members(CLASSES[name]).items():
        assert value.__doc__, f"{name}.{member}"


@pytest.mark.parametrize("name", CALLABLES)
def test_results_and_errors_are_explained(name: str) -> None:
    function = CALLABLES[name]
    gives = inspect.signature(function).return_annotation != "None"
    assert bool(_section(function, "Returns")) == gives
    assert bool(_section(function, "Raises")) == (name not in NEVER_RAISE)
    errors = import_module("thermoflop.errors")
    assert all(hasattr(errors, error) for error in _entries(function, "Raises"))


def interface() -> str:
    """Names, parameters with their defaults, fields, methods and properties: one a line."""
    lines = []
    for name, value in sorted((PUBLIC | OPERATORS).items()):
        lines += _interface_of_class(name, value) if inspect.isclass(value) else []
    lines += [f"{name}{_signature(value)}" for name, value in CALLABLES.items()]
    return "\n".join([f"thermoflop: {', '.join(thermoflop.__all__)}", *sorted(lines)]) + "\n"


def _interface_of_class(name: str, cls: type) -> Iterator[str]:
    defaults = getattr(cls, "__record_defaults__", {})
    for field in getattr(cls, "__record_fields__", ()):
        yield f"{name}.{field}" + (f" = {defaults[field]!r}" if field in defaults else "")
    for member, value in _members(cls).items():
        if isinstance(value, property):
            yield f"{name}.{member}"


def _signature(function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    bare = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))


def test_the_public_interface_changes_only_on_purpose() -> None:
    assert interface() == SNAPSHOT.read_text(encoding="utf-8")


def test_every_public_name_is_listed_once_and_imported_when_used() -> None:
    assert sorted(thermoflop.__all__) == sorted([*thermoflop._PUBLIC, "__version__"])


def test_a_type_checker_that_runs_nothing_finds_every_public_name() -> None:
    """By a written ``__all__`` for ``import *``, and by an import where each is defined."""
    statements = ast.parse(Path(thermoflop.__file__).read_text(encoding="utf-8")).body
    listed = [each.value for each in statements if "__all__" in ast.dump(each)]
    typed = [
        (f"{imported.module}", alias.name)
        for each in statements
        if isinstance(each, ast.If)
        for imported in each.body
        if isinstance(imported, ast.ImportFrom)
        for alias in imported.names
        if alias.name == alias.asname
    ]
    assert [ast.literal_eval(value) for value in listed] == [thermoflop.__all__]
    assert sorted(typed) == sorted((module, name) for name, module in thermoflop._PUBLIC.items())


if __name__ == "__main__":
    SNAPSHOT.write_text(interface(), encoding="utf-8")
