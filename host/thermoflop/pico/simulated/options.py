"""The options of a simulated board: the same in a URL and on the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

from thermoflop.errors import UsageError
from thermoflop.pico.simulated.heat import FULL_W, USUAL_SCRIPT
from thermoflop.pico.simulated.menu import Fault, parse_faults

READY_S = 60.0  # the fan's shortest time off after the start is over by then
UID_PREFIX = "e66164"  # as on real Picos of 2023; the rest comes from the seed
_FINGER = re.compile(r"(\d+(?:\.\d+)?)(?::(\d+(?:\.\d+)?))?")
_UID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Options:
    """A simulated board. The same options give the same bytes, unless the heat is ``cpu``.

    ``speed`` is simulated seconds per second; infinity runs as fast as the reader reads, and time
    stands still while nobody does. ``uptime_s`` is how long the board has been on when time 0 of
    the script comes. ``vref_mv`` is how far ADC_VREF sits under the divider's supply.
    """

    seed: int = 1
    speed: float = 1.0
    ambient_c: float = 24.0
    heat: str = USUAL_SCRIPT
    full_w: float = FULL_W
    fingers: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()
    uid: str | None = None
    vref_mv: float = 0.0
    uptime_s: float = 0.0

    @property
    def uid_hex(self) -> str:
        """The board's unique id, 16 hex digits."""
        return self.uid or f"{UID_PREFIX}{self.seed * 0x9E3779B97F & 0xFFFFFFFFFF:010x}"


# word -> what it takes, as the command line's help shows it
WORDS = {
    "seed": "a whole number; the same one gives the same bytes",
    "speed": "simulated seconds per second, or max",
    "ambient": "temperature of the air in °C",
    "heat": "cpu, off, a script like '0 0W, 5 30W, 15 0W every 40', or a file with one",
    "watts": "power at full load, for the heat cpu",
    "finger": "START:SECONDS, a finger on the thermistor; several with commas; then there is no "
    "other heat, and the board has been on for a minute, unless they are said",
    "fault": "KIND[@START[:SECONDS]][=VALUE]; several with commas",
    "uid": "16 hex digits, the board's serial number",
    "vref": "mV of the converter's reference under the divider's supply",
    "uptime": "seconds that the board has been on already",
}


def parse_options(pairs: Iterable[tuple[str, str]]) -> Options:
    """Options from (word, text) pairs; UsageError says which was wrong and what was expected."""
    values: dict[str, object] = {}
    faults: list[str] = []
    fingers: list[Fault] = []
    for word, text in pairs:
        match word:
            case "seed":
                values["seed"] = int(_number(word, text, 0, 2**31, whole=True))
            case "speed":
                values["speed"] = math.inf if text == "max" else _number(word, text, 0.01, 1e6)
            case "ambient":
                values["ambient_c"] = _number(word, text, -40, 100)
            case "heat":
                values["heat"] = text
            case "watts":
                values["full_w"] = _number(word, text, 0, 1000)
            case "finger":
                fingers += [_finger(part) for part in text.split(",")]
            case "fault":
                faults.append(text)
            case "uid":
                values["uid"] = _uid(text)
            case "vref":
                values["vref_mv"] = _number(word, text, -200, 200)
            case "uptime":
                values["uptime_s"] = _number(word, text, 0, 1e6)
            case _:
                raise UsageError(
                    f"a simulated board has no option {word!r}; it has {', '.join(WORDS)}"
                )
    if fingers:  # what they are to show is the finger's heat, on a board that is ready for it
        values = {"heat": "off", "uptime_s": READY_S} | values
    return Options(
        **values,  # type: ignore[arg-type]  # each was made by the right function above
        faults=parse_faults(faults),
        fingers=tuple(fingers),
    )


def for_a_finger(options: Options) -> Options:
    """The same board, ready for a finger and without other heat, unless those were said."""
    usual = Options()
    heat = "off" if options.heat == usual.heat else options.heat
    return replace(options, heat=heat, uptime_s=options.uptime_s or READY_S)


def parse_url(url: str) -> tuple[str, Options]:
    """(name, options) of ``sim://NAME?seed=7&finger=5:10``; the name may be missing."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError(f"{url!r} is no URL: {error}") from None
    if parts.scheme.lower() != "sim" or parts.path not in ("", "/") or parts.fragment:
        raise UsageError(f"{url!r} must look like sim://?seed=7&finger=5:10")
    return parts.netloc, parse_options(parse_qsl(parts.query, keep_blank_values=True))


def _number(word: str, text: str, low: float, high: float, whole: bool = False) -> float:
    try:
        number = float(int(text)) if whole else float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{word} must be {kind} from {low:.10g} to {high:.10g}, not {text!r}")
    return number


def _finger(text: str) -> Fault:
    match = _FINGER.fullmatch(text.strip())
    if not match:
        raise UsageError(f"finger {text!r} must be START:SECONDS, like 5:10")
    start_s = float(match[1])
    return Fault("finger", start_s, start_s + float(match[2] or math.inf))


def _uid(text: str) -> str:
    if not _UID.fullmatch(text):
        raise UsageError(f"uid must be 16 lowercase hex digits, not {text!r}")
    return text
