"""One reading of one GPU, as it stands in ``samples.jsonl``.

Temperatures are degrees Celsius, power watts, energy joules since the driver was loaded, clocks
megahertz, utilizations shares of one. A field that the driver did not give is None and is left out
of the record. ``reasons`` is NVML's bit mask, kept as it came.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

FORMATS = {
    "temp_c": "{:.0f}",
    "mem_temp_c": "{:.0f}",
    "power_w": "{:.3f}",
    "power_avg_w": "{:.3f}",
    "energy_j": "{:.3f}",
    "sm_mhz": "{:.0f}",
    "mem_mhz": "{:.0f}",
    "util": "{:.2f}",
    "mem_util": "{:.2f}",
    "mem_used_bytes": "{:d}",
    "reasons": "{:d}",
}
INTEGERS = {"mem_used_bytes", "reasons"}


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One reading of a GPU at ``mono_s``; ``power_w`` is instantaneous where the driver can."""

    mono_s: float
    wall_s: float
    gpu: int
    temp_c: float | None = None
    mem_temp_c: float | None = None
    power_w: float | None = None
    power_avg_w: float | None = None
    energy_j: float | None = None
    sm_mhz: float | None = None
    mem_mhz: float | None = None
    util: float | None = None
    mem_util: float | None = None
    mem_used_bytes: int | None = None
    reasons: int | None = None


MEASURED = tuple(f.name for f in fields(GpuSample) if f.name not in ("mono_s", "wall_s", "gpu"))


def encode_gpu(sample: GpuSample) -> bytes:
    """The record of a reading, newline included."""
    fields_json = [
        f'"{name}":{FORMATS[name].format(value)}'
        for name in MEASURED
        if (value := getattr(sample, name)) is not None
    ]
    head = f'{{"mono_s":{sample.mono_s:.6f},"wall_s":{sample.wall_s:.3f},"src":"gpu"'
    return ",".join([head, f'"gpu":{sample.gpu}', *fields_json]).encode("ascii") + b"}\n"


def parse_gpu(mono_s: float, wall_s: float, record: Mapping[str, Any]) -> GpuSample:
    """The reading in a record; ValueError, KeyError or TypeError when it is not one."""
    values: dict[str, Any] = {}
    for name in MEASURED:
        value = record.get(name)
        if value is None:
            continue
        if type(value) is not int and type(value) is not float:  # a bool is an int to isinstance
            raise TypeError(f"{name} of a GPU sample is {json.dumps(value)}, not a number")
        values[name] = int(value) if name in INTEGERS else float(value)
    return GpuSample(mono_s, wall_s, int(record["gpu"]), **values)
