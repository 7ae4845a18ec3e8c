"""The estimator page: inputs and answers side by side, an explanation behind every number.

The work is done in a thread, one answer at a time for each viewer: of the moves of a slider that
come while it runs, only the last one is answered.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from nicegui import background_tasks, run, ui

from thermoflop import __version__
from thermoflop.base.explanation import Explanation
from thermoflop.base.record import replace
from thermoflop.web.estimator.address import fits_address, from_query, to_query
from thermoflop.web.estimator.answer import Answer, as_csv, as_json
from thermoflop.web.estimator.answers import answer, caught, why
from thermoflop.web.estimator.changes import changed, shortened, with_room
from thermoflop.web.estimator.fields import FIELDS, UPLOAD, FieldError
from thermoflop.web.estimator.inputs import Inputs
from thermoflop.web.estimator.inputs_panel import InputPanel
from thermoflop.web.estimator.markup import first_html
from thermoflop.web.estimator.results_view import Results
from thermoflop.web.estimator.upload import LARGEST_BYTES, pack_config
from thermoflop.web.frame import ASSETS, frame
from thermoflop.web.parts import button


async def estimator_page() -> None:
    """Build the page at ``/``."""
    request = ui.context.client.request
    inputs, wrong = from_query(request.query_params.multi_items())
    if not request.query_params:
        inputs = replace(inputs, device=await run.io_bound(detected_device) or inputs.device)
    ui.add_head_html(
        f'<link rel="stylesheet" href="{ASSETS}/estimator.css?{__version__}">'
        f'<script src="{ASSETS}/estimator.js?{__version__}"></script>'
    )
    with frame("Estimator", active="/"):
        view = Estimator(inputs, wrong)
        view.build()
        await view.work()
    if view.answer is not None:
        ui.add_body_html(first_html(view.answer))


@lru_cache(maxsize=1)
def detected_device() -> str:
    """The catalogue's name of the first GPU here; empty where there is none, or none it knows."""
    from thermoflop.runs.gpu.known import device_here
    from thermoflop.runs.gpu.nvml import NoGpu

    try:
        _, device = device_here()
    except NoGpu:
        return ""
    return device.name if device else ""


CONNECTED_S = 30.0  # how long a browser may take from the page to its connection
SEEN_S = 0.05  # time for the browser to draw what it was sent
MOST_WAITS = 5  # of so long, while one answer follows the other
SAID_S = 10.0  # how long it stands what a button has done
_TURNS = asyncio.Semaphore(1)  # of reading an uploaded file


