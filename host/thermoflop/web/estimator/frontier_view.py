"""The folded picture of a plan's frontier, computed while it is open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nicegui import background_tasks, run, ui

from thermoflop.web.estimator.answers import caught
from thermoflop.web.estimator.charts import draw, frontier_options
from thermoflop.web.estimator.fields import FieldError
from thermoflop.web.estimator.frontier import frontier
from thermoflop.web.parts import chart, heading

if TYPE_CHECKING:
    from thermoflop.web.estimator.inputs import Inputs

TITLE = "What more GPUs and more users give"
REST_S = 0.3  # without a new answer, before the layouts are searched


class FrontierView:
    """The picture; nothing is computed before somebody opens it."""

    def __init__(self) -> None:
        self.client = ui.context.client
        self.inputs: Inputs | None = None
        self.drawn: Inputs | None = None
        self.open = self.busy = False
        self.chart: Any = None
        with ui.element("details").classes("card frontier") as self.box:
            with ui.element("summary"):
                heading(TITLE)
            self.note = ui.label("").classes("soft note").props("role=status")
            self.place = ui.element("div")
        self.box.on("toggle", self._toggled, js_handler="(event) => emit(event.target.open)")
        self.box.set_visibility(False)  # until there is an answer of whose inputs it is

    def follow(self, inputs: Inputs | None) -> None:
        """Belong to these inputs; None: to a page that has no layouts."""
        self.box.set_visibility(inputs is not None)
        self.inputs = inputs
        self._start()

    def _toggled(self, event: Any) -> None:
        self.open = bool(event.args)
        self._start()

    def _start(self) -> None:
        if self.open and not self.busy and self.inputs not in (None, self.drawn):
            self.busy = True
            background_tasks.create(self._work())

    async def _work(self) -> None:
        """Search and draw, and again until it is that of the newest inputs."""
        try:
            while self.open and self.inputs not in (None, self.drawn):
                inputs = self.inputs
                with self.client:
                    self.note.text = "Searching all layouts …"
                await asyncio.sleep(REST_S)
                if inputs is None or inputs != self.inputs:
                    continue
                result = await run.io_bound(caught, frontier, inputs)
                self.drawn = inputs
                with self.client:
                    self._show(result)
        finally:
            self.busy = False

    def _show(self, result: dict[str, Any] | FieldError | None) -> None:
        found = isinstance(result, dict) and bool(result["points"])
        self.place.set_visibility(found)
        if not isinstance(result, dict):
            self.note.text = f"No frontier: {result}." if result else ""
        elif not found:
            self.note.text = f"No layout of up to {result['devices']} GPUs holds the model."
        else:
            if self.chart is None:
                with self.place:
                    self.chart = chart("frontier", TITLE)
            draw(self.chart, frontier_options(result))
            self.note.text = (
                f"The best of every layout of up to {result['devices']} GPUs and every number of "
                "users, as thermoflop plan searches them. The band is where 80 % of measured "
                "times would put it."
            )
