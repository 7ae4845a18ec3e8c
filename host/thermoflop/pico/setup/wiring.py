"""The wiring as a drawing of text, for a terminal; wiring.md shows the same."""

from __future__ import annotations

# the board from above, its USB socket up: pins 1 to 10 on the left, 40 to 31 on the right
DRAWING = """\
                     ┌─ USB ─┐
           GP0     1 │o     o│ 40  VBUS
           GP1     2 │o     o│ 39  VSYS
┌───────── GND     3 │o     o│ 38  GND
└─|◀─330R─ GP2     4 │o     o│ 37  3V3_EN
  LED      GP3     5 │o     o│ 36  3V3(OUT) ──NTC 10k──┐
           GP4     6 │o     o│ 35  ADC_VREF            │
           GP5     7 │o     o│ 34  GP28                │
           GND     8 │o     o│ 33  AGND ───────10k─────┤
           GP6     9 │o     o│ 32  GP27                │
           GP7    10 │o     o│ 31  GP26 ───────────────┘
                     └───────┘
"""
PARTS = """\
NTC 10k   the thermistor, between pin 36 and pin 31
10k       a resistor, 10,000 ohm, between pin 31 and pin 33
LED       with 330 ohm from pin 4, its short leg to pin 3;
          a fan instead needs a MOSFET: see wiring.md
"""
_ASCII = str.maketrans("┌┐└┘├┤│─◀", "+++++||-<")


def drawing(encoding: str) -> str:
    """The drawing in characters that an encoding has, such as that of standard output."""
    try:
        DRAWING.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return DRAWING.translate(_ASCII)
    return DRAWING
