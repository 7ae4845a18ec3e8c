"""Products of a training step run into a device's power limit: devices of one chip are as fast as
their watts, whatever clock and units their data sheets count.

Under random operands the clock falls until the watts suffice, on A100 and H100 as well (He 2024,
"Strangely, matrix multiplications on GPUs run faster when given predictable data"). Dynamic power
goes with the clock's third power where the voltage follows the clock, with the first where it is at
its floor: the rate with the watts' ``EXPONENT`` power, which lies between: of 1/3, 1/2, 0.58, 2/3
and 1 it was chosen by 30 runs of Llama 3.1 405B in 8 and 4 bits. Each device left out, 9 in 10 of
these are missed by up to 12 % with it, and by 18 % at the data sheets' peaks; a GB300 multiplies in
4 bits no faster than its watts let a GB200's units.
"""

from __future__ import annotations

from functools import cache

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.hardware.device import Device

EXPONENT = 2 / 3
# The devices of a chip, by the one with the fewest watts, whose data sheet stands for it.
CHIPS = {
    "GB200 (per GPU)": "B200-SXM", "B300-SXM": "B200-SXM", "GB300 (per GPU)": "B200-SXM",
}  # fmt: skip
FORMATS = ("bf16", "fp16", "fp8", "fp4")


def speed_of(watts: float, of: float) -> float:
    """How many times as fast a chip multiplies that has ``watts`` in the place of ``of``."""
    return float((watts / of) ** EXPONENT)


def at_power(device: Device) -> Device:
    """The device with the peaks that its chip has at its power; others, and one that has been given
    peaks of its own, as they are."""
    if device.name not in CHIPS or device.power_w is None:
        return device
    if device.peaks != find_device(device.name).peaks:
        return device
    watts, peaks = _chip(CHIPS[device.name])
    share = speed_of(device.power_w, watts)
    held = {name: share * peak for name, peak in peaks.items() if name in device.peaks}
    return replace(device, peaks={**device.peaks, **held})


@cache
def _chip(name: str) -> tuple[float, dict[str, float]]:
    """The power of a device, and its peaks in the formats that are trained in."""
    device = find_device(name)
    assert device.power_w is not None  # noqa: S101 - every device of CHIPS has one
    return device.power_w, {each: device.peaks[each] for each in FORMATS}
