"""What recording costs: the same numpy benchmark bare and wrapped, in pairs, and the recorder's own
processor time and memory at 10 and 100 GPU readings a second (simulated library).

    python tests/benchmarks/bench_record.py [--pairs 12] [--seconds 20]

The benchmark times its own work, so that starting the recorder does not count against it; pairs
alternate their order, and the figure is the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT / "host"),
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
WORK = """
import time, numpy as np, thermoflop as tf
a = np.random.default_rng(0).random((512, 512), dtype=np.float32)
for _ in range(30): a @ a
start = time.perf_counter()
for step in range(40):
    tf.mark("decode", tokens=8)
    for _ in range(12): a @ a
print("work_s=%.6f" % (time.perf_counter() - start))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    ratios = [pair(index) for index in range(args.pairs)]
    spread = statistics.stdev(ratios) / len(ratios) ** 0.5
    print(f"bare against bare, as a check: {statistics.median(null(args.pairs)) - 1:+.2%}")
    print(
        f"wrapped against bare: median {statistics.median(ratios) - 1:+.2%}, standard error of the "
        f"mean {spread:.2%}, {len(ratios)} pairs, 10 readings a second"
    )
    for rate_hz in (10, 100):
        share, peak_mib = cost(rate_hz, args.seconds)
        print(f"recorder at {rate_hz} Hz: {share:.2%} of one core, {peak_mib:.0f} MiB at most")


def pair(index: int) -> float:
    """Wrapped over bare; every other pair starts with the wrapped one."""
    if index % 2:
        wrapped = work_s(wrap=True)
        return wrapped / work_s(wrap=False)
    bare = work_s(wrap=False)
    return work_s(wrap=True) / bare


def null(pairs: int) -> list[float]:
    """Bare over bare: what a ratio of nothing looks like here."""
    return [work_s(wrap=False) / work_s(wrap=False) for _ in range(pairs)]


def work_s(wrap: bool) -> float:
    """How long the work took by its own clock."""
    command = [sys.executable, "-c", WORK]
    with tempfile.TemporaryDirectory() as folder:
        if wrap:
            command = [*recorder(folder, 10), *command]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=True)
    return float(done.stdout.split(b"work_s=")[1])


def recorder(folder: str, rate_hz: int) -> list[str]:
    """The words before the command."""
    words = [sys.executable, "-m", "thermoflop", "record", "--port", "none", "--gpu", "sim"]
    return [*words, "--rate", str(rate_hz), "--no-report", "--out", folder, "--"]


def cost(rate_hz: int, seconds: float) -> tuple[float, float]:
    """The recorder's share of one core while a command sleeps, and its peak memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*recorder(folder, rate_hz), "sleep", str(seconds)]
        process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        idle = [*recorder(folder, rate_hz), "true"]  # the start is not part of the rate's cost
        process = subprocess.Popen(idle, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        _, _, start = os.wait4(process.pid, 0)
        process.returncode = 0
    return (cpu_s(usage) - cpu_s(start)) / seconds, usage.ru_maxrss / 1024


def cpu_s(usage: resource.struct_rusage) -> float:
    """Processor seconds."""
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
