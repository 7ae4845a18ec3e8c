"""Tables and figures of the page: an analysed run as HTML text, every word of it escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from thermoflop.base.units import degrees
from thermoflop.report.messages import visible
from thermoflop.report.summary import duration
from thermoflop.report.words import titled
from thermoflop.runs.analysis.watched import gpu_name
from thermoflop.runs.gpu.throttle import describe_reason

if TYPE_CHECKING:
    from thermoflop.runs.analysis.compare import Spread
    from thermoflop.runs.analysis.figures import Analysis, Heat, WindowFigures
    from thermoflop.runs.analysis.phases import Window
    from thermoflop.runs.analysis.row import RunRow
    from thermoflop.runs.analysis.thermal import ThermalFit

MAX_ROWS = 300  # of a table; the run's folder has them all
MAX_PHASES = 12  # shown one by one; more are gathered by name
DASH = "–"
_ROUNDED = 0.9995  # of a unit, from which three digits are a thousand of the one below
_SHORT = 22  # letters: a figure with its unit and what it is against, "+151 %, no interval"


def escaped(text: str) -> str:
    """Text as HTML; control characters are shown, not obeyed."""
    return escape("".join(c if c in "\n\t" else visible(c) for c in text))


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    facts: bool = False,
    short: bool = False,
) -> str:
    """A table; on a narrow screen each row becomes a card with its labels, two a line if short."""
    kept = list(rows)
    if not kept:
        return ""
    names = "".join(f'<th scope="col"{titled(name)}>{escaped(name)}</th>' for name in head)
    body = []
    for row in kept[:MAX_ROWS]:
        cells = zip(head, row, strict=True)
        body.append("<tr>" + "".join(_cell(name, text) for name, text in cells) + "</tr>")
    if len(kept) > MAX_ROWS:
        more = f"{len(kept) - MAX_ROWS} more rows are in the run's folder"
        body.append(f'<tr><td colspan="{len(head)}">{more}</td></tr>')
    kind = "facts" if facts else "cards short" if short else "cards"
    thead = "" if facts else f"<thead><tr>{names}</tr></thead>"
    return f'<table class="{kind}">{thead}<tbody>{"".join(body)}</tbody></table>'


def _cell(label: str, text: str) -> str:
    kind = "none" if text == DASH else ""  # a card leaves it out
    if len(text) <= _SHORT and any(letter.isdigit() for letter in text):
        kind = "num"  # stays on one line
    kind = kind and f' class="{kind}"'
    return f'<td data-label="{escaped(label)}"{kind}>{escaped(text)}</td>'


def figures(analysis: Analysis) -> str:
    """The run's most important figures, which stand on top."""
    label = analysis.data.label
    entries = [(seconds(s.mean), f"command {v}{_times(s)}") for v, s in analysis.durations.items()]
    code = analysis.data.run.get("exit_code")
    if isinstance(code, int):
        entries.append((str(code), "exit code"))
    gpu = analysis.data.label("GPU")
    if any(t.energy for t in analysis.trials):
        entries.append(
            (quantity(_sum(analysis.trials, "joules"), "J"), f"GPU energy, all trials{gpu}")
        )
    entries += [
        (f"{degrees(h.peak_c)} °C", f"{h.name}, hottest{_in(analysis, h)}{label(h.name)}")
        for h in analysis.heat
    ]
    shares = analysis.throttled_share.items()
    if own := [(share, gpu_name(gpu)) for gpu, share in shares if gpu in analysis.data.own]:
        share, name = max(own)
        seen = analysis.watched.get(name)
        of = "of the time" if seen is None or seen.is_whole else f"of {seen.text} watched"
        entries.append((f"{100 * share:.1f} %", f"{of} a GPU throttled{gpu}"))
    entries += [
        (f"{100 * duty:.0f} %", f"of the time the fan{of} ran{board}")
        for of, duty, board in fans(analysis)
    ]
    if analysis.b_over_a is not None:
        entries.append((percent(analysis.b_over_a), "B takes longer than A (negative: less)"))
    cells = (f"<div><b>{escaped(a)}</b><span>{escaped(b)}</span></div>" for a, b in entries)
    return f'<div class="figures">{"".join(cells)}</div>'


