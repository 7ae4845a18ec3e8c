"""Formulas derived from the operators: what the textbooks write down, and what they leave out.

Nothing here is a formula. The builder that counts with whole numbers is given symbols
(``thermoflop.model.formulas.symbolic``), and what it adds up is printed.
"""

from __future__ import annotations

from thermoflop.base.progress import tracked
from thermoflop.base.record import record, replace
from thermoflop.errors import UsageError
from thermoflop.model.architecture import cache, parameters
from thermoflop.model.formulas.symbolic import (
    PERCEIVING,
    Symbolic,
    meaning_of,
    require_sympy,
    symbolize,
)
from thermoflop.model.operators.build import build_operators, layer_operators, stack_scopes
from thermoflop.model.operators.context import EmitContext
from thermoflop.model.operators.step import Step
from thermoflop.model.operators.training import in_layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from thermoflop.model.architecture.description import Description, Stack
    from thermoflop.model.model import Model
    from thermoflop.model.operators.operator import Operator

    Parts = tuple[tuple[tuple[str, ...], Any], ...]


@record
class Formula:
    """One derived expression: what it counts, the expression, its unit; of a layer's FLOPs also
    the names of each group of operators, with what they have of it, and from how many tokens on
    those that grow with their square are most of it (numerator and denominator; None: never); of a
    total, whether what sees or hears is in it."""

    title: str
    expression: Any
    unit: str
    parts: Parts = ()
    even: tuple[Any, Any] | None = None
    scope: str = ""


def _formula(title: str, count: Any, unit: str, scope: str = "") -> Formula:
    """A formula as the sum that textbooks write."""
    return Formula(title, require_sympy().expand(count), unit, scope=scope)


def _even(expression: Any, tokens: Any) -> tuple[Any, Any] | None:
    """How many tokens make what grows with their square as much as what grows with them."""
    sympy = require_sympy()
    if not expression.is_polynomial(tokens):
        return None
    powers = sympy.Poly(expression, tokens).as_dict()
    if set(powers) != {(1,), (2,)}:
        return None
    found: tuple[Any, Any] = sympy.fraction(sympy.cancel(powers[1,] / powers[2,]))
    return found


@record
class Explanation:
    """All formulas of a model, the value of each symbol, and which layers a number of them is
    of."""

    model_name: str
    formulas: tuple[Formula, ...]
    values: dict[Any, int]
    layers: dict[Any, str]

    def value_of(self, formula: Formula) -> Any:
        """The formula with every symbol filled in, exact."""
        return self.filled(formula.expression)

    def filled(self, expression: Any) -> Any:
        """An expression with every symbol filled in, exact."""
        sympy = require_sympy()
        numbers = {symbol: sympy.Integer(value) for symbol, value in self.values.items()}
        # not subs, which asks of each part of an expression whether it is one of the letters
        return sympy.nsimplify(sympy.sympify(expression).xreplace(numbers))

    def meaning(self, symbol: Any) -> str:
        """What a letter stands for."""
        return self.layers.get(symbol) or meaning_of(symbol)


def step_symbols() -> dict[str, Any]:
    """Batch b, new tokens s, cached tokens t, source positions S, as sympy symbols."""
    sympy = require_sympy()
    return {name: sympy.Symbol(name, positive=True, integer=True) for name in "bstS"}


def layer_scope(step: Step, causal: bool = True) -> EmitContext:
    """One layer with the tokens of a step."""
    sizes = (step.batch, step.new, step.cached, step.batch * step.new)
    return EmitContext(step, "layer", 1, *sizes, step.encoder, causal)


