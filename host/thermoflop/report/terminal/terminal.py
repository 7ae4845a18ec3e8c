"""An analysed run as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.report.html import predicted
from thermoflop.report.html.tables import quantity
from thermoflop.report.messages import visible
from thermoflop.runs.gpu.throttle import words

if TYPE_CHECKING:
    from thermoflop.runs.analysis.figures import Analysis, WindowFigures

MAX_WINDOWS = 40


def lines(found: Analysis) -> list[str]:
    """The figures of a run, aligned."""
    rows: list[tuple[str, str]] = [("run", str(found.data.folder))]
    command = found.data.run.get("command")
    if isinstance(command, list):
        rows.append(("command", " ".join(str(word) for word in command)))
    for variant, figures in found.durations.items():
        error = f" ± {figures.error:.3f}" if figures.error is not None else ""
        rows.append((f"time {variant}", f"{figures.mean:.3f}{error} s, {len(figures.values)}x"))
    if found.b_over_a is not None:
        error = f" ± {100 * found.b_over_a.error:.2f}" if found.b_over_a.error is not None else ""
        rows.append(("B over A", f"{100 * found.b_over_a.mean:+.2f}{error} %"))
    repeated = len(found.trials) > 1
    for trial in found.trials[:MAX_WINDOWS]:
        said = _window(trial) + (", a warm-up" if trial.window.warmup else "")
        rows.append((trial.window.name, said))
    for phase in found.phases[: max(0, MAX_WINDOWS - len(found.trials))]:
        of = f", trial {phase.window.trial}" if repeated else ""
        rows.append((phase.window.name, _window(phase) + of))
    for heat in found.heat:
        text = f"{heat.min_c:.1f} min, {heat.mean_c:.1f} mean, {heat.max_c:.1f} max °C"
        if heat.fit is not None:
            text += f", time constant {heat.fit.tau_s:.1f} s"
        rows.append((heat.name, text))
    for name, seconds in found.seconds_by_reason.items():
        rows.append(("throttled", f"{words(name)}, {seconds:.1f} s"))
    if found.fan_duty is not None:
        rows.append(("fan", f"on {100 * found.fan_duty:.1f} % of the time"))
    rows += [("note", warning) for warning in found.warnings]
    aligned = [f"{visible(name):<14} {visible(text)}" for name, text in rows]
    return aligned + predicted.lines(found)


def _window(found: WindowFigures) -> str:
    text = f"{found.window.duration_s:.3f} s"
    if found.tokens_per_s is not None:
        text += f", {found.tokens_per_s:.4g} tokens/s"
    if found.joules is not None:
        text += f", {quantity(found.joules, 'J')}"
    if found.joules_per_token is not None:
        text += f", {found.joules_per_token:.3g} J/token"
    if found.throttled_s > 0:
        text += f", throttled {100 * found.throttled_s / found.window.duration_s:.0f} %"
    return text
