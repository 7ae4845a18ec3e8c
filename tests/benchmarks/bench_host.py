"""How fast the host side is, as ratios: they mean the same on every machine that is not starved.

    python tests/benchmarks/bench_host.py

Prints lines a second from a pseudo-terminal to the disk against what USB can carry (6,600 lines of
91 bytes), the recorder's CPU share at 10 lines a second, and the start of ``thermoflop --help``
against that of an empty Python program.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "host"), str(ROOT / "tests")]

from kit.board_lines import Pty, introduction, sample_line  # noqa: E402

USB_LINES_PER_S = 6600
N_LINES = 60_000
IDLE_S = 15.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "host")}


def main() -> None:
    """Measure and print."""
    lines_per_s, n_bytes = throughput()
    ratio = lines_per_s / USB_LINES_PER_S
    print(f"pty to disk   {lines_per_s:,.0f} lines/s of {n_bytes} bytes, {ratio:.1f} x USB's 6,600")
    print(f"10 lines/s    {100 * cpu_share():.2f} % of one core")
    helped, empty = start_time_s("-m", "thermoflop", "--help"), start_time_s("-c", "pass")
    print(
        f"--help        {1000 * helped:.0f} ms, {helped / empty:.1f} x "
        f"`python -c pass` ({1000 * empty:.0f} ms)"
    )


def throughput() -> tuple[float, int]:
    """Lines a second end to end, the last one on the disk, and the bytes of a line."""
    lines = [sample_line(seq) for seq in range(N_LINES)]
    with tempfile.TemporaryDirectory() as out, Pty() as pty:
        process = _logger(pty, out)
        start_s = time.perf_counter()
        for at in range(0, N_LINES, 40):
            pty.say(b"".join(lines[at : at + 40]))
        while _stored(out) < N_LINES:
            _insist_alive(process)
            time.sleep(0.001)
        elapsed_s = time.perf_counter() - start_s
        process.terminate()
        process.communicate()
    return N_LINES / elapsed_s, len(lines[0])


def cpu_share() -> float:
    """CPU seconds a second of a recorder at 10 lines a second, its start left out."""
    shares = []
    for seconds in (1.0, 1.0 + IDLE_S):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with tempfile.TemporaryDirectory() as out, Pty() as pty:
            process = _logger(pty, out)
            for seq in range(int(10 * seconds)):
                pty.say(sample_line(seq))
                time.sleep(0.1)
            process.terminate()
            process.communicate()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        shares.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return (shares[1] - shares[0]) / IDLE_S


def start_time_s(*words: str) -> float:
    """The median of eleven starts."""
    times = []
    for _ in range(11):
        start_s = time.perf_counter()
        subprocess.run(
            [sys.executable, *words], stdout=subprocess.DEVNULL, env=ENVIRONMENT, check=True
        )
        times.append(time.perf_counter() - start_s)
    return statistics.median(times)


def _logger(pty: Pty, out: str) -> subprocess.Popen[bytes]:
    """A recorder that is already writing."""
    process = subprocess.Popen(
        [sys.executable, "-m", "thermoflop", "log", "--port", pty.path, "--out", out],
        stdout=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )
    stop = threading.Event()
    while not any(Path(out).glob("*/samples.jsonl")):
        _insist_alive(process)
        pty.say(introduction())  # said again until the port is open
        stop.wait(0.05)
    stop.wait(0.3)
    return process


def _insist_alive(process: subprocess.Popen[bytes]) -> None:
    """Do not wait forever for a logger that ended, say because pyserial is not installed."""
    if process.poll() is not None:
        sys.exit(f"the logger ended with exit code {process.returncode}")


def _stored(out: str) -> int:
    """Samples in the file so far, by its size and exactly near the end."""
    path = next(Path(out).glob("*/samples.jsonl"))
    if path.stat().st_size < N_LINES * len(sample_line(N_LINES - 1)):
        return 0
    return path.read_bytes().count(b'"k":"t"')


if __name__ == "__main__":
    main()
