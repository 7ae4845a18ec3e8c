"""Backends by name; numpy or torch is imported when its backend is opened."""

from __future__ import annotations

from thermoflop.bench.backend import Backend
from thermoflop.errors import UsageError

NAMES = ("numpy", "torch")


def open_backend(name: str = "numpy", device: str = "cpu", dtype: str = "fp32") -> Backend:
    """The backend of that name. UsageError or MissingExtra, in a sentence, when there is none."""
    if name == "numpy":
        from thermoflop.bench.numpy_backend import NumpyBackend

        if device != "cpu":
            raise UsageError(f"numpy runs on the cpu, not on {device!r:.40}: say --backend torch")
        return NumpyBackend(dtype)
    if name == "torch":
        from thermoflop.bench.torch_backend import open_torch

        return open_torch(device, dtype)
    raise UsageError(f"backend {name!r:.40} is not known: expected {' or '.join(NAMES)}")
