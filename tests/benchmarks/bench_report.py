"""What a report of a long run costs: processor time beside json alone, memory, and its size.

    python tests/benchmarks/bench_report.py [--hours 25] [--gpus 0]

A run is written as a recorder leaves it: a board at 5 samples a second, GPUs at 10 readings each.
Then ``report`` is made of it in a process of its own. An hour of eight GPUs is 72 MB on the disk.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "host"), str(ROOT / "tests")]

from kit.board_lines import sample_line  # noqa: E402
from kit.run_folder import START_S, board_line, board_settings, trial, write  # noqa: E402
from thermoflop.runs.folder.records import Record  # noqa: E402
from thermoflop.runs.gpu.sample import GpuSample  # noqa: E402

JSON_ALONE = "import json, sys\nfor line in open(sys.argv[1]): json.loads(line)"


def main() -> None:
    """Write, report, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=25.0)
    parser.add_argument("--gpus", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        folder = write(Path(out), records(args.hours * 3600, args.gpus))
        samples = folder / "samples.jsonl"
        print(f"{args.hours:g} h, {args.gpus} GPUs: {samples.stat().st_size / 1e6:.0f} MB")
        json_s, _ = cost("-c", JSON_ALONE, str(samples))
        report_s, peak_mb = cost("-m", "thermoflop", "report", str(folder))
        size_mb = (folder / "report.html").stat().st_size / 1e6
    print(f"json alone  {json_s:6.1f} s of processor time")
    print(f"report      {report_s:6.1f} s, {report_s / json_s:.2f} times as much, {peak_mb:.0f} MB")
    print(f"report.html {size_mb:6.2f} MB")


def records(lasts_s: float, gpus: int) -> Iterator[Record]:
    """A board that follows a slow wave, and GPUs that draw 300 W, throttled a third of the time."""
    start, end = trial(0.0, lasts_s)
    yield from (board_settings(0.0, 29.0, 28.0), start)
    for n in range(int(lasts_s * 10)):
        t_s = n / 10
        if n % 2 == 0:
            temp_c = 28.5 + 2.5 * math.sin(t_s / 600)
            yield board_line(t_s, sample_line(n // 2, temp_c=temp_c, fan=int(temp_c > 29)))
        power_w = 300 + 20 * math.sin(t_s / 50)
        for gpu in range(gpus):
            yield GpuSample(
                START_S + t_s, 1.75e9 + t_s, gpu, 60.0, None, power_w, power_w, 300 * t_s, 1980.0,
                2619.0, 0.97, 0.5, 40 << 30, 4 if int(t_s / 100) % 3 == 0 else 0,
            )  # fmt: skip
    yield end


def cost(*words: str) -> tuple[float, float]:
    """Processor time and highest memory of a Python, in seconds and MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "host")}
    started_s = time.monotonic()
    subprocess.run([sys.executable, *words], env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"            {time.monotonic() - started_s:6.1f} s by the clock", file=sys.stderr)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used_s, after.ru_maxrss / 1000


if __name__ == "__main__":
    main()
