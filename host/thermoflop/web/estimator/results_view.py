"""The results of the estimator page: headline, tables, charts, and explanations."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from thermoflop.base.units import digits, seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from thermoflop.base.explanation import Explanation
    from thermoflop.base.sheet import Figure, Grid
    from thermoflop.web.estimator.answer import Answer

MOST_HEADS = 5
_FOLDED = ("ops.prefill", "ops.remainder", "ops.decode")
_SEND_KEY = (
    "(event) => { const found = event.target.closest('[data-why]');"
    " if (found) emit(found.dataset.why); }"
)


class Results:
    """The results side of the page; ``explain`` is called with the key of a clicked number."""

    def __init__(self, explain: Callable[[str], Awaitable[None]]) -> None:
        self.explain = explain
        self.grids: dict[str, GridView] = {}
        self.order: tuple[str, ...] = ()
        self.charts: dict[str, Any] = {}

    def build_headline(self) -> None:
        """Build the headline, which stays in view."""
        from nicegui import ui

        with ui.element("div").classes("est-head") as head:
            self.state = ui.label("").classes("est-state").props("role=status aria-live=polite")
            with ui.element("div").classes("headline") as self.headline:
                self.heads = [HeadView() for _ in range(MOST_HEADS)]
            self.title = ui.label("").classes("est-title soft")
        head.on("click", self._clicked, js_handler=_SEND_KEY)
        self.headline.set_visibility(False)

    def build(self) -> None:
        """Build empty containers for tables and charts."""
        from nicegui import ui

        with ui.element("div") as box:
            self.pictures = ui.element("div").classes("pictures")
            self.tables = ui.element("div").classes("tables")
            self.formulas = ui.element("div")
            with ui.element("div").classes("card") as self.rests:
                with ui.element("h2"):
                    self.notes_title = ui.label("")
                self.notes = ui.element("ul").classes("notes")
        box.on("click", self._clicked, js_handler=_SEND_KEY)
        self.rests.set_visibility(False)
        with ui.dialog() as self.dialog, ui.card().classes("why") as self.reasons:
            pass
        self.dialog.props["aria-label"] = "Why"

    async def _clicked(self, event: Any) -> None:
        if isinstance(event.args, str):
            await self.explain(event.args)

    def show(self, answer: Answer) -> None:
        """Show an answer, updating only what has changed."""
        self.fresh()
        self.title.text = answer.title
        self.headline.set_visibility(True)
        for place, view in enumerate(self.heads):
            view.show(answer.headline[place] if place < len(answer.headline) else None)
        if answer.verdict:
            self.state.text = answer.verdict
            self.state.classes(replace=f"est-state {'good' if answer.fits else 'bad'}")
        self._show_grids(answer)
        self._show_charts(answer)
        self._show_notes(answer)
        self.formulas.set_visibility(answer.inputs.original)

    def _show_grids(self, answer: Answer) -> None:
        order = tuple(grid.key for grid in answer.grids)
        if order != self.order:
            self.tables.clear()
            with self.tables:
                self.grids = {grid.key: GridView(grid.key in _FOLDED) for grid in answer.grids}
            self.order = order
        for grid in answer.grids:
            self.grids[grid.key].show(grid)

    def _show_charts(self, answer: Answer) -> None:
        """Draw the charts; they are built when there is first something to draw."""
        from thermoflop.web.estimator.charts import build_charts, show_charts

        self.pictures.set_visibility(bool(answer.charts))
        if answer.charts and not self.charts:
            with self.pictures:
                self.charts = build_charts()
        if answer.charts:
            show_charts(self.charts, answer.charts)

    def _show_notes(self, answer: Answer) -> None:
        from nicegui import ui

        title = (
            "What the estimator does differently"
            if answer.inputs.original
            else "What this rests on"
        )
        notes = [child.text for item in self.notes for child in item if hasattr(child, "text")]
        if notes == list(answer.notes):
            return
        self.notes_title.text = title
        self.rests.set_visibility(True)
        self.notes.clear()
        with self.notes:
            for note in answer.notes:
                with ui.element("li"):
                    ui.label(note)

    def show_formulas(self, formulas: tuple[tuple[str, str, str], ...]) -> None:
        """Show the original's formulas, once."""
        from nicegui import ui

        if not formulas or list(self.formulas):
            return
        from thermoflop.cost.mqa_page.kernels import MEANINGS

        with self.formulas, ui.element("div").classes("card"):
            with ui.element("h2"):
                ui.label("The original's formulas")
            ui.label(
                "; ".join(f"{letter}: {meaning}" for letter, meaning in MEANINGS.items())
            ).classes("soft")
            with ui.element("table").classes("cells cards formulas"):
                _head(("kernel", "FLOP", "bytes"))
                with ui.element("tbody"):
                    for name, flop, size in formulas:
                        with ui.element("tr"):
                            _cell("th", name).props("scope=row")
                            _cell("td", flop, "FLOP").classes("formula")
                            _cell("td", size, "bytes").classes("formula")

    def stale(self, reason: str) -> None:
        """Mark the numbers on the page as those of an earlier answer."""
        below = " Below is the last good answer." if self.order else ""
        self.state.text = f"Not answered: {reason}.{below}"
        self.state.classes(replace="est-state bad")

    def fresh(self) -> None:
        """Mark the numbers on the page as current."""
        self.state.text = ""
        self.state.classes(replace="est-state")

    def open_explanation(self, explanation: Explanation) -> None:
        """Open the dialog that explains a number."""
        from nicegui import ui

        self.reasons.clear()
        with self.reasons:
            with ui.element("h2"):
                ui.label(explanation.title)
            ui.label(explanation.value).classes("why-value")
            if explanation.binds:
                ui.label(f"Bound by: {explanation.binds}").classes("why-binds")
            with ui.element("div").classes("why-lines"):
                for line in explanation.formula:
                    ui.label(line.strip()).classes("filled" if line[:1] == " " else "symbols")
            if explanation.rows:
                cards = "cells cards" if len(explanation.columns) > 3 else "cells"
                with ui.element("div").classes("scroll"), ui.element("table").classes(cards):
                    _head(explanation.columns)
                    with ui.element("tbody"):
                        for row in explanation.rows:
                            with ui.element("tr"):
                                _cell("th", row[0]).props("scope=row")
                                for text, column in zip(
                                    row[1:], explanation.columns[1:], strict=True
                                ):
                                    _cell("td", text or "–", column)
            with ui.element("ul").classes("notes"):
                for note in explanation.notes:
                    with ui.element("li"):
                        ui.label(note)
            ui.button("Close", on_click=self.dialog.close).props("outline no-caps autofocus")
        self.dialog.open()


