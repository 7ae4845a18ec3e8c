"""Control of a board from the page: nothing is sent before the switch is on."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from thermoflop.errors import BoardRefused, ThermoflopError, UsageError
from thermoflop.pico.wire import printable
from thermoflop.web.parts import button, heading, say

if TYPE_CHECKING:
    from thermoflop.pico.doctor import Finding
    from thermoflop.web.live.board import BoardSource

GPT2 = (
    ("layers", 12),
    ("heads", 12),
    ("d_model", 768),
    ("d_head", 64),
    ("context", 1024),
    ("d_ff", 3072),
    ("vocabulary", 50257),
)
LISTEN_S = 2.0
_SIGNS = {"ok": "✓", "problem": "✗", "unknown": "?"}
_CLASSES = {"ok": "good", "problem": "bad", "unknown": "soft"}


def control_panel(board: BoardSource) -> None:
    """Build the switch and the controls that it opens."""
    with ui.element("div").classes("panel"):
        switch = ui.switch("Control this board").props("color=primary")
        with ui.element("div") as panel:
            _Panel(board, switch).build()
        panel.bind_visibility_from(switch, "value")


class _Panel:
    """The controls of one board on one viewer's page."""

    def __init__(self, board: BoardSource, switch: ui.switch) -> None:
        self._board = board
        self._switch = switch

    def build(self) -> None:
        self._setpoint()
        self._fan()
        self._mults()
        with ui.element("div").classes("fields"):
            self._button("Self-check", self._check)
            self._button("Save settings", lambda: self._send("save"))
            self._button("Clear faults", lambda: self._send("clear"))
        self._status = ui.element("div").classes("status-line").props("role=status")
        self._show("", "soft")

    def _setpoint(self) -> None:
        state = self._board.state()
        heading("Setpoint", "h3")
        with ui.element("div").classes("fields"):
            on_c = _number("Fan on at, °C", state["on_c"], 0.1)
            off_c = _number("Fan off at, °C", state["off_c"], 0.1)

            self._button("Set", lambda: self._set(on_c.value, off_c.value))

        def fill() -> None:
            """Fill in the board's thresholds once it has sent them."""
            stated = self._board.state()
            if stated["on_c"] is None or stated["off_c"] is None:
                return
            timer.cancel()
            if on_c.value is None and off_c.value is None:
                on_c.value, off_c.value = stated["on_c"], stated["off_c"]

        timer = ui.timer(1.0, fill)

    def _fan(self) -> None:
        heading("Fan", "h3")
        with ui.element("div").classes("fields"):
            for_s = _number("for, s", 60, 1)
            self._button("Automatic", lambda: self._send("fan", "auto"))
            self._button("On for that long", lambda: self._send("fan", "on", _word(for_s.value)))
            self._button("Off for that long", lambda: self._send("fan", "off", _word(for_s.value)))

    def _mults(self) -> None:
        with ui.expansion("Count multiplications on the board").classes("wide"):
            with ui.element("div").classes("fields"):
                numbers = [_number(name, value, 1) for name, value in GPT2]
                self._button("Count", lambda: self._count([_word(n.value) for n in numbers]))
            self._counts = ui.element("div").classes("facts").props("role=status")

    def _button(self, text: str, action: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            if not self._switch.value:
                return
            made.disable()
            try:
                await action()
            except ThermoflopError as error:
                begins = "The board refused: " if isinstance(error, BoardRefused) else ""
                self._show(f"{begins}{error}", "bad")
            finally:
                made.enable()

        made = button(text, guarded)

    async def _send(self, verb: str, *args: str) -> None:
        reply, _ = await asyncio.to_thread(self._board.send_command, verb, args)
        command = " ".join([verb, *args])
        detail = ", ".join(f"{key} {value}" for key, value in reply.detail.items())
        self._show(printable(f"Done: {command}" + (f" ({detail})" if detail else "")), "good")

    async def _set(self, on_c: float | None, off_c: float | None) -> None:
        """Set both thresholds, in the order in which the board accepts each."""
        if on_c is None or off_c is None:
            raise UsageError("both temperatures must be numbers in °C")
        before_c = self._board.state()["on_c"]
        pairs = [("on_c", on_c), ("off_c", off_c)]
        if before_c is not None and on_c < before_c:
            pairs.reverse()
        for key, value in pairs:
            await asyncio.to_thread(self._board.send_command, "set", (key, _word(value)))
        await asyncio.to_thread(self._board.send_command, "get")
        self._show(
            f"Done: fan on at {on_c:g} °C, off at {off_c:g} °C, until the next restart; "
            "save keeps it",
            "good",
        )

    async def _count(self, args: Sequence[str]) -> None:
        self._counts.clear()
        self._show("The board counts …", "soft")
        _, mults = await asyncio.to_thread(self._board.send_command, "mults", args)
        with self._counts:
            for count in mults:
                with ui.element("div"):
                    ui.label(printable(count.form)).classes("soft")
                    with ui.element("b").classes("num"):
                        ui.label(f"{count.value:,}")
        self._show("Done: multiplications for one new token", "good")

    async def _check(self) -> None:
        self._show("Looking …", "soft")
        results = await asyncio.to_thread(check, self._board)
        findings(self._status, results)

    def _show(self, text: str, kind: str) -> None:
        say(self._status, text, kind)


def check(board: BoardSource) -> list[Finding]:
    """The findings of ``thermoflop doctor --ask`` on a port that the page itself reads."""
    from thermoflop.pico.doctor import Facts, heard_of, judge, shipped_firmware
    from thermoflop.pico.ports import list_ports
    from thermoflop.pico.system import look_at_system

    before = board.state()["samples"]
    board.send_command("id")
    board.send_command("faults")
    time.sleep(LISTEN_S)
    heard = heard_of(board.tracker, LISTEN_S, board.state()["samples"] - before)
    target = board.target
    system = look_at_system(target.url if target.is_path and os.name == "posix" else None)
    return judge(Facts(tuple(list_ports()), system, target, None, heard, shipped_firmware()))


def findings(where: ui.element, results: Sequence[Finding]) -> None:
    """Show the findings of a self-check in ``where``."""
    where.clear()
    with where:
        for finding in results:
            sign = _SIGNS.get(finding.state, "?")
            text = f"{sign} {finding.check}: {finding.text}"
            if finding.remedy:
                text += f" → {finding.remedy}"
            ui.label(text).classes(_CLASSES.get(finding.state, "soft"))


def _number(label: str, value: float | None, step: float) -> ui.number:
    return ui.number(label, value=value, step=step).props("outlined dense")


def _word(value: float | None) -> str:
    """Format a number for the board. Raises UsageError for an empty field."""
    if value is None:
        raise UsageError("every field must have a number in it")
    return f"{value:.6g}" if value % 1 else f"{value:.0f}"
