"""A run in three sentences: what it should have cost, what it cost, and what heat took.

What was not predicted or not measured is a dash with its reason. Each sentence is told with its
beginning apart, so that a page can stress it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.units import degrees
from thermoflop.report.html.tables import DASH, number, percent, quantity, seconds
from thermoflop.runs.gpu.throttle import describe_reason

if TYPE_CHECKING:
    from thermoflop.runs.analysis.compare import Spread
    from thermoflop.runs.analysis.figures import Analysis
    from thermoflop.runs.analysis.quantity import Compared

_HEAT = ("sw_thermal", "hw_thermal", "hw_slowdown")  # the last may be power, too: NVML's own words
_COSTS = ("total_s", "decode_tokens_per_s", "tokens_per_s", "joules_per_token")
_MOST_PHASES = 4  # prefill and decode of two commands


def sentences(analysis: Analysis) -> list[tuple[str, str]]:
    """Three sentences, each as its beginning and its rest.

    Args:
        analysis: A run, analysed.

    Returns:
        What it should have cost, what it cost, what heat took.
    """
    return [_should(analysis), _did(analysis), _heat(analysis)]


def _costs(analysis: Analysis) -> list[Compared]:
    """The predicted quantities that are costs; of the two rates, that of decode."""
    rows = {row.key: row for row in analysis.predicted if row.expected is not None}
    if "decode_tokens_per_s" in rows:
        rows.pop("tokens_per_s", None)
    return [rows[key] for key in _COSTS if key in rows]


def _should(analysis: Analysis) -> tuple[str, str]:
    predicted = analysis.data.run.get("predictions")
    costs = _costs(analysis)
    if not isinstance(predicted, dict) or not costs:
        return "It should have cost", f"{DASH} (nothing was predicted before it started)."
    parts = []
    for row in costs:
        between = ""
        if row.low is not None and row.high is not None:
            between = f" ({_value(row.low, row)} to {_value(row.high, row)})"
        parts.append(f"{_with_unit(row.expected, row)}{between}")
    what = f"{predicted.get('model')} in {predicted.get('dtype')}"
    what += f" on {predicted.get('devices', 1)} x {predicted.get('hardware')}"
    return "It should have cost", f"{_listed(parts)}, as predicted for {what} (80 % intervals)."


def _did(analysis: Analysis) -> tuple[str, str]:
    costs = _costs(analysis)
    parts = [_duration(analysis)]
    for row in costs:
        if row.measured is None:
            parts.append(f"{row.name} {DASH} ({row.how or 'not measured'})")
            continue
        off = "" if row.off is None or row.beats_bound else f"{100 * row.off:+.0f} %, "
        scaled = f"; {row.scaled}" if row.scaled else ""
        parts.append(f"{_with_unit(row.measured, row)} ({off}{row.verdict}{scaled})")
    if not any(row.key == "joules_per_token" and row.measured is not None for row in costs):
        parts.append(_energy(analysis) + analysis.data.label("GPU"))
    return "It cost", f"{_listed(parts)}{_against(analysis)}."


def _against(analysis: Analysis) -> str:
    """What the second command took, if there is one, and how that is from the first."""
    second, ratio = analysis.durations.get("B"), analysis.b_over_a
    if second is None:
        return ""
    apart = "" if ratio is None else f", {percent(ratio)} against A"
    return f"; B took {_mean(second)}{apart}"


def _duration(analysis: Analysis) -> str:
    figures = analysis.durations.get("A")
    if figures is not None:
        return _mean(figures, " of time")
    if analysis.data.end_s > 0:
        return f"{seconds(analysis.data.end_s)} of time"
    return f"{DASH} of time (nothing was recorded)"


def _mean(figures: Spread, of: str = "") -> str:
    n = len(figures.values)
    return f"{seconds(figures.mean)}{of}" + (f" (mean of {n})" if n > 1 else "")


def _energy(analysis: Analysis) -> str:
    """That of a trial of the command, by the GPUs that it could use."""
    counted = [trial for trial in analysis.trials if trial.window.counts]
    known = [trial.joules for trial in counted if trial.joules is not None]
    if known and len(known) == len(counted):
        each = " each time" if len(known) > 1 else ""
        return f"{quantity(sum(known) / len(known), 'J')} of its GPUs{each}"
    whys = [trial.joules_why for trial in counted if trial.joules_why]
    return f"energy {DASH} ({whys[0] if whys else 'no GPU was read'})"


def _heat(analysis: Analysis) -> tuple[str, str]:
    data = analysis.data
    hottest = analysis.hottest
    ends = ""
    if hottest is not None:
        the = "" if hottest.name.startswith("GPU") else "the "
        name = f"{the}{hottest.name}{data.label(hottest.name)}"
        ends = f"; hottest was {name} with {degrees(hottest.peak_c)} °C"
        seen = analysis.watched.get(hottest.name)
        ends += "" if seen is None or seen.is_whole else f" in {seen.text}"
    watched_s = sum(data.watched_s.get(gpu, 0.0) for gpu in data.own)
    if watched_s <= 0:
        return "Heat took", f"{DASH} (no GPU said whether it throttled){ends}."
    held = analysis.seconds_by_reason
    label = data.label("GPU")
    if not held:
        return "Heat took", f"nothing: no GPU throttled{_seen(analysis)}{label}{ends}."
    is_heat = any(name in _HEAT for name in held)
    label = _seen(analysis) + label
    whys = _listed([f"{describe_reason(name)} for {seconds(s)}" for name, s in held.items()])
    lost = _lost(analysis) or f"{DASH} of throughput (it noted no tokens to tell it by)"
    if is_heat and all(name in _HEAT for name in held):
        return "Heat took", f"{lost}: {whys}{label}{ends}."
    if is_heat:
        return "Heat and other limits took", f"{lost}: {whys}{label}{ends}."
    return "Heat took", f"nothing; other limits took {lost}: {whys}{label}{ends}."


def _seen(analysis: Analysis) -> str:
    """In how much of the time that is known, where it is not all."""
    seen = analysis.throttling_watched
    return "" if seen is None or seen.is_whole else f" in the {seen.text} watched"


def _lost(analysis: Analysis) -> str:
    """What throttling took of each phase, where its rates or its clock tell."""
    parts = []
    for lost in analysis.lost[:_MOST_PHASES]:
        error = "" if lost.error is None else f" ± {100 * lost.error:.1f}"
        how = "" if lost.by == "tokens" else " (by its clock)"
        parts.append(f"{100 * lost.share:.1f}{error} % of the throughput of {lost.phase}{how}")
    return _listed(parts)


def _value(value: float | None, row: Compared) -> str:
    return seconds(value) if row.unit == "s" else number(value)


def _with_unit(value: float | None, row: Compared) -> str:
    return f"{_value(value, row)} {'for ' if row.unit == 's' else ''}{row.name}"


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)
