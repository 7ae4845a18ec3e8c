"""How fast the estimator is, beside a naive reference. Prints figures; asserts nothing.

    python tests/benchmarks/bench_model.py

Tables: one full operator table with its totals, after warm-up, next to a reference that walks
layer by layer and writes the same FLOPs as formulas. Cold start: ``thermoflop ops gpt2`` as its
console script runs it, next to ``python -c pass``. Sweep: a million configurations at once through
numpy, next to the scalar path.
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HOST = Path(__file__).resolve().parents[2] / "host"
sys.path.insert(0, str(HOST))

import numpy as np  # noqa: E402
import thermoflop as tf  # noqa: E402
from thermoflop.model.model import Model  # noqa: E402

SCRIPT = "import sys; from thermoflop.cli import main; sys.exit(main())"


def best_ms(action: Callable[[], object], repeats: int = 200) -> float:
    """The shortest of many runs: the one that other work disturbed least."""
    action()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times) * 1e3


def full_table(model: Model, batch: int, new: int, cached: int) -> int:
    """A table and everything that is asked of it."""
    table = model.operators(batch, new, cached)
    return table.flops + table.elementwise_flops + table.traffic.total


def naive_flops(config: dict[str, int], batch: int, new: int, cached: int) -> int:
    """What many scripts do: loop over layers, one formula a line, FLOPs only."""
    total, tokens, keys = 0, batch * new, cached + new
    for _ in range(config["layers"]):
        total += 2 * tokens * config["hidden"] * config["heads"] * config["dim"]
        total += 2 * 2 * tokens * config["hidden"] * config["groups"] * config["dim"]
        for _ in range(config["heads"]):
            total += 2 * 2 * batch * new * keys * config["dim"]
        total += 2 * tokens * config["heads"] * config["dim"] * config["hidden"]
        total += 3 * 2 * tokens * config["hidden"] * config["inner"]
    return total + 2 * tokens * config["hidden"] * config["vocab"]


def bench_tables() -> None:
    """Llama-3.1-405B and DeepSeek-V3, with the naive reference beside them."""
    big = tf.load_model("llama-3.1-405b")
    sizes = {"layers": 126, "hidden": 16384, "heads": 128, "groups": 8, "dim": 128}
    sizes |= {"inner": 53248, "vocab": 128256}
    assert naive_flops(sizes, 1, 1, 4096) == big.decode(4096).flops
    print("one full table: FLOPs, element-wise work and bytes of every operator, best of 200")
    print(f"  Llama-3.1-405B   {best_ms(lambda: full_table(big, 8, 1, 4096)):7.3f} ms")
    deep = tf.load_model("deepseek-v3")
    print(f"  DeepSeek-V3      {best_ms(lambda: full_table(deep, 8, 1, 4096)):7.3f} ms")
    reference = best_ms(lambda: naive_flops(sizes, 8, 1, 4096))
    print(f"  naive 405B       {reference:7.3f} ms (a loop over layers and heads, FLOPs only)")


def run_s(command: list[str], environment: dict[str, str]) -> float:
    """Seconds that a process takes."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - started


def bench_cold_start(repeats: int = 40) -> None:
    """The command from a cold start, compiled as an installer compiles it."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPATH": str(HOST), "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        compileall.compile_dir(HOST, quiet=2)
        nothing, command = [], []
        for _ in range(repeats):
            nothing.append(run_s([sys.executable, "-c", "pass"], environment))
            ops = [sys.executable, "-c", SCRIPT, "ops", "gpt2"]
            command.append(run_s(ops, environment))
    low, high = min(nothing) * 1e3, min(command[1:]) * 1e3
    middle = sorted(command[1:])[repeats // 2] / sorted(nothing)[repeats // 2]
    print("cold start, best of 40")
    print(f"  python -c pass        {low:6.1f} ms")
    print(f"  thermoflop ops gpt2   {high:6.1f} ms: {high / low:.2f} times (medians {middle:.2f})")


def bench_sweep(count: int = 1_000_000) -> None:
    """A million steps at once, and the same through the scalar path."""
    model, rng = tf.load_model("llama-3.1-405b"), np.random.default_rng(1)
    batch = rng.integers(1, 256, count)
    cached = rng.integers(0, 8192, count)
    print(f"sweep of {count:,} decode steps (batch, cached) of Llama-3.1-405B, one core")
    for title, largest in (("int64, exact", 256), ("float64, past 2^63", 2**20)):
        sizes = batch * (largest // 256)
        new = 1 if largest == 256 else 4096
        model.operators(sizes, new, cached).flops.sum()  # the first pass pays for fresh memory
        started = time.perf_counter()
        table = model.operators(sizes, new, cached)
        flops = table.flops
        seconds = time.perf_counter() - started
        sample = range(0, count, count // 1000)
        started = time.perf_counter()
        exact = [model.operators(int(sizes[i]), new, int(cached[i])).flops for i in sample]
        scalar = (time.perf_counter() - started) / len(exact)
        worst = max(abs(int(flops[i]) - want) / want for i, want in zip(sample, exact, strict=True))
        rate, ratio = count / seconds / 1e6, scalar * count / seconds
        print(f"  {title:<20} {rate:6.1f} million/s, {ratio:5.0f} times the scalar path,")
        print(f"    worst relative error on 1,000 of them {worst:.0e}")
        print(f"    the table says: {table.arithmetic}")
        started = time.perf_counter()
        table = model.operators(sizes, new, cached)
        full = table.flops + table.elementwise_flops + table.traffic.total
        everything = time.perf_counter() - started
        print(f"    every total, bytes too: {len(full) / everything / 1e6:.1f} million/s")


if __name__ == "__main__":
    bench_tables()
    bench_cold_start()
    bench_sweep()
