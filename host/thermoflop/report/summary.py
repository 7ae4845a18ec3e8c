"""The figures of a run's items, and in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thermoflop.pico.clock import NO_CRYSTAL_PPM
from thermoflop.pico.settings import merge_settings
from thermoflop.pico.track import BoardLine
from thermoflop.pico.wire import Sample, Settings
from thermoflop.report.messages import describe_bad_line, switches
from thermoflop.runs.folder.records import Record
from thermoflop.runs.summary import Summarizer, Summary


def summarize(items: Iterable[Record]) -> Summary:
    """The figures of a run's items; thresholds are the last ones that the board stated."""
    summarizer = Summarizer()
    settings: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, BoardLine):
            continue
        if isinstance(item.message, Sample):
            summarizer.add(item.message)
        elif isinstance(item.message, Settings):
            merge_settings(settings, item.message.values)
    return summarizer.summary(settings.get("on_c"), settings.get("off_c"))


def summary_lines(
    summary: Summary, counters: dict[str, Any], clocks: Iterable[dict[str, Any]]
) -> list[str]:
    """The summary as aligned lines; ``counters`` and ``clocks`` as they stand in run.json."""
    rows = [
        ("samples", _samples(summary, counters)),
        ("temperature", temperature(summary)),
        ("setpoint", _setpoint(summary)),
        ("fan", _fan(summary)),
        ("losses", losses(counters)),
        ("clock", _clock(list(clocks))),
    ]
    return [f"{name:<12} {text}" for name, text in rows if text]


def losses(counters: dict[str, Any]) -> str:
    """What was lost, declared dropped or refused, in words; "none" when nothing was."""
    parts = [
        _count(counters["lost_samples"], "sample lost", "samples lost"),
        _count(counters["board_drops"], "dropped by the board", "dropped by the board"),
        _count(counters["gaps"], "gap", "gaps"),
        _count(counters["bad_lines"], "bad line", "bad lines"),
        _count(counters["stale"], "stale line", "stale lines"),
        _count(counters["reboots"], "reboot", "reboots"),
        _count(counters["reconnects"], "reconnect", "reconnects"),
        _count(counters["host_drops"], "item the disk was too slow for", "items dropped here"),
    ]
    text = ", ".join(part for part in parts if part)
    bad = ", ".join(f"{describe_bad_line(why)} {n}" for why, n in counters["bad"].items())
    return (text or "none") + (f" ({bad})" if bad else "")


def duration(seconds: float) -> str:
    """A length of time for people: 9.5 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest_s:02d} s" if rest_s else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _samples(summary: Summary, counters: dict[str, Any]) -> str:
    text = f"{summary.samples} in {duration(summary.watched_s + summary.gap_s)}"
    if summary.samples > summary.valid_samples:
        text += f", {summary.samples - summary.valid_samples} without a valid temperature"
    if counters["events"]:
        text += f", {_count(counters['events'], 'event', 'events')}"
    return text


def temperature(summary: Summary) -> str:
    """The lowest, the mean and the highest one, in words."""
    if summary.min_c is None or summary.mean_c is None or summary.max_c is None:
        return "no valid reading"
    return f"min {summary.min_c:.2f}, mean {summary.mean_c:.2f}, max {summary.max_c:.2f} °C"


def _setpoint(summary: Summary) -> str:
    if summary.on_c is None or summary.off_c is None:
        return "not stated by the board in this run"
    text = f"fan on at {summary.on_c:.2f} °C, off at {summary.off_c:.2f} °C"
    if summary.above_s is not None:
        text += f"; {duration(summary.above_s)} at or above {summary.on_c:.2f} °C"
    return text


def _fan(summary: Summary) -> str:
    if summary.fan_duty is None:
        return ""
    return f"on {100 * summary.fan_duty:.1f} % of the time, {switches(summary.fan_switches)}"


def _clock(clocks: list[dict[str, Any]]) -> str:
    if not clocks:
        return ""
    worst = max(clocks, key=lambda clock: float(clock["error_s"]))
    if any(clock.get("apart") for clock in clocks):
        return "the board's and this machine's went apart, as when a machine sleeps"
    text = f"board's time is known to within {1000 * worst['error_s']:.1f} ms"
    drift_ppm = float(worst["drift_ppm"])
    if abs(drift_ppm) > NO_CRYSTAL_PPM:
        text += f", at {1 + drift_ppm / 1e6:.3g} times the speed of this machine's"
    elif drift_ppm:
        text += f", its clock {abs(drift_ppm):.0f} ppm {'fast' if drift_ppm > 0 else 'slow'}"
    return text


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}" if n else ""
