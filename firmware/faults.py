"""What can be wrong, one bit each, with the name and the unit that a report gives it.

A fault in SENSOR means that the reading of this tick is not to be believed. Values and limits are
integers, of the unit that TABLE names or of thousandths of it.
"""

from micropython import const

OPEN = const(1)  # the divider sits at the rail that a broken wire leaves it at
SHORT = const(2)  # the divider sits at the other rail
RANGE = const(4)  # colder or hotter than the part is made for
FAST = const(8)  # moved faster than heat can move a thermistor
FROZEN = const(16)  # not one code of noise for a minute: this is no live converter
NOISY = const(32)  # the middle half of a reading's samples is spread too wide
STALE = const(64)  # the converter gave no reading in this tick
PIN = const(128)  # the fan pin does not read back what was written
HOT = const(256)  # above the maximum temperature
NOCOOL = const(512)  # the fan has run for minutes and it still gets hotter
SETTINGS = const(1024)  # the settings file was bad; defaults are in use
COLD = const(2048)  # below t_min_c: colder than it can be here, so another part than the settings'

SENSOR = const(127 | 2048)
# These hold the fan on until 10 s of good readings have passed.
LATCHING = const(255 | 2048)

# (bit, name, sensor, unit of value and limit, whether they are thousandths, sent as decimals)
TABLE = (
    (OPEN, "open", "adc0", "code", False),
    (SHORT, "short", "adc0", "code", False),
    (RANGE, "range", "adc0", "degC", True),
    (COLD, "cold", "adc0", "degC", True),
    (FAST, "fast", "adc0", "degC/s", True),
    (FROZEN, "frozen", "adc0", "s", True),
    (NOISY, "noisy", "adc0", "code", False),
    (STALE, "stale", "adc0", "s", True),
    (PIN, "pin", "gp2", "level", False),
    (HOT, "hot", "adc0", "degC", True),
    (NOCOOL, "nocool", "gp2", "degC", True),
    (SETTINGS, "settings", "file", "line", False),
)
