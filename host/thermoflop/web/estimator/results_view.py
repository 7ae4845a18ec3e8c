"""The results of the estimator page: headline, tables, charts, and explanations."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from thermoflop.report.words import explained
from thermoflop.web.estimator.charts import CHARTS, draw
from thermoflop.web.estimator.frontier_view import FrontierView
from thermoflop.web.estimator.markup import (
    explained_html,
    formulas_html,
    grid_html,
    headline_html,
    item_html,
)
from thermoflop.web.parts import button, chart, heading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from thermoflop.base.explanation import Explanation
    from thermoflop.base.sheet import Grid
    from thermoflop.web.estimator.answer import Answer

_FOLDED = ("ops.media", "ops.prefill", "ops.remainder", "ops.decode")
_SEND_KEY = (
    "(event) => { const found = event.target.closest('[data-why]');"
    " if (found) emit(found.dataset.why); }"
)


class Results:
    """The results side of the page; ``explain`` is called with the key of a clicked number,
    ``take`` with the inputs that a remedy changes."""

    def __init__(
        self, explain: Callable[[str], Awaitable[None]], take: Callable[[dict[str, Any]], None]
    ) -> None:
        self.explain, self.take = explain, take
        self.remedies: tuple[tuple[str, dict[str, Any]], ...] = ()  # whose buttons stand there
        self.grids: dict[str, GridView] = {}
        self.answer: Answer | None = None
        self.section: Any = None  # everything of the answer
        self.charts: dict[str, Any] = {}
        self.is_stale = False

    def build_headline(self) -> None:
        """Build the headline, which stays in view."""
        with ui.element("div").classes("est-head") as head:
            self.state = ui.label("").classes("est-state").props("role=status aria-live=polite")
            self.remedy_row = ui.element("div").classes("row-wrap est-remedies")
            self.note = ui.label("").classes("est-note").props("role=status")
            self.headline = html_box().classes("headline")
            self.title = ui.label("").classes("est-title soft")
        head.on("click", self._clicked, js_handler=_SEND_KEY)
        self.headline.set_visibility(False)

    def build(self) -> None:
        """Build empty containers for tables and charts."""
        with ui.element("div") as box:
            self.pictures = ui.element("div").classes("pictures")
            self.frontier = FrontierView()
            self.tables = ui.element("div").classes("tables")
            self.formulas = ui.element("div")
            with ui.element("div").classes("card") as self.rests:
                self.notes_title = heading("")
                self.notes = html_box("ul").classes("notes")
        box.on("click", self._clicked, js_handler=_SEND_KEY)
        self.rests.set_visibility(False)
        with ui.dialog() as self.dialog, ui.card().classes("why") as self.reasons:
            pass
        self.dialog.props["aria-label"] = "Why"

    async def _clicked(self, event: Any) -> None:
        if isinstance(event.args, str):
            await self.explain(event.args)

    def show_headline(self, answer: Answer) -> None:
        """Show the first numbers of an answer."""
        self.answer = answer
        self.title.text = answer.title
        self.headline.set_visibility(True)
        self.headline.content = "".join(map(headline_html, answer.headline))

    def show_rest(self, answer: Answer) -> None:
        """Show its tables, charts and notes, updating only what has changed."""
        self._show_charts(answer)
        self.frontier.follow(None if answer.inputs.original else answer.inputs)
        self._show_grids(answer)
        self._show_notes(answer)
        self.formulas.set_visibility(answer.inputs.original)

    def _show_grids(self, answer: Answer) -> None:
        if [grid.key for grid in answer.grids] != list(self.grids):
            self.tables.clear()
            with self.tables:
                self.grids = {grid.key: GridView(grid.key in _FOLDED) for grid in answer.grids}
        for grid in answer.grids:
            self.grids[grid.key].show(grid)

    def _show_charts(self, answer: Answer) -> None:
        """Draw the charts; they are built when there is first something to draw."""
        self.pictures.set_visibility(bool(answer.charts))
        if answer.charts and not self.charts:
            with self.pictures:
                self.charts = {name: _picture(name, title) for name, (title, _) in CHARTS.items()}
        for name, data in answer.charts.items():
            draw(self.charts[name], CHARTS[name][1](data))

    def _show_notes(self, answer: Answer) -> None:
        self.notes_title.text = (
            "What the estimator does differently"
            if answer.inputs.original
            else "What this rests on"
        )
        self.rests.set_visibility(True)
        self.notes.content = "".join(map(item_html, answer.notes))

    def show_formulas(self, formulas: tuple[tuple[str, str, str], ...]) -> None:
        """Show the original's formulas, once."""
        if not formulas or list(self.formulas):
            return
        from thermoflop.cost.mqa_page.kernels import MEANINGS

        with self.formulas, ui.element("div").classes("card"):
            heading("The original's formulas")
            ui.label(
                "; ".join(f"{letter}: {meaning}" for letter, meaning in MEANINGS.items())
            ).classes("soft")
            html_box().content = formulas_html(formulas)

    def stale(self, reason: str) -> None:
        """Mark the numbers on the page as those of an earlier answer."""
        self.is_stale = True
        below = " Struck out below is the last good answer." if self.answer else ""
        self.state.text = f"Not answered: {reason}.{below}"
        self.state.classes(replace="est-state bad")
        self.section.classes("stale")

    def fresh(self) -> None:
        """Mark the numbers on the page as current, under their verdict."""
        answer, self.is_stale = self.answer, False
        verdict = answer.verdict if answer is not None else ""
        mark = " good" if answer is not None and answer.fits else " bad"
        self.state.text = verdict
        self.state.classes(replace=f"est-state{mark if verdict else ''}")
        self.section.classes(remove="stale")
        self._show_remedies(answer.remedies if answer is not None else ())

    def _show_remedies(self, remedies: tuple[tuple[str, dict[str, Any]], ...]) -> None:
        """A button for each change that makes it fit."""
        if remedies == self.remedies:
            return
        self.remedies = remedies
        self.remedy_row.clear()
        with self.remedy_row:
            for text, changes in remedies:
                button(text, partial(self.take, changes))

    def open_explanation(self, explanation: Explanation) -> None:
        """Open the dialog that explains a number."""
        self.reasons.clear()
        with self.reasons:
            heading(explanation.title)
            ui.label(explanation.value).classes("why-value")
            for said in explained(explanation.title):
                ui.label(said[:1].upper() + said[1:]).classes("soft")
            if explanation.binds:
                ui.label(f"Bound by: {explanation.binds}").classes("why-binds")
            html_box().classes("why-rest").content = explained_html(explanation)
            button("Close", self.dialog.close, "outline autofocus")
        self.dialog.open()


class GridView:
    """One table."""

    def __init__(self, folded: bool) -> None:
        with ui.element("details" if folded else "div").classes("card") as self.box:
            with ui.element("summary") if folded else nullcontext():
                self.title = heading("")
            self.body = html_box()

    def show(self, grid: Grid) -> None:
        """Show a grid."""
        self.title.text = grid.title
        if len(grid.columns) > 3:
            self.box.classes("broad")
        self.body.content = grid_html(grid)


def _picture(name: str, title: str) -> Any:
    """An empty chart in its card."""
    with ui.element("figure").classes(f"card picture picture-{name}"):
        heading(title)
        return chart(name, title)


def html_box(tag: str = "div") -> Any:
    """An element whose content is our own HTML."""
    return ui.html(sanitize=False, tag=tag)
