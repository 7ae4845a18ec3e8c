"""Decides whether the fan runs: a pure state machine of (time, reading, faults).

Cooling is the safe side. The rules, in their order of rank, are numbered as in the README:

 2. off only with a fresh valid reading, valid settings, no latched fault, and mode auto or a live
    timed override;
 3. a fault turns the fan on at once and lets go after 10 s of good readings;
 4. above the maximum temperature it is on, whatever anyone commanded;
 5. minimum times and hysteresis run on the clock, not on samples;
11. a fan that runs for minutes while it still gets hotter raises an alarm and stays on.

Temperatures are milli-degrees, times ms. ``step`` allocates nothing. Durations are summed tick by
tick and capped, because the clock itself wraps every 12 days.
"""

import faults
import ticks
from micropython import const

GOOD_MS = const(10000)
HELP_MS = const(180000)
STILL_HEATING_MC = const(500)
HOT_HYSTERESIS_MC = const(1000)
FOREVER = const(-1)
_CAP_MS = const(1000000000)


class Thermostat:
    """The fan is on from the first moment, as its pin is."""

    def __init__(self, values, now_ms, safe_mode=False):
        self.safe_mode = safe_mode
        self.fan = 1
        self.mode = "safe" if safe_mode else "auto"
        self.reason = "boot"
        self.latched = 0
        self.rise_mc = 0
        self._last_ms = now_ms
        self._held_ms = 0
        self._good_ms = 0
        self._override = 0  # 0 none, 1 on, 2 off
        self._override_ms = 0
        self._help_ms = 0
        self._help_from_mc = 0
        self._hot = False
        self._nocool = False
        self.use(values)

    def use(self, values):
        """Take thresholds (milli-degrees) and times (milliseconds) from settings."""
        self.on_mc = values["on_c"]
        self.off_mc = values["off_c"]
        self.t_max_mc = values["t_max_c"]
        self.min_on_ms = values["min_on_s"]
        self.min_off_ms = values["min_off_s"]

    def override(self, fan, duration_ms):
        """Hold the fan on (FOREVER allowed) or off (always timed) against the thresholds."""
        self._override = 1 if fan else 2
        self._override_ms = duration_ms

    def auto(self):
        """Back to the thresholds."""
        self._override = 0

    def clear(self):
        """Forget the alarm of rule 11; a fault that is still there comes back by itself."""
        self._nocool = False
        self.start_watch()

    def start_watch(self):
        """Watch for help from here on: another calibration is no heat."""
        self._help_ms = 0

    def step(self, now_ms, temp_mc, found):
        """Decide once. ``found`` are the fault bits of this tick; returns 1 for fan on."""
        dt_ms = ticks.since(self._last_ms, now_ms)
        self._last_ms = now_ms
        self._held_ms = min(self._held_ms + dt_ms, _CAP_MS)
        self._count_override(dt_ms)
        self._latch(found, dt_ms)
        if not found & faults.SENSOR:
            self._watch_heat(temp_mc)
            self._watch_help(temp_mc, dt_ms)
        want = self._decide(temp_mc, found)
        if want != self.fan:
            self.fan = want
            self._held_ms = 0
        return self.fan

    def flags(self, found):
        """All that is wrong: this tick's faults, those not yet forgiven, and the alarms."""
        flags = found | self.latched
        if self._hot:
            flags |= faults.HOT
        if self._nocool:
            flags |= faults.NOCOOL
        return flags

    def _count_override(self, dt_ms):
        if self._override and self._override_ms != FOREVER:
            self._override_ms -= dt_ms
            if self._override_ms <= 0:
                self._override = 0

    def _latch(self, found, dt_ms):
        if found & faults.LATCHING:
            self.latched |= found & faults.LATCHING
            self._good_ms = 0
        elif self.latched:
            self._good_ms += dt_ms
            if self._good_ms >= GOOD_MS:
                self.latched = 0

    def _watch_heat(self, temp_mc):
        if temp_mc >= self.t_max_mc:
            self._hot = True
        elif temp_mc < self.t_max_mc - HOT_HYSTERESIS_MC:
            self._hot = False

    def _watch_help(self, temp_mc, dt_ms):
        if not self.fan or temp_mc < self.on_mc:
            self._help_ms = 0
            return
        if self._help_ms == 0:
            self._help_from_mc = temp_mc
        self._help_ms += max(dt_ms, 1)
        if self._help_ms >= HELP_MS:
            self.rise_mc = temp_mc - self._help_from_mc
            if self.rise_mc > STILL_HEATING_MC:
                self._nocool = True
            self._help_ms = 0

    def _decide(self, temp_mc, found):
        forced = self._forced(found)
        if forced:
            self.reason = forced
            return 1
        if self._override == 1:
            self.mode = self.reason = "on"
            return 1
        self.mode = "off" if self._override else "auto"
        if self.fan:
            return self._may_stop(temp_mc)
        return self._may_start(temp_mc)

    def _forced(self, found):
        """Why the fan must run whatever the thresholds say, or None; sets the mode."""
        if self.safe_mode:
            self.mode = "safe"
            return "safe"
        if (found | self.latched) & faults.LATCHING:
            self.mode = "fault"
            return "fault"
        if found & faults.SETTINGS or not self.off_mc < self.on_mc < self.t_max_mc:
            self.mode = "fault"
            return "settings"
        if self._hot:
            self.mode = "hot"
            return "hot"
        if self._nocool:
            self.mode = "fault"
            return "nocool"
        return None

    def _may_stop(self, temp_mc):
        if self._held_ms < self.min_on_ms:
            return 1
        if self.mode == "off":
            self.reason = "off"
            return 0
        if temp_mc <= self.off_mc:
            self.reason = "off_c"
            return 0
        return 1

    def _may_start(self, temp_mc):
        if self.mode == "auto" and temp_mc >= self.on_mc and self._held_ms >= self.min_off_ms:
            self.reason = "on_c"
            return 1
        return 0
