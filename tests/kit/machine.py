"""A profile of a machine that is made up: every operator at a rate that is known."""

from __future__ import annotations

from typing import Any

from thermoflop.cost.catalogue.machine import FORMAT, KIND, machine

FLOPS_PER_S, LAUNCH_S = 1e11, 2e-6
ROWS = [1.0, 4.0, 64.0, 1024.0]
SIZES = [2.0**power for power in range(6, 27, 4)]


def product_s(rows: float, size: float) -> float:
    """Seconds of a product: its FLOPs at a constant rate."""
    return 2 * rows * size / FLOPS_PER_S


def table(seconds: Any) -> dict[str, Any]:
    """A table over the grid."""
    return {
        "rows": ROWS,
        "sizes": SIZES,
        "seconds": [[seconds(row, size) for size in SIZES] for row in ROWS],
    }


def raw_profile(name: str = "mine") -> dict[str, Any]:
    """The JSON object of the profile, of this machine."""
    moved = table(lambda row, size: LAUNCH_S + row * size * 4 / 1e10)
    return {
        "format": FORMAT,
        "kind": KIND,
        "name": name,
        "made": {
            "utc": "2030-01-02T03:04:05Z", "machine": machine(), "libraries": {"numpy": "9.9"},
            "backend": "numpy", "device": "cpu", "measurements": 123, "quick": False,
        },
        "kernels": "eager",
        "dtype": "fp32",
        "device": {
            "name": f"made-up ({name})", "memory_gb": 16.0, "bandwidth_gb_s": 50.0,
            "cache_mb": 8.0, "dense_tflops": {"fp32": 0.2},
        },
        "levels": [{"bytes": 1e6, "bytes_s": 2e11}, {"bytes": 1e18, "bytes_s": 5e10}],
        "launch_s": LAUNCH_S,
        "step_s": 0.0,
        "scale": 1.0,
        "fixed": {"scores": 1e-5},
        "tables": {
            "matmul": table(lambda row, size: LAUNCH_S + product_s(row, size)),
            "scores": table(product_s), "values": table(product_s), "softmax": moved,
            "masked softmax": moved, "layer norm": moved, "gelu": moved, "residual": moved,
        },
        "spread": {"all": [0.8, 1.25, 8], "token": [0.9, 1.2, 4], "prefill": [0.7, 1.1, 4]},
    }  # fmt: skip