def _in(analysis: Analysis, heat: Heat) -> str:
    """In how much of the trials, where that is not all."""
    seen = analysis.watched.get(heat.name)
    return "" if seen is None or seen.is_whole else f" in {seen.text}"


def fans(analysis: Analysis) -> list[tuple[str, float, str]]:
    """Of several boards whose fan it is, the share of the time that it ran, "(simulated)"."""
    boards, label = analysis.data.boards.values(), analysis.data.label
    return [
        ("" if len(boards) < 2 else f" of {b.name}", b.fan_duty, label(b.name))
        for b in boards
        if b.fan_duty is not None
    ]


def windows(rows: Sequence[WindowFigures], *, phases: bool) -> str:
    """Trials or phases, one a row; many phases are gathered by name, with the rows below."""
    repeated = len({f.window.trial for f in rows}) > 1
    names = [window_name(f, phase=phases, repeated=repeated) for f in rows]
    if phases and len(rows) > MAX_PHASES:
        each = _windows("phase", names, rows)
        return (
            f"{_gathered(rows)}<details><summary>All {len(rows)} phases, one by one</summary>{each}"
            "</details>"
        )
    return _windows("phase" if phases else "trial", names, rows)


def _windows(head: str, names: list[str], rows: Sequence[WindowFigures]) -> str:
    """One a row; columns without a single value are left out."""
    of = "all " if head == "trial" else ""  # tokens of prompts and those made, together
    columns: list[tuple[str, list[str]]] = [
        (head, names),
        ("seconds", [_plain_s(f.duration_s) for f in rows]),
        ("why", [f.window.untimed or DASH for f in rows]),
        (f"{of}tokens/s", [number(f.tokens_per_s) for f in rows]),
        ("energy", [_energy(f) for f in rows]),
        ("neighbours' energy", [quantity(f.neighbours_joules, "J") for f in rows]),
        ("J/token of all" if of else "J/token", [number(f.joules_per_token) for f in rows]),
        ("MFU", [_of_peak(f.mfu) for f in rows]),
        ("MBU", [_of_peak(f.mbu) for f in rows]),
        ("throttled", [throttled(f) or DASH for f in rows]),
        ("GPU max °C", [hottest(f) for f in rows]),
        *(
            (f"{name} max °C", [degrees(f.max_boards_c.get(name)) for f in rows])
            for name in dict.fromkeys(name for f in rows for name in f.max_boards_c)
        ),
    ]
    return _columns(columns)


def _energy(row: WindowFigures) -> str:
    """The joules, or what was seen of them and in what share of the time."""
    seen = [(gpu, e) for gpu, e in row.own_energy.items() if e.why and e.seen_j is not None]
    if row.joules is not None or not seen:
        return quantity(row.joules, "J")
    return "; ".join(f"{DASH} (GPU {gpu}: {e.why})" for gpu, e in seen)


def _columns(columns: list[tuple[str, list[str]]]) -> str:
    kept = [(n, cells) for n, cells in columns if any(cell != DASH for cell in cells)]
    rows = list(zip(*(cells for _, cells in kept), strict=True))
    return table([n for n, _ in kept], rows, short=True)