def explain(
    model: Model, batch: int = 1, tokens: int | None = None, mla: str | None = None
) -> Explanation:
    """Derive the formulas of a model; ``batch`` and ``tokens`` are the values of b and s.

    ``mla`` is the form of latent attention, as in ``Step``. None: as engines run it, expanded in a
    prompt and absorbed when decoding. UsageError for no number of sequences or tokens.
    """
    for name, value in (("batch", batch), ("tokens", tokens)):
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value} makes no sense: expected a whole number >= 1")
    symbolic = symbolize(model)
    letters = step_symbols()
    length = model.default_tokens if tokens is None else tokens
    # a token that is decoded has the last position of as many as there are, and no further one
    cached = length - 1 if length == model.max_positions and length > 1 else length
    values = {**symbolic.values, letters["b"]: batch, letters["s"]: length, letters["t"]: cached}
    encoder = model.description.stack("encoder")
    fixed = None if encoder is None else encoder.positions
    values[letters["S"]] = length if fixed is None else int(fixed)
    kinds = [
        _parameter_formulas(model, symbolic),
        _flop_formulas(model, symbolic, letters, mla, values),
        _cache_formulas(model, symbolic, letters["t"]),
    ]
    formulas = tuple(formula for kind in tracked(kinds, "deriving") for formula in kind)
    return Explanation(model.name, formulas, values, _layers(model, symbolic.description))


def _layers(model: Model, description: Description) -> dict[Any, str]:
    """Which layers each number of them is of, where there are several kinds."""
    kinds: dict[Any, dict[str, None]] = {}  # as a set that keeps its order
    several = len(description.stacks) > 1
    for stack in description.stacks:
        role = f"{_called(model, stack.role)} " if several else ""
        for run in stack.runs:
            kinds.setdefault(run.times, {})[f"{role}{run.layer.kind}"] = None
    if sum(len(stack.runs) for stack in description.stacks) == 1:
        return {}
    widths: dict[Any, dict[str, None]] = {}
    for stack in description.stacks:
        widths.setdefault(stack.hidden, {})[_called(model, stack.role)] = None
    hidden = {size: f"hidden size: {' and '.join(roles)}" for size, roles in widths.items()}
    return (hidden if len(hidden) > 1 else {}) | {
        times: f"layers{' of each kind' if len(alike) > 1 else ''}: {'; '.join(alike)}"
        for times, alike in kinds.items()
    }


def _called(model: Model, role: str) -> str:
    """The role of a stack in words: the text's stack of an encoder has the name of a decoder's."""
    return "encoder" if model.is_encoder and role == "decoder" else role


def _a_layer(model: Model, role: str) -> str:
    """A layer in words."""
    named = _called(model, role)
    return f"{'an' if named[0] in 'aeiou' else 'a'} {named} layer"


def _parameter_formulas(model: Model, symbolic: Symbolic) -> Iterator[Formula]:
    """Parameters of each kind of layer, and of the model."""
    for stack in symbolic.description.stacks:
        for run in stack.runs:
            count = sum(part.parameters for part in run.layer.parts())
            title = f"parameters of {_a_layer(model, stack.role)} ({run.layer.kind})"
            yield _formula(title, count, "parameters")
    whole = parameters.total(symbolic.description)
    towers = _towers(stack.role for stack in symbolic.description.stacks)
    scope = f"with its {towers} layers" if towers and model.generates else ""
    yield _formula("parameters of the model", whole, "parameters", scope)


def _towers(roles: Iterable[str]) -> str:
    """Those of some roles that see or hear, as words; "" for none."""
    return " and ".join(dict.fromkeys(role for role in roles if role in PERCEIVING))


def _layer_scopes(
    description: Description, prefill: Step, values: dict[Any, int]
) -> Iterator[tuple[Stack, EmitContext]]:
    """Every stack with the tokens of its own: of an image or a clip for each sequence, of what its
    convolutions leave. A length that is no letter gets one, and its value."""
    sympy = require_sympy()
    seen = replace(prefill, images=prefill.batch, audio=prefill.batch)
    for stack, scope in stack_scopes(description, seen):
        if scope is None:
            yield stack, layer_scope(prefill, stack.causal)
            continue
        if not getattr(scope.new, "is_Symbol", False):
            length = int(sympy.sympify(scope.new).xreplace(values))
            name = f"s_{_OWN_LENGTH.get(stack.role, 'c')}"
            letter, count = sympy.Symbol(name, positive=True, integer=True), 1
            while values.setdefault(letter, length) != length:
                count += 1
                letter = sympy.Symbol(f"{name}_{count}", positive=True, integer=True)
            scope = replace(scope, new=letter, tokens=scope.sequences * letter)
        yield stack, scope


