"""Formulas as people write them, with the numbers filled in."""

from __future__ import annotations

from thermoflop.base.paper import columns, wrap
from thermoflop.model.architecture.mixers import LatentAttention
from thermoflop.model.formulas.explain import Explanation, Formula
from thermoflop.model.formulas.symbolic import require_sympy
from thermoflop.model.sizes import beyond

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.model import Model

_POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# The order in which textbooks write factors: layers, batch and tokens first, hidden size last.
_FIRST, _LAST = ("L", "b", "s", "t", "S"), ("h", "V", "P")


def written(expression: Any, values: dict[Any, int] | None = None) -> str:
    """An expression as in a textbook: 12h² + 13h, 24bsh² + 4bs²h; or with its numbers filled in."""
    sympy = require_sympy()
    expanded = sympy.expand(expression)
    if any(not power.exp.is_Integer for power in expanded.atoms(sympy.Pow)):
        return str(sympy.sstr(expanded))  # experts that no token chooses: (1 - k/E)**(b*s)
    terms = sorted(sympy.Add.make_args(expanded), key=_weight)
    long_names = any(len(str(symbol)) > 1 for symbol in expanded.free_symbols)
    long_names = long_names or expanded.has(*_called(sympy))
    dot = "·" if long_names or values is not None else ""
    return " + ".join(_term(term, dot, values) for term in terms).replace("+ -", "- ")


def _weight(term: Any) -> tuple[int, str]:
    """Higher powers first; equal ones by the letters that textbooks put last, so h² before s²."""
    powers = {str(base): power for base, power in term.as_powers_dict().items() if base.is_Symbol}
    return (-sum(powers.values()), f"{-powers.get('h', 0) + 9}{sorted(powers)}")


def _rank(name: str) -> tuple[int, int, str]:
    if name.partition("_")[0] in _FIRST:
        return (0, _FIRST.index(name.partition("_")[0]), name)
    if name in _LAST:
        return (2, _LAST.index(name), name)
    return (1, 0, name)


def _called(sympy: Any) -> tuple[Any, ...]:
    """What is written as a call: the smaller of two, the larger, whole parts."""
    return sympy.Min, sympy.Max, sympy.floor, sympy.ceiling


def _base(base: Any, values: dict[Any, int] | None) -> str:
    """What a power is of: a letter or its number, or what is written as a call or a sum."""
    if base.is_Symbol:
        return str(base) if values is None else str(values[base])
    # without spaces, at which long formulas are broken
    inner = [written(each, values).replace(" ", "") for each in base.args]
    if base.func in _called(require_sympy()):
        return f"{base.func.__name__.lower()}({', '.join(inner)})"
    return f"({written(base, values)})" if base.is_Add else str(base)


def _term(term: Any, dot: str, values: dict[Any, int] | None) -> str:
    """One product: coefficient, letters with powers, and what it is divided by."""
    coefficient, factors = term.as_coeff_Mul()
    above: list[str] = []
    below: list[str] = []
    bases = factors.as_powers_dict()
    for base in sorted(
        (base for base in bases if not base.is_number), key=lambda base: _rank(str(base))
    ):
        power = int(bases[base])
        text = _base(base, values)
        raised = f"{text}{str(abs(power)).translate(_POWERS)}" if abs(power) != 1 else text
        (above if power > 0 else below).append(raised)
    if abs(coefficient.p) == 1 and coefficient.q > 1 and above and not below:
        below, coefficient = [str(coefficient.q)], coefficient * coefficient.q
    number = "" if coefficient == 1 and above else f"{coefficient}"
    product = dot.join(part for part in (number, *above) if part)
    return f"{product}/{dot.join(below)}" if below else product


IN_TURN = "expanded in a prompt, absorbed in a decode step"  # latent attention, where none is asked


