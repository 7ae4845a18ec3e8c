"""The menu of faults: their kinds, times and sizes.

A fault is written ``KIND[@START[:LENGTH]][=VALUE]``: ``open@5:3`` cuts the sensor's wire at 5 s for
3 s, ``corrupt=0.01`` corrupts one line in a hundred all the time, ``drift@10:30=0.2`` lets the
reading run away by 0.2 K/s. Times are seconds since the simulation began.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from thermoflop.errors import UsageError


@dataclass(frozen=True, slots=True)
class Kind:
    """One line of the menu; ``default`` is None where a value makes no sense."""

    name: str
    what: str
    default: float | None = None
    low: float = 0.0
    high: float = 1.0
    moment: bool = False  # it happens at START and has no length
    needs_length: bool = False
    choices: tuple[str, ...] = ()  # values that are words, the first is the default


MENU = {
    kind.name: kind
    for kind in (
        Kind("open", "the sensor's wire is cut"),
        Kind("short", "the sensor is shorted"),
        Kind("frozen", "the converter repeats one code"),
        Kind("drift", "the reading runs away, value in K/s", 0.1, -100, 100),
        Kind("drop", "lines vanish on the way, value is their share", 0.01),
        Kind("corrupt", "bytes of a line change on the way, value is the share of lines", 0.01),
        Kind("tear", "a line is cut and the next one runs into it, value is the share", 0.01),
        Kind("stall", "the host stops reading, the board's output backs up", needs_length=True),
        Kind("echo", "the board's own output comes back as its input"),
        Kind(
            "unplug",
            "the link vanishes, in the middle of a line, and comes back",
            needs_length=True,
            choices=("link", "power"),
        ),
        Kind("reboot", "the board restarts", moment=True, choices=("power", "reset", "watchdog")),
        Kind("ppm", "the board's clock runs fast, value in parts per million", 50, -5000, 5000),
    )
}
LINE_KINDS = ("drop", "tear", "corrupt")
SENSOR_KINDS = ("open", "short", "frozen", "drift")
_FAULT = re.compile(r"([a-z]+)(?:@([\d.]+)(?::([\d.]+))?)?(?:=(\S+))?")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a script; it holds from ``start_s`` until ``end_s``."""

    kind: str
    start_s: float = -math.inf
    end_s: float = math.inf
    value: float = 0.0
    word: str = ""

    def holds(self, now_s: float) -> bool:
        """Whether it is at work now."""
        return self.start_s <= now_s < self.end_s


def parse_faults(texts: Iterable[str]) -> tuple[Fault, ...]:
    """The faults in texts, each of which may hold several, separated by commas."""
    parts = (word.strip() for text in texts for word in text.split(","))
    return tuple(parse_fault(word) for word in parts if word)


def parse_fault(text: str) -> Fault:
    """One fault; UsageError says what was expected."""
    match = _FAULT.fullmatch(text)
    if not match:
        raise UsageError(
            f"fault {text!r} must be KIND[@START[:LENGTH]][=VALUE], like open@5:3 or corrupt=0.01"
        )
    kind = MENU.get(match[1])
    if kind is None:
        raise UsageError(f"fault {text!r} must begin with one of {', '.join(MENU)}")
    start_s, end_s = _span(text, kind, match[2], match[3])
    value, word = _value(text, kind, match[4])
    return Fault(kind.name, start_s, end_s, value, word)


def _span(text: str, kind: Kind, start: str | None, length: str | None) -> tuple[float, float]:
    try:
        start_s = -math.inf if start is None else float(start)
        length_s = math.inf if length is None else float(length)
    except ValueError:
        raise UsageError(f"the times of fault {text!r} must be seconds, like @5:3") from None
    if kind.moment:
        if start is None or length is not None:
            raise UsageError(f"fault {text!r} happens at one moment: write {kind.name}@SECONDS")
        return start_s, start_s
    if kind.needs_length and (start is None or length is None):
        raise UsageError(f"fault {text!r} must end: write {kind.name}@START:LENGTH in seconds")
    return start_s, math.inf if length is None else start_s + length_s


def _value(text: str, kind: Kind, value: str | None) -> tuple[float, str]:
    if kind.choices:
        word = kind.choices[0] if value is None else value
        if word not in kind.choices:
            raise UsageError(
                f"the value of fault {text!r} must be one of {', '.join(kind.choices)}"
            )
        return 0.0, word
    if value is None:
        return kind.default or 0.0, ""
    if kind.default is None:
        raise UsageError(f"fault {text!r} takes no value after its =")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not kind.low <= number <= kind.high:
        raise UsageError(
            f"the value of fault {text!r} must be a number from {kind.low:g} to {kind.high:g}"
        )
    return number, ""


def menu_text() -> str:
    """The menu as people read it, one line a fault."""
    return "\n".join(f"  {kind.name:8} {kind.what}{_choices(kind)}" for kind in MENU.values())


def _choices(kind: Kind) -> str:
    if kind.choices:
        return f" ({' or '.join(kind.choices)})"
    return "" if kind.default is None else f" ({kind.default:g})"
