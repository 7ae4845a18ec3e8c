"""A run's row in the list: made once, and filled in as its figures, note and state are known.

A row that is made anew loses a click that is under way, and the keyboard's place; so the list keeps
each row as long as it shows the run.
"""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from thermoflop.errors import printable
from thermoflop.report.html.tables import DASH, row_figures
from thermoflop.report.summary import duration
from thermoflop.runs.analysis.data import simulated
from thermoflop.runs.analysis.row import RunRow, model_of
from thermoflop.runs.command import command_text
from thermoflop.runs.folder.index import STATE_WORDS, WELL, Entry
from thermoflop.runs.folder.store import is_being_written
from thermoflop.web.parts import button
from thermoflop.web.runs.reports import address, sendable

_FIGURES = ("decode/s", "all tokens/s", "peak °C", "J/token", "throttled")
_CELLS = {"model": "model", **dict.fromkeys(_FIGURES, "num"), "started": "when", "took": "num"}


class RunView:
    """One row; what it shows is set by `show`."""

    def __init__(
        self,
        name: str,
        chosen: bool,
        choose: Callable[[str, bool], None],
        note: Callable[[str], None],
        delete: Callable[[str], None],
    ) -> None:
        """Build it, empty, in the table's body, its box ticked if ``chosen``.

        ``choose`` is told of its box, ``note`` and ``delete`` of their buttons, with the name.
        """
        with ui.element("tr") as self.element:
            with ui.element("td").classes("box"):
                box = ui.checkbox(value=chosen, on_change=lambda event: choose(name, event.value))
                box.props["aria-label"] = f"compare {sendable(name)}"
            with ui.element("td").classes("what"):
                self._name = ui.label().classes("run-name")
                self._command = ui.label().classes("soft command")
                self._folder = ui.label().classes("soft run-folder")
                self._note = ui.label().classes("note")
            self._cells: dict[str, tuple[ui.element, ui.label | None]] = {}
            for head, kind in _CELLS.items():
                with ui.element("td").classes(kind) as cell:
                    cell.props["data-label"] = head
                    if kind == "when":
                        self._when = ui.element("local-time")
                    self._cells[head] = cell, None if kind == "when" else ui.label()
            with ui.element("td").classes("state"):
                self._state = ui.label()
            self._build_actions(name, note, delete)

    def _build_actions(
        self, name: str, note: Callable[[str], None], delete: Callable[[str], None]
    ) -> None:
        plain = sendable(name)
        with ui.element("td").classes("actions"), ui.element("div").classes("row-wrap"):
            link = ui.link("Report", f"/runs/{address(name)}/report", new_tab=True)
            link.classes("tap").props["aria-label"] = f"report of {plain}"
            button("Note", lambda: note(name), "flat").props["aria-label"] = f"note on {plain}"
            self._delete = button("Delete", lambda: delete(name), "flat color=negative")
            self._delete.props["aria-label"] = f"delete {plain}"

    def show(self, entry: Entry, row: RunRow | None, note: str) -> None:
        """Fill it in; what is the same as before costs nothing. No row: it is still read."""
        said = simulated(entry.run)
        folder = printable(entry.folder.name)
        _say(self._name, printable(str(entry.run.get("name") or "")[:60]) or folder)
        _say(self._command, command_line(entry))
        if said:  # in one piece: at the end of the line, or on one of its own
            folder += "  ·  " + f"{printable(said)} simulated".replace(" ", "\u00a0")
        if self._folder.text != folder:
            self._folder.props["title"] = folder
            _say(self._folder, folder)
        _say(self._note, note)
        length = entry.duration_s
        self._fill("model", printable(model_of(entry.run)[:60]) or DASH)
        texts = ("…",) * len(_FIGURES) if row is None else row_figures(row)
        for head, text in zip(_FIGURES, texts, strict=True):
            self._fill(head, text)
        self._fill("took", DASH if length is None else duration(length))
        if self._when.props.get("utc") != (utc := printable(entry.started[:40])):
            self._when.props["utc"] = utc
            self._when.update()
        going_on = is_being_written(entry.folder)
        state = "recording" if going_on else entry.state
        self._state.set_text(state_words(state))
        self._state.classes(_state_class(state), remove="good soft hot")
        self._delete.set_visibility(not going_on)

    def _fill(self, head: str, text: str) -> None:
        cell, label = self._cells[head]
        if label is not None and label.text != text:
            label.set_text(text)
            cell.classes(**{"add" if text == DASH else "remove": "none"})


def command_line(entry: Entry) -> str:
    """The command and the labels, as one line of plain text."""
    line = command_text(entry.run.get("command"))
    labels = "  ".join(f"{key}={value}" for key, value in entry.labels.items())
    return "  ·  ".join(printable(text) for text in (line[:200], labels[:200]) if text)


def state_words(state: str) -> str:
    """How a run ended, in words."""
    return printable(STATE_WORDS.get(state, state))


def _state_class(state: str) -> str:
    if state in WELL:
        return "good"
    return "soft" if state == "recording" else "hot"


def _say(label: ui.label, text: str) -> None:
    label.set_text(text)
    label.set_visibility(bool(text))
