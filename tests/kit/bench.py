"""Small models, a small pool, and limits that cost no time, for tests of the benchmark."""

from __future__ import annotations

from typing import Any

from thermoflop.bench.check import SMALL
from thermoflop.bench.kernels import Pool
from thermoflop.bench.limits import Best
from thermoflop.bench.numpy_backend import NumpyBackend
from thermoflop.cost.catalogue.machine import Level
from thermoflop.model.load import load_model

BEST = Best(1e13, (Level(1e6, 1e12), Level(1e18, 1e11)), 1e6, 8e9)


def small(name: str) -> Any:
    """A decoder of two layers and 64 dimensions."""
    return load_model(SMALL[name])


def numpy_pool(n_bytes: float = 4e6) -> Pool:
    """A pool on the numpy backend."""
    return Pool(NumpyBackend("fp32"), n_bytes)
