"""What recording costs: a numpy benchmark bare and wrapped, in blocks, and the recorder's own
processor time and memory, at 10 and 100 GPU readings a second (simulated library).

    python tests/benchmarks/bench_record.py [--minutes 3] [--seconds 20]

Each process times short pieces of its own work, and its figure is their lower quartile: the pieces
that another process, or the machine's other users, interrupted do not count. Blocks are bare,
wrapped, wrapped, bare (ABBA), so that a drift of the machine cancels; a block gives one ratio. The
figure is the mean of the middle 60 % of the blocks, with a 95 % interval by bootstrap. Since the
quartile leaves out pieces that were interrupted, the recorder's own processor time is stated too:
it is what a machine with no processor to spare loses.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
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
a = np.random.default_rng(0).random((384, 384), dtype=np.float32)
out = np.empty_like(a)
for _ in range(60): np.matmul(a, a, out=out)
pieces = []
for step in range(120):
    tf.mark("decode", tokens=8)
    start = time.perf_counter()
    for _ in range(8): np.matmul(a, a, out=out)
    pieces.append(time.perf_counter() - start)
pieces.sort()
print("whole_s=%.9f quarter_s=%.9f" % (sum(pieces), pieces[len(pieces) // 4]))
"""
DRAWS = 4000
KEPT = 0.6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="of blocks (3)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the recorder's cost (20)")
    args = parser.parse_args()
    blocks = series(60 * args.minutes)
    for name, index in (("undisturbed pieces", 1), ("all of the work", 0)):
        for what, which in (("wrapped over bare", 0), ("bare over bare, a check", 1)):
            middle, low, high = interval([block[which][index] for block in blocks])
            print(
                f"{name}, {what}: {middle - 1:+.2%}, 95 % interval {low - 1:+.2%} to "
                f"{high - 1:+.2%}, {len(blocks)} blocks"
            )
    for rate_hz in (10, 100):
        share, peak_mib = cost(rate_hz, args.seconds)
        print(f"recorder at {rate_hz} Hz: {share:.2%} of one core, {peak_mib:.0f} MiB at most")


Ratio = tuple[float, float]  # of whole_s, of quarter_s


def series(seconds: float) -> list[tuple[Ratio, Ratio]]:
    """Blocks until the time is up: wrapped over bare, and the second bare one over the first."""
    until_s, blocks = time.monotonic() + seconds, []
    while not blocks or time.monotonic() < until_s:
        bare, one, two, again = (work(wrap) for wrap in (False, True, True, False))
        wrapped = [(a + b) / (c + d) for a, b, c, d in zip(one, two, bare, again, strict=True)]
        null = [b / a for a, b in zip(bare, again, strict=True)]
        blocks.append(((wrapped[0], wrapped[1]), (null[0], null[1])))
    return blocks


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """The trimmed mean, and the middle 95 % of those of resampled blocks."""
    rng = random.Random(1)
    draws = sorted(trimmed(rng.choices(ratios, k=len(ratios))) for _ in range(DRAWS))
    return trimmed(ratios), draws[round(0.025 * DRAWS)], draws[round(0.975 * DRAWS) - 1]


def trimmed(ratios: list[float]) -> float:
    """The mean of the middle ``KEPT`` of them."""
    cut = int(len(ratios) * (1 - KEPT) / 2)
    return statistics.fmean(sorted(ratios)[cut : len(ratios) - cut])


def work(wrap: bool) -> Ratio:
    """How long all of the work took by its own clock, and a quarter of its pieces at most."""
    command = [sys.executable, "-c", WORK]
    with tempfile.TemporaryDirectory() as folder:
        if wrap:
            command = [*recorder(folder, 10), *command]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=True)
    words = dict(word.split("=") for word in done.stdout.decode().split())
    return float(words["whole_s"]), float(words["quarter_s"])


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
