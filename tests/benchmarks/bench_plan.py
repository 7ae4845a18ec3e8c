"""What planning and serving cost: processor time, and the ratio to asking one by one.

python tests/benchmarks/bench_plan.py
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import thermoflop as tf
from thermoflop.cost.serving.loop import Requests, run_loop
from thermoflop.cost.serving.times import StepTable

PLANS = (
    ["llama-3-70b", "--gpu", "h100,h200,b200,mi300x", "--max-devices", "64", "--tpot", "30ms"],
    ["deepseek-v3", "--gpu", "h200", "--max-devices", "256", "--disaggregate", "--tpot", "40ms"],
)
LIMIT_S = {"llama-3-70b": 2.0, "deepseek-v3": 10.0}
PICK_S, LOOP_S = 1.0, 15.0


def cold(words: list[str]) -> tuple[float, str]:
    """Processor seconds of a command from a cold start, and what it printed."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run(
        [sys.executable, "-m", "thermoflop", *words], capture_output=True, text=True, check=True
    ).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, out


def one_by_one(count: int) -> float:
    """Processor seconds of one state asked alone, on the average."""
    users = np.unique(np.rint(np.geomspace(1, 256, count))).astype(int).tolist()
    tf.serving("llama-3-70b", "h100", tp=4, dtype="fp8", users=1, profile="vllm")
    start = time.process_time()
    for number in users:
        tf.serving("llama-3-70b", "h100", tp=4, dtype="fp8", users=number, profile="vllm")
    return (time.process_time() - start) / len(users)


def million() -> float:
    """Processor seconds of a million requests of 1024 + 256 tokens at 70 % load in 128 slots."""
    slots, budget, count = 128, 8192, 1_000_000
    base = [0.0] + [0.012 + 0.0001 * n for n in range(1, slots + 1)]
    rows = [[5e-5 * 32 * n for n in range(257)] for _ in range(slots + 1)]
    table = StepTable(base, [0.0] + [1e-6] * slots, rows, 32.0, 0.0, 0.0)
    step_s = base[-1] + 1e-6 * 1152 + slots / 256 * 1024 * 5e-5
    rate = 0.7 * slots / (256 * step_s)
    arrivals = (np.cumsum(np.random.default_rng(1).exponential(1.0, count)) / rate).tolist()
    requests = Requests(arrivals, [1024] * count, [0] * count, [256] * count)
    start = time.process_time()
    run_loop(table, requests, slots, budget)
    return time.process_time() - start


def main() -> None:
    """Print each figure beside its limit."""
    each = one_by_one(12)
    for words in PLANS:
        seconds, out = cold(["plan", *words])
        tried = int(out.rsplit(" configurations", 1)[0].rsplit("\n", 1)[-1].replace(",", ""))
        ratio = tried * each / seconds
        print(
            f"plan {words[0]}: {tried:,} configurations in {seconds:.2f} s (limit "
            f"{LIMIT_S[words[0]]:g}); one by one {1e3 * each:.1f} ms each, {ratio:.0f} times as "
            "long"
        )
    seconds, _ = cold(["pick", "--gpu", "rtx 4060 laptop"])
    print(f"pick: {seconds:.2f} s (limit {PICK_S:g})")
    seconds = million()
    print(f"a million requests: {seconds:.1f} s (limit {LOOP_S:g})")


if __name__ == "__main__":
    main()
