"""The finger test: at rest the fan is off, held it starts, let go it stops; else what is wrong.

Pure: samples go in, stages and at last a verdict come out. Time is the board's own, in seconds, and
temperatures are degrees Celsius, so that a board that runs fast is judged alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thermoflop.pico.doctor import REMEDIES
from thermoflop.pico.wire import Sample, printable

REST, OFF, HOLD, LET_GO, DONE = "rest", "off", "hold", "let go", "done"
REST_S = 5.0  # the temperature at rest is the median of so many seconds
OFF_S = 30.0  # besides the shortest times: a board holds the fan for 10 s after a fault
SURE_S = 3.0  # a fault lasts so long before it is named: a first reading may be a slip
FORGIVEN_S = 15.0  # a fault of moments, which the board itself holds for 10 s of good readings
FINGER_S = 60.0
COOL_S = 180.0
MOVED_C = 0.5  # at least five times the noise of a reading
MARGIN_C = 1.5  # of the threshold above the room: less is reached without a finger
FINGER_C = 32.0  # what a warm hand surely reaches
ROOM_C = (12.0, 30.5)  # a room in which a finger is felt; other readings want an explanation
# R25 of the thermistors that are sold, in ohm
PARTS_OHM = (1e3, 2.2e3, 4.7e3, 5e3, 10e3, 15e3, 20e3, 22e3, 33e3, 47e3, 50e3, 100e3)
_FULL_CODE, _T25_K, _ZERO_K, _USUAL_ROOM_C = 4095, 298.15, 273.15, 23.0
_MOMENTARY = {"fast", "noisy", "stale"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What the test found wrong: its name, the sentence about it, and what to do."""

    name: str
    text: str
    remedy: str


@dataclass(slots=True)
class Figures:
    """What was measured; None where the test did not come so far."""

    rest_c: float | None = None
    peak_c: float | None = None
    on_c: float | None = None  # what it read when the fan started, and when it stopped
    off_c: float | None = None
    on_after_s: float | None = None
    off_after_s: float | None = None


