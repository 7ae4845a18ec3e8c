"""The types of a line of ``samples.jsonl``: an item of the board's link, or a GPU's reading."""

from __future__ import annotations

from thermoflop.pico.track import Item
from thermoflop.runs.gpu.sample import GpuSample

Record = Item | GpuSample
