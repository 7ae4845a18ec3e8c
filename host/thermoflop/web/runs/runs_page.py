"""The page of recorded runs: search, sort, open, compare, note, delete, and their trend."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from nicegui import Client, ui

from thermoflop.errors import InputError, ThermoflopError, printable
from thermoflop.report.words import meaning
from thermoflop.runs.analysis.row import RunRow, kept_row, model_of, row_of
from thermoflop.runs.analysis.side_by_side import MAX_RUNS
from thermoflop.runs.folder import index as run_index
from thermoflop.runs.folder.index import Entry
from thermoflop.runs.folder.notes import MAX_LETTERS, read_note, write_note
from thermoflop.web.frame import frame
from thermoflop.web.parts import button, heading
from thermoflop.web.runs.reports import find_run, sendable
from thermoflop.web.runs.run_row import RunView, command_line, state_words
from thermoflop.web.runs.trend_view import TrendView

_TURNS = asyncio.Semaphore(1)  # one analysis at a time, however many look
_TELL_S = 1.0
SHOWN = 30  # at first, and more with each press of the button
# what a column is called, its class, and what the runs are sorted by
_COLUMNS: tuple[tuple[str, str, Callable[[Entry, RunRow], Any] | None], ...] = (
    ("", "box", None),
    ("name", "what", lambda entry, _: sendable(entry.folder.name.partition("-")[2])),
    ("model", "model", lambda entry, _: model_of(entry.run)),
    ("decode/s", "num", lambda _, row: row.decode_tokens_per_s),
    ("all tokens/s", "num", lambda _, row: row.tokens_per_s),
    ("peak °C", "num", lambda _, row: row.peak_c),
    ("J/token", "num", lambda _, row: row.joules_per_token),
    ("throttled", "num", lambda _, row: row.throttled),
    ("started", "when", lambda entry, _: entry.started),
    ("took", "num", lambda entry, _: entry.duration_s),
    ("ended", "state", lambda entry, _: entry.state),
    ("", "actions", None),
)
_NEWEST_FIRST = ("started", True)


async def runs_page(runs: Path) -> None:
    """Build the page at ``/runs``."""
    with frame("Runs", active="/runs"):
        page = _RunsPage(runs)
        page.build()
        await page.look()


class _RunsPage:
    """The list of runs of one viewer."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._entries: list[Entry] = []
        self._chosen: set[str] = set()
        self._limit = SHOWN
        self._views: dict[str, RunView] = {}
        self._rows_of: dict[str, RunRow] = {}
        self._notes: dict[str, str] = {}
        self._sorted = _NEWEST_FIRST
        self._reading: asyncio.Task[None] | None = None
        self._question: ui.dialog | None = None
        self._heads: dict[str, tuple[ui.element, ui.button]] = {}

    def build(self) -> None:
        with ui.element("div").classes("fields runs-bar"):
            self._filter = ui.input("Filter", on_change=self._show).props(
                'outlined dense clearable debounce=200 placeholder="name, label, command, state"'
            )
            self._filter.classes("wide")
            self._compare = button("Compare", self._open_compared)
            button("Look again", self.look, "flat")
            ui.link("Trend", "#trend").classes("tap")
        self._status = ui.label("").classes("status-line soft").props("role=status")
        self._table = ui.element("div").classes("runs-table")
        with self._table, ui.element("table").classes("runs"):
            with ui.element("thead"), ui.element("tr"):
                for name, kind, key in _COLUMNS:
                    with ui.element("th").classes(kind) as head:
                        if key is not None:
                            self._head(head, name)
            self._body = ui.element("tbody")
        self._more = button("Show more", self._show_more)
        self._trend = TrendView()

    async def look(self) -> None:
        """Read the folder again."""
        try:
            read = await asyncio.to_thread(_read, self._runs)
        except InputError:
            read = [], {}, {}
        self._entries, self._notes, self._rows_of = read
        self._chosen &= {entry.folder.name for entry in self._entries}
        self._show()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_figures())

    async def _read_figures(self) -> None:
        """Fill in the figures, which each cost an analysis where they were not kept."""
        told_s = time.monotonic()
        missing = [each for each in self._entries if each.folder.name not in self._rows_of]
        for n, entry in enumerate(missing):
            if self._table.client.id not in Client.instances:  # nobody looks any more
                return
            async with _TURNS:
                row = await asyncio.to_thread(row_of, entry.folder)
            self._rows_of[entry.folder.name] = row
            if view := self._views.get(entry.folder.name):
                view.show(entry, row, self._notes.get(entry.folder.name, ""))
            if time.monotonic() - told_s > _TELL_S:
                told_s = time.monotonic()
                self._status.set_text(f"reading figures: {n + 1} of {len(missing)} runs")
        if missing and self._table.client.id in Client.instances:
            self._show()

    def _show(self) -> None:
        terms = (self._filter.value or "").lower().split()
        matching = [
            entry
            for entry in self._entries
            if all(term in _text(entry, self._notes) for term in terms)
        ]
        matching = self._in_order(matching)
        self._show_rows(matching[: self._limit])
        self._table.set_visibility(bool(matching))
        self._mark_sorted()
        self._trend.show([(each, self._row_of(each)) for each in matching])
        self._more.set_visibility(len(matching) > self._limit)
        if not self._entries:
            text = (
                f"Nothing has been recorded in {printable(str(self._runs))} yet: start a recording "
                "on the page Live, or run thermoflop record -- COMMAND."
            )
        elif not matching:
            text = f"0 of {len(self._entries)} runs: none has that in name, model, label or note"
        else:
            text = f"{len(matching)} of {len(self._entries)} runs"
        self._status.set_text(text)
        self._chosen_changed()

    def _head(self, head: ui.element, name: str) -> None:
        """A column's name, which sorts by it; once more the other way round."""
        sorts = button(name, lambda: self._sort_by(name), "flat dense color=inherit")
        sorts.classes("sort")
        if text := meaning(name):
            sorts.props["title"] = text
        self._heads[name] = head, sorts

    def _mark_sorted(self) -> None:
        by, falls = self._sorted
        for name, (head, sorts) in self._heads.items():
            sorts.set_text(name + ("" if by != name else " ▾" if falls else " ▴"))
            if by == name:
                head.props(f"aria-sort={'descending' if falls else 'ascending'}")
            else:
                head.props(remove="aria-sort")

    def _sort_by(self, name: str) -> None:
        by, falls = self._sorted
        self._sorted = (name, not falls if by == name else name not in ("name", "model", "ended"))
        self._show()

    def _in_order(self, entries: list[Entry]) -> list[Entry]:
        """Sorted as chosen; runs without the figure come last, whichever way."""
        name, falls = self._sorted
        key = next(key for head, _, key in _COLUMNS if head == name and key is not None)
        keyed = [(key(each, self._row_of(each)), each) for each in entries]
        known = [pair for pair in keyed if pair[0] not in (None, "")]
        known.sort(key=lambda pair: pair[0], reverse=falls)
        return [each for _, each in known] + [e for value, e in keyed if value in (None, "")]

    def _row_of(self, entry: Entry) -> RunRow:
        return self._rows_of.get(entry.folder.name, RunRow())

    def _show_rows(self, shown: list[Entry]) -> None:
        """Show these runs, in this order, each in the row that it has where it has one."""
        views = {}
        for entry in shown:
            name = entry.folder.name
            view = self._views.pop(name, None)
            if view is None:
                with self._body:
                    chosen = name in self._chosen
                    view = RunView(
                        name, chosen, self._choose, self._ask_for_note, self._ask_to_delete
                    )
            views[name] = view
            view.show(entry, self._rows_of.get(name), self._notes.get(name, ""))
        for view in self._views.values():
            view.element.delete()
        self._views = views
        ordered = [view.element for view in views.values()]
        if self._body.default_slot.children != ordered:
            self._body.default_slot.children[:] = ordered
            self._body.update()

    def _asks(self) -> bool:
        """Whether a question is open: the second press of a double click asks no other."""
        return self._question is not None and not self._question.is_deleted

    def _ask_for_note(self, name: str) -> None:
        if self._asks():
            return
        with ui.dialog(value=True) as dialog, ui.card().classes("note-card"):
            heading("Note on this run")
            ui.label(printable(name)).classes("soft")
            area = ui.textarea(value=self._notes.get(name, ""))
            area.props(f'outlined autofocus autogrow maxlength={MAX_LETTERS} aria-label="Note"')
            problem = ui.label("").classes("hot").props("role=status")

            async def keep() -> None:
                try:
                    folder = find_run(self._runs, name)
                    note = await asyncio.to_thread(write_note, folder, str(area.value or ""))
                except ThermoflopError as error:
                    problem.set_text(printable(str(error)))
                    return
                self._notes[name] = note
                dialog.close()
                self._show()

            with ui.element("div").classes("row-wrap"):
                button("Keep the note", keep, "")
                button("Cancel", dialog.close)
        dialog.on("hide", dialog.delete)
        self._question = dialog

    def _choose(self, name: str, chosen: bool) -> None:
        (self._chosen.add if chosen else self._chosen.discard)(name)
        self._chosen_changed()

    def _chosen_changed(self) -> None:
        n = len(self._chosen)
        self._compare.text = f"Compare {n} runs" if n else "Compare"
        self._compare.set_enabled(2 <= n <= MAX_RUNS)

    def _open_compared(self) -> None:
        query = urlencode([("run", os.fsencode(name)) for name in sorted(self._chosen)])
        ui.navigate.to(f"/runs/compare?{query}", new_tab=True)

    def _show_more(self) -> None:
        self._limit += SHOWN
        self._show()

    def _ask_to_delete(self, name: str) -> None:
        if self._asks():
            return
        with ui.dialog(value=True) as dialog, ui.card():
            heading("Delete this run for good?")
            ui.label(printable(name))
            with ui.element("div").classes("row-wrap"):

                async def delete() -> None:
                    dialog.close()
                    await self._delete(name)

                button("Delete for good", delete, "color=negative")
                button("Keep it", dialog.close, "outline autofocus")
        dialog.on("hide", dialog.delete)
        self._question = dialog

    async def _delete(self, name: str) -> None:
        try:
            await asyncio.to_thread(
                lambda: run_index.delete(find_run(self._runs, name), self._runs)
            )
        except ThermoflopError as error:
            self._status.set_text(str(error))
            return
        await self.look()


def _read(runs: Path) -> tuple[list[Entry], dict[str, str], dict[str, RunRow]]:
    """The runs, the newest first, the notes on them, and the figures that were kept."""
    entries = run_index.entries(runs)
    entries.sort(key=lambda entry: (entry.started, entry.folder.name), reverse=True)
    notes = {each.folder.name: read_note(each.folder) for each in entries}
    kept = {each.folder.name: kept_row(each.folder) for each in entries}
    return entries, notes, {name: row for name, row in kept.items() if row is not None}


def _text(entry: Entry, notes: Mapping[str, str]) -> str:
    """The text that the filter searches."""
    state = state_words(entry.state)
    name = entry.folder.name
    return (
        f"{name} {command_line(entry)} {model_of(entry.run)} {state} {notes.get(name, '')}".lower()
    )
