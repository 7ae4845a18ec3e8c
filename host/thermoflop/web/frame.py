"""The frame that every page shares: header, navigation, light or dark, main landmark, style.

The style is our own sheet (``assets/site.css``): no Tailwind, no font or script from elsewhere, so
that the page works offline. Its classes are ``card``, ``grid``, ``field``, ``figures``, ``num``
(right-aligned, tabular numerals), ``soft`` (secondary text), ``warn`` and ``bad``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

PAGES = (("/", "Estimator"), ("/live", "Live"), ("/runs", "Runs"))
THEMES = ("system", "light", "dark")
SIGNS = {"system": "◐", "light": "☀", "dark": "☾"}
THEME_COOKIE = "thermoflop-theme"
ASSETS = "/assets"


def add_assets(app: FastAPI) -> None:
    """Serve our own style and scripts."""
    from fastapi.staticfiles import StaticFiles

    with as_file(files("thermoflop.web").joinpath("assets")) as folder:
        app.mount(ASSETS, StaticFiles(directory=folder), name="assets")


@contextmanager
def frame(title: str, active: str) -> Iterator[None]:
    """Build the page around what the ``with`` block adds; ``active`` is the page's own address."""
    from nicegui import ui

    from thermoflop import __version__

    ui.add_head_html(
        f'<link rel="stylesheet" href="{ASSETS}/site.css?{__version__}">'
        f'<script src="{ASSETS}/light.js?{__version__}" defer></script>'
        f'<script src="{ASSETS}/local_time.js?{__version__}" defer></script>'
    )
    client = ui.context.client
    with client.layout:  # above the page, whose element is the main landmark
        skip = ui.link("Skip to content", "#main").classes("skip")
        with ui.element("header").classes("top") as header:
            ui.link("thermoflop", "/").classes("brand")
            with ui.element("nav").props('aria-label="Pages"'):
                for path, name in PAGES:
                    link = ui.link(name, path)
                    if path == active:
                        link.props('aria-current="page"')
            ui.link("", "/live#record").props("data-light hidden role=status").classes("light")
            _theme_switch()
    skip.move(target_index=0)
    header.move(target_index=1)
    client.page_container.default_slot.children[0].props('id="main" tabindex="-1"')
    with ui.element("h1"):
        ui.label(title)
    yield


def plain_page(title: str, sentence: str, theme: str) -> str:
    """The frame around one sentence, as HTML that needs no connection: for what is not there.

    ``theme`` is the value of the cookie.
    """
    from thermoflop import __version__

    sentence = sentence[:1].upper() + sentence[1:]
    links = "".join(f'<a href="{path}">{name}</a>' for path, name in PAGES)
    colours = f' class="body--{theme}"' if theme in THEMES[1:] else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} · thermoflop</title>"
        f'<link rel="stylesheet" href="{ASSETS}/site.css?{__version__}"></head><body{colours}>'
        '<header class="top"><a class="brand" href="/">thermoflop</a>'
        f'<nav aria-label="Pages">{links}</nav></header><main class="nicegui-content">'
        f'<h1 class="seen">{escape(title)}</h1><p>{escape(sentence)}</p>'
        '<p>From here: <a href="/">estimate a model on a GPU</a>, <a href="/live">look at this '
        'machine</a>, or <a href="/runs">see what was recorded</a>.</p></main></body></html>'
    )


def _theme_switch() -> None:
    """A button that cycles system, light and dark colours; the choice is remembered."""
    from nicegui import ui

    chosen = ui.context.client.request.cookies.get(THEME_COOKIE, THEMES[0])
    state = {"theme": chosen if chosen in THEMES else THEMES[0]}
    values = {"system": None, "light": False, "dark": True}
    mode = ui.dark_mode(values[state["theme"]])

    def turn() -> None:
        theme = THEMES[(THEMES.index(state["theme"]) + 1) % len(THEMES)]
        state["theme"] = theme
        mode.value = values[theme]
        show()
        ui.run_javascript(
            f"document.cookie = '{THEME_COOKIE}={theme}; path=/; max-age=31536000; samesite=strict'"
        )

    def show() -> None:
        button.text = SIGNS[state["theme"]]
        name = f"Theme: {state['theme']}"
        button.props(f'aria-label="{name}" title="{name}"')

    button = ui.button(on_click=turn).props("flat no-caps color=inherit").classes("theme")
    show()
