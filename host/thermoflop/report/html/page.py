"""The page of one or more runs: one HTML file that needs nothing else and opens offline.

Its style and script are in it, and its policy forbids it to load anything. What a run brought along
(names, board strings, log lines) is data: escaped in the text, and in the charts put in as text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thermoflop.base.files import open_plain, write_text
from thermoflop.base.plain import inside, mapping, mappings
from thermoflop.report.html import tables
from thermoflop.report.html.predicted import predictions
from thermoflop.report.html.sentences import sentences
from thermoflop.report.html.series import run_series
from thermoflop.report.html.side_by_side import SideBySide, chart
from thermoflop.report.html.tables import escaped
from thermoflop.runs.command import command_text

if TYPE_CHECKING:
    from thermoflop.runs.analysis.figures import Analysis

REPORT = "report.html"
COMPARISON = "compare.html"  # of its own name: a comparison takes no run's page away
LOG_TAIL_BYTES = 8192
NOTES_SHOWN = 2  # more would push the curves off the first screen
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_report(folders: Sequence[Path], path: Path | None = None) -> Path:
    """Write the page of these runs, by default into the first one's folder.

    Of one run it is ``report.html`` there, of several ``compare.html``.
    """
    from thermoflop.runs.analysis.analyze import analyze
    from thermoflop.runs.analysis.row import keep

    analyses = [analyze(folder) for folder in folders]
    for analysis in analyses:
        keep(analysis)
    name = REPORT if len(folders) == 1 else COMPARISON
    target = path if path is not None else folders[0] / name
    write_text(str(target), page(analyses))
    return target


def page(runs: Sequence[Analysis], links: Sequence[str] | None = None) -> str:
    """The HTML text of the page of these runs.

    Of several, ``links`` lead to the page of each ("" to none); None puts those pages into this.
    """
    title = runs[0].data.name
    series: list[dict[str, Any]] = []
    body = [f"<h1>{escaped(title)}</h1>"]
    if len(runs) > 1:
        compared = SideBySide(runs)
        title, series = compared.title, compared.series()
        body = [f"<h1>{escaped(title)}</h1>", compared.html(links)]
    for number, analysis in enumerate(runs if links is None or len(runs) == 1 else ()):
        section = "\n".join(_section(analysis, len(series)))
        series.append(run_series(analysis))
        if len(runs) > 1:
            name = escaped(compared.names[number])
            section = f"<details><summary>All of {name}</summary>{section}</details>"
        body.append(section)
    body.append(f"<footer>{_footer()}</footer>")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{escaped(title)}</title>",
            f"<style>{_asset('page.css')}</style></head><body><main>",
            *body,
            "</main>",
            f'<script type="application/json" id="series">{_island(series)}</script>',
            f"<script>{_asset('page.js')}</script></body></html>",
            "",
        ]
    )


def _section(analysis: Analysis, number: int) -> list[str]:
    from thermoflop.runs.analysis.data import simulated

    run = analysis.data.run
    parts = [f'<p class="soft">{escaped(_what(run))}</p>', '<div class="said">']
    parts += [f"<p><b>{begins}</b> {escaped(rest)}</p>" for begins, rest in sentences(analysis)]
    parts += ["</div>", _notes(analysis.warnings)]
    said = f" ({simulated(run)} simulated)" if simulated(run) else ""
    parts += [chart(number), tables.figures(analysis)]
    for title, text in (
        ("Predicted and measured", predictions(analysis)),
        ("Phases", tables.windows(analysis.phases, phases=True)),
        ("Trials", tables.windows(analysis.trials, phases=False)),
        ("Heat", tables.heat(analysis.heat)),
        ("Throttling", tables.throttling(analysis)),
        ("Throughput and temperature", tables.effects(analysis)),
    ):
        parts.append(f"<h3>{title}{said}</h3>{text}" if text else "")
    return [*parts, f"<h3>Where this comes from</h3>{_provenance(analysis)}", _raw(analysis)]


def _notes(warnings: list[str]) -> str:
    """What is to be known of the figures; of many, all but the first behind a click."""
    notes = [f'<p class="warn">{escaped(text)}</p>' for text in warnings]
    if len(notes) <= NOTES_SHOWN:
        return "".join(notes)
    more = f"<summary>{len(notes) - 1} more notes</summary>{''.join(notes[1:])}"
    return f'{notes[0]}<details class="notes">{more}</details>'


def _what(run: dict[str, Any]) -> str:
    facts = []
    if run.get("command"):
        facts.append(command_text(run["command"]))
    if run.get("against"):
        facts.append(f"against {command_text(run['against'])}")
    if utc := inside(run, "started", "utc"):
        facts.append(str(utc).replace("T", " ").replace("Z", " UTC"))
    facts += [f"{key}={value}" for key, value in mapping(run, "labels").items()]
    return "  ·  ".join(facts)


def _provenance(analysis: Analysis) -> str:
    run = analysis.data.run
    host = mapping(run, "host")
    rows: list[tuple[str, Any]] = [
        ("run folder", analysis.data.folder.name),
        ("machine", _join(host, "node", "system", "release", "machine")),
        ("processors", host.get("cpus")),
        ("Python, thermoflop", _join(host, "python", "thermoflop")),
        ("git revision", _git(mapping(run, "git"))),
    ]
    gpu = mapping(run, "gpu")
    for device in mappings(gpu, "devices"):
        rows.append((f"GPU {device.get('index')}", device.get("name")))
        rows += [(f"GPU has no {k}", why) for k, why in mapping(device, "missing").items()]
    rows += [("GPU driver", gpu.get("driver")), ("GPU readings a second", gpu.get("rate_hz"))]
    rows += [(f"no {source}", why) for source, why in mapping(run, "absent").items()]
    for facts in mappings(run, "boards") if isinstance(run.get("boards"), list) else [run]:
        if hello := mapping(facts, "board", "hello"):
            name = facts["name"] if "boards" in run and "name" in facts else "board"
            rows.append((name, _join(hello, "board", "uid", "fw")))
    for board in analysis.data.boards.values():
        if board.clock_error_s is not None:
            error = f"at most {1000 * board.clock_error_s:.1f} ms"
            error += f", drift {board.drift_ppm or 0:+.0f} ppm"
            rows.append((f"error of the {board.name}'s clock against the host's", error))
    counts = analysis.data.counts
    rows.append(("records read", f"{counts.records}, foreign {counts.foreign}, torn {counts.torn}"))
    kept = [(name, str(value)) for name, value in rows if value not in (None, "")]
    return tables.table(["what", "value"], kept, facts=True)


def _raw(analysis: Analysis) -> str:
    facts = json.dumps(analysis.data.run, indent=1, ensure_ascii=False, default=str)
    parts = [f"<details><summary>run.json</summary><pre>{escaped(facts)}</pre></details>"]
    tail = _log_tail(analysis.data.folder)
    if tail:
        parts.append(
            f"<details><summary>The end of the command's output</summary><pre>{escaped(tail)}</pre>"
            "</details>"
        )
    return "".join(parts)


def _log_tail(folder: Path) -> str:
    try:
        with os.fdopen(open_plain(str(folder / "child.log")), "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _join(data: dict[str, Any], *names: str) -> str:
    return " ".join(str(data[name]) for name in names if data.get(name) is not None)


def _git(git: dict[str, Any]) -> str | None:
    if not git.get("revision"):
        return None
    return f"{str(git['revision'])[:12]}{', with changes' if git.get('changed') else ''}"


def _footer() -> str:
    from thermoflop import __version__

    return (
        f"Made by thermoflop {__version__} from the run folder alone; this file loads nothing. "
        "Curves keep the lowest and highest value of each stretch. Intervals are 95 % unless said."
    )


def _island(series: list[dict[str, Any]]) -> str:
    """The charts' data inside of a script element, which nothing in it can close."""
    data = json.dumps(series, separators=(",", ":"))
    return data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return files("thermoflop.report").joinpath("assets", name).read_text(encoding="utf-8")
