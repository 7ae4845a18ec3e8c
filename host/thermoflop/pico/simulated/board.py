"""A simulated Pico W: the real firmware, in a thread of its own, over a fake chip in a small world.

Two ways to let time pass. At a given speed, it follows the computer's monotonic clock. As fast as
possible (``speed`` infinite), it waits only for its reader, so that nothing is lost which a fault
did not take.
"""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Mapping

from thermoflop.base.threads import start_thread
from thermoflop.pico.simulated import fakes
from thermoflop.pico.simulated.cable import Cable
from thermoflop.pico.simulated.heat import Heat, parse_heat
from thermoflop.pico.simulated.module_space import Space, read_sources
from thermoflop.pico.simulated.options import Options
from thermoflop.pico.simulated.truth import CableTruth
from thermoflop.pico.simulated.world import SOFT_RESET, PlantWorld

BOOT_MS = 300  # from reset to the first line of main.py, about what MicroPython takes
TICK_MS = 100  # rate_ms is a multiple of it
_UNREAD_BYTES = 16384  # in lockstep the board waits while its reader is so far behind
_LATE_S = 2.0  # later than that the computer was asleep or starved: go on from here


class SimulatedBoard:
    """One board. ``start`` it and read its ``cable``."""

    def __init__(
        self,
        options: Options | None = None,
        *,
        heat: Heat | None = None,
        sources: Mapping[str, str] | None = None,
        until_s: float = math.inf,
        truth: CableTruth | None = None,
    ) -> None:
        """``heat`` and ``sources`` replace those of the options and of this package's firmware.

        The board ends by itself at ``until_s``. InputError when the options name a heat that
        cannot be read.
        """
        self.options = options or Options()
        self.truth = truth or CableTruth()
        self.cable = Cable(self.options.faults, self.options.seed, self.truth)
        self.firmware_error: str | None = None  # the traceback that left a prompt behind
        self._sources = dict(sources) if sources is not None else firmware_sources()
        self._until_s = until_s
        self._reached_s = -math.inf
        self._start_s: float | None = None  # of the monotonic clock, at time 0
        self._begun = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._ended = False
        heat = heat or parse_heat(self.options.heat, self.options.full_w)
        self.world = PlantWorld(self.options, heat, self.cable, self._hold)

    # life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Switch on and live through ``uptime_s``; time 0 comes with ``begin``. Once is enough."""
        if self._thread is not None:
            return
        self._thread = start_thread("simulated-pico", self._live)
        with self.cable.changed:
            self.cable.changed.wait_for(lambda: self._reached_s >= 0 or self._ended)

    def begin(self) -> None:
        """Let time run from 0 on."""
        with self.cable.changed:
            self._begun = True
            self.cable.changed.notify_all()

    def stop(self) -> None:
        """Switch off and wait for it; a reader gets what had arrived, then an error."""
        self.switch_off()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def switch_off(self) -> None:
        """Switch off without waiting; may be called from a signal handler."""
        with self.cable.changed:
            self._stopping = True
            self.cable.changed.notify_all()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the board to end by itself; True when it has."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        """Whether it is switched on."""
        return self._thread is not None and not self._ended

    # the board's thread -------------------------------------------------------------------------

    def _live(self) -> None:
        try:
            self._hold(self.world.now_s)
            while self._once():
                pass
        except fakes.Stop:
            pass
        finally:
            self._ended = True
            self.cable.end()

    def _once(self) -> bool:
        """From a reset to the next one; False when the board is gone."""
        cause = self._firmware()
        try:
            cause = cause or self._prompt()
        except fakes.Restart as restart:
            cause = restart.cause
        self.world.running = False
        if cause == "bootsel":
            self.world.reset("reset")
            return False
        self.truth.rebooted(cause)
        if cause != "soft":
            self.world.reset(cause)
            self._rest_in_reset()
        return True

    def _firmware(self) -> str | None:
        """Run main.py; the cause of the reset that ended it, None when it left a prompt."""
        self.world.running = True
        try:
            Space(self.world, self._sources).boot()
        except fakes.Restart as restart:
            return str(restart.cause)
        except KeyboardInterrupt:
            return None
        except Exception:  # what MicroPython would print before its prompt
            self.firmware_error = traceback.format_exc()
            self.world.send(self.firmware_error.splitlines()[-1].encode() + b"\n")
        return None

    def _prompt(self) -> str:
        """A person has the board: nothing happens until a reset or Ctrl-D."""
        self.world.running = False
        while SOFT_RESET not in self.world.take_typed():
            cause = self.world.pass_time(TICK_MS)
            if cause:
                return cause
        return "soft"

    def _rest_in_reset(self) -> None:
        world = self.world
        world.powered = world.now_s >= world.off_until_s
        while world.now_s < world.off_until_s:
            world.pass_time(TICK_MS)
        world.powered = True
        world.pass_time(BOOT_MS)

    # pace ---------------------------------------------------------------------------------------

    def _hold(self, now_s: float) -> None:
        """Called whenever time has passed: wait until it may have, or end the board."""
        if now_s < 0 and not self._stopping:
            return
        cable = self.cable
        with cable.changed:
            self._reached_s = now_s
            cable.changed.notify_all()
            while not self._stopping and now_s < self._until_s:
                wait_s = self._wait_s(now_s)
                if wait_s is not None and wait_s <= 0:
                    return
                cable.changed.wait(wait_s)
        raise fakes.Stop

    def _wait_s(self, now_s: float) -> float | None:
        """How long to wait before looking again; None until something changes, 0 to go on."""
        if not self._begun:
            return None
        if math.isinf(self.options.speed):
            return self._lockstep_s()
        mono_s = time.monotonic()
        if self._start_s is None:
            self._start_s = mono_s - now_s / self.options.speed
        wait_s = self._start_s + now_s / self.options.speed - mono_s
        if wait_s < -_LATE_S:
            self._start_s -= wait_s
        return max(wait_s, 0.0)

    def _lockstep_s(self) -> float | None:
        """The same of a board that goes as fast as its reader does."""
        cable = self.cable
        behind = cable.unread_bytes >= _UNREAD_BYTES and not cable.stalled
        deserted = cable.plugged and not cable.attached
        return None if behind or deserted else 0.0


_sources: dict[str, str] = {}


def firmware_sources() -> dict[str, str]:
    """The firmware of this package, read once."""
    if not _sources:
        from thermoflop.pico.firmware import folder

        _sources.update(read_sources(folder()))
    return _sources
