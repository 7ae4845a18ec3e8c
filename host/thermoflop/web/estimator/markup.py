"""The answer's figures, tables and lists as HTML.

An element of NiceGUI costs the server 0.3 ms and the browser a component of Vue: for some thousand
cells that was most of what a slider's move took. A table is one element here, and its text is
escaped by the one function that every text passes.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from thermoflop.base.units import seconds, three_digits
from thermoflop.report.words import titled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from thermoflop.base.explanation import Explanation
    from thermoflop.base.sheet import Figure, Grid
    from thermoflop.web.estimator.answer import Answer


def item_html(text: str) -> str:
    """A line of a list."""
    return f"<li>{escape(text)}</li>"


def button_html(figure: Figure) -> str:
    """A number, as a button that opens its explanation; disabled where it has none."""
    label = f"{figure.label}: {figure.text}" + (", why?" if figure.why else "")
    opens = f'data-why="{escape(figure.why)}"' if figure.why else "disabled"
    return (
        f'<button type="button" class="fig" {opens} aria-label="{escape(label)}">'
        f"{escape(figure.text)}</button>"
    )


def headline_html(figure: Figure) -> str:
    """One number of the answer, with its interval as a band."""
    return _figure_html(figure, button_html(figure), titled(figure.label))


def _figure_html(figure: Figure, value: str, title: str = "") -> str:
    return (
        f'<div class="est-fig"><div class="soft"{title}>{escape(figure.label)}</div>'
        f"{value}{_band_html(figure)}"
        f'<div class="soft detail">{escape(figure.detail)}</div></div>'
    )


def first_html(answer: Answer) -> str:
    """The answer before there is a page around it: nothing in it can be pressed.

    A browser takes longer to build the page than the server to answer, and this it shows at once;
    `estimator.js` takes it away when the page stands.
    """
    figures = "".join(
        _figure_html(figure, f'<div class="first-value">{escape(figure.text)}</div>')
        for figure in answer.headline
    )
    state = "good" if answer.fits else "bad"
    verdict = f'<div class="est-state {state}">{escape(answer.verdict)}</div>'
    return (
        f'<div id="first"><div class="est-head">{verdict if answer.verdict else ""}'
        f'<div class="first-figures">{figures}</div>'
        f'<div class="est-title soft">{escape(answer.title)}</div></div></div>'
    )


def _band_html(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return ""
    value, low, high = (float(each or 0) for each in (figure.value, figure.low, figure.high))
    bound = float(figure.bound) if figure.bound is not None else None
    scale = 100 / (1.04 * max(value, high, bound or 0) or 1)
    between = [f"80 %: {spoken(low, figure.unit)} to {spoken(high, figure.unit)}"]
    left, width = scale * low, scale * (high - low)
    marks = [f'<span class="band-range" style="left: {left:.1f}%; width: {width:.1f}%"></span>']
    if bound is not None:
        marks.append(f'<span class="band-bound" style="left: {scale * bound:.1f}%"></span>')
        between.append(f"bound {spoken(bound, figure.unit)}")
    marks.append(f'<span class="band-value" style="left: {scale * value:.1f}%"></span>')
    label = escape(f"{figure.label}: {figure.text}; {', '.join(between)}")
    parts = ", ".join(f"<span>{escape(part)}</span>" for part in between)
    return (
        f'<div class="band" role="img" aria-label="{label}">{"".join(marks)}</div>'
        f'<div class="soft between"{titled("interval")}>{parts}</div>'
    )


def spoken(value: float, unit: str) -> str:
    """A number of a band: time in its own unit, else three digits, whose unit stands above."""
    return seconds(value) if unit == "s" else three_digits(value)


def grid_html(grid: Grid) -> str:
    """A table of figures, with its note."""
    rows = ((row.label, [button_html(cell) for cell in row.cells]) for row in grid.rows)
    head = ("", *grid.columns) if any(grid.columns) else ()
    note = f'<div class="soft note">{escape(grid.note)}</div>' if grid.note else ""
    return table_html(head, grid.columns, rows, cards=len(grid.columns) > 3) + note


def formulas_html(formulas: Iterable[Sequence[str]]) -> str:
    """The original's formulas: kernel, FLOP, bytes."""
    rows = ((name, [escape(text) for text in texts]) for name, *texts in formulas)
    columns = ("kernel", "FLOP", "bytes")
    return table_html(columns, columns[1:], rows, "formulas", cards=True, cell="formula")


def explained_html(explanation: Explanation) -> str:
    """What is behind a number: its formula, the rows that it is made of, notes."""
    lines = "".join(
        f'<div class="{"filled" if line[:1] == " " else "symbols"}">{escape(line.strip())}</div>'
        for line in explanation.formula
    )
    table, columns = "", explanation.columns
    if explanation.rows:
        rows = ((row[0], [escape(text or "–") for text in row[1:]]) for row in explanation.rows)
        table = table_html(columns, columns[1:], rows, cards=len(columns) > 3)
    notes = "".join(map(item_html, explanation.notes))
    return f'<div class="why-lines">{lines}</div>{table}<ul class="notes">{notes}</ul>'


def table_html(
    head: Sequence[str],
    columns: Sequence[str],
    rows: Iterable[tuple[str, Iterable[str]]],
    kind: str = "",
    *,
    cards: bool,
    cell: str = "",
) -> str:
    """A table; cells come as HTML, everything else as text.

    ``head`` are the titles over all columns, or nothing; ``columns`` those of the cells, which each
    cell repeats where rows become ``cards`` on a narrow screen; ``cell`` is the class of each.
    """
    titles = "".join(f'<th scope="col"{titled(title)}>{escape(title)}</th>' for title in head)
    body = "".join(
        f'<tr><th scope="row"{titled(label)}>{escape(label)}</th>'
        + "".join(
            f'<td data-label="{escape(column)}"' + (f' class="{cell}"' if cell else "")
            + f">{each}</td>"
            for column, each in zip(columns, cells, strict=True)
        )
        + "</tr>"
        for label, cells in rows
    )  # fmt: skip
    classes = " ".join(filter(None, ("cells", "cards" if cards else "", kind)))
    return (
        f'<div class="scroll"><table class="{classes}">'
        + (f"<thead><tr>{titles}</tr></thead>" if head else "")
        + f"<tbody>{body}</tbody></table></div>"
    )