class Estimator:
    """State of one viewer's page: inputs, answer, and the last refusal."""

    def __init__(self, inputs: Inputs, wrong: list[str]) -> None:
        self.inputs, self.wrong = inputs, wrong
        self.answer: Answer | None = None
        self.busy = self.drawing = False
        self.refused: str | None = None  # the input that the last answer was refused for
        self.unread: dict[str, str] = {}  # what stands in a field and makes no sense: the sentence
        self.notice = ""  # what else a change has changed

    def build(self) -> None:
        """Build the page before the first answer."""
        self.client = ui.context.client
        for message in self.wrong:
            ui.label(message).classes("warn").props("role=status")
        results = Results(self.explain, self.take)
        with ui.element("div").classes("est"):
            self._build_tabs()
            with ui.element("section").classes("est-inputs").props('aria-label="Question"'):
                self.panel = InputPanel(self.change, self.upload, self.too_large)
                self.panel.build(self.inputs)
            with ui.element("section").props('aria-label="Answer"') as results.section:
                results.build_headline()
                results.build()
        self.results = results

    def _build_tabs(self) -> None:
        """The two tabs, and what the original page is."""
        with ui.element("div").classes("est-tabs").props('role=group aria-label="Tabs"'):
            self.tabs = {
                mode: button(title, lambda mode=mode: self.change("mode", mode), "flat")
                for mode, title in FIELDS["mode"].listed().items()
            }
            self.status = ui.label("").classes("soft est-status").props("role=status")
            self._build_actions()
        self.about = ui.label(
            "A page on the web compares multi-head with multi-query attention on an A100 or a "
            "V100. Here are its formulas and its digits, mistakes included, and beside them what "
            "the estimator says of the same shape."
        ).classes("soft est-about")
        self._show_tab()

    def _show_tab(self) -> None:
        for mode, tab in self.tabs.items():
            tab.props(f"aria-pressed={'true' if mode == self.inputs.mode else 'false'}")
        self.about.set_visibility(self.inputs.original)

    def _build_actions(self) -> None:
        with ui.element("div").classes("row-wrap actions"):
            for text, act in (
                ("Copy link", self.copy_link),
                ("Export JSON", lambda: self.export("json")),
                ("Export CSV", lambda: self.export("csv")),
            ):
                button(text, act)

    def change(self, name: str, raw: object) -> None:
        """Handle a change of one input by the user."""
        try:
            inputs = changed(self.inputs, name, raw)
        except FieldError as error:
            self.unread[name] = str(error)
            self.panel.refuse(name, str(error))
            self._mark()
            return
        self._accept(name)
        if inputs != self.inputs:
            self.notice = shortened(self.inputs, inputs) if name == "model" else ""
            self.inputs = inputs
            self.panel.follow(inputs, name, self.unread)
            self._show_tab()
            self._start()
        elif self.answer is not None and self.answer.inputs == inputs:
            self._mark()

    def take(self, changes: dict[str, Any]) -> None:
        """Take over what makes a run fit."""
        for name in changes:
            self._accept(name)
        self.notice, self.inputs = "", replace(self.inputs, **changes)
        self.panel.follow(self.inputs, "", self.unread)
        self._start()

    def _accept(self, name: str) -> None:
        """An input makes sense; a file that was refused is over with whatever is changed next."""
        self.unread.pop(name, None)
        self.panel.accept(name)
        if self.unread.pop(UPLOAD, None) and "model" not in self.unread:
            self.panel.accept("model")

    def _mark(self) -> None:
        """Say whether the answer is one to all that stands in the fields."""
        said = [
            text
            for name, text in self.unread.items()
            if name == UPLOAD or self.inputs.is_used(name)
        ]
        if said:
            self.results.stale(said[0])
        else:
            self.results.fresh()

    def _start(self) -> None:
        if not self.busy:
            background_tasks.create(self.work())

    async def work(self) -> None:
        """Answer the inputs, and again until the newest ones are answered."""
        self.busy = True
        inputs: Inputs | None = None
        try:
            while inputs is None or inputs != self.inputs:
                inputs = self.inputs
                result = await run.io_bound(caught, answer, inputs)
                if result is None:  # the server is going down
                    return
                if inputs == self.inputs:
                    with self.client:
                        self._show(result)
        finally:
            self.busy = False

    def _show(self, result: Answer | FieldError) -> None:
        if self.refused is not None:
            self.panel.accept(self.refused)
            self.refused = None
        if isinstance(result, FieldError):
            self.refused = result.field
            self.panel.refuse(result.field, str(result))
            self.results.stale(str(result))
            return
        first = self.answer is None
        self.answer = result
        self.results.show_headline(result)
        self._mark()
        if not self.drawing:
            self.drawing = True
            background_tasks.create(self._draw())
        if result.inputs.original:
            background_tasks.create(self._formulas())
        if not first:
            query = urlencode(to_query(result.inputs))
            ui.navigate.history.replace(f"/?{query}")
        self.results.note.text = (
            f"{self.notice} {result.measured}".strip()
            if fits_address(result.inputs)
            else "This config.json is too long for the address: send the file along with the link."
        )

    async def _draw(self) -> None:
        """Show tables and charts of the newest answer, once its first numbers are on the screen.

        While a slider is dragged they follow several times a second: each time costs the browser
        more than all numbers above them.
        """
        drawn: Answer | None = None
        try:
            await self.client.connected(CONNECTED_S)
            while drawn is not self.answer:
                for _ in range(MOST_WAITS):
                    drawn = self.answer
                    await asyncio.sleep(SEEN_S)
                    if drawn is self.answer:
                        break
                drawn = self.answer
                if drawn is not None:
                    with self.client:
                        self.results.show_rest(drawn)
        except TimeoutError:  # nobody looks
            return
        finally:
            self.drawing = False

    async def _formulas(self) -> None:
        """Show the original's formulas once derived: sympy takes a second to load."""
        from thermoflop.web.estimator.original import original_formulas

        formula_rows = await run.io_bound(original_formulas)
        with self.client:
            self.results.show_formulas(formula_rows or ())

    async def explain(self, key: str) -> None:
        """Open the explanation of a number."""
        if self.answer is not None:
            explanation = await run.io_bound(caught, why, self.answer.inputs, key)
            if isinstance(explanation, Explanation):  # else the page has moved on since the click
                self.results.open_explanation(explanation)

    async def upload(self, event: Any) -> None:
        """Handle an uploaded config.json."""
        content = await event.file.read() if event.file.size() <= LARGEST_BYTES else b""
        if not content and event.file.size():
            self.too_large()
            return
        async with _TURNS:  # a file of 1 MB takes a processor for a second
            packed = await run.io_bound(caught, pack_config, content, str(event.file.name))
        if packed is None:
            return
        if isinstance(packed, FieldError):
            self._refuse_file(str(packed))
            return
        self._accept("model")
        before = replace(self.inputs, model=UPLOAD, config=packed)
        self.inputs = with_room(before)
        self.notice = shortened(before, self.inputs)
        self.panel.follow(self.inputs, "")
        self._start()

    def too_large(self, _: object = None) -> None:
        """Refuse a file that is too large, or of another kind."""
        self._refuse_file(
            f"that is no config.json: expected a .json file of at most {LARGEST_BYTES:,} bytes"
        )

    def _refuse_file(self, sentence: str) -> None:
        """Say so beside the model, and that what is answered is not the file."""
        self.unread[UPLOAD] = sentence
        self.panel.refuse("model", sentence)
        self._mark()

    async def copy_link(self) -> None:
        """Copy the URL of this view to the clipboard, or say where it is."""
        address = f"/?{urlencode(to_query(self.inputs))}"
        ui.navigate.history.replace(address)

        script = (
            f"const address = new URL({json.dumps(address)}, location.href).href;"
            " try { await navigator.clipboard.writeText(address); return true }"
            " catch (error) { return false }"
        )
        done = False
        with suppress(TimeoutError):
            done = bool(await ui.run_javascript(f"return (async () => {{ {script} }})()"))
        self._say(
            "The link is on the clipboard."
            if done
            else "The browser does not let a page copy here: the link is in its address bar."
        )

    def _say(self, text: str) -> None:
        """Say what a button has done, for a while."""

        async def unsaid() -> None:
            await asyncio.sleep(SAID_S)
            if self.status.text == text:
                self.status.text = ""

        self.status.text = text
        background_tasks.create(unsaid())

    def export(self, kind: str) -> None:
        """Download the current answer as a file."""
        if self.answer is None:
            return
        text = as_json(self.answer) if kind == "json" else as_csv(self.answer)
        media = "application/json" if kind == "json" else "text/csv;charset=utf-8"
        ui.download.content(text.encode(), f"thermoflop-estimate.{kind}", media)
        if self.results.is_stale:
            self._say("The file holds the last good answer, not what stands in the fields.")
