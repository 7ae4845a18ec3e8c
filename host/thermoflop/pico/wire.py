"""The wire: one line of bytes from the board becomes one typed message, or the reason why not.

A line is an ASCII JSON object of at most 256 bytes, newline included, whose last key is ``"crc"``:
CRC-16/CCITT-FALSE (polynomial 1021, initial value ffff) as four lowercase hex digits over all bytes
before ``,"crc"``. A line whose CRC is wrong is never parsed. Times are seconds of the board's clock
since boot (``up_s``, resolution 1 ms), temperatures degrees Celsius.
"""

from __future__ import annotations

import json
import math
import re
from binascii import crc_hqx
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from thermoflop.errors import UsageError
from thermoflop.pico.settings import HIGHEST_C, LOWEST_C, check_settings

MAX_LINE_BYTES = 256  # newline included
MAX_COMMAND_BYTES = 80  # newline included
MAX_ID = 999_999_999
SIMULATED = " (simulated)"  # at the end of its name, says a board that is none, on whatever port
UNIT_LABELS = {"degC": "°C", "degC/s": "°C/s"}  # the wire is ASCII
MODES = frozenset({"auto", "on", "off", "fault", "hot", "safe"})

_CRC_TAIL_BYTES = len(',"crc":"5a3c"}')
_NOT_PRINTABLE = re.compile(rb"[^\x20-\x7e]").search
_IS_BOOT = re.compile(r"[0-9a-f]{4,16}").fullmatch
_IS_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}").fullmatch
# A sample without flags, as the firmware writes it: all but a few lines of a day. What this matches
# is a valid one; the rest goes the long way, through json, and three times as slowly.
USUAL_SAMPLE = (
    rb'{"k":"t","boot":"([0-9a-f]{4,16})","seq":(0|[1-9]\d{0,14}),"up_s":((?:0|[1-9]\d{0,8})\.\d{1,6}),'
    rb'"temp_c":((?:-?\d|-?[1-9]\d|[1-9]\d\d)\.\d{1,6}),"raw":(0|[1-9]\d{0,2}|[1-3]\d{3}),"fan":([01]),'
    rb'"mode":"(auto|on|off|fault|hot|safe)","flags":\[\],"drops":(0|[1-9]\d{0,14}),"crc":"[0-9a-f]{4}"}'
)
_USUAL_SAMPLE = re.compile(USUAL_SAMPLE).fullmatch
_MAX_UP_S = 1e10  # three centuries; keeps 1e999 and its like out


@dataclass(frozen=True, slots=True)
class Hello:
    """Who the board is; sent at boot, every minute, and on ``id``."""

    boot: str
    up_s: float
    proto: int
    fw: str
    board: str
    uid: str
    reset: str
    boots: int
    crashes: int
    safe: int


@dataclass(frozen=True, slots=True)
class Units:
    """What unit each field of a sample is in, as the board states it."""

    boot: str
    units: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Settings:
    """One part of the board's settings; ``parts`` of them make the whole."""

    boot: str
    part: int
    parts: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading. ``temp_c`` is None when it is not valid; ``raw`` is the 12-bit code.

    ``seq`` advances by one for every sample that was due, and ``drops`` counts those of them that
    the board could not send since its boot.
    """

    boot: str
    seq: int
    up_s: float
    temp_c: float | None
    raw: int
    fan: int
    mode: str
    flags: tuple[str, ...]
    drops: int

    def follows(self, last: Sample | None) -> bool:
        """Whether nothing is missing since ``last``: the same boot, and the next number."""
        return last is not None and self.boot == last.boot and self.seq == last.seq + 1


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened: ``ev`` names it, ``detail`` has the rest. ``n`` counts events."""

    boot: str
    n: int
    up_s: float
    ev: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the command with the same ``id``; ``err`` is None when it was done."""

    id: int | None
    ok: bool
    err: str | None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mults:
    """One multiplication count (``what`` is "mults") or parameter count ("params")."""

    id: int | None
    form: str
    what: str
    value: int


@dataclass(frozen=True, slots=True)
class Log:
    """Text from the board, for people."""

    boot: str
    text: str


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that is not believed, and why.

    ``reason`` is ``too_long`` (for MAX_LINE_BYTES), ``empty``, ``not_ascii`` (a byte that is not
    printable), ``no_crc`` (at its end), ``crc`` (a wrong one), ``not_json`` (no object), ``kind``
    (not known), or ``fields`` (one missing, of a wrong type or out of range).
    """

    reason: str