def explain_record(explanation: Explanation, mla: str | None = None) -> dict[str, Any]:
    """The formulas for JSON."""
    return {
        "model": explanation.model_name,
        "symbols": {
            str(symbol): {"value": value, "meaning": explanation.meaning(symbol)}
            for symbol, value in explanation.values.items()
        },
        "formulas": [
            {
                "title": formula.title,
                "formula": str(formula.expression),
                "value": int(explanation.value_of(formula)),
                "unit": formula.unit,
                **_even_record(explanation, formula),
            }
            for formula in explanation.formulas
        ],
        "conventions": {
            "attention": "full",
            "logits": "all",
            "mla": mla or IN_TURN,
            "experts": "routed",
            "backward": "2 x forward",
        },
    }


def _even_record(explanation: Explanation, formula: Formula) -> dict[str, Any]:
    if formula.even is None:
        return {}
    above, below = formula.even
    return {"even_tokens": float(explanation.filled(above / below))}


def explain_text(explanation: Explanation, model: Model, mla: str | None = None) -> str:
    """The formulas for a person."""
    lines = [f"{model.name}: formulas derived from its operators", ""]
    expressions = (formula.expression for formula in explanation.formulas)
    used = {symbol for each in expressions for symbol in getattr(each, "free_symbols", ())}
    for symbol, value in explanation.values.items():
        if symbol in used:
            lines.append(f"  {symbol!s:<4} = {value:>12,}  {explanation.meaning(symbol)}")
    for formula in explanation.formulas:
        comes_to = f"  = {int(explanation.value_of(formula)):,} {formula.unit}"
        title = f"{formula.title} ({formula.scope})" if formula.scope else formula.title
        if not getattr(formula.expression, "free_symbols", ()):  # no cache: 0
            lines += ["", title, comes_to]
            continue
        lines += ["", title, f"  = {written(formula.expression)}"]
        if len(formula.parts) > 1:
            lines += _parts(explanation, formula)
        filled = written(formula.expression, explanation.values)
        if len(filled) <= 94:
            lines.append(f"  = {filled}")
        lines += [comes_to, *_even_line(explanation, formula)]
    lines += [
        "",
        (
            "Attention counted full, logits at every position, 2 FLOPs for each multiply-add; "
            "norms, softmax and other element-wise work not included. Bytes of cache: elements "
            "times 2 for bf16. Backward is twice forward."
        ),
    ]
    length = next(value for symbol, value in explanation.values.items() if str(symbol) == "s")
    if said := beyond(model.max_positions, length):
        lines.append(f"Note: {said}.")
    if any(str(symbol).partition("_")[0] == "w" for symbol in used):
        lines.append("A window counts in a decode step; a prompt's attention is counted whole.")
    if any(isinstance(run.layer.mixer, LatentAttention) for run in model.description.runs):
        lines.append(f"Latent attention {mla or IN_TURN}.")
    return "\n".join(_wrapped(lines))


def _parts(explanation: Explanation, formula: Formula) -> list[str]:
    """What each group of operators has of a layer's FLOPs, as a formula and as a share."""
    whole = explanation.value_of(formula)
    return [
        f"    {written(flops)}: {', '.join(names)} ({float(explanation.filled(flops) / whole):.0%})"
        for names, flops in formula.parts
    ]


def _even_line(explanation: Explanation, formula: Formula) -> list[str]:
    """From which length on attention is most of a layer."""
    if formula.even is None:
        return []
    above, below = formula.even
    length = explanation.filled(above / below)
    ratio = written(above)
    if below != 1:
        ratio = f"({ratio}) / ({written(below)})"
    said = f"  what grows with s² is more than the rest beyond s = {ratio} = {float(length):,.0f}"
    return [f"{said} tokens"]


def _wrapped(lines: list[str]) -> list[str]:
    """Long formulas broken at their sums, within 100 columns, or those of the page; sentences with
    less before their further lines."""
    page = min(100, columns() or 100)
    return [
        part
        for line in lines
        for part in wrap(line, page, " " * 6 if line.startswith(" ") else "  ")
    ]
