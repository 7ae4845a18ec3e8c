"""The fake hardware with a plant behind its pins and a cable on its port.

Time has two clocks: ``now_ms`` is the board's own, in whole milliseconds, and ``now_s`` the
world's, in seconds since the simulation began; they differ by the fault ``ppm``. The plant moves
when the firmware sleeps, for nothing else takes time here.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from thermoflop.pico.simulated import fakes
from thermoflop.pico.simulated.adc import Adc, Divider
from thermoflop.pico.simulated.cable import INTERRUPT, Cable
from thermoflop.pico.simulated.heat import Heat
from thermoflop.pico.simulated.menu import SENSOR_KINDS, Fault
from thermoflop.pico.simulated.options import Options
from thermoflop.pico.simulated.plant import Plant, PlantConstants
from thermoflop.pico.wire import SIMULATED

RX_BYTES = 512  # the USB stack's receive buffer and MicroPython's stdin buffer
OPEN_LSB = 6.0  # the pull-down resistor alone, with the converter's offset
SHORT_LSB = 4092.0  # full scale less the offset of the converter
SOFT_RESET = 4  # Ctrl-D


class PlantWorld(fakes.World):
    """Everything around the chip; ``hold`` is called whenever time has passed, and may wait."""

    def __init__(
        self, options: Options, heat: Heat, cable: Cable, hold: Callable[[float], None]
    ) -> None:
        """The world begins ``uptime_s`` before time 0."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.uid = bytes.fromhex(options.uid_hex)
        self.machine += SIMULATED
        self.plant = Plant(PlantConstants(ambient_c=options.ambient_c))
        self.cable = cable
        self.now_s = self.off_until_s = self._start_s = -options.uptime_s
        self._passed_ms = 0.0  # of true time; a sum of tenths of seconds would drift
        self.heat_w = 0.0
        self.powered = True
        self.running = False  # firmware, as opposed to a prompt or a chip in reset
        self.random = random.Random(f"boot {options.seed}").getrandbits(24)  # noqa: S311
        self._divider = Divider(vref_mv=options.vref_mv)
        self._heat = heat
        self._fingers = options.fingers
        self._hold = hold
        self._adc = Adc(options.seed)
        self._frame = 0
        self._rx: deque[int] = deque()
        self._frozen_code: int | None = None
        self._faults = options.faults
        moments = _moments(self._faults, self._start_s)
        self._moments = deque(sorted(moments, key=lambda moment: moment[0]))
        self._level_lsb = 0.0
        self._measure()

    # hooks of the fake hardware -----------------------------------------------------------------

    def read_code(self, channel: int) -> int:
        """One conversion; the other channels of the board hang open."""
        if channel != 0:
            return self._adc.convert(OPEN_LSB)
        if self._frozen_code is not None:
            return self._frozen_code
        return self._adc.convert(self._level_lsb)

    def advance(self, ms: int) -> None:
        """The firmware sleeps; resets, Ctrl-C and the watchdog come down on it in here."""
        cause = self.pass_time(ms)
        if self.dog_due_ms is not None and self.now_ms >= self.dog_due_ms:
            cause = cause or "watchdog"
        if cause:
            raise fakes.Restart(cause)
        if self._interrupted():
            raise KeyboardInterrupt

    def can_receive(self) -> bool:
        """Whether the host has written something."""
        return bool(self._rx)

    def receive(self) -> int:
        """The next byte from the host."""
        return self._rx.popleft()

    def can_send(self) -> bool:
        """Whether USB has room for a byte."""
        return self.cable.can_send(self.now_s)

    def send(self, data: bytes) -> int:
        """Give bytes to USB."""
        return self.cable.send(data)

    def usb_frame(self) -> int:
        """The number of the last USB frame; frames come while a computer is at the other end.

        Time does not pass while the firmware looks, so each look is a frame later.
        """
        if self.cable.plugged:
            self._frame = (self._frame + 1) & 0x7FF
        return self._frame

    # the rest -----------------------------------------------------------------------------------

    @property
    def fan_runs(self) -> bool:
        """A pin that is not driven leaves the fan on: a pull-up holds the gate of its MOSFET."""
        return self.powered and self.fan != 0

    @property
    def finger(self) -> bool:
        """Whether a finger is on the bead."""
        return any(finger.holds(self.now_s) for finger in self._fingers)

    def _active(self, *kinds: str) -> list[Fault]:
        """The faults of these kinds that are at work now."""
        return [f for f in self._faults if f.kind in kinds and f.holds(self.now_s)]

    def touch(self, seconds: float) -> None:
        """A finger on the bead from now on, for so long."""
        self._fingers = (*self._fingers, Fault("finger", self.now_s, self.now_s + seconds))

    def reset(self, cause: str) -> None:
        """A reset of the chip; its USB buffers go with it."""
        super().reset(cause)  # type: ignore[no-untyped-call]
        self._rx.clear()
        self.cable.board_reset()

    def pass_time(self, ms: int) -> str | None:
        """Let board time pass; returns the cause of a restart that was due, if one was."""
        ppm = next((fault.value for fault in self._active("ppm")), 0.0)
        true_ms = ms / (1.0 + ppm * 1e-6)
        self.heat_w = self._heat.watts(self.now_s)
        self.plant.step(true_ms / 1000.0, self.heat_w, self.fan_runs, self.finger)
        self.now_ms += ms
        self._passed_ms += true_ms
        self.now_s = self._start_s + self._passed_ms / 1000.0
        self.cable.move(self.now_s)
        cause = self._happen()
        self._measure()
        self._hold(self.now_s)
        return cause

    def take_typed(self) -> bytes:
        """What the host wrote while no firmware reads; for the prompt."""
        data = bytes(self._rx)
        self._rx.clear()
        return data + self.cable.typed(RX_BYTES)

    def _interrupted(self) -> bool:
        """Move what the host typed into the chip; True when there was a Ctrl-C in it."""
        data = self.cable.typed(RX_BYTES - len(self._rx))
        self._rx.extend(data)
        if INTERRUPT not in data:
            return False
        self._rx.clear()  # MicroPython throws away what stood before it, and here what came after
        return True

    def _measure(self) -> None:
        """The level at the converter's pin, and whether the converter is stuck."""
        temp_c = self.plant.bead_c
        active = self._active(*SENSOR_KINDS)
        if not active:
            self._frozen_code = None
            self._level_lsb = self._divider.level_lsb(temp_c)
            return
        frozen = False
        override = None
        for fault in active:
            if fault.kind == "open":
                override = OPEN_LSB
            elif fault.kind == "short":
                override = SHORT_LSB
            elif fault.kind == "drift":
                temp_c += fault.value * (self.now_s - max(fault.start_s, 0.0))
            else:
                frozen = True
        self._level_lsb = self._divider.level_lsb(temp_c) if override is None else override
        if not frozen:
            self._frozen_code = None
        elif self._frozen_code is None:
            self._frozen_code = self._adc.convert(self._level_lsb)

    def _happen(self) -> str | None:
        """Do what the script says for this moment; returns the cause of a restart."""
        self.cable.echoing = bool(self._active("echo"))
        stalled = bool(self._active("stall"))
        if stalled and not self.cable.stalled:
            self.cable.truth.stalls += 1
        self.cable.stalled = stalled
        cause = None
        while self._moments and self._moments[0][0] <= self.now_s:
            _, what, fault = self._moments.popleft()
            if what == "plug":
                self.cable.plug()
            elif what == "reboot":
                cause = fault.word
            elif fault.word == "power":
                self.cable.pull()
                self.off_until_s = fault.end_s
                cause = "power"
            else:
                self.cable.cut()
        return cause


def _moments(faults: tuple[Fault, ...], start_s: float) -> list[tuple[float, str, Fault]]:
    """(when, what, fault) of everything that happens at one moment."""
    moments = []
    for fault in faults:
        if fault.kind in ("reboot", "unplug"):
            moments.append((max(fault.start_s, start_s), fault.kind, fault))
        if fault.kind == "unplug":
            moments.append((fault.end_s, "plug", fault))
    return moments
