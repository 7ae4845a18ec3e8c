"""A run as Markdown, to be pasted into an issue or a chat: the sentences, and the tables behind.

What a run brought along (names, labels, commands) is text there: it makes no link, no mention, no
heading and no HTML.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from thermoflop.base.plain import inside
from thermoflop.report.html.predicted import text_rows
from thermoflop.report.html.sentences import sentences
from thermoflop.report.html.tables import DASH, hottest, number, quantity, seconds, window_name
from thermoflop.report.messages import visible
from thermoflop.runs.command import command_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.runs.analysis.figures import Analysis, WindowFigures

MOST_ROWS = 12  # of a table, and notes: it is a summary
_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&$!{}]|(?<=www)\.|:(?=//)", re.IGNORECASE)


def markdown(analysis: Analysis) -> str:
    """The summary of a run.

    Args:
        analysis: A run, analysed.

    Returns:
        CommonMark with GitHub's tables, ending in a newline.
    """
    run = analysis.data.run
    utc = inside(run, "started", "utc")
    parts = [f"### {plain(analysis.data.name)}", ""]
    if command := command_text(run.get("command")):
        when = f", {plain(str(utc))}" if utc else ""
        parts += [f"{plain(command)}{when}", ""]
    parts += [f"- **{begins}** {plain(rest)}" for begins, rest in sentences(analysis)]
    head, *predicted = text_rows(analysis)
    parts += _table(head, predicted)
    parts += _table(*_windows(analysis))
    notes = [f"- {plain(text)}" for text in analysis.warnings[:MOST_ROWS]]
    left = len(analysis.warnings) - len(notes)
    notes += [f"- and {left} more notes in the report"] if left > 0 else []
    return "\n".join([*parts, *([""] if notes else []), *notes]) + "\n"


def plain(text: str) -> str:
    """A text that Markdown shows as it is: one line of it, nothing in it obeyed."""
    shown = _SPECIAL.sub(lambda found: "\\" + found[0], visible(" ".join(text.split())))
    return shown.replace("@", "@\u2060")  # a word joiner: nobody is called by GitHub


def _windows(analysis: Analysis) -> tuple[list[str], list[list[str]]]:
    """Phases, or trials where there are none; energy of the command's own GPUs."""
    rows = (analysis.phases or analysis.trials)[:MOST_ROWS]
    of_phases = bool(analysis.phases)
    repeated = len({row.window.trial for row in rows}) > 1
    head = [
        "phase" if of_phases else "trial",
        "time",
        "tokens/s" if of_phases else "all tokens/s",
        "energy",
        "J/token" if of_phases else "J/token of all",
        "GPU max °C",
    ]
    gpu = analysis.data.label("GPU")
    return head, [_window(row, of_phases, repeated, gpu) for row in rows]


def _window(row: WindowFigures, phase: bool, repeated: bool, gpu: str) -> list[str]:
    energy = quantity(row.joules, "J")
    return [
        window_name(row, phase=phase, repeated=repeated),
        seconds(row.duration_s),
        number(row.tokens_per_s),
        energy if energy == DASH else energy + gpu,
        number(row.joules_per_token),
        hottest(row),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    lines = ["", f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    return lines + [f"| {' | '.join(map(plain, row))} |" for row in rows]
