"""Why one operator takes what it takes: its counts derived, its time filled in, what binds."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING, Any

from thermoflop.base.explanation import Explanation
from thermoflop.base.record import replace
from thermoflop.base.units import digits, scaled, seconds
from thermoflop.cost.engines.overheads import DEQUANTIZE, apply_engine_to
from thermoflop.cost.roofline.formula import COMPUTE, GAP, MEMORY, NETWORK, TERMS, Term
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.cost.work.work import Work, works
from thermoflop.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from thermoflop.base.number import Number
    from thermoflop.cost.inference.setting import Setting
    from thermoflop.cost.roofline.rates import Rates
    from thermoflop.cost.why.steps import Part


# What is derived of a work, by its names.
COUNTS = {
    "FLOP": "flops", "bytes of weights": "weight_bytes", "bytes of cache": "kv_bytes",
    "bytes of activations": "activation_bytes",
}  # fmt: skip


def why_operator(setting: Setting, part: Part, index: int) -> Explanation:
    """Why the operator at ``index`` of a step takes its time. UsageError for one that is not."""
    if not 0 <= index < len(part.works):
        raise UsageError(f"there is no operator {index}: expected 0 to {len(part.works) - 1}")
    work = part.works[index]
    formula, notes = derived(setting, part, index)
    time = float(setting.rates.operator_s(work))
    return Explanation(
        f"{work.name}, {work.times:g} x in {part.label}",
        seconds(time),
        (*formula, *time_lines(work, setting)),
        binds=setting.rates.binding(work),
        notes=notes,
    )


def time_lines(work: Work, setting: Setting) -> tuple[str, ...]:
    """The formula of an operator's time: in words, then with this device's numbers."""
    rates = setting.rates
    computing, moving = float(rates.compute_s(work)), float(rates.memory_s(work))
    gap = float(rates.gap_s(work))
    total = seconds(float(rates.operator_s(work)))
    if work.kind in NETWORK:
        once = seconds(max(computing, moving) + gap)
        return (*_sending(work, rates), f"time = {work.times:g} x {once} = {total}")
    if rates.curves is not None:
        busy = seconds(max(computing, moving))
        return (
            "time = times x (launch + measured time at its size, read between measured sizes)",
            f"  = {work.times:g} x ({seconds(gap)} + {busy}) = {total}",
        )
    each = seconds(rates.efficiency.kernel_gap_s)
    longer = f"max({seconds(computing)}, {seconds(moving)})"
    return (
        *_computing(work, rates),
        *_moving(work, rates),
        f"launch = {work.launches} x {each} = {seconds(gap)}",
        "time = times x (launch + max(compute, memory))",
        f"  = {work.times:g} x ({seconds(gap)} + {longer}) = {total}",
    )


def _terms(work: Work, rates: Rates, side: str) -> list[tuple[Term, float, float]]:
    """The terms of one side for a work, each with its quantity and its parameter."""
    return [
        (term, getattr(work, term.quantity), getattr(rates.efficiency, term.parameter))
        for term in TERMS
        if term.side == side and work.rated in term.kinds
    ]


def _computing(work: Work, rates: Rates) -> list[str]:
    terms = _terms(work, rates, COMPUTE)
    if not terms:
        return ["compute = 0: a pass over memory"]
    (term, flops, share), *padded = terms
    padding = sum(quantity * (1.0 if each.divides else cost) for each, quantity, cost in padded)
    filled = f"({scaled(flops, 'FLOP')} + {scaled(padding, 'FLOP')})"
    rate = f"({scaled(getattr(rates, str(term.rate)), 'FLOP/s')} x {share:.2f})"
    return [
        "compute = (FLOP + padding) / (peak x e)",
        f"  = {filled} / {rate} = {seconds(float(rates.compute_s(work)))}",
    ]


def _moving(work: Work, rates: Rates) -> list[str]:
    parts, taken = [], ""
    for term, size, share in _terms(work, rates, MEMORY):
        if size and term.rate == "bandwidth_bytes_s":
            parts.append(f"{scaled(size, 'B')}/{share:.2f}")
        elif size:
            rate = scaled(getattr(rates, str(term.rate)) * share, "B/s")
            taken = f" + {scaled(size, 'B')} / {rate}"
    moved = f"({' + '.join(parts) or '0 B'}) / {scaled(rates.bandwidth_bytes_s, 'B/s')}{taken}"
    more = " + weights / what the cores take in" if taken else ""
    return [
        f"memory = (weights/e + cache/e + activations/e) / bandwidth{more}",
        f"  = {moved} = {seconds(float(rates.memory_s(work)))}",
    ]


def _sending(work: Work, rates: Rates) -> list[str]:
    ((_, sent, share),) = _terms(work, rates, MEMORY)
    ((_, far, _),) = _terms(work, rates, COMPUTE)
    ((_, steps, step_s),) = _terms(work, rates, GAP)
    near = f"{scaled(sent, 'B')} / ({scaled(rates.link_bytes_s, 'B/s')} x {share:.2f})"
    formula, filled = "bytes / (link x e)", near
    if far:
        formula = "max(bytes in a node / (link x e), bytes between / (network x e))"
        between = f"{scaled(far, 'B')} / ({scaled(rates.network_bytes_s, 'B/s')} x {share:.2f})"
        filled = f"max({near}, {between})"
    return [
        f"network = {formula} + steps x cost of a step",
        f"  = {filled} + {steps:g} x {seconds(step_s)}",
        f"  = {seconds(float(rates.operator_s(replace(work, times=1))))}",
    ]


def derived(setting: Setting, part: Part, index: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """FLOPs and bytes of one occurrence as formulas, from the same builder given symbols.

    The second tuple says what is missing where there are none: collectives have no symbols, and
    sympy may not be installed.
    """
    work = part.works[index]
    if work.kind == "network":
        return (f"bytes sent = {work.activation_bytes:,.0f}",), ()
    if work.name == DEQUANTIZE:
        return (f"bytes read and written = {work.activation_bytes:,.0f}",), ()
    try:
        symbolic, values = symbolic_work(setting, part, index)
    except MissingExtra as error:
        counts = (f"FLOP = {work.flops:,.0f}", f"bytes = {work.bytes:,.0f}")
        return counts, (str(error),)
    lines: list[str] = []
    used: set[Any] = set()
    # some experts are chosen more than others; kernels of attention may pad heads
    why = "experts are chosen" if work.group == "experts" else "its kernels run it"
    for name, field in COUNTS.items():
        if count := getattr(work, field):
            lines += _formula(name, getattr(symbolic, field), count, values, used, why)
    letters = [_letter(symbol, values) for symbol in values if symbol in used]
    if setting.plan.tp > 1 or setting.plan.ep > 1:
        letters.insert(0, "sizes are those of one device")
    return tuple(lines), tuple(letters)


def symbolic_work(setting: Setting, part: Part, index: int) -> tuple[Work, dict[Any, Number]]:
    """The same operator built of symbols, and the value of each. MissingExtra without sympy."""
    from thermoflop.model.formulas.explain import step_symbols
    from thermoflop.model.formulas.symbolic import symbolize

    whole = symbolize(replace(setting.model, description=setting.share.description))
    letters = step_symbols()
    sizes = {"b": part.batch, "s": part.new, "t": part.cached}
    values: dict[Any, Number] = dict(whole.values)
    values |= {letters[name]: _whole(size) for name, size in sizes.items()}
    if part.phase == "decode":
        step = decode_step(letters["t"], letters["b"])
    elif part.phase == "media":
        step = setting.media_step(letters["b"])
    else:
        cached = letters["t"] if part.cached else 0
        step = prefill_step(letters["s"], letters["b"], cached, setting.logits)
        step = replace(step, mla=setting.form(part.new, part.batch, part.cached))
    engine = setting.profile.engine
    if engine.unfused:
        step = replace(step, kernels="eager")
    place = index - sum(work.name == DEQUANTIZE for work in part.works[:index])
    widths = setting.share.element_bytes
    kernels = engine.kernels_in(setting.precision.family, part.new)
    symbolic = works(whole.description, step, setting.precision, kernels, widths)[place]
    written = index > 0 and part.works[index - 1].name == DEQUANTIZE
    return apply_engine_to(symbolic, engine, written=written), values


def _whole(size: float) -> Number:
    return int(size) if size == int(size) else size


def _formula(
    name: str, expression: Any, count: Number, values: dict[Any, Number], used: set[Any], why: str
) -> list[str]:
    """A count as a formula, and with its values; ``why`` the count may be another."""
    from thermoflop.model.formulas.symbolic import require_sympy
    from thermoflop.model.formulas.text import written

    exact = require_sympy().nsimplify(expression)
    used |= exact.free_symbols
    lines = [f"{name} = {written(exact)}"]
    alike = float(exact.subs(values))
    if not isclose(alike, float(count), rel_tol=1e-6):
        share = float(count) / alike
        return [*lines, f"  = {alike:,.0f}, x {share:.3f} as {why} = {count:,.0f}"]
    plain = exact.is_number or exact.expand().is_rational_function()
    filled = written(exact, values) if plain and exact.free_symbols else ""
    value = digits(float(count)) if abs(count) < 1 else f"{float(count):,.0f}"
    lines.append(f"  = {filled} = {value}" if 0 < len(filled) <= 80 else f"  = {value}")
    return lines


def _letter(symbol: Any, values: dict[Any, Number]) -> str:
    from thermoflop.model.formulas.symbolic import meaning_of

    value = values[symbol]
    text = f"{value:,}" if isinstance(value, int) else digits(float(value))
    return f"{symbol} = {text}: {meaning_of(symbol)}"
