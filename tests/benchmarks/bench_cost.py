"""How fast estimates are: one at a time, and a grid at once.

``python tests/benchmarks/bench_cost.py`` prints both.
A full estimate is prefill, decode in closed form, bounds, memory and energy.
"""

from __future__ import annotations

import time

import numpy as np
import thermoflop as tf

GRID = 200_000
ONE = 200


def best(repeats: int, run: object) -> float:
    """The shortest of some runs, in seconds."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()  # type: ignore[operator]
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    """Print both rates and their ratio."""
    rng = np.random.default_rng(0)
    sizes = {
        "batch": rng.integers(1, 256, GRID),
        "prompt": rng.integers(1, 4096, GRID),
        "generate": rng.integers(1, 1024, GRID),
    }
    for name in ("llama-3.1-8b", "mixtral-8x7b"):
        model = tf.load_model(name)

        def one(model: tf.Model = model) -> None:
            for _ in range(ONE):
                tf.estimate(model, "h100", batch=8, prompt=1024, generate=256, profile="vllm")

        def grid(model: tf.Model = model) -> None:
            tf.estimate(model, "h100", profile="vllm", **sizes)

        one_s, grid_s = best(3, one) / ONE, best(3, grid) / GRID
        print(
            f"{name}: one estimate {one_s * 1e3:.2f} ms; in a grid {1 / grid_s:,.0f} a second; "
            f"ratio {one_s / grid_s:,.0f}"
        )


if __name__ == "__main__":
    main()
