"""A long sweep: its rate and memory, a kill in the middle, and a Dask cluster that loses a worker.

    python tests/cost/sweep/campaign_sweep.py --rows 20000000 --dask-rows 5000000

Each part has 100,000 rows of 27 columns: 100 batches x 100 prompts x 10 generations of one model,
device, format and layout. Needs Linux (memory is read from /proc).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from thermoflop.cost.sweep.grid import grid_of
from thermoflop.cost.sweep.part import COLUMNS, part_name, write_part
from thermoflop.cost.sweep.sweep import sweep

SIZES = {"batch": "1:100", "prompt": "64:6400:64", "generate": "16:160:16"}
MODELS = ["llama-3-8b", "llama-3-70b", "qwen2.5-7b", "mistral-7b", "mixtral-8x7b"]
DEVICES = ["h100", "h200", "b200", "a100-80gb", "mi300x"]
FORMATS, LAYOUTS = ["bf16", "int8"], [1, 2, 4, 8]
CELL = 100_000
SAMPLE = 12  # parts that are made once more, elsewhere


def grid(rows: int) -> dict[str, object]:
    """A grid of at least so many rows, of all models and devices."""
    each = CELL * len(MODELS) * len(DEVICES)
    kinds = [(formats, layouts) for layouts in range(1, 5) for formats in (1, 2)]
    formats, layouts = next((kind for kind in kinds if kind[0] * kind[1] * each >= rows), kinds[-1])
    devices = DEVICES if rows >= each else DEVICES[: max(1, rows // (CELL * len(MODELS)))]
    chosen = {"dtypes": FORMATS[:formats], "tp": LAYOUTS[:layouts]}
    return {"models": MODELS, "devices": devices, "profile": "vllm", **chosen, **SIZES}


def memory_mb(group: int) -> float:
    """Resident memory of a process group, together."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            continue
    return total / 1e6


def run(words: list[str], out: Path, until: int) -> tuple[float, float, dict[str, int]]:
    """Seconds and peak memory of a sweep that is killed once ``until`` parts are there, and what
    it said."""
    start, peak = time.monotonic(), 0.0
    process = subprocess.Popen(
        [sys.executable, "-m", "thermoflop", *words], start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    while process.poll() is None:
        peak = max(peak, memory_mb(process.pid))
        if len(list(out.glob("part-*.parquet"))) >= until:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.2)
    said, _ = process.communicate()
    return time.monotonic() - start, peak, json.loads(said) if process.returncode == 0 else {}


def digests(out: Path) -> dict[str, str]:
    """A digest of every part."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.glob("part-*.parquet")
    }


def count_rows(out: Path) -> int:
    """Rows as the files themselves say."""
    import pyarrow.parquet as pq

    return sum(pq.ParquetFile(path).metadata.num_rows for path in out.glob("part-*.parquet"))


def same_again(out: Path, values: dict[str, object]) -> bool:
    """Whether some parts, made once more elsewhere, have the same bytes."""
    known = grid_of(values)
    with tempfile.TemporaryDirectory() as other:
        for number in random.Random(1).sample(range(known.parts), min(SAMPLE, known.parts)):
            write_part(known.to_json(), number, other)
            name = part_name(number)
            if (Path(other) / name).read_bytes() != (out / name).read_bytes():
                return False
    return True


def killed_and_resumed(rows: int, jobs: int) -> bool:
    """A sweep that is killed in the middle and goes on, each of its parts the same."""
    values = grid(rows)
    known = grid_of(values)
    with tempfile.TemporaryDirectory() as folder:
        out, file = Path(folder) / "out", Path(folder) / "grid.toml"
        file.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items()))
        words = ["sweep", str(file), "--out", str(out), "--jobs", str(jobs), "--json"]
        first_s, first_mb, _ = run(words, out, known.parts // 2)
        before = digests(out)
        then_s, then_mb, said = run(words, out, known.parts + 1)
        after = digests(out)
        kept = all(after[name] == digest for name, digest in before.items())
        whole = len(after) == known.parts and count_rows(out) == known.total_rows
        same = same_again(out, values)
        size = sum(path.stat().st_size for path in out.glob("part-*"))
    rate = known.total_rows / (first_s + then_s)
    print(
        f"{known.total_rows:,} rows of {len(COLUMNS)} columns, {known.parts} parts, {jobs} "
        f"processes: {rate:,.0f} rows/s ({first_s:.0f} s until kill -9 at {len(before)} parts, "
        f"{then_s:.0f} s for the {said.get('made')} left), at most "
        f"{max(first_mb, then_mb):.0f} MB, {size / known.total_rows:.0f} bytes a row"
    )
    print(
        f"kept parts unchanged: {kept}; all rows there: {whole}; {SAMPLE} made again alike: {same}"
    )
    return kept and whole and same


def on_a_cluster(rows: int) -> bool:
    """A scheduler and three worker processes, one of which is killed a third of the way."""
    from distributed import Client, LocalCluster

    values = grid(rows)
    known = grid_of(values)
    with tempfile.TemporaryDirectory() as folder:
        out, start = Path(folder) / "out", time.monotonic()
        with LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster:
            with Client(cluster) as client:
                victim = next(iter(client.run(os.getpid).values()))

            def kill() -> None:
                while len(list(out.glob("part-*.parquet"))) < known.parts // 3:
                    time.sleep(0.05)
                os.kill(victim, signal.SIGKILL)

            threading.Thread(target=kill, daemon=True).start()
            done = sweep(values, out, dask=cluster.scheduler_address)
        seconds = time.monotonic() - start
        found = digests(out)
        whole = len(found) == known.parts and count_rows(out) == known.total_rows
        same = same_again(out, values)
    print(
        f"Dask, 3 workers of which one is killed: {known.total_rows:,} rows in {seconds:.0f} s "
        f"({known.total_rows / seconds:,.0f} rows/s), {done.made} parts made; no row lost or "
        f"twice: {whole and done.made_rows == known.total_rows}; {SAMPLE} made again alike: {same}"
    )
    return whole and same and done.made_rows == known.total_rows


def main() -> int:
    """Print the figures; 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--dask-rows", type=int, default=5_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    print(f"columns: {', '.join(COLUMNS)}")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    good = not args.rows or killed_and_resumed(args.rows, args.jobs)
    good &= not args.dask_rows or on_a_cluster(args.dask_rows)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
