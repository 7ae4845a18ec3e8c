"""Parts that the pages share: a heading, a button, a sentence in its place, a chart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui


def heading(text: str, tag: str = "h2", **attributes: str) -> ui.label:
    """A heading with these attributes; the label in it, whose text may change."""
    with ui.element(tag) as element:
        element.props.update(attributes)
        return ui.label(text)


def button(text: str, act: Callable[..., Any] | None, look: str = "outline") -> ui.button:
    """A button that says its text as it is written; ``look`` are further properties of it."""
    return ui.button(text, on_click=act).props(f"no-caps {look}")


def say(place: ui.element, text: str, kind: str) -> None:
    """Show one sentence in a place, and nothing else."""
    place.clear()
    with place:
        ui.label(text).classes(kind)


def chart(name: str, title: str) -> ui.echart:
    """An empty chart."""
    made = ui.echart({}, renderer="svg").classes(f"chart chart-{name}")
    made.props.update({"role": "img", "aria-label": title})
    return made
