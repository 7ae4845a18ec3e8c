"""thermoflop: what a transformer run should cost, and what heat did to it."""

from __future__ import annotations

__version__ = "0.1.0"
