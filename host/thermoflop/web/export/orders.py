"""What Home Assistant may order a board to do, in the board's own commands.

The board's rules stay above all of it: it refuses what makes no sense, and turns its fan on when it
is hot or in doubt, whatever was commanded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thermoflop.errors import UsageError
from thermoflop.pico.wire import printable
from thermoflop.web.export.home_assistant import FAN, PRESET, SETPOINT

if TYPE_CHECKING:
    from thermoflop.web.live.board import BoardSource

OFF_S = "600"  # the longest that the firmware leaves a fan off by command
_GAP_C = 1.0  # between on and off where the board has not said its own


def board_commands(
    what: str, payload: str, on_c: float | None, off_c: float | None
) -> list[tuple[str, ...]]:
    """The commands, verb first, for a payload of one of the command topics.

    ``on_c`` and ``off_c`` are the thresholds now: their distance is kept, and they are set in the
    order in which the board never has one above the other. UsageError for any other payload.
    """
    if what == FAN and payload in ("ON", "OFF"):
        return [("fan", "on")] if payload == "ON" else [("fan", "off", OFF_S)]
    if what == PRESET and payload == "auto":
        return [("fan", "auto")]
    if what == SETPOINT:
        return _setpoint(payload, on_c, off_c)
    raise UsageError(f"{what} {printable(payload)[:40]!r} is no order that a board is given")


def _setpoint(payload: str, on_c: float | None, off_c: float | None) -> list[tuple[str, ...]]:
    try:
        new_c = float(payload)
    except ValueError:
        new_c = math.nan
    if not -273.15 < new_c < 1000:
        raise UsageError(f"setpoint {printable(payload)[:40]!r} is no temperature in °C")
    gap_c = on_c - off_c if on_c is not None and off_c is not None else _GAP_C
    on, off = ("set", "on_c", f"{new_c:.2f}"), ("set", "off_c", f"{new_c - gap_c:.2f}")
    return [on, off] if on_c is not None and new_c > on_c else [off, on]


def obey(board: BoardSource, what: str, payload: str) -> None:
    """Give the order, and ask for the settings that it changed.

    Raises UsageError, BoardError, and BoardRefused with the board's reason.
    """
    settings = board.tracker.board.settings
    commands = board_commands(what, payload, settings.get("on_c"), settings.get("off_c"))
    for verb, *arguments in commands:
        board.send_command(verb, arguments)
    if what == SETPOINT:
        board.send_command("get")