def _gathered(rows: Sequence[WindowFigures]) -> str:
    """Phases of one name and command in one row: shares and rates over all of their time."""
    groups: dict[tuple[str, str, str], list[WindowFigures]] = {}
    for row in rows:
        window = row.window
        apart = ", warm-up" if window.warmup else ", failed" if window.left_out else ""
        groups.setdefault((window.name, window.variant, apart), []).append(row)
    both = any(variant != "A" for _, variant, _ in groups)
    kept = list(groups.values())
    names = [name + (f", {variant}" if both else "") + apart for name, variant, apart in groups]
    seconds_each = [[f.duration_s for f in group if f.duration_s is not None] for group in kept]
    times = [f"{len(g)}" for g in kept]
    if any(len(each) < len(g) for each, g in zip(seconds_each, kept, strict=True)):
        times = [f"{len(g)}, timed {len(s)}" for s, g in zip(seconds_each, kept, strict=True)]
    return _columns(
        [
            ("phase", names),
            ("times", times),
            ("seconds in all", [_plain_s(sum(each) if each else None) for each in seconds_each]),
            ("shortest", [_plain_s(min(each, default=None)) for each in seconds_each]),
            ("longest", [_plain_s(max(each, default=None)) for each in seconds_each]),
            ("tokens/s", [number(_mean(g, "tokens_per_s")) for g in kept]),
            ("energy", [quantity(_sum(g, "joules"), "J") for g in kept]),
            ("MFU", [_of_peak(_mean(g, "mfu")) for g in kept]),
            ("MBU", [_of_peak(_mean(g, "mbu")) for g in kept]),
            ("GPU max °C", [hottest(*g) for g in kept]),
            ("board max °C", [degrees(_most(g, "max_board_c")) for g in kept]),
        ]
    )


