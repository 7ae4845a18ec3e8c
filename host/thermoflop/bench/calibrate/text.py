"""A calibration for people: what it found."""

from __future__ import annotations

from typing import Any

from thermoflop.base.units import scaled, seconds, wrapped


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
