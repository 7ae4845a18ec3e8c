"""Why any number of an estimate is what it is: times, rates, memory, energy, operators.

A number is named by a key such as ``token.expected``, ``memory.cache`` or ``op.decode.3``; what is
behind it is said in formulas with this run's numbers filled in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.explanation import Explanation
from thermoflop.base.units import scaled, seconds, three_digits
from thermoflop.cost.roofline.bound import Limits, parts_of, sums_of
from thermoflop.cost.why.labels import labels
from thermoflop.cost.why.operator import why_operator
from thermoflop.cost.why.steps import PHASES, Part, parts_shown
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.base.number import Number
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.inference.setting import Setting
    from thermoflop.cost.inference.what_fits import Fit
    from thermoflop.cost.roofline.span import Span
    from thermoflop.cost.work.work import Work

_SPANS = {
    "first": ("first_token", "prefill", "the first token"),
    "token": ("per_token", "decode", "each token after it"),
    "total": ("total", "", "the whole run"),
}
_SPREADS = {"first": "prefill", "token": "token"}
_SHOWN = 14


def why_number(estimate: Estimate, key: str, capacity: Fit | None = None) -> Explanation:
    """What is behind the number of that key. UsageError for a key that names none.

    ``fit.*`` are numbers of ``room``, made with the same model, device and sizes.
    """
    kind, _, rest = key.partition(".")
    if kind in _SPANS and rest in _OF_SPAN and (kind == "first" or estimate.generate > 1):
        return _OF_SPAN[rest](estimate, kind)
    if kind == "rate" and rest in ("prefill", "decode", "all"):
        return _rate(estimate, rest)
    if kind == "op":
        return _operator(estimate, rest)
    from thermoflop.cost.why.memory import why_memory

    return why_memory(estimate, key, capacity)


def _operator(estimate: Estimate, rest: str) -> Explanation:
    setting = estimate.setting
    phase, _, number = rest.partition(".")
    parts = parts_shown(estimate)
    if phase not in parts or not number.isdecimal() or len(number) > 6:
        raise UsageError(f"op.{rest!s:.40} names no operator: expected {' or '.join(PHASES)}, 0...")
    return why_operator(setting, parts[phase], int(number))


def _span(estimate: Estimate, kind: str) -> tuple[Span, str, str]:
    """The time of that kind, its phase, and what it is called."""
    name, phase, label = _SPANS[kind]
    return getattr(estimate, name), phase, label


def _of_all(estimate: Estimate, title: str, end: str, note: str) -> Explanation:
    """How the time of the whole run is made of the others."""
    spans = estimate.first_token, estimate.per_token, estimate.total
    first, each, value = (seconds(getattr(span, end)) for span in spans)
    rule = "all = first token + (generated - 1) x each token"
    filled = f"  = {first} + {estimate.generate - 1:,} x {each} = {value}"
    return Explanation(title, value, (rule, filled), notes=(note,))


def _expected(estimate: Estimate, kind: str) -> Explanation:
    setting = estimate.setting
    span, phase, label = _span(estimate, kind)
    title, value = f"{label}: expected", seconds(span.expected_s)
    if kind == "total":
        return _of_all(estimate, title, "expected_s", estimate.provenance)
    parts = parts_shown(estimate)
    part, lines = parts[phase], _step_lines(parts, phase, setting)
    notes = [estimate.provenance]
    if phase == "decode":
        notes.insert(0, f"{value} is the mean of {estimate.generate - 1:,} steps over the growing "
                        "context; the table is the step in the middle")  # fmt: skip
    if span.expected_s <= span.bound_s:
        notes.insert(0, "the fitted rates pass the data sheet here: raised to the bound")
    rows, binds = operator_rows(part, setting)
    columns = ("operator", "times", "FLOP", "bytes", "time", "binds")
    return Explanation(title, value, tuple(lines), columns, rows, binds, tuple(notes))


def _step_lines(parts: dict[str, Part], phase: str, setting: Setting) -> list[str]:
    """The step of a phase filled in, and how often it and a shorter last one run."""
    lines, times = [], []
    of_prompt = ("media", "prefill", "remainder") if phase == "prefill" else (phase,)
    chosen = [parts[each] for each in of_prompt if each in parts]
    for part in chosen:
        busy = part.operators_s(setting)
        step = seconds(busy + part.overhead_s)
        lines += [
            f"step = operators + host and scheduler ({part.label})",
            f"  = {seconds(busy)} + {seconds(part.overhead_s)} = {step}",
        ]
        times.append((part.factor, busy + part.overhead_s))
    if len(times) > 1 or times[0][0] != 1:
        added = " + ".join(f"{factor:g} x {seconds(step)}" for factor, step in times)
        total = seconds(sum(factor * step for factor, step in times))
        lines += ["time = steps, overlapped over stages, x step", f"  = {added} = {total}"]
    return lines


def operator_rows(part: Part, setting: Setting) -> tuple[tuple[tuple[str, ...], ...], str]:
    """The operators that take longest, and what binds most of the step's time."""
    overhead_s = part.overhead_s
    shares = {"host": overhead_s}
    timed = []
    for work, label in zip(part.works, labels(part.works), strict=True):
        time, binds = float(setting.rates.operator_s(work)), setting.rates.binding(work)
        shares[binds] = shares.get(binds, 0.0) + time
        timed.append((time, binds, work, label))
    timed.sort(key=lambda each: -each[0])
    rows = [
        (
            label,
            f"{work.times:g}",
            scaled(work.times * work.flops, "FLOP") if work.flops and binds != "network" else "",
            scaled(work.times * work.bytes, "B"),
            seconds(time),
            binds,
        )
        for time, binds, work, label in timed[:_SHOWN]
        if time > 0
    ]
    rest = sum(time for time, *_ in timed[_SHOWN:])
    if rest > 0:
        rows.append((f"{len(timed) - _SHOWN} smaller ones", "", "", "", seconds(rest), ""))
    rows.append(("host and scheduler", "", "", "", seconds(overhead_s), "host"))
    return tuple(rows), max(shares, key=lambda name: shares[name])


