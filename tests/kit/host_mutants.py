"""Mutants of the host's formulas, made by rule from the syntax tree of a module.

A mutant is one change of one expression: a constant doubled, + for -, * for /, a term of a sum
left out, a comparison turned round, min for max, or another field of the same record read. What
cannot change a result is not mutated: texts, annotations, what is only for the type checker, the
wording of errors, widths of printed columns, where the words of a picture stand, guards against a
division by zero, how much is worked on at once, how often a fixed point is gone over again that
has been reached long before, and which part of a bar of progress some of the work fills.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("model", "cost")
SMALLEST = 1e-20  # constants below stand in for zero in a divisor
FLOOR = 1e-8  # so do these as the least of a value, ``max(value, 1e-9)``
# Calls whose numbers lay a text out, and those that only word an error.
LAYOUT = frozenset(
    {"wrap", "wrapped", "fill", "indent", "ljust", "rjust", "shorten", "shortened", "round"}
)
# Functions of ``base/chart.py`` that put words at a place of a picture.
WORDS = frozenset({"text", "legend", "y_title"})
# Constants whose double changes no figure: ``cost.inference.estimate`` works on a grid in blocks,
# each element by itself; ``cost.serving.steady`` halves what is left of an error in each round.
EFFORT = frozenset({"BLOCK", "ROUNDS"})
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
TURNED = {
    ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
SWAPPED = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}
TEXTS = (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp, ast.Set, ast.Dict)

Siblings = dict[str, str]
Put = Callable[[ast.AST], None]


@dataclass(frozen=True)
class Change:
    """One possible change of a tree: the rule, the line, how it reads, and what makes it."""

    rule: str
    line: int
    before: str
    after: str
    make: Callable[[], None]


@dataclass(frozen=True)
class HostMutant:
    """The change with this number in the list of a module's changes."""

    module: str
    number: int
    rule: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.rule}: {self.before} -> {self.after}"


def modules(package: Path) -> list[Path]:
    """The files that are mutated: every one of the model and of its cost."""
    return sorted(path for folder in FOLDERS for path in (package / folder).rglob("*.py"))


def sample(package: Path, count: int, seed: int, room: str = "") -> tuple[list[HostMutant], int]:
    """So many mutants of all there are in a room, drawn with a seed, and how many there are."""
    paths = modules(package)
    siblings = siblings_in(paths)
    chosen = [path for path in paths if path.relative_to(package).as_posix().startswith(room)]
    found = [mutant for path in chosen for mutant in mutants_of(path, package, siblings)]
    drawn = random.Random(seed).sample(found, min(count, len(found)))
    return drawn, len(found)


def mutants_of(path: Path, package: Path, siblings: Siblings) -> list[HostMutant]:
    """Every mutant of one file."""
    name = path.relative_to(package).as_posix()
    changes = changes_of(ast.parse(path.read_text(encoding="utf-8")), siblings)
    return [
        HostMutant(name, number, change.rule, change.line, change.before, change.after)
        for number, change in enumerate(changes)
    ]


def mutated(mutant: HostMutant, package: Path) -> str:
    """The text of the module with the mutant's change made."""
    tree = ast.parse((package / mutant.module).read_text(encoding="utf-8"))
    list(changes_of(tree, siblings_in(modules(package))))[mutant.number].make()
    return ast.unparse(tree)


def siblings_in(paths: list[Path]) -> Siblings:
    """Another field of the same type for every field that has one, in every record that has it."""
    found: dict[str, list[str]] = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                fields = [field for each in node.body if (field := _field(each))]
                for place, (name, kind) in enumerate(fields):
                    after = [*fields[place + 1 :], *fields[:place]]
                    alike = [other for other, of in after if of == kind]
                    found[name] = [each for each in found.get(name, alike) if each in alike]
    return {name: others[0] for name, others in found.items() if others}


