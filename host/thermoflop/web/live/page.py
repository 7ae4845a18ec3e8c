"""The live page: boards, GPUs and recordings, as they are now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from thermoflop import __version__
from thermoflop.errors import ThermoflopError
from thermoflop.web.frame import ASSETS, frame
from thermoflop.web.live.control import control_panel, findings
from thermoflop.web.live.recording_card import RecordingCard
from thermoflop.web.parts import button, heading, say

if TYPE_CHECKING:
    from thermoflop.web.live.board import BoardSource
    from thermoflop.web.live.sources import LiveSources

WINDOWS = ((60, "1 min"), (120, "2 min"), (600, "10 min"), (3600, "1 h"), (28800, "8 h"))
CURVES = (
    ("load", "temperature, power, utilization, clock"),
    ("traffic", "memory, fan, PCIe"),
)
LOOK_S = 0.5
SIMULATED = "sim://?heat=cpu"  # this machine's own work is the heat


def live_page(sources: LiveSources) -> None:
    """Build the page at ``/live``."""
    with frame("Live", active="/live"):
        with ui.element("p").classes("bad").props("data-lost hidden role=status"):
            ui.label("The connection to the page's server is lost. Trying again …")
        with ui.element("div").classes("dash"):
            with ui.element("div").classes("dash-bar"):
                _choice("Curves show the last", "window", WINDOWS, 120)
                _choice("of GPUs", "curves", CURVES, "load")
                ui.label("").props("data-crosshair role=status").classes("soft crosshair-time")
                for text, target in (("Record", "#record"), ("Add a board", "#more")):
                    ui.link(text, target).classes("tap")
            with ui.element("div").classes("dash-side"):
                boards = ui.element("section").props('aria-label="Boards"')
                ui.element("section").props('data-gpus aria-label="GPUs"')
            ui.element("section").props('data-plots aria-label="Curves"').classes("dash-plots")
        cards: dict[str, ui.element] = {}
        with ui.element("section").classes("card").props('aria-labelledby="record"'):
            recording = RecordingCard(sources)
        with ui.element("section").classes("card").props('aria-labelledby="more"'):
            _more_boards(sources)
        with ui.element("section").classes("card").props('aria-labelledby="gpus"') as gpus:
            _gpus(sources, gpus)

        def look() -> None:
            """Add the cards of new boards, take away those of closed ones."""
            for key in [key for key in cards if key not in sources.boards]:
                cards.pop(key).delete()
            for key, board in list(sources.boards.items()):
                if key not in cards:
                    with boards:
                        cards[key] = _board_card(sources, board)
            recording.look()

        look()
        ui.timer(LOOK_S, look)
    ui.add_body_html(f'<script src="{ASSETS}/live.js?{__version__}" defer></script>')


def _choice(label: str, name: str, choices: Sequence[tuple[object, str]], chosen: object) -> None:
    with ui.element("label").classes("window"):
        ui.label(label)
        with ui.element("select").props(f'name="{name}"'):
            for value, text in choices:
                selected = " selected" if value == chosen else ""
                with ui.element("option").props(f'value="{value}"{selected}'):
                    ui.label(text)


def _board_card(sources: LiveSources, board: BoardSource) -> ui.element:
    title = board.state()["port"]
    with ui.element("div").classes("card") as card:
        with ui.element("div").classes("head"):
            title += f", {board.run.name}" if board.of_run and board.run else ""
            heading(f"Board at {title}", title=title)
            if board.simulated is not None:
                look = 'outline aria-label="Put a finger on the simulated thermistor"'
                button("Finger", partial(notify_errors, board.simulated.touch), look)
            button("Close", lambda: notify_errors(lambda: sources.close(board.key)), "flat")
        ui.element("div").props(f'data-board="{board.key}"')
        control_panel(board)
    return card


def _more_boards(sources: LiveSources) -> None:
    heading("Add a board", id="more")
    listed = ui.element("div")
    listed_names: list[str] = []

    async def look() -> None:
        ports = await asyncio.to_thread(sources.unread_ports)
        names = [port.device for port in ports] or ["further" if sources.boards else "none"]
        if names == listed_names:
            return
        listed_names[:] = names
        listed.clear()
        with listed:
            if not ports:
                which = "No further board" if sources.boards else "No board"
                ui.label(
                    f"{which} is plugged in. A board is a Pico W; thermoflop setup guides "
                    "through the first one."
                ).classes("soft")
            for port in ports:
                with ui.element("div").classes("row-wrap"):
                    ui.label(f"{port.device}: {port.description}")
                    button("Open", lambda p=port.device: _open(sources, p), "")

    ui.timer(3.0, look)
    with ui.element("div").classes("fields"):
        button("Open a simulated board", lambda: _open(sources, SIMULATED))
        port = ui.input("Port", placeholder="/dev/ttyACM0").props("outlined dense").classes("wide")
        named = 'outline aria-label="Open this port"'
        button("Open", lambda: _open(sources, port.value), named)
        button("Self-check", lambda: _examine(sources, port.value or "", report), "flat")
    report = ui.element("div").props("role=status")


async def _open(sources: LiveSources, port: str) -> None:
    if port.strip():
        await notify_errors(lambda: sources.open(sources.named(port)))


async def _examine(sources: LiveSources, port: str, report: ui.element) -> None:
    """Show what ``thermoflop doctor`` finds; sends nothing to a board."""
    from thermoflop.pico.doctor import examine

    say(report, "Looking …", "soft")
    try:
        named = await asyncio.to_thread(sources.named, port) if port.strip() else None
        results = await asyncio.to_thread(examine, named)
    except ThermoflopError as error:
        say(report, str(error), "bad")
        return
    findings(report, results)


def _gpus(sources: LiveSources, section: ui.element) -> None:
    """Where there is none yet, a simulated one is offered."""
    heading("GPUs", id="gpus")
    ui.label("Those of this machine are shown above as soon as they answer.").classes("soft")

    async def simulate() -> None:
        await asyncio.to_thread(sources.gpus.simulate)
        offer.visible = False

    offer = button("Show a simulated GPU", simulate)
    offer.visible = sources.gpus.simulated is None
    section.visible = not sources.gpus.readings
    ui.timer(1.0, lambda: section.set_visibility(not sources.gpus.readings))


async def notify_errors(action: Callable[[], Any]) -> None:
    """Run an action in a thread and show its error as a notification."""
    try:
        await asyncio.to_thread(action)
    except ThermoflopError as error:
        ui.notify(str(error), type="negative", multi_line=True, timeout=8000)