def _plain_s(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"


def _known(rows: Sequence[WindowFigures], name: str) -> list[tuple[float, float]]:
    """Values that are known, each with its window's length."""
    values = [(getattr(row, name), row.window.duration_s) for row in rows]
    return [(float(value), seconds) for value, seconds in values if value is not None]


def _mean(rows: Sequence[WindowFigures], name: str) -> float | None:
    """The mean weighted by time, which is the rate over all windows."""
    known = _known(rows, name)
    total_s = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total_s if total_s > 0 else None


def _sum(rows: Sequence[WindowFigures], name: str) -> float | None:
    """The sum; None where any part of it is not known."""
    known = _known(rows, name)
    return sum(value for value, _ in known) if known and len(known) == len(rows) else None


def _most(rows: Sequence[WindowFigures], name: str) -> float | None:
    return max((value for value, _ in _known(rows, name)), default=None)


def heat(rows: Sequence[Heat]) -> str:
    """Temperatures, time constant and thermal resistance of each sensor."""
    head = ["sensor", "min °C", "mean °C", "max °C", "rise K", "time constant", "K/W", "steady"]
    return table(head, [_sensor(row) for row in rows])


def time_constant(fit: ThermalFit) -> str:
    """With its interval; only the lower end of it where the record was too short to tell more."""
    if math.isinf(fit.tau_high_s):
        return f"above {fit.tau_low_s:.1f} s"
    return f"{fit.tau_s:.1f} s ({fit.tau_low_s:.1f} to {fit.tau_high_s:.1f})"


def _sensor(row: Heat) -> list[str]:
    tau = per_watt = DASH
    if row.fit is not None:
        fit = row.fit
        tau = time_constant(fit)
        resistance, error = fit.r_k_per_w, fit.r_error_k_per_w
        if resistance is not None and error is not None:
            known = fit.is_resistance_known
            per_watt = f"{resistance:.3f} ± {error:.3f}" if known else "not known"
    steady = "never" if row.steady is None else f"{degrees(row.steady.mean_c)} °C"
    values = (row.min_c, row.mean_c, row.max_c, row.rise_c)
    return [row.name, *(f"{v:.1f}" for v in values), tau, per_watt, steady]


def throttling(analysis: Analysis) -> str:
    """How long each reason held, and the throughput that was lost."""
    rows = [[describe_reason(name), seconds(s)] for name, s in analysis.seconds_by_reason.items()]
    lost = []
    for x in analysis.lost:
        error = f" ± {100 * x.error:.1f}" if x.error is not None else ""
        how = "from its own rates" if x.by == "tokens" else "by the clock, an estimate"
        tokens = f"{x.lost_tokens:.0f}" if x.lost_tokens is not None else DASH
        lost.append([x.phase, f"{100 * x.share:.1f}{error} %", tokens, how])
    text = table(["reason", "held for"], rows)
    return text + table(["phase", "throughput lost", "tokens", "how it is known"], lost)


def effects(analysis: Analysis) -> str:
    """How throughput changed with temperature, a sentence for each phase."""
    return "".join(
        f"<p>{escaped(e.phase)}: between {e.from_c:.0f} and {e.to_c:.0f} °C throughput changed by "
        f"{100 * e.per_k:+.2f} ± {100 * e.error_per_k:.2f} % per kelvin ({e.points} steps; a "
        "tendency, not a cause).</p>"
        for e in analysis.heat_effects
    )


def quantity(value: float | None, unit: str) -> str:
    """A value with its unit's prefix: 12.3 kJ."""
    if value is None:
        return DASH
    for size, prefix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= _ROUNDED * size:
            return f"{value / size:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def trial_of(window: Window) -> str:
    """A trial's number, and whether it is of the second command."""
    return f"{window.trial}{' B' if window.variant == 'B' else ''}"


def window_name(row: WindowFigures, *, phase: bool, repeated: bool) -> str:
    """A trial's or a phase's name; where trials were ``repeated``, a phase says which, and all."""
    window = row.window
    warm = ", warm-up" if window.warmup else ""
    if phase:
        return window.name + (f" (trial {trial_of(window)}{warm})" if repeated else "")
    code = "" if not window.exit_code else f", exit code {window.exit_code}"
    return f"{window.trial} {window.variant}{warm}{code}"


def seconds(value: float | None) -> str:
    """A time in the unit that fits it."""
    if value is None:
        return DASH
    if value >= 100:
        return duration(value)
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= _ROUNDED * size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns" if value else "0 s"


def _times(figures: Spread) -> str:
    n = len(figures.values)
    if n < 2:
        return ""
    apart = f", {len(figures.outliers)} outliers kept" if figures.outliers else ""
    return f" ± {seconds(figures.error)}, {n} times{apart}"


def percent(figures: Spread) -> str:
    """A difference of two commands with its interval: +2.0 ± 0.5 %."""
    error = f" ± {100 * figures.error:.1f}" if figures.error is not None else ""
    return f"{100 * figures.mean:+.1f}{error} %"


def number(value: float | None) -> str:
    """Three significant digits, or every digit of a number from 1000 on."""
    if value is None:
        return DASH
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def row_figures(row: RunRow) -> tuple[str, ...]:
    """Decode/s, all tokens/s, the peak in °C, J/token and the share throttled of a listed run."""
    speeds = (number(row.decode_tokens_per_s), number(row.tokens_per_s))
    return (*speeds, degrees(row.peak_c), number(row.joules_per_token), _share(row.throttled))


def _share(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f} %"


def _of_peak(value: float | None) -> str:
    """A share; above 1, which no device does, that alone is told: the noted peak is too low, or
    the time."""
    return "above the peak" if value is not None and value > 1 else _share(value)


def throttled(row: WindowFigures) -> str:
    """The share of a window in which a GPU throttled: at least that, where one was not watched."""
    length_s = row.duration_s or 0.0
    if row.throttled_s <= 0 or length_s <= 0:
        return ""
    at_least = "" if row.watched is None or row.watched.is_whole else "≥ "
    return f"{at_least}{100 * row.throttled_s / length_s:.0f} %"


def hottest(*rows: WindowFigures) -> str:
    """The highest temperature of the command's GPUs: at least that, where one was not watched."""
    known = [row.max_gpu_c for row in rows if row.max_gpu_c is not None]
    partly = known and any(row.watched is not None and not row.watched.is_whole for row in rows)
    return ("≥ " if partly else "") + degrees(max(known, default=None))
