"""A calibration for people: how far it is, and what it found."""

from __future__ import annotations

import contextlib
from typing import Any, Self, TextIO

from thermoflop.base.units import scaled, seconds, wrapped


class Progress:
    """One line on a terminal that is written over; nothing in a pipe but sentences."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream
        self._live = stream.isatty()
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def at(self, done: int, count: int, word: str) -> None:
        """``done`` of ``count`` of one stage."""
        if not self._live:
            return
        text = f"calibrating: {word} ({done + 1} of {count})"[:79]
        with contextlib.suppress(OSError):
            self._stream.write("\r" + text.ljust(self._shown))
            self._stream.flush()
        self._shown = len(text)

    def say(self, text: str) -> None:
        """A sentence on a line of its own."""
        self._clear()
        print(f"thermoflop calibrate: {text}", file=self._stream, flush=True)

    def _clear(self) -> None:
        if self._live and self._shown:
            with contextlib.suppress(OSError):
                self._stream.write("\r" + " " * self._shown + "\r")
                self._stream.flush()
            self._shown = 0


def profile_text(raw: dict[str, Any]) -> str:
    """What was measured, in a dozen lines."""
    made, device = raw["made"], raw["device"]
    where = made["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in made["libraries"].items())
    lines = [
        wrapped(f"profile {raw['name']}: {device['name']}"),
        f"  on {where['node']}, {where['cpus']} CPUs, {made['utc']}, in {made['measured_s']:.0f} s",
        wrapped(f"  {made['measurements']} measurements of {libraries}"),
        "best rates, which bounds are made of:",
        *(
            f"  {name}: {scaled(peak * 1e12, 'FLOP/s')}"
            for name, peak in device["dense_tflops"].items()
        ),
        *(_level(level) for level in raw["levels"]),
        f"one launch: {seconds(raw['launch_s'])}",
        f"a whole decoder over its operators alone: {raw['scale']:.2f}",
        "80 % intervals, measured over expected, from decoders that were held out:",
        *(
            f"  {phase}: {low:.2f} to {high:.2f} ({rows} measurements)"
            for phase, (low, high, rows) in raw["spread"].items()
        ),
    ]
    return "\n".join(lines)


def _level(level: dict[str, float]) -> str:
    where = "memory" if level["bytes"] > 1e17 else f"up to {scaled(level['bytes'], 'B')}"
    return f"  {where}: {scaled(level['bytes_s'], 'B/s')}"
