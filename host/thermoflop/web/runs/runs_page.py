"""The page of recorded runs: search, open, compare, delete."""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from thermoflop.errors import InputError, ThermoflopError
from thermoflop.pico.wire import printable
from thermoflop.report.summary import duration
from thermoflop.runs.analysis.side_by_side import MAX_RUNS
from thermoflop.runs.folder import index as run_index
from thermoflop.runs.folder.store import is_being_written
from thermoflop.web.frame import frame
from thermoflop.web.runs.reports import address, find_run, sendable

if TYPE_CHECKING:
    from thermoflop.runs.folder.index import Entry

SHOWN = 50  # at first, and more with each press of the button
_STATES = {"time": "done", "no end": "cut off", "gone": "port went away"}
_COLUMNS = ("", "name", "started (UTC)", "duration", "ended", "")


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

    def build(self) -> None:
        from nicegui import ui

        with ui.element("div").classes("fields"):
            self._filter = ui.input("Filter", on_change=self._show).props(
                'outlined dense clearable debounce=200 placeholder="name, label, command, state"'
            )
            self._filter.classes("wide")
            self._compare = ui.button("Compare", on_click=self._open_compared).props(
                "no-caps outline"
            )
            ui.button("Look again", on_click=self.look).props("no-caps flat")
        self._status = ui.label("").classes("status-line soft").props("role=status")
        self._table = ui.element("div")
        self._more = ui.button("Show more", on_click=self._show_more).props("no-caps outline")

    async def look(self) -> None:
        """Read the folder again."""
        try:
            self._entries = await asyncio.to_thread(_newest_first, self._runs)
        except InputError:
            self._entries = []
        self._chosen &= {entry.folder.name for entry in self._entries}
        self._show()

    def _show(self) -> None:
        terms = (self._filter.value or "").lower().split()
        matching = [entry for entry in self._entries if all(term in _text(entry) for term in terms)]
        self._table.clear()
        with self._table:
            if matching:
                self._rows(matching[: self._limit])
        self._more.set_visibility(len(matching) > self._limit)
        if not self._entries:
            text = f"Nothing has been recorded in {printable(str(self._runs))} yet."
        else:
            text = f"{len(matching)} of {len(self._entries)} runs"
        self._status.set_text(text)
        self._chosen_changed()

    def _rows(self, matching: list[Entry]) -> None:
        from nicegui import ui

        with ui.element("table").classes("runs"):
            with ui.element("thead"), ui.element("tr"):
                for name in _COLUMNS:
                    with ui.element("th"):
                        ui.label(name)
            with ui.element("tbody"):
                for entry in matching:
                    with ui.element("tr"):
                        self._row(entry)

    def _row(self, entry: Entry) -> None:
        from nicegui import ui

        name = entry.folder.name
        plain = sendable(name)
        going_on = is_being_written(entry.folder)
        with ui.element("td"):
            box = ui.checkbox(
                value=name in self._chosen, on_change=lambda e: self._choose(name, e.value)
            )
            box.props["aria-label"] = f"compare {plain}"
        with ui.element("td").classes("what"):
            ui.label(printable(name)).classes("run-name")
            ui.label(_command(entry)).classes("soft command")
        with ui.element("td"):
            ui.label(printable(entry.started.replace("T", " ").rstrip("Z")) or "–")
        with ui.element("td").classes("num"):
            length = entry.duration_s
            ui.label("–" if length is None else duration(length))
        with ui.element("td"):
            state = "recording" if going_on else entry.state
            ui.label(printable(_STATES.get(state, state))).classes(_state_class(state))
        with ui.element("td"), ui.element("div").classes("row-wrap"):
            link = ui.link("Report", f"/runs/{address(name)}/report", new_tab=True)
            link.classes("tap").props["aria-label"] = f"report of {plain}"
            if not going_on:
                button = ui.button("Delete", on_click=lambda: self._ask_to_delete(name))
                button.props("no-caps flat color=negative").props["aria-label"] = f"delete {plain}"

    def _choose(self, name: str, chosen: bool) -> None:
        (self._chosen.add if chosen else self._chosen.discard)(name)
        self._chosen_changed()

    def _chosen_changed(self) -> None:
        n = len(self._chosen)
        self._compare.text = f"Compare {n} runs" if n else "Compare"
        self._compare.set_enabled(2 <= n <= MAX_RUNS)

    def _open_compared(self) -> None:
        from nicegui import ui

        query = urlencode([("run", os.fsencode(name)) for name in sorted(self._chosen)])
        ui.navigate.to(f"/runs/compare?{query}", new_tab=True)

    def _show_more(self) -> None:
        self._limit += SHOWN
        self._show()

    def _ask_to_delete(self, name: str) -> None:
        from nicegui import ui

        with ui.dialog(value=True) as dialog, ui.card():
            with ui.element("h2"):
                ui.label("Delete this run for good?")
            ui.label(printable(name))
            with ui.element("div").classes("row-wrap"):

                async def delete() -> None:
                    dialog.close()
                    await self._delete(name)

                ui.button("Delete for good", on_click=delete).props("no-caps color=negative")
                ui.button("Keep it", on_click=dialog.close).props("no-caps outline autofocus")
        dialog.on("hide", dialog.delete)

    async def _delete(self, name: str) -> None:
        try:
            await asyncio.to_thread(
                lambda: run_index.delete(find_run(self._runs, name), self._runs)
            )
        except ThermoflopError as error:
            self._status.set_text(str(error))
            return
        await self.look()


def _newest_first(runs: Path) -> list[Entry]:
    entries = run_index.entries(runs)
    return sorted(entries, key=lambda entry: (entry.started, entry.folder.name), reverse=True)


def _command(entry: Entry) -> str:
    """The command and the labels, as one line of plain text."""
    command = entry.run.get("command")
    line = shlex.join(str(word) for word in command) if isinstance(command, list) else ""
    labels = "  ".join(f"{key}={value}" for key, value in entry.labels.items())
    return "  ·  ".join(printable(text) for text in (line[:200], labels[:200]) if text)


def _text(entry: Entry) -> str:
    """The text that the filter searches."""
    state = _STATES.get(entry.state, entry.state)
    return f"{entry.folder.name} {_command(entry)} {state}".lower()


def _state_class(state: str) -> str:
    if state in ("exit 0", "time", "stopped"):
        return "good"
    return "soft" if state == "recording" else "hot"
