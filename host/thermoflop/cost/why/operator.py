"""Why one operator takes what it takes: its counts derived, its time filled in, what binds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.explanation import Explanation
from thermoflop.base.record import record, replace
from thermoflop.base.units import digits, scaled, seconds
from thermoflop.cost.engines.overheads import DEQUANTIZE
from thermoflop.cost.roofline.rates import (
    MOVING,
    binding,
    compute_s,
    memory_s,
    operator_s,
    waiting_s,
)
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.base.number import Number
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.inference.setting import Setting
    from thermoflop.cost.work.work import Work

PHASES = ("prefill", "decode")


@record
class Part:
    """One step as it is timed: its operators, the batch of a replica, new and cached tokens.

    The phase takes ``factor`` times the step (chunks of a prompt, overlapped over stages).
    """

    phase: str
    works: tuple[Work, ...]
    batch: float
    new: float
    cached: float
    factor: float
    words: str


def parts_shown(found: Estimate) -> dict[str, Part]:
    """The steps behind an estimate: reading the prompt, and the middle decode step if any."""
    setting = found.setting
    batch = found.batch / found.plan.dp
    shown = {"prefill": _prompt_part(found, batch)}
    if found.generate > 1:
        middle = found.prompt + (found.generate - 1) // 2
        works = tuple(setting.decoding(batch)(middle))
        words = f"one token after {middle:,} cached, the middle step"
        shown["decode"] = Part("decode", works, batch, 1, middle, 1.0, words)
    return shown


def _prompt_part(found: Estimate, batch: float) -> Part:
    setting = found.setting
    prefix, chunk, stages = setting.prefix, setting.chunk, found.plan.pp
    new = found.prompt - prefix
    if chunk is None or new <= chunk:
        works = tuple(setting.prefill(new, batch, prefix))
        words = "reading the prompt" + (f" after {prefix:,} cached" if prefix else "")
        return Part("prefill", works, batch, new, prefix, 1.0, words)
    count = -(-new // chunk)
    size = new / count
    middle = prefix + (new - size) / 2
    works = tuple(setting.prefill(size, batch, middle))
    words = f"reading the middle one of {count} chunks of the prompt"
    return Part("prefill", works, batch, size, middle, (count + stages - 1) / stages, words)


def besides_s(part: Part, setting: Setting) -> float:
    """Seconds that the device waits for launches, and what every prompt costs besides its step."""
    rates = setting.rates
    recorded = rates.graphs and part.phase == "decode"
    waits = 0.0 if recorded else waiting_s(part.works, rates)
    return waits + (rates.efficiency.prompt_s / part.factor if part.phase == "prefill" else 0.0)


def why_operator(setting: Setting, part: Part, index: int) -> Explanation:
    """Why the operator at ``index`` of a step takes its time. UsageError for one that is not."""
    if not 0 <= index < len(part.works):
        raise UsageError(f"there is no operator {index}: expected 0 to {len(part.works) - 1}")
    work = part.works[index]
    formula, notes = derived(setting, part, index)
    time = float(operator_s(work, setting.rates))
    return Explanation(
        f"{work.name}, {work.times:g} x in {part.words}",
        seconds(time),
        (*formula, *time_lines(work, setting)),
        binds=binding(work, setting.rates),
        notes=notes,
    )


def time_lines(work: Work, setting: Setting) -> tuple[str, ...]:
    """The formula of an operator's time: in words, then with this device's numbers."""
    rates, efficiency = setting.rates, setting.rates.efficiency
    computing, moving = float(compute_s(work, rates)), float(memory_s(work, rates))
    launching = work.launches * efficiency.launch_s
    total = seconds(float(operator_s(work, rates)))
    if work.kind == "network":
        link = scaled(rates.link_bytes_s, "B/s")
        sent = scaled(work.activation_bytes, "B")
        step = seconds(efficiency.collective_s)
        return (
            "network = bytes / (link x e) + steps x cost of a step",
            f"  = {sent} / ({link} x {efficiency.link:.2f}) + {work.flops:g} x {step}",
            f"  = {seconds(moving)}",
            f"time = {work.times:g} x {seconds(moving)} = {total}",
        )
    if rates.curves is not None:
        busy = seconds(max(computing, moving))
        return (
            "time = times x (launch + measured time at its size, read between measured sizes)",
            f"  = {work.times:g} x ({seconds(launching)} + {busy}) = {total}",
        )
    lines = [*_computing(work, setting, computing), *_moving(work, setting, moving)]
    launch = f"launch = {work.launches} x {seconds(efficiency.launch_s)} = {seconds(launching)}"
    both = f"max({seconds(computing)}, {seconds(moving)})"
    lines += [
        launch,
        "time = times x (launch + max(compute, memory))",
        f"  = {work.times:g} x ({seconds(launching)} + {both}) = {total}",
    ]
    return tuple(lines)


def _computing(work: Work, setting: Setting, found_s: float) -> list[str]:
    rates, efficiency = setting.rates, setting.rates.efficiency
    if work.kind in MOVING:
        return ["compute = 0: a pass over memory"]
    flop = scaled(work.flops, "FLOP")
    if work.kind in ("attention", "scan"):
        peak, share = rates.attention_flops_s, efficiency.attention
        padding = efficiency.pad_queries * work.row_flops
    else:
        peak, share = rates.peak_flops_s, efficiency.matmul
        padding = efficiency.pad_rows * work.row_flops
        padding += efficiency.uneven * work.uneven * work.flops
    filled = f"({flop} + {scaled(padding, 'FLOP')})"
    rate = f"({scaled(peak, 'FLOP/s')} x {share:.2f})"
    return [
        "compute = (FLOP + padding) / (peak x e)",
        f"  = {filled} / {rate} = {seconds(found_s)}",
    ]


def _moving(work: Work, setting: Setting, found_s: float) -> list[str]:
    rates, e = setting.rates, setting.rates.efficiency
    parts = [
        f"{scaled(size, 'B')}/{share:.2f}"
        for size, share in (
            (work.weight_bytes, e.weights),
            (work.kv_bytes, e.cache),
            (work.activation_bytes, e.activations),
        )
        if size
    ]
    taken = ""
    if work.weight_bytes:
        taken = f" + {scaled(work.weight_bytes, 'B')} / {scaled(rates.core_hz * e.stream, 'B/s')}"
    return [
        "memory = (weights/e + cache/e + activations/e) / bandwidth"
        + (" + weights / what the cores take in" if taken else ""),
        (
            f"  = ({' + '.join(parts) or '0 B'}) / {scaled(rates.bandwidth_bytes_s, 'B/s')}{taken}"
            f" = {seconds(found_s)}"
        ),
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
    rows = [("FLOP", symbolic.flops, work.flops)]
    rows += [
        (name, getattr(symbolic, field), getattr(work, field))
        for name, field in (
            ("bytes of weights", "weight_bytes"),
            ("bytes of cache", "kv_bytes"),
            ("bytes of activations", "activation_bytes"),
        )
    ]
    for name, expression, count in rows:
        if count:
            lines += _formula(name, expression, count, values, used)
    letters = [_letter(symbol, values) for symbol in values if symbol in used]
    if setting.plan.tp > 1 or setting.plan.ep > 1:
        letters.insert(0, "sizes are those of one device")
    return tuple(lines), tuple(letters)


def symbolic_work(setting: Setting, part: Part, index: int) -> tuple[Work, dict[Any, Number]]:
    """The same operator built of symbols, and the value of each. MissingExtra without sympy."""
    from thermoflop.cost.engines.overheads import apply_engine_to
    from thermoflop.cost.work.work import works
    from thermoflop.model.formulas.explain import step_symbols
    from thermoflop.model.formulas.symbolic import symbolize

    whole = symbolize(replace(setting.model, description=setting.share.description))
    letters = step_symbols()
    sizes = {"b": part.batch, "s": part.new, "t": part.cached}
    values: dict[Any, Number] = dict(whole.values)
    values |= {letters[name]: _whole(size) for name, size in sizes.items()}
    if part.phase == "decode":
        step = decode_step(letters["t"], letters["b"])
    else:
        cached = letters["t"] if part.cached else 0
        logits = "none" if setting.model.is_encoder else "last"
        step = prefill_step(letters["s"], letters["b"], cached, logits)
    engine = setting.profile.engine
    if engine.unfused:
        step = replace(step, kernels="eager")
    place = index - sum(work.name == DEQUANTIZE for work in part.works[:index])
    found = works(whole.description, step, setting.precision)[place]
    written = index > 0 and part.works[index - 1].name == DEQUANTIZE
    return apply_engine_to(found, engine, setting.precision, written=written), values


def _whole(size: float) -> Number:
    return int(size) if size == int(size) else size


def _formula(
    name: str, expression: Any, count: Number, values: dict[Any, Number], used: set[Any]
) -> list[str]:
    from thermoflop.model.formulas.symbolic import require_sympy
    from thermoflop.model.formulas.text import written

    exact = require_sympy().nsimplify(expression)
    used |= exact.free_symbols
    lines = [f"{name} = {written(exact)}"]
    plain = exact.is_number or exact.expand().is_rational_function()
    filled = written(exact, values) if plain and exact.free_symbols else ""
    value = digits(float(count)) if abs(count) < 1 else f"{float(count):,.0f}"
    lines.append(f"  = {filled} = {value}" if 0 < len(filled) <= 80 else f"  = {value}")
    return lines


def _letter(symbol: Any, values: dict[Any, Number]) -> str:
    from thermoflop.model.formulas.symbolic import MEANINGS

    name = str(symbol)
    base = name if name in MEANINGS else name.rpartition("_")[0]
    value = values[symbol]
    shown = f"{value:,}" if isinstance(value, int) else digits(float(value))
    return f"{name} = {shown}: {MEANINGS.get(base, 'size')}"