def _bound(estimate: Estimate, kind: str) -> Explanation:
    setting = estimate.setting
    span, phase, label = _span(estimate, kind)
    title, value = f"{label}: bound", seconds(span.bound_s)
    assumed = estimate.setting.least_said
    note = f"the data sheet's rates with nothing wasted, {assumed}: no real run is faster"
    if kind == "total":
        return _of_all(estimate, title, "bound_s", note)
    limits, batch = setting.limits, estimate.batch / estimate.plan.dp
    part = parts_shown(estimate)[phase]
    new, sequences = estimate.prompt - setting.prefix, batch
    works = setting.least_decoding(batch)(part.cached)
    if phase == "prefill":
        works = setting.least_reading(setting.whole_prompt(new, batch, setting.prefix))
        sequences = batch * new
    lines, binds = _bound_lines(works, limits, sequences)
    notes = [note]
    if limits.stages > 1:
        notes.append(f"{limits.stages} pipeline stages work on different sequences at once")
    if phase == "decode":
        notes.append(f"{value} is the mean over the context; the lines are {part.label}")
    return Explanation(title, value, lines, binds=binds, notes=tuple(notes))


def _bound_lines(
    works: list[Work], limits: Limits, sequences: Number
) -> tuple[tuple[str, ...], str]:
    """The rule filled in for one step in which nothing is wasted, and what binds."""
    sums = sums_of(works)
    times = dict(zip(("compute", "memory", "network"), parts_of(sums, limits, sequences),
                     strict=True))  # fmt: skip
    moved = f"({scaled(sums.weight_bytes + sums.kv_bytes, 'B')}"
    moved += f" - {scaled(limits.cache_bytes, 'B')} on chip)" if limits.cache_bytes else ")"
    lines = (
        "bound = max(compute, memory, network)",
        (
            f"compute = {scaled(sums.flops, 'FLOP')} / {scaled(limits.peak_flops_s, 'FLOP/s')}"
            f" = {seconds(float(times['compute']))}"
        ),
        (
            f"memory = {moved} / {scaled(limits.bandwidth_bytes_s, 'B/s')}"
            f" = {seconds(max(0.0, float(times['memory'])))}"
        ),
        (
            f"network = {scaled(sums.wire_bytes, 'B')} / {scaled(limits.link_bytes_s, 'B/s')}"
            f" = {seconds(float(times['network']))}"
        ),
    )
    return lines, max(times, key=lambda name: times[name])


def _interval(estimate: Estimate, kind: str) -> Explanation:
    setting = estimate.setting
    span, _, label = _span(estimate, kind)
    value = f"{seconds(span.low_s)} .. {seconds(span.high_s)}"
    title = f"{label}: 80 % interval"
    if kind == "total":
        lines: tuple[str, ...] = (
            "low = low of the first token + (generated - 1) x low of each token; high likewise",
        )
        return Explanation(title, value, lines, notes=(estimate.provenance,))
    spread = setting.spread(_SPREADS[kind])
    expected = seconds(span.expected_s)
    lines = (
        (
            f"low = {spread.low:.2f} x expected = {spread.low:.2f} x {expected}"
            f" = {seconds(spread.low * span.expected_s)}"
        ),
        (
            f"high = {spread.high:.2f} x expected = {spread.high:.2f} x {expected}"
            f" = {seconds(spread.high * span.expected_s)}"
        ),
    )
    notes = (
        (
            f"80 % of {spread.rows:,} published rows, each predicted by a fit without it, "
            "measured between these multiples of the expectation; none below the bound"
        ),
        estimate.provenance,
    )
    return Explanation(title, value, lines, notes=notes)


_OF_SPAN: dict[str, Callable[[Estimate, str], Explanation]] = {
    "expected": _expected, "bound": _bound, "interval": _interval,
}  # fmt: skip


def _rate(estimate: Estimate, which: str) -> Explanation:
    if which != "prefill" and estimate.generate < 2:
        raise UsageError(f"rate.{which} has no number: fewer than two tokens are generated")
    batch = f"{estimate.batch:,}"
    title, formula, tokens, span, rate = {
        "prefill": ("prompt tokens a second", "batch x prompt / first token",
                    f"{batch} x {estimate.prompt:,}", estimate.first_token,
                    estimate.prefill_tokens_per_s),
        "decode": ("generated tokens a second while decoding", "batch / each token",
                   batch, estimate.per_token, estimate.decode_tokens_per_s),
        "all": ("generated tokens a second, prompt included", "batch x generated / all",
                f"{batch} x {estimate.generate:,}", estimate.total, estimate.tokens_per_s),
    }[which]  # fmt: skip
    value = f"{three_digits(rate)} tokens/s"
    lines = (formula, f"  = {tokens} / {seconds(span.expected_s)}", f"  = {value}")
    return Explanation(title, value, lines)