class HeadView:
    """One number of the answer, with its interval as a band."""

    def __init__(self) -> None:
        from nicegui import ui

        with ui.element("div").classes("est-fig") as self.box:
            self.label = ui.label("").classes("soft")
            self.value = button()
            with ui.element("div").classes("band").props("role=img") as self.band:
                self.parts = {
                    part: ui.element("span").classes(f"band-{part}")
                    for part in ("range", "bound", "value")
                }
            self.between = ui.label("").classes("soft between")
            self.detail = ui.label("").classes("soft detail")

    def show(self, figure: Figure | None) -> None:
        """Show a figure; None: nothing."""
        self.box.set_visibility(figure is not None)
        if figure is None:
            return
        self.label.text, self.detail.text = figure.label, figure.detail
        fill(self.value, figure)
        banded = figure.low is not None and figure.high is not None
        self.band.set_visibility(banded)
        self.between.set_visibility(banded)
        if banded:
            self._show_band(figure)

    def _show_band(self, figure: Figure) -> None:
        value, low, high = (float(each or 0) for each in (figure.value, figure.low, figure.high))
        bound = float(figure.bound) if figure.bound is not None else None
        scale = 100 / (1.04 * max(value, high, bound or 0) or 1)
        words = [f"80 %: {spoken(low, figure.unit)} to {spoken(high, figure.unit)}"]
        self.parts["range"].style(f"left: {scale * low:.1f}%; width: {scale * (high - low):.1f}%")
        self.parts["value"].style(f"left: {scale * value:.1f}%")
        self.parts["bound"].set_visibility(bound is not None)
        if bound is not None:
            self.parts["bound"].style(f"left: {scale * bound:.1f}%")
            words.append(f"bound {spoken(bound, figure.unit)}")
        self.between.text = ", ".join(words)
        self.band.props["aria-label"] = f"{figure.label}: {figure.text}; {self.between.text}"


def spoken(value: float, unit: str) -> str:
    """A number of a band: time in its own unit, else three digits, whose unit stands above."""
    return seconds(value) if unit == "s" else digits(value)


class GridView:
    """One table; when only its numbers change they are filled in place."""

    def __init__(self, folded: bool) -> None:
        from nicegui import ui

        self.shape: tuple[Any, ...] = ()
        self.cells: list[Any] = []
        with ui.element("details" if folded else "div").classes("card") as self.box:
            with ui.element("summary") if folded else nullcontext(), ui.element("h2"):
                self.title = ui.label("")
            self.body = ui.element("div")

    def show(self, grid: Grid) -> None:
        """Show a grid."""
        self.title.text = grid.title
        shape = (grid.columns, grid.note, tuple(row.label for row in grid.rows))
        if shape != self.shape:
            self._build(grid)
            self.shape = shape
        figures = [cell for row in grid.rows for cell in row.cells]
        for cell, figure in zip(self.cells, figures, strict=True):
            fill(cell, figure)

    def _build(self, grid: Grid) -> None:
        from nicegui import ui

        self.body.clear()
        self.cells = []
        wide = len(grid.columns) > 3
        if wide:
            self.box.classes("broad")
        with self.body:
            with (
                ui.element("div").classes("scroll"),
                ui.element("table").classes("cells cards" if wide else "cells"),
            ):
                if any(grid.columns):
                    _head(("", *grid.columns))
                with ui.element("tbody"):
                    for row in grid.rows:
                        with ui.element("tr"):
                            _cell("th", row.label).props("scope=row")
                            for column, _ in zip(grid.columns, row.cells, strict=True):
                                with _cell("td", "", column):
                                    self.cells.append(button())
            if grid.note:
                ui.label(grid.note).classes("soft note")


def button() -> Any:
    """A button for a number."""
    from nicegui.elements.mixins.text_element import TextElement

    return TextElement(tag="button", text="").classes("fig").props("type=button")


def fill(cell: Any, figure: Figure) -> None:
    """Put a figure into a button, disabled when it has no explanation."""
    cell.text = figure.text
    if cell.props.get("data-why") != figure.why:
        cell.props["data-why"] = figure.why
    label = f"{figure.label}: {figure.text}" + (", why?" if figure.why else "")
    if cell.props.get("aria-label") != label:
        cell.props["aria-label"] = label
    if bool(cell.props.get("disabled")) != (not figure.why):
        cell.props.set_bool("disabled", not figure.why)


def _head(columns: tuple[str, ...]) -> None:
    from nicegui import ui

    with ui.element("thead"), ui.element("tr"):
        for column in columns:
            _cell("th", column).props("scope=col")


def _cell(tag: str, text: str, label: str = "") -> Any:
    from nicegui.elements.mixins.text_element import TextElement

    made = TextElement(tag=tag, text=text)
    if label:
        made.props["data-label"] = label
    return made