Message = Hello | Units | Settings | Sample | Event | Reply | Mults | Log


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE of ``data``; the check value of b"123456789" is 0x29b1."""
    return crc_hqx(data, 0xFFFF)


def decode(line: bytes) -> Message | Bad:
    """One line without its newline (a carriage return before it is forgiven) to its message."""
    if line.endswith(b"\r"):
        line = line[:-1]
    reason = frame_fault(line)
    if reason is not None:
        return Bad(reason)
    if usual := _USUAL_SAMPLE(line):
        return _usual_sample(*usual.groups())
    try:
        data = _parse_json(line.decode("ascii"))
    except OverflowError:
        return Bad("fields")
    except (ValueError, RecursionError):
        return Bad("not_json")
    if not isinstance(data, dict):
        return Bad("not_json")
    kind = data.get("k")
    build = _BUILDERS.get(kind) if isinstance(kind, str) else None
    if build is None:
        return Bad("kind")
    try:
        return build(data)
    except (KeyError, TypeError, ValueError):
        return Bad("fields")


def frame_fault(line: bytes) -> str | None:
    """Why the frame around a line (length, alphabet, crc) is wrong, or None when it is right."""
    if len(line) >= MAX_LINE_BYTES:
        return "too_long"
    if not line:
        return "empty"
    if _NOT_PRINTABLE(line):
        return "not_ascii"
    tail = line[-_CRC_TAIL_BYTES:]
    if tail[:8] != b',"crc":"' or tail[12:] != b'"}':
        return "no_crc"
    if b"%04x" % crc16(line[:-_CRC_TAIL_BYTES]) != tail[8:12]:
        return "crc"
    return None


def encode_command(command_id: int, verb: str, args: list[str] | tuple[str, ...] = ()) -> bytes:
    """``!id verb args`` and a newline; UsageError when the board could not take it."""
    if not 0 <= command_id <= MAX_ID:
        raise UsageError(f"command id {command_id} must be within 0 and {MAX_ID}")
    if not _IS_NAME(verb):
        raise UsageError(f"verb {printable(verb)!r} must be one lowercase word, like `faults`")
    text = " ".join([f"!{command_id} {verb}", *args])
    if not text.isascii() or not text.isprintable():
        raise UsageError(f"command {printable(text)!r} must be printable ASCII on one line")
    data = text.encode("ascii") + b"\n"
    if len(data) > MAX_COMMAND_BYTES:
        raise UsageError(
            f"the command is {len(data)} bytes long, and the board takes {MAX_COMMAND_BYTES}"
        )
    return data


def printable(text: str) -> str:
    """Text from a board, safe for a terminal: control and foreign characters become escapes."""
    return "".join(c if " " <= c <= "~" or c == "°" else ascii(c)[1:-1] for c in text)


def _finite(text: str) -> float:
    """1e999, too, is infinite as a float: nothing can be computed with it."""
    value = float(text)
    if math.isinf(value):
        raise OverflowError(text)
    return value


# made once: json.loads with an argument makes a decoder for every line; int refuses NaN, Infinity
_parse_json = json.JSONDecoder(parse_constant=int, parse_float=_finite).decode


def _integer(data: dict[str, Any], key: str, low: int, high: int) -> int:
    value = data[key]
    if type(value) is not int or not low <= value <= high:  # a bool is an int to isinstance
        raise ValueError(key)
    return value


def _number(data: dict[str, Any], key: str, low: float, high: float) -> float:
    value = data[key]
    if type(value) not in (int, float) or not low <= value <= high:
        raise ValueError(key)
    return float(value)


def _text(data: dict[str, Any], key: str, check: Callable[[str], object] = lambda _: True) -> str:
    value = data[key]
    if type(value) is not str or not check(value):
        raise ValueError(key)
    return value


def _command_id(data: dict[str, Any]) -> int | None:
    return None if data["id"] is None else _integer(data, "id", 0, MAX_ID)


def _rest(data: dict[str, Any], *known: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in known}


def _hello(data: dict[str, Any]) -> Hello:
    return Hello(
        boot=_text(data, "boot", _IS_BOOT),
        up_s=_number(data, "up_s", 0, _MAX_UP_S),
        proto=_integer(data, "proto", 0, 999),
        fw=_text(data, "fw", bool),
        board=_text(data, "board"),
        uid=_text(data, "uid"),
        reset=_text(data, "reset"),
        boots=_integer(data, "boots", 0, 1 << 32),
        crashes=_integer(data, "crashes", 0, 1 << 32),
        safe=_integer(data, "safe", 0, 1),
    )


def _units(data: dict[str, Any]) -> Units:
    units = _rest(data, "k", "boot", "crc")
    if not all(isinstance(unit, str) for unit in units.values()):
        raise ValueError("units")
    return Units(_text(data, "boot", _IS_BOOT), units)


def _settings(data: dict[str, Any]) -> Settings:
    parts = _integer(data, "parts", 1, 99)
    values = _rest(data, "k", "boot", "part", "parts", "crc")
    check_settings(values)
    return Settings(
        boot=_text(data, "boot", _IS_BOOT),
        part=_integer(data, "part", 1, parts),
        parts=parts,
        values=values,
    )


def _sample(data: dict[str, Any]) -> Sample:
    flags = data["flags"]
    if type(flags) is not list or not all(type(f) is str and _IS_NAME(f) for f in flags):
        raise ValueError("flags")
    mode = data["mode"]
    if mode not in MODES:
        raise ValueError("mode")
    return Sample(
        boot=_text(data, "boot", _IS_BOOT),
        seq=_integer(data, "seq", 0, 1 << 53),
        up_s=_number(data, "up_s", 0, _MAX_UP_S),
        temp_c=None if data["temp_c"] is None else _number(data, "temp_c", LOWEST_C, HIGHEST_C),
        raw=_integer(data, "raw", 0, 4095),
        fan=_integer(data, "fan", 0, 1),
        mode=mode,
        flags=tuple(flags),
        drops=_integer(data, "drops", 0, 1 << 53),
    )


def _usual_sample(
    boot: bytes, seq: bytes, up_s: bytes, temp_c: bytes, raw: bytes, fan: bytes, mode: bytes,
    drops: bytes,
) -> Sample:  # fmt: skip
    return Sample(
        boot.decode(), int(seq), float(up_s), float(temp_c), int(raw), int(fan), mode.decode(), (),
        int(drops),
    )  # fmt: skip


def _event(data: dict[str, Any]) -> Event:
    return Event(
        boot=_text(data, "boot", _IS_BOOT),
        n=_integer(data, "n", 0, 1 << 53),
        up_s=_number(data, "up_s", 0, _MAX_UP_S),
        ev=_text(data, "ev", _IS_NAME),
        detail=_rest(data, "k", "boot", "n", "up_s", "ev", "crc"),
    )


def _reply(data: dict[str, Any]) -> Reply:
    ok = data["ok"]
    if type(ok) is not bool:
        raise ValueError("ok")
    # a repeated refusal says only "dup", and a long sentence may have found no room on its line
    err = None if ok else str(data.get("err", "refused"))
    return Reply(_command_id(data), ok, err, _rest(data, "k", "id", "ok", "err", "crc"))


def _mults(data: dict[str, Any]) -> Mults:
    what = "params" if "params" in data else "mults"
    value = data[what]
    if type(value) is not int or value < 0:
        raise ValueError(what)
    return Mults(_command_id(data), _text(data, "form", _IS_NAME), what, value)


def _log(data: dict[str, Any]) -> Log:
    return Log(_text(data, "boot", _IS_BOOT), _text(data, "text"))


_BUILDERS: dict[str, Callable[[dict[str, Any]], Message]] = {
    "hello": _hello,
    "units": _units,
    "settings": _settings,
    "t": _sample,
    "e": _event,
    "r": _reply,
    "m": _mults,
    "log": _log,
}