class FingerTest:
    """Feed it samples; ``stage`` says what is waited for, ``fault`` what was wrong."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """``settings`` as the board states them; what it leaves out is the firmware's default."""
        self.settings = settings
        self.stage = REST
        self.fault: Fault | None = None
        self.figures = Figures()
        self.temp_c: float | None = None
        self._from_s: float | None = None  # of this stage
        self._quiet: list[tuple[float, float]] = []  # (time, temperature) of the last seconds
        self._flagged_s: float | None = None
        self._now_s = 0.0

    def feed(self, sample: Sample) -> None:
        """Take one sample."""
        if self.stage == DONE:
            return
        self._now_s, self.temp_c = sample.up_s, sample.temp_c
        if self._from_s is None:
            self._from_s = sample.up_s
        if self._is_flagged(sample) or sample.temp_c is None:
            return
        if sample.mode in _MODES:
            self._fail(sample.mode, *_MODES[sample.mode])
            return
        steps = {REST: self._rest, OFF: self._off, HOLD: self._hold, LET_GO: self._let_go}
        steps[self.stage](sample, sample.temp_c, sample.up_s - self._from_s)

    def await_off(self, settings: Mapping[str, Any]) -> None:
        """Wait until the fan is off; thresholds may be others than at rest."""
        self.settings = settings
        self._enter(OFF)

    def held(self) -> None:
        """The finger is there from now on: its time counts from the next sample."""
        self._from_s = None

    @property
    def seconds(self) -> float:
        """How long this stage has lasted."""
        return 0.0 if self._from_s is None else self._now_s - self._from_s

    @property
    def is_resting(self) -> bool:
        """Whether the temperature at rest is known, and ``await_off`` may be called."""
        return self.stage == REST and self.figures.rest_c is not None

    def thresholds(self) -> dict[str, float]:
        """What to set for the test alone, where the fan would not start at a finger's warmth.

        Empty when the board's own thresholds will do. Known once it is resting.
        """
        rest_c = self.figures.rest_c or 0.0
        is_reached = rest_c + MARGIN_C <= self._set("on_c", 29.0) <= FINGER_C
        if is_reached and rest_c + MOVED_C <= self._set("off_c", 28.0) and not self._is_slow:
            return {}
        on_c = round(min(rest_c + 2.0, FINGER_C), 1)
        return {"on_c": on_c, "off_c": round(on_c - 0.8, 1), "min_on_s": 2, "min_off_s": 2}

    @property
    def _is_slow(self) -> bool:
        return max(self._set("min_on_s", 5.0), self._set("min_off_s", 5.0)) > 30

    def _set(self, key: str, default: float) -> float:
        value = self.settings.get(key, default)
        return float(value) if isinstance(value, int | float) else default

    def _enter(self, stage: str) -> None:
        self.stage, self._from_s = stage, None

    def _fail(self, name: str, text: str, remedy: str) -> None:
        self.fault = Fault(name, text, remedy)
        self.stage = DONE

    def _is_flagged(self, sample: Sample) -> bool:
        """Whether the board reports a fault; named when it lasts."""
        if not sample.flags:
            self._flagged_s = None
            return False
        if self._flagged_s is None:
            self._flagged_s = sample.up_s
        patience_s = FORGIVEN_S if set(sample.flags) <= _MOMENTARY else SURE_S
        if sample.up_s - self._flagged_s >= patience_s:
            flag = sample.flags[0]
            text = f"the board reports {printable(flag)}: {_FLAGS.get(flag, 'a fault')}"
            if flag in ("cold", "range"):
                text += likely_part(sample.raw, self.settings)
            self._fail(printable(flag), text, REMEDIES.get(flag, "see wiring.md"))
        return True

    def _rest(self, sample: Sample, temp_c: float, seconds: float) -> None:
        """Five seconds of readings; the fan need not be off where the room is too warm for that."""
        self._quiet = [(s, c) for s, c in self._quiet if sample.up_s - s < REST_S]
        self._quiet.append((sample.up_s, temp_c))
        if seconds < REST_S:
            return
        temps = sorted(c for _, c in self._quiet)
        self.figures.rest_c = rest_c = temps[len(temps) // 2]
        if not ROOM_C[0] <= rest_c <= ROOM_C[1]:
            warm = rest_c > ROOM_C[1]
            kind = "warm" if warm else "cold"
            self._fail(
                f"too {kind} at rest",
                f"nobody touches it and it reads {rest_c:.1f} °C"
                + likely_part(sample.raw, self.settings),
                "if the part is another one, `thermoflop pico set r25_ohm OHM` and `thermoflop "
                f"pico save`; if it really is so {kind} there, try again where it is not",
            )

    def _off(self, sample: Sample, temp_c: float, seconds: float) -> None:
        """The fan stops by itself; then the finger may come at any moment."""
        off_c = self._set("off_c", 28.0)
        if not sample.fan:
            self._enter(HOLD)
        elif seconds >= OFF_S + self._set("min_on_s", 5.0):
            text = f"it reads {temp_c:.1f} °C, below {off_c:.1f}, and the fan does not stop"
            self._fail("fan stays on", text, "`thermoflop doctor --ask`")

    def _hold(self, sample: Sample, temp_c: float, seconds: float) -> None:
        figures, rest_c = self.figures, self.figures.rest_c or 0.0
        figures.peak_c = max(temp_c, figures.peak_c or -math.inf)
        moved_c = temp_c - rest_c
        if sample.fan and moved_c >= MOVED_C:
            figures.on_c, figures.on_after_s = temp_c, round(seconds, 1)
            self._enter(LET_GO)
        elif moved_c <= -MOVED_C and seconds >= SURE_S:
            self._fail(
                "swapped",
                f"it falls when it is held, from {rest_c:.1f} to {temp_c:.1f} °C: thermistor and "
                "resistor stand in each other's place",
                "swap the two, or `thermoflop pico set side low` and `thermoflop pico save`",
            )
        elif seconds >= FINGER_S:
            self._no_start(rest_c)

    def _no_start(self, rest_c: float) -> None:
        peak_c, on_c = self.figures.peak_c or rest_c, self._set("on_c", 29.0)
        if peak_c - rest_c < MOVED_C:
            self._fail(
                "no rise",
                f"it stays at {peak_c:.1f} °C however long it is held: what is between pin 36 and "
                "pin 31 is no thermistor, or another part than the one that was held",
                "put the thermistor there (not a second resistor), see the drawing",
            )
        elif peak_c < on_c:
            self._fail(
                "no start",
                f"it rises from {rest_c:.1f} to {peak_c:.1f} °C only, and the fan starts at "
                f"{on_c:.1f}",
                "hold it closer and longer, with warm fingers; a part of more ohm than r25_ohm "
                "rises less: see wiring.md",
            )
        else:
            self._fail(
                "fan stays off",
                f"it reads {peak_c:.1f} °C, above {on_c:.1f}, and the fan stays off",
                "`thermoflop pico fan auto`; if that does not help, `thermoflop doctor --ask`",
            )

    def _let_go(self, sample: Sample, temp_c: float, seconds: float) -> None:
        figures = self.figures
        figures.peak_c = max(temp_c, figures.peak_c or -math.inf)
        if not sample.fan:
            figures.off_c, figures.off_after_s = temp_c, round(seconds, 1)
            self.stage = DONE
        elif seconds >= COOL_S:
            off_c = self._set("off_c", 28.0)
            if temp_c > off_c:
                text = f"it still reads {temp_c:.1f} °C, and the fan stops at {off_c:.1f}"
                remedy = "let the thermistor hang in the air, then run setup again"
            else:
                text = f"it reads {temp_c:.1f} °C, below {off_c:.1f}, and the fan goes on"
                remedy = "`thermoflop pico fan auto`, then `thermoflop doctor --ask`"
            self._fail("fan stays on", text, remedy)


_MODES = {
    "safe": (
        "the board is in safe mode: fan on, and nothing else",
        "`thermoflop pico clear`, then `thermoflop pico reset`",
    ),
    "on": ("the fan was commanded on, whatever the temperature", "`thermoflop pico fan auto`"),
    "off": ("the fan was commanded off, whatever the temperature", "`thermoflop pico fan auto`"),
}
_FLAGS = {
    "open": "a wire of the thermistor is off, or there is none",
    "short": "GPIO26 sits at a supply: the thermistor is bridged, or the resistor is off",
    "range": "the reading is outside of what a thermistor gives",
    "cold": "it reads below t_min_c",
    "fast": "the reading jumps faster than heat can move a thermistor",
    "noisy": "the readings are spread too wide",
    "frozen": "the reading does not move at all",
    "stale": "no fresh reading",
    "pin": "GPIO2 does not follow",
    "hot": "it reads above t_max_c",
    "nocool": "the fan has run for minutes and it still gets hotter",
    "settings": "its settings file was bad: it runs on defaults, with the fan on",
}


def likely_part(raw: int, settings: Mapping[str, Any]) -> str:
    """Which thermistor reads so in a room of 23 °C, as the rest of a sentence; may be empty.

    R = R_series (4095 - raw) / raw for a thermistor on the high side, and its inverse on the low;
    R25 = R exp(-beta (1/T - 1/298.15 K)).
    """
    series_ohm = float(settings.get("r_series_ohm", 10_000))
    beta_k = float(settings.get("beta_k", 3950))
    set_ohm = float(settings.get("r25_ohm", 10_000))
    if not 0 < raw < _FULL_CODE:
        return ""
    ratio = (_FULL_CODE - raw) / raw
    ohm = series_ohm * (1 / ratio if settings.get("side") == "low" else ratio)
    room_k = _USUAL_ROOM_C + _ZERO_K
    r25_ohm = ohm * math.exp(-beta_k * (1 / room_k - 1 / _T25_K))
    part_ohm = min(PARTS_OHM, key=lambda each: abs(math.log(each / r25_ohm)))
    if part_ohm == set_ohm or abs(math.log(part_ohm / r25_ohm)) > 0.25:
        return ""
    return (
        f"; a part of {part_ohm / 1000:g}k reads so in a room of {_USUAL_ROOM_C:.0f} °C, and "
        f"{set_ohm / 1000:g}k is set"
    )