def _field(node: ast.stmt) -> tuple[str, str] | None:
    """Name and type of a field or property."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id, ast.unparse(node.annotation)
    if isinstance(node, ast.FunctionDef) and node.returns is not None:
        decorators = {ast.unparse(each) for each in node.decorator_list}
        return (node.name, ast.unparse(node.returns)) if "property" in decorators else None
    return None


def changes_of(tree: ast.AST, siblings: Siblings) -> Iterator[Change]:
    """Every change of a tree, in the order of its text."""
    for node, put in _expressions(tree):
        yield from _changes(node, put, siblings)


def _expressions(node: ast.AST) -> Iterator[tuple[ast.AST, Put]]:
    """The nodes that may be mutated, each with what puts another in its place."""
    for name, value in ast.iter_fields(node):
        if _is_text(node, name):
            continue
        if isinstance(value, ast.AST):
            if not isinstance(value, ast.Raise | ast.Assert):
                yield value, lambda new, name=name: setattr(node, name, new)
                yield from _expressions(value)
        elif isinstance(value, list):
            for place, child in enumerate(value):
                if isinstance(child, ast.AST) and not _is_left_alone(node, child):
                    yield child, lambda new, at=place, into=value: into.__setitem__(at, new)
                    yield from _expressions(child)


def _is_left_alone(node: ast.AST, child: ast.AST) -> bool:
    """Whether a child is an error's wording, a column's side, or stands in for zero as the least of
    a value."""
    if isinstance(node, ast.Call) and _name(node.func) == "table":
        return isinstance(child, ast.Constant)  # how many columns stand to the left
    least = isinstance(node, ast.Call) and _name(node.func) in ("max", "maximum")
    if least and isinstance(child, ast.Constant) and isinstance(child.value, float):
        return abs(child.value) < FLOOR
    return isinstance(child, ast.Raise | ast.Assert)


def _is_text(node: ast.AST, field: str) -> bool:
    """Whether a part of a node has no say in any result."""
    if field in ("annotation", "returns", "decorator_list", "format_spec"):
        return True
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return field in ("test", "body")
    if isinstance(node, ast.Call) and (_name(node.func) in LAYOUT or _puts_words(node.func)):
        return field in ("args", "keywords")
    if isinstance(node, ast.withitem) and isinstance(node.context_expr, ast.Call):
        return _name(node.context_expr.func) == "part"  # of ``base/progress.py``
    if isinstance(node, ast.Assign):
        return field == "value" and any(_name(target) in EFFORT for target in node.targets)
    return isinstance(node, ast.Subscript) and field == "slice"


def _puts_words(node: ast.AST) -> bool:
    """Whether a function puts words at a place of a picture."""
    of_chart = isinstance(node, ast.Attribute) and _name(node.value) == "chart"
    return of_chart and _name(node) in WORDS


def _name(node: ast.AST) -> str:
    """The last part of a name."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _changes(node: ast.AST, put: Put, siblings: Siblings) -> Iterator[Change]:
    for rule, new in _replacements(node, siblings):
        yield Change(
            rule, getattr(node, "lineno", 0), _short(node), _short(new), lambda new=new: put(new)
        )


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 70 else f"{text[:67]}..."


def _replacements(node: ast.AST, siblings: Siblings) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in the place of a node, with the rule."""
    if isinstance(node, ast.Constant):
        if type(node.value) in (int, float) and SMALLEST < abs(node.value) < float("inf"):
            yield "constant doubled", ast.Constant(2 * node.value)
    elif isinstance(node, ast.BinOp):
        yield from _of_arithmetic(node)
    elif isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        if not isinstance(node.value, TEXTS):
            other = ARITHMETIC[type(node.op)]()
            yield "operator", ast.AugAssign(node.target, other, node.value)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        turned = TURNED[type(node.ops[0])]()
        yield "comparison turned", ast.Compare(node.left, [turned], node.comparators)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in SWAPPED:
            swapped = ast.Name(SWAPPED[node.func.id], ast.Load())
            yield "min and max", ast.Call(swapped, node.args, node.keywords)
    elif (
        isinstance(node, ast.Attribute) and node.attr in siblings and isinstance(node.ctx, ast.Load)
    ):
        yield "wrong field", ast.Attribute(node.value, siblings[node.attr], ast.Load())


def _of_arithmetic(node: ast.BinOp) -> Iterator[tuple[str, ast.AST]]:
    """Another operator; one of the terms of a sum alone."""
    if type(node.op) not in ARITHMETIC or any(_is_sequence(each) for each in _operands(node)):
        return
    other = ARITHMETIC[type(node.op)]()
    yield "operator", ast.BinOp(node.left, other, node.right)
    if isinstance(node.op, ast.Add | ast.Sub):
        yield "term left out", node.left
    if isinstance(node.op, ast.Add):
        yield "term left out", node.right


def _operands(node: ast.BinOp) -> Iterator[ast.AST]:
    """The operands of an operator, and of operators in these."""
    for each in (node.left, node.right):
        yield each
        if isinstance(each, ast.BinOp):
            yield from _operands(each)


def _is_sequence(node: ast.AST) -> bool:
    """Whether it is seen to be a text or a list: no number."""
    text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    made = isinstance(node, ast.Call) and _name(node.func) in ("str", "tuple", "list", "join")
    return text or made or isinstance(node, TEXTS)
