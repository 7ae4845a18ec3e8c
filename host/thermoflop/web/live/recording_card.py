"""The card of the live page that starts, shows and stops recordings."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nicegui import ui

from thermoflop.errors import ThermoflopError
from thermoflop.runs.duration import read_duration_s
from thermoflop.web.live.recordings import Recording, RecordingRequest
from thermoflop.web.parts import button, heading
from thermoflop.web.runs.reports import address, sendable

if TYPE_CHECKING:
    from thermoflop.web.live.sources import LiveSources

NO_BOARD = "no board"
STOPPING = "Stopping …"
WAIT, BENCH = "just record", "run the operators of a model"


class RecordingCard:
    """The recordings card of one viewer."""

    def __init__(self, sources: LiveSources) -> None:
        """Build the card."""
        self._live = sources
        self._names: object = None
        self._boards: dict[str, str] = {}
        heading("Recordings", id="record")
        with ui.element("div").classes("fields"):
            self._board = ui.select({"": NO_BOARD}, value="", label="Board").props("outlined dense")
            self._board.classes("wide")
            self._name = ui.input("Name", value="page").props("outlined dense")
            self._how_long = ui.input("Duration", placeholder="until stopped").props(
                "outlined dense stack-label"
            )
            self._what = ui.select([WAIT, BENCH], value=WAIT, label="Meanwhile").props(
                "outlined dense"
            )
            self._what.classes("wide")
            self._model = ui.input("Model", value="gpt2").props("outlined dense")
            self._model.bind_visibility_from(self._what, "value", value=BENCH)
            self._start = button("Start recording", self._begin, "")
        self._status = ui.label("").classes("status-line").props("role=status")
        self._list = ui.element("div")

    def look(self) -> None:
        """Update the list of boards and of running and ended recordings."""
        boards = {key: f"board at {f.state()['port']}" for key, f in self._live.boards.items()}
        if boards != self._boards:
            first = not self._boards and boards
            self._boards = boards
            options = {**boards, "": NO_BOARD}
            value = self._board.value if self._board.value in options else ""
            self._board.set_options(options, value=next(iter(boards)) if first else value)
        recordings = self._live.recordings
        names = (tuple(recordings.now), tuple(r.folder.name for r in recordings.last))
        if names != self._names:
            self._names = names
            self._rebuild()
            if self._status.text == STOPPING:
                self._status.set_text("")

    def _rebuild(self) -> None:
        self._list.clear()
        with self._list:
            for recording in list(self._live.recordings.now.values()):
                self._row(recording)
            for recording in reversed(self._live.recordings.last):
                with ui.element("div").classes("row-wrap"):
                    ui.label(f"{sendable(recording.folder.name)} has ended")
                    name = address(recording.folder.name)
                    ui.link("Open its report", f"/runs/{name}/report", new_tab=True).classes("tap")
            if not self._live.recordings.now and not self._live.recordings.last:
                ui.label("Nothing is being recorded.").classes("soft")

    def _row(self, recording: Recording) -> None:
        with ui.element("div").classes("row-wrap recording"):
            ui.element("span").classes("dot").props('aria-hidden="true"')
            ui.label(sendable(recording.folder.name))
            clock = ui.element("b").classes("num")
            clock.props["data-elapsed"] = sendable(recording.folder.name)
            if recording.can_stop:
                button("Stop", lambda: self._end(recording), "outline color=negative")
            else:
                ui.label("started elsewhere; stop it there").classes("soft")

    async def _begin(self) -> None:
        try:
            request = self._request()
            self._start.disable()
            self._say("Starting …")
            await asyncio.to_thread(self._live.record, request, self._board.value or None)
            self._say("")
        except ThermoflopError as error:
            self._say(str(error), "bad")
        finally:
            self._start.enable()
        self.look()

    def _request(self) -> RecordingRequest:
        text = (self._how_long.value or "").strip()
        seconds = read_duration_s(text) if text else None
        bench = self._model.value if self._what.value == BENCH else None
        return RecordingRequest(
            self._name.value or "", seconds, self._live.gpus.recorder_spec, bench
        )

    async def _end(self, recording: Recording) -> None:
        try:
            await asyncio.to_thread(recording.stop)
            self._say(STOPPING)
        except ThermoflopError as error:
            self._say(str(error), "bad")

    def _say(self, text: str, kind: str = "") -> None:
        self._status.set_text(text)
        self._status.classes(replace=f"status-line {kind}")
