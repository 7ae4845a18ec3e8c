"""The runs of a folder as a table for a terminal: what they were, and their few figures."""

from __future__ import annotations

from collections.abc import Sequence

from thermoflop.base.paper import columns
from thermoflop.base.units import table, wrapped
from thermoflop.report.html.tables import DASH, row_figures
from thermoflop.report.messages import visible
from thermoflop.report.summary import duration
from thermoflop.report.words import meaning
from thermoflop.runs.analysis.data import simulated, simulated_sources
from thermoflop.runs.analysis.row import RunRow, model_of
from thermoflop.runs.analysis.settings import local_time
from thermoflop.runs.command import command_text
from thermoflop.runs.folder.index import STATE_WORDS, Entry

_HEAD = ("run", "model", "decode/s", "all tokens/s", "peak °C", "J/token", "throttled", "ended",
         "took", "started", "label", "note", "command")  # fmt: skip
# what a narrow page goes without, in this order; the folder's name says when it started
_LEAST = ("command", "started", "label", "note", "took", "J/token", "model", "ended", "throttled",
          "all tokens/s")  # fmt: skip
_MEANT = {
    "decode/s": meaning("decode/s"),
    "all tokens/s": meaning("all tokens/s"),
    "J/token": "J/token: of the same tokens",
}
_MOST_LETTERS = 40


def lines(runs: Sequence[tuple[Entry, RunRow, str]]) -> str:
    """A table of runs, each with its figures and its note; "" of none."""
    if not runs:
        return ""
    cells = [_cells(*each) for each in runs]
    said = [n for n in range(len(_HEAD)) if any(row[n] not in ("", DASH) for row in cells)]
    rows = [[row[n] for n in said] for row in (_HEAD, *cells)]
    text = table(rows, left=len(_HEAD), least=_LEAST)
    head = text.partition("\n")[0]  # of a narrow page without some of the columns
    counted = any(row.tokens_per_s is not None for _, row, _ in runs)
    meant = "; ".join(said for name, said in _MEANT.items() if name in head)
    return f"{text}\n\n{wrapped(meant)}" if counted else text


def _cells(entry: Entry, row: RunRow, note: str) -> list[str]:
    typed = command_text(entry.run.get("command"))
    labels = " ".join(f"{key}={value}" for key, value in entry.labels.items())
    decode, all_tokens, peak, energy, throttled = row_figures(row)
    peak += " (sim)" if row.peak_c and simulated(entry.run) else ""
    energy += " (sim)" if row.joules_per_token and "GPU" in simulated_sources(entry.run) else ""
    length = DASH if entry.duration_s is None else duration(entry.duration_s)
    texts = [model_of(entry.run), decode, all_tokens, peak, energy, throttled,
             STATE_WORDS.get(entry.state, entry.state),
             length, local_time(entry.run), labels, note, typed]  # fmt: skip
    return [visible(entry.folder.name), *(visible(_cut(text)) for text in texts)]


def _cut(text: str) -> str:
    """One line, and on a terminal not much of it; a program that reads it gets the whole."""
    line = " ".join(text.split())
    if columns() is None or len(line) <= _MOST_LETTERS:
        return line
    return line[: _MOST_LETTERS - 1] + "…"