# what a letter of a stack's own length has behind it
_OWN_LENGTH = {"image": "i", "audio": "a", "encoder": "e"}


def _flop_formulas(
    model: Model,
    symbolic: Symbolic,
    letters: dict[str, Any],
    mla: str | None,
    values: dict[Any, int],
) -> Iterator[Formula]:
    """FLOPs of each kind of layer, of the logits, of prefill, decode step and training."""
    batch, new, cached, source = (letters[name] for name in "bstS")
    length = source if model.is_encoder_decoder else 0
    form = mla or "expanded"
    prefill = Step(batch=batch, new=new, encoder=length, encode=True, mla=form)
    for stack, scope in _layer_scopes(symbolic.description, prefill, values):
        for run in stack.runs:
            operators = [each for each in layer_operators(run.layer, scope) if each.flops != 0]
            flops = sum(operator.flops for operator in operators)
            title = f"forward FLOPs of {_a_layer(model, stack.role)} ({run.layer.kind})"
            count = require_sympy().expand(flops)
            ends = any(getattr(mixer, "limits", ()) for mixer in run.layer.mixers)
            even = None if ends else _even(count, new)  # a window never meets that many keys
            yield Formula(title, count, "FLOP", _by_group(operators), even)
    forward = build_operators(symbolic.description, prefill)
    logits = sum(operator.flops for operator in forward if operator.group == "lm_head")
    if logits != 0:
        yield _formula("forward FLOPs of the logits", logits, "FLOP")
    whole = sum(operator.flops for operator in forward)
    scopes = stack_scopes(symbolic.description, prefill)
    idle = _towers(stack.role for stack, scope in scopes if scope is None)
    said = f"without its {idle} layers: of text alone" if idle else ""
    yield _formula("forward FLOPs of the model", whole, "FLOP", said)
    if not model.is_encoder:
        form, sizes = mla or "absorbed", (batch, 1, cached, length)
        step = Step(*sizes, encode=False, mla=form)
        flops = sum(operator.flops for operator in build_operators(symbolic.description, step))
        yield _formula("FLOPs of a decode step", flops, "FLOP")
    again = sum(operator.flops for operator in forward if in_layers(operator))
    yield _formula("training FLOPs, nothing recomputed", 3 * whole, "FLOP", said)
    yield _formula("training FLOPs, layers recomputed", 3 * whole + again, "FLOP", said)


def _by_group(operators: Sequence[Operator]) -> Parts:
    """The names of each group of operators, and their FLOPs together."""
    sympy = require_sympy()
    groups: dict[str, list[Operator]] = {}
    for operator in operators:
        # BERT's own modules, and so the table of its operators, have it among the feed-forward's
        group = "attn_proj" if operator.name == "o_proj" and operator.group == "mlp" else ""
        groups.setdefault(group or operator.group, []).append(operator)
    return tuple(
        (tuple(each.name for each in some), sympy.expand(sum(each.flops for each in some)))
        for some in groups.values()
    )


def _cache_formulas(model: Model, symbolic: Symbolic, cached: Any) -> Iterator[Formula]:
    """Elements of the cache for each token, or at a length, and of recurrent states."""
    if model.is_encoder:
        return
    elements = cache.cache_elements(symbolic.description, 1, windowed=False)
    yield _formula("cache elements for each token", elements, "elements")
    if cache.grows_by_entries(model.description):
        held = cache.cache_elements(symbolic.description, cached)
        yield _formula("cache elements at t tokens, by entries", held, "elements")
    states = cache.state_elements(symbolic.description)
    if states != 0:
        yield _formula("state elements for each sequence", states, "elements")
