"""An analysed run as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.units import degrees
from thermoflop.report.html import predicted
from thermoflop.report.html.tables import DASH, fans, quantity, throttled, time_constant, trial_of
from thermoflop.report.messages import visible
from thermoflop.runs.command import command_text
from thermoflop.runs.gpu.throttle import describe_reason

if TYPE_CHECKING:
    from thermoflop.runs.analysis.figures import Analysis, WindowFigures

MAX_WINDOWS = 40  # trials and phases, about a screen


def lines(analysis: Analysis) -> list[str]:
    """The figures of a run, aligned."""
    rows: list[tuple[str, str]] = [("run", str(analysis.data.folder))]
    if command := command_text(analysis.data.run.get("command")):
        rows.append(("command", command))
    rows += lengths(analysis)
    repeated = len(analysis.trials) > 1
    for trial in analysis.trials[:MAX_WINDOWS]:
        text = _window(trial, analysis) + (", a warm-up" if trial.window.warmup else "")
        text += f", exit code {trial.window.exit_code}" if trial.window.exit_code else ""
        rows.append((f"trial {trial_of(trial.window)}", text))
    for phase in analysis.phases[: max(0, MAX_WINDOWS - len(analysis.trials))]:
        of = f", trial {trial_of(phase.window)}" if repeated else ""
        rows.append((phase.window.name, _window(phase, analysis) + of))
    for heat in analysis.heat:
        low, mean, high = map(degrees, (heat.min_c, heat.mean_c, heat.max_c))
        text = f"min {low}, mean {mean}, max {high} °C"
        if heat.fit is not None:
            text += f", time constant {time_constant(heat.fit)}"
        rows.append((heat.name, text + analysis.data.label(heat.name)))
    gpu = analysis.data.label("GPU")
    for name, seconds in analysis.seconds_by_reason.items():
        rows.append(("throttled", f"{describe_reason(name)}, {seconds:.1f} s" + gpu))
    for of, duty, board in fans(analysis):
        rows.append((f"fan{of}", f"on {100 * duty:.1f} % of the time{board}"))
    rows += [("note", warning) for warning in analysis.warnings]
    aligned = [f"{visible(name):<14} {visible(text)}" for name, text in rows]
    return aligned + predicted.lines(analysis)


def lengths(analysis: Analysis) -> list[tuple[str, str]]:
    """How long each command took, and the second against the first: what it is, and in words."""
    rows = []
    for variant, figures in analysis.durations.items():
        error = f" ± {figures.error:.3f}" if figures.error is not None else ""
        rows.append((f"time {variant}", f"{figures.mean:.3f}{error} s, {len(figures.values)}x"))
    if analysis.b_over_a is not None:
        ratio = analysis.b_over_a
        error = f" ± {100 * ratio.error:.2f}" if ratio.error is not None else ""
        rows.append(("B over A", f"{100 * ratio.mean:+.2f}{error} %"))
    return rows


def _window(figures: WindowFigures, analysis: Analysis) -> str:
    simulated = analysis.data.label("GPU")
    if figures.window.untimed:
        tokens = figures.window.sums.get("tokens")
        counted = "" if tokens is None else f", {tokens:.15g} tokens"
        return f"{DASH} ({figures.window.untimed}){counted}"
    text = f"{figures.window.duration_s:.3f} s"
    if figures.tokens_per_s is not None:
        rate = figures.tokens_per_s
        said = f"{rate:,.0f}" if rate >= 999.5 else f"{rate:.4g}"
        text += f", {said} tokens/s{_with_prompts(figures, analysis)}"
    if figures.joules is not None:
        text += f", {quantity(figures.joules, 'J')}{simulated}"
        if figures.neighbours_energy:
            text += f" of GPU {', '.join(map(str, figures.own))}"
    elif figures.joules_why is not None:
        text += f", {DASH} J ({figures.joules_why})"
    neighbours = figures.neighbours_energy
    if neighbours:
        others = quantity(figures.neighbours_joules, "J")
        text += f" (neighbours {', '.join(map(str, neighbours))}: {others})"
    if figures.joules_per_token is not None:
        text += f", {figures.joules_per_token:.3g} J/token{_with_prompts(figures, analysis)}"
    if part := throttled(figures):
        text += f", throttled {part}"
    return text


def _with_prompts(figures: WindowFigures, analysis: Analysis) -> str:
    """What to say where the tokens of a window are those of prompts and those made together."""
    names = {
        phase.window.name.lower()
        for phase in analysis.phases
        if phase.window.trial == figures.window.trial and phase.window.sums.get("tokens")
    }
    is_trial = all(phase is not figures for phase in analysis.phases)
    return " with prompts" if is_trial and "prefill" in names else ""
