"""Energy and heat of a run: power from what a device computes and moves, J per token, and degrees.

Power follows the rates: ``P = P_design (awake + flop f/f_peak + byte b/b_peak)``, at most the
design power, with f and b the FLOPs and bytes of a second. ``awake`` is what a device that serves
draws before it computes, more than when idle. The three numbers are fitted to the measured GPU
power of ML.ENERGY's serving runs (H100 and B200, 300 rows); their spread is that of held-out
models. Where an engine launches kernel by kernel, a device waits for its host, and where few ask a
server, for requests: it draws ``WAITING`` in place of ``awake`` for as long as it neither computes
nor moves. Cards with GDDR draw ``AT_WORK`` while they work, and ``WAITING`` between. In steady
state a device is ``power * thermal resistance`` warmer than its coolant.
"""

from __future__ import annotations

from thermoflop.base.number import Number, minimum
from thermoflop.base.record import record
from thermoflop.cost.hardware.device import Device
from thermoflop.errors import UsageError

# Fractions of the design power, and the 80 % interval of measured over expected power.
# Least squares in relative error over the rows of data/times.json that state a power; models held
# out, the median error is 12 %.
IDLE, PER_FLOP, PER_BYTE = 0.516, 1.514, 0.272
LOW, HIGH = 0.83, 1.31
ROWS = 300
# What a device draws that waits between kernels: 11 published powers of Transformers decoding one
# sequence on RTX 3090, 4090 D, 5090 and H100 (hongping-zh/ecocompute-dynamic-eval; Qwen3 0.6B and
# Mistral 7B) ask for 0.18 at the median where the device works for less than a fifth of the time.
# 11 others, of H100, A100 and 5090, that chose nothing are missed by 7 % at the median.
WAITING = 0.18
# Cards with GDDR run at their limit as soon as they work, whatever it is that they do: 11 published
# powers of RTX 3090, 4090, 5090 and 6000 Ada under vLLM, llama.cpp and Transformers, of prompts and
# of single tokens, ask for 0.98 at the median. 10 others, of RTX 3090, 5060 Ti, 5090 and 6000 Ada,
# that chose nothing are missed by 4 % at the median. (No part of it: a 4090 D whose host was too
# slow for half of the tokens/s expected, which the power follows.)
AT_WORK = 0.98
# Devices with such rows. On any other the interval is what each of the two shows (10 and 90 % of
# measured over expected power) when the numbers are fitted to the other one alone.
FITTED = ("H100-SXM-80GB", "B200-SXM")
LOW_ELSEWHERE, HIGH_ELSEWHERE = 0.67, 1.41


@record
class Energy:
    """Energy of one run; arrays where the sizes of an estimate were.

    Attributes:
        power_w: expected mean power of one device, in watts.
        power_low_w: lower end of the interval that holds 80 % of measured powers, in watts.
        power_high_w: upper end of that interval, at most the design power.
        energy_j: joules of all devices.
        energy_low_j: lower end of the interval of the joules, from those of power and time.
        energy_high_j: upper end of that interval.
        per_token_j: joules for each generated token; for each sequence where nothing is generated.
        rise_c: degrees above the coolant in steady state; None without a thermal resistance.
        assumption: the formula of the power and what it was fitted to.

    Example:
        >>> import thermoflop as tf
        >>> e = tf.estimate("llama-3-8b", "h100", devices=2)
        >>> e.energy.energy_j == 2 * e.energy.power_w * e.total.expected_s
        True
        >>> e.energy.power_high_w <= tf.find_device("h100").power_w
        True
    """

    power_w: Number
    power_low_w: Number
    power_high_w: Number
    energy_j: Number
    energy_low_j: Number
    energy_high_j: Number
    per_token_j: Number
    rise_c: Number | None
    assumption: str


def power_w(
    device: Device, peak_flops_s: float, flops_s: Number, bytes_s: Number, working: Number = 1.0
) -> Number:
    """Watts of one device that computes and moves at these rates, at work for a share of the time.
    UsageError without a power."""
    if device.power_w is None:
        raise UsageError(f"the design power of {device.name} is not known: give power_w in a file")
    if has_gddr(device):
        return device.power_w * (WAITING + (AT_WORK - WAITING) * working)
    busy = PER_FLOP * flops_s / peak_flops_s + PER_BYTE * bytes_s / device.bandwidth_bytes_s
    return device.power_w * minimum(1.0, WAITING + (IDLE - WAITING) * working + busy)


def has_gddr(device: Device) -> bool:
    """Whether it is a card with GDDR."""
    return device.memory_kind.upper().startswith("GDDR")


def energy_of(
    device: Device,
    devices: int,
    peak_flops_s: float,
    flops: Number,
    moved_bytes: Number,
    seconds: Number,
    tokens: Number,
    working: Number | None = None,
    ends: tuple[Number, Number] | None = None,
) -> Energy | None:
    """Energy of a run that does ``flops`` and moves ``moved_bytes`` on each device, which is at
    work for a share of the time; None: it waits for no host. ``ends`` are those of the interval of
    the seconds; None: they are known."""
    if device.power_w is None:
        return None
    share = 1.0 if working is None else working
    power = power_w(device, peak_flops_s, flops / seconds, moved_bytes / seconds, share)
    most = device.power_w
    known = device.name in FITTED
    down, up = (LOW, HIGH) if known else (LOW_ELSEWHERE, HIGH_ELSEWHERE)
    low, high = power * down, minimum(power * up, most)
    joules = devices * seconds
    resistance = device.thermal_resistance_c_per_w
    fastest, slowest = (seconds, seconds) if ends is None else ends
    least = power * joules / (1 + _both(power / low, seconds / fastest))
    greatest = power * joules * (1 + _both(high / power, slowest / seconds))
    return Energy(
        power, low, high, power * joules, least, greatest, power * joules / tokens,
        None if resistance is None else power * resistance,
        _assumption(device, working, most, known=known),
    )  # fmt: skip


def _both(power: Number, seconds: Number) -> Number:
    """By how much more than once two factors are off that have nothing to do with each other."""
    off: Number = ((power - 1) ** 2 + (seconds - 1) ** 2) ** 0.5
    return off


def _assumption(device: Device, working: Number | None, most: float, *, known: bool) -> str:
    """The formula, and what it rests on."""
    if has_gddr(device):
        awake = (
            f"{AT_WORK:.2f}" if working is None else f"{WAITING:.2f} + {AT_WORK - WAITING:.2f} w"
        )
        return (
            f"{awake} of {most:g} W; published rows of cards with GDDR, which run at their limit"
            + ("" if working is None else "; at work for w of the time, else it waits")
        )
    awake = f"{IDLE:.2f}" if working is None else f"{WAITING:.2f} + {IDLE - WAITING:.2f} w"
    formula = f"{awake} + {PER_FLOP:.2f} f/f_peak + {PER_BYTE:.2f} b/b_peak of {most:g} W"
    return (
        f"{formula}; fitted to {ROWS} published rows of H100 and B200"
        + ("" if known else ", none of this device: interval widened")
        + ("" if working is None else "; at work for w of the time, else it waits for the host")
    )
