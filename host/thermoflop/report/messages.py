"""Faults and events in words, for pictures and terminals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thermoflop.pico.wire import UNIT_LABELS

FAULT_LABELS = {
    "open": "sensor open",
    "short": "sensor shorted",
    "range": "out of range",
    "cold": "colder than t_min_c (wrong part?)",
    "fast": "changes too fast",
    "frozen": "reading frozen",
    "noisy": "too noisy",
    "stale": "no fresh reading",
    "hot": "too hot",
    "pin": "fan pin does not follow",
    "settings": "settings file bad",
    "nocool": "fan does not cool",
}

FAULT_HINTS = {
    "cold": "a part of more ohm than set reads so: 100k on a board set to 10k shows -19 °C at 25",
}

# Why a line was not believed.
BAD_LINES = {
    "no_crc": "no checksum",
    "crc": "wrong checksum",
    "not_json": "no JSON",
    "not_ascii": "foreign bytes",
    "fields": "fields missing or wrong",
    "kind": "of an unknown kind",
    "too_long": "too long",
}

# Events that the host notices, with their details.
HOST_EVENTS = {
    "torn_at_open": "joined in the middle of a line, as usual: its last {bytes} bytes are left out",
    "reboot": "the board restarted",
    "gap": "samples lost: {missing}",
    "gap_events": "events of the board lost: {missing}",
    "resync": "the board counts anew",
    "stale": "a line from before is left out",
    "lost": "the board's port went away: {why}",
    "reconnect": "the board is back after {down_s} s",
    "host_drops": "lines dropped here, {total} in all: {why}",
}

# What a live picture counts of a board, by the names of its counters.
LOSSES = {
    "lost_samples": "lost",
    "board_drops": "dropped by the board",
    "bad_lines": "bad lines",
    "reboots": "reboots",
    "reconnects": "reconnects",
}

REASON_LABELS = {
    "on_c": "warm enough to start",
    "off_c": "cool enough to stop",
    "fault": "a fault",
    "settings": "settings that are lost or contradict each other",
    "hot": "above the maximum",
    "nocool": "the fan does not help",
    "on": "commanded",
    "off": "commanded",
    "safe": "safe mode",
    "boot": "just started",
}


def visible(text: str) -> str:
    """Text of any script as it is; what steers a terminal or turns the line round is shown, not
    obeyed."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def describe_fault(flag: str) -> str:
    """What a fault flag means; a flag of newer firmware stands for itself."""
    return FAULT_LABELS.get(flag, flag)


def switches(n: int) -> str:
    """How often the fan was switched."""
    return "1 switch" if n == 1 else f"{n or 'no'} switches"


def describe_bad_line(reason: str) -> str:
    """Why a line of the board was not believed."""
    return BAD_LINES.get(reason, reason)


def describe_host_event(ev: str, detail: Mapping[str, Any]) -> str:
    """An event of the host as a person would say it; one without words as it is."""
    try:
        return HOST_EVENTS[ev].format_map(detail)
    except KeyError:  # of another version, or none that a person sees
        rest = ", ".join(f"{key} {value}" for key, value in detail.items() if key != "text")
        return f"{ev}: {rest}"


def describe_event(ev: str, detail: Mapping[str, Any]) -> str:
    """An event of the board as a person would say it; one of newer firmware as it is."""
    if ev == "fan" and "fan" in detail:
        reason = str(detail.get("reason"))
        temp_c = detail.get("temp_c")
        at = "" if temp_c is None else f" at {temp_c} °C"
        return f"fan {'on' if detail['fan'] else 'off'}: {REASON_LABELS.get(reason, reason)}{at}"
    if ev == "fault" and "fault" in detail:
        fault = describe_fault(str(detail["fault"]))
        if not detail.get("set"):
            return f"fault over: {fault}"
        unit = UNIT_LABELS.get(str(detail.get("unit", "")), detail.get("unit", ""))
        hint = FAULT_HINTS.get(str(detail["fault"]))
        values = f"{detail.get('value')} {unit}, limit {detail.get('limit')} {unit}"
        return f"FAULT {fault}: {values}" + (f"; {hint}" if hint else "")
    if ev == "settings" and "what" in detail:
        rest = ": ".join(str(detail[key]) for key in ("key", "why") if key in detail)
        return f"settings {detail['what']}{': ' if rest else ''}{rest}"
    return f"{ev}: " + ", ".join(f"{key} {value}" for key, value in detail.items())
