"""Several runs on one page: the answer in words, a table of differences, curves over each other.

Each phase that all runs have is a section of its own; with JavaScript one is shown, and the address
says which (``#phase=decode``), so that what is seen can be sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from thermoflop.base.plain import mapping
from thermoflop.report.html.series import thin
from thermoflop.report.html.tables import escaped, table
from thermoflop.report.verdict import (
    NOISE,
    ONE_IN_TWENTY,
    REAL,
    UNKNOWN,
    describe,
    figure,
    judge,
    sentences,
)
from thermoflop.runs.analysis.data import simulated
from thermoflop.runs.analysis.settings import differing, distinct_names, local_time
from thermoflop.runs.analysis.side_by_side import (
    PhaseComparison,
    by_trial,
    compare_phase,
    extent,
    how,
    phases_of_all,
    windows_of,
)
from thermoflop.runs.analysis.stretch import Stretch

if TYPE_CHECKING:
    from thermoflop.runs.analysis.difference import Difference
    from thermoflop.runs.analysis.figures import Analysis
    from thermoflop.runs.analysis.side_by_side import Row

MAX_PHASES = 12  # the longest; a benchmark of operators has hundreds
MOST_IN_LINE = 3  # runs whose values, pictures and verdicts stand side by side
MAX_POINTS = 800  # of a curve: eight runs' curves lie over each other, phase by phase
# told apart without colour vision (blue, orange, teal, magenta), and again with dashes
_COLOURS = ("gpu0", "board", "gpu2", "gpu3")
_DASHES = ("", "6 4")
_SIGNS = {REAL: "●", NOISE: "○", UNKNOWN: "?"}
_UNITS_APART = {"°C": "K", "%": "points"}  # of a difference, where they are others


class SideBySide:
    """The parts of a page about several runs."""

    def __init__(self, runs: Sequence[Analysis]) -> None:
        """Compare every phase that all have."""
        facts = [analysis.data.run for analysis in runs]
        self._runs = runs
        self.names = distinct_names(facts, [analysis.data.folder.name for analysis in runs])
        phases = phases_of_all(runs)
        kept = [*phases[:-1][:MAX_PHASES], phases[-1]]
        self._comparisons = [
            compare_phase(runs, phase)
            for phase in kept
            if all(windows_of(analysis, phase) for analysis in runs)
        ]

    @property
    def title(self) -> str:
        """The names; of many runs how many they are."""
        many = len(self.names) > MOST_IN_LINE
        return f"{len(self.names)} runs side by side" if many else " and ".join(self.names)

    def html(self, links: Sequence[str] | None = None) -> str:
        """Who is who, the phases, and in what the runs differ; ``links`` lead to their reports."""
        parts = ['<ul class="runs-named">']
        for number, link in enumerate(links or [""] * len(self._runs)):
            parts.append(f"<li>{self._named(number, link)}</li>")
        parts.append("</ul>")
        if len(self._comparisons) > 1:
            links = "".join(map(_phase_link, self._comparisons))
            parts.append(f'<nav class="phase-choice" aria-label="Phase">Phase: {links}</nav>')
        parts += [self._section(n, each) for n, each in enumerate(self._comparisons)]
        if not self._comparisons:
            parts.append("<p>These runs have nothing in common that could be compared.</p>")
        parts.append(f"<h2>In what they differ</h2>{self._settings()}{self._warnings()}")
        return "".join(parts)

    def series(self) -> list[dict[str, Any]]:
        """The curves of each phase, from its start."""
        return [self._curves(each) for each in self._comparisons]

    def _named(self, number: int, link: str) -> str:
        analysis = self._runs[number]
        name = f"<b>{escaped(self.names[number])}</b>"
        if link:
            name = f'<a href="{escaped(link)}">{name}</a>'
        facts = [local_time(analysis.data.run)]
        facts += [f"{k}={v}" for k, v in mapping(analysis.data.run, "labels").items()]
        facts += [f"{said} simulated" if (said := simulated(analysis.data.run)) else ""]
        about = "  ·  ".join(escaped(fact) for fact in facts if fact)
        return f'{self._swatch(number)}{name} <span class="soft">{about}</span>'

    @staticmethod
    def _swatch(number: int) -> str:
        kind = "dashed" if number >= len(_COLOURS) else "solid"
        return f'<i class="swatch {kind}" style="color:var(--{_COLOURS[number % 4]})"></i>'

    def _section(self, number: int, comparison: PhaseComparison) -> str:
        of = extent(comparison)
        said = "".join(f"<p>{escaped(text)}</p>" for text in sentences(comparison, self.names))
        return (
            '<section class="phase">'
            f"<h2>{escaped(comparison.phase)}</h2>"
            f'<div class="verdict">{said}</div>'
            f'<p class="soft">{escaped(of[0].upper() + of[1:])}.</p>{self._table(comparison)}'
            f'<p class="soft">{escaped(how(comparison))} {ONE_IN_TWENTY}</p>'
            f"{chart(number)}</section>"
        )

    def _table(self, comparison: PhaseComparison) -> str:
        heads = "".join(map(self._head, range(len(self.names))))
        rows = "".join(
            f'<tr><th scope="row">{escaped(row.name)}</th>{self._cells(row)}</tr>'
            for row in comparison.rows
        )
        many = " many" if len(self.names) > MOST_IN_LINE else ""
        return (
            '<div class="wide" tabindex="0" role="region" aria-label="Differences">'
            f'<table class="cards compared{many}"><thead><tr><td></td>{heads}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )

    def _head(self, number: int) -> str:
        """A run's name over its values; where there is room, what stands beside them, too."""
        name = f"<b>{self._swatch(number)}{escaped(self.names[number])}</b>"
        if number and len(self.names) <= MOST_IN_LINE:
            name += "<small>difference to the first</small><small>is it noise?</small>"
        return f'<th scope="col"><div>{name}</div></th>'

    def _cells(self, row: Row) -> str:
        known = [each for each in row.differences if each is not None]
        reach = max((abs(d.value) + (d.error or 0.0) for d in known), default=0.0)
        least = min((d.error for d in known if d.error), default=None)
        cells = []
        for name, value, apart in zip(self.names, row.values, row.differences, strict=True):
            text = f"<b>{escaped(figure(value, least, row.unit))}</b>"
            if apart is not None:
                verdict = judge(apart)
                why = f' title="{escaped(apart.why)}"' if apart.why else ""
                size = f"{describe(apart)} {_UNITS_APART.get(row.unit, row.unit)}"
                text += (
                    f"<small>{_bar(apart, reach)} {escaped(size)}</small>"
                    f'<small class="{verdict.split()[0]}"{why}>{_SIGNS[verdict]} {verdict}</small>'
                )
            cells.append(f'<td data-label="{escaped(name)}"><div>{text}</div></td>')
        return "".join(cells)

    def _settings(self) -> str:
        rows = differing([analysis.data.run for analysis in self._runs])
        if not rows:
            return "<p>No setting or version that was recorded differs.</p>"
        text = table(["setting", *self.names], [[name, *values] for name, values in rows])
        return f'<div class="wide" tabindex="0" role="region" aria-label="Settings">{text}</div>'

    def _warnings(self) -> str:
        """What each run warns of; what all warn of stands once."""
        of: dict[str, list[str]] = {}
        for name, analysis in zip(self.names, self._runs, strict=True):
            for text in analysis.warnings:
                of.setdefault(text, []).append(name)
        return "".join(
            f'<p class="warn">{escaped(", ".join(names))}: {escaped(text)}</p>'
            for text, names in (
                (t, n if len(n) < len(self.names) else ["all"]) for t, n in of.items()
            )
        )

    def _curves(self, comparison: PhaseComparison) -> dict[str, Any]:
        # over phases of their own a rate jumps between reading and writing, and shows neither
        mixed = comparison is self._comparisons[-1] and len(self._comparisons) > 2
        panels = [
            {"title": title, "unit": unit, "levels": [], "curves": curves}
            for title, unit, source in _PANELS
            if not (mixed and source == "tokens_per_s")
            and len(curves := self._of(comparison, source)) > 0
        ]
        longest = max(
            sum(w.end_s - w.start_s for w in trial)
            for analysis in self._runs
            for trial in by_trial(windows_of(analysis, comparison.phase))
        )
        empty: dict[str, Any] = {
            name: [] for name in ("phases", "trials", "throttle", "fan", "marks")
        }
        return {"name": comparison.phase, "start": 0, "end": longest, "panels": panels, **empty}

    def _of(self, comparison: PhaseComparison, source: str) -> list[dict[str, Any]]:
        curves = []
        for number, analysis in enumerate(self._runs):
            points: list[list[float | None]] = []
            trials = by_trial(windows_of(analysis, comparison.phase))
            for windows in trials:
                length_s = sum(w.end_s - w.start_s for w in windows)
                columns = Stretch(analysis, windows, length_s, 1).curve(source)
                most = max(2, MAX_POINTS // len(trials))
                some = [] if columns is None else thin(*columns, most=most)
                points += [[some[0][0], None], *some] if points and some else some
            if points:
                colour, dash = _COLOURS[number % 4], _DASHES[number // 4]
                curves.append(
                    {"name": self.names[number], "color": colour, "dash": dash, "points": points}
                )
        return curves


_PANELS = (
    ("GPU temperature", "°C", "gpu_c"),
    ("Board temperature", "°C", "board_c"),
    ("Throughput", "tokens/s", "tokens_per_s"),
    ("GPU power", "W", "power_w"),
    ("GPU clock", "MHz", "clock_mhz"),
)


def _phase_link(comparison: PhaseComparison) -> str:
    name = comparison.phase
    return f'<a href="#phase={quote(name, safe="")}" data-phase>{escaped(name)}</a>'


def _bar(apart: Difference, reach: float) -> str:
    """The interval beside zero, as a picture of a few pixels; the text beside it says the same."""
    if not reach:
        return ""
    middle, scale = 45.0, 41.0 / reach
    at = middle + scale * apart.value
    half = scale * (apart.error or 0.0)
    kind = judge(apart).split()[0]
    return (
        '<svg class="bar" viewBox="0 0 90 14" width="90" height="14" aria-hidden="true">'
        f'<path d="M{middle} 0V14" class="zero"/>'
        f'<path d="M{at - half:.1f} 7H{at + half:.1f}" class="span {kind}"/>'
        f'<circle cx="{at:.1f}" cy="7" r="3.5" class="{kind}"/></svg>'
    )


def chart(number: int) -> str:
    """Where the script draws the curves of one set, with its tools."""
    buttons = "".join(
        f'<button type="button" data-do="{do}" aria-label="{label}">{sign}</button>'
        for do, label, sign in (
            ("in", "zoom in", "Zoom in"),
            ("out", "zoom out", "Zoom out"),
            ("left", "earlier", "←"),
            ("right", "later", "→"),
            ("all", "show all", "All"),
        )
    )
    return (
        f'<div class="chart" id="chart{number}"><div class="tools">{buttons}'
        "<span>Point at a curve to read it off, drag over a stretch to see it alone; double click "
        'shows all.</span></div><div class="body">'
        "<noscript>The curves need JavaScript; the tables do not.</noscript></div>"
        '<p class="reading" aria-live="off" hidden></p></div>'
    )
