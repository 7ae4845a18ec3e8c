"""Kill a logger at random moments and see whether it ever lost a line that it had acknowledged.

    python tests/kill9.py --n 50

Each round feeds 200 lines a second through a pseudo-terminal to ``thermoflop log --echo``, kills
the process with SIGKILL, and compares what it had echoed (its acknowledgement) with what is in the
run folder. Exit code 0 when nothing acknowledged is missing and every folder is readable, else 1.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "host"), str(ROOT / "tests")]

from kit.board_lines import Pty, event_line, introduction, sample_line  # noqa: E402
from thermoflop.errors import InputError  # noqa: E402
from thermoflop.pico.track import BoardLine  # noqa: E402
from thermoflop.runs.folder.reader import RunReader, read_run  # noqa: E402

LINES_PER_S = 200
PATIENCE_S = 30.0
LOGGER = [sys.executable, "-m", "thermoflop", "log"]


@dataclass(frozen=True)
class Round:
    """One kill: acknowledged lines, those of them missing in the folder, whether it is readable."""

    acknowledged: int
    lost: int
    stored: int
    torn: int
    readable: bool


def main() -> int:
    """Run the campaign and print one line of figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=50, help="how many kills (50)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments to kill at (1)")
    args = parser.parse_args()
    rounds = campaign(args.n, args.seed)
    lost = sum(r.lost for r in rounds)
    unreadable = sum(not r.readable for r in rounds)
    print(
        f"{len(rounds)} kill -9 at {LINES_PER_S} lines/s: {lost} of "
        f"{sum(r.acknowledged for r in rounds)} acknowledged lines lost, "
        f"{sum(r.torn for r in rounds)} torn tails, {unreadable} folders unreadable"
    )
    return int(lost > 0 or unreadable > 0)


def campaign(n: int, seed: int = 1) -> list[Round]:
    """``n`` rounds, each killed at a moment of its own."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as out:
        return [one_round(Path(out) / str(i), rng.uniform(0.0, 0.8)) for i in range(n)]


def one_round(out: Path, live_s: float) -> Round:
    """Start a logger, let it acknowledge for ``live_s`` seconds, kill it, look."""
    with Pty() as pty:
        stop = threading.Event()
        feeder = threading.Thread(target=_feed, args=(pty, stop), daemon=True)
        feeder.start()
        process = subprocess.Popen(
            [*LOGGER, "--port", pty.path, "--out", str(out), "--echo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT / "host")},
        )
        assert process.stdout is not None
        reader = _Collector(process.stdout.fileno())
        deadline_s = time.monotonic() + PATIENCE_S
        while not reader.data and time.monotonic() < deadline_s:
            time.sleep(0.005)
        time.sleep(live_s)
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()
        stop.set()
        feeder.join()
    return _look(out, reader.data)


def _feed(pty: Pty, stop: threading.Event) -> None:
    """200 lines a second, events and the introduction among them."""
    start_s = time.monotonic()
    seq = 0
    while not stop.is_set():
        data = introduction() if seq % LINES_PER_S == 0 else b""
        data += event_line(seq // 50) if seq % 50 == 49 else b""
        try:
            os.set_blocking(pty.master, False)
            os.write(pty.master, data + sample_line(seq))
        except BlockingIOError:  # nobody reads yet, or any more: a board drops then, too
            pass
        seq += 1
        stop.wait(max(0.0, start_s + seq / LINES_PER_S - time.monotonic()))


class _Collector(threading.Thread):
    """Keeps everything that the logger echoed, also what was still in the pipe when it died."""

    def __init__(self, fd: int) -> None:
        super().__init__(daemon=True)
        self.data = b""
        self._fd = fd
        self.start()

    def run(self) -> None:
        """Until the pipe ends."""
        while chunk := os.read(self._fd, 65536):
            self.data += chunk


def _look(out: Path, echoed: bytes) -> Round:
    acknowledged = echoed.split(b"\n")[:-1]  # a torn last echo acknowledged nothing
    folders = list(out.iterdir()) if out.exists() else []
    if len(folders) != 1:
        return Round(len(acknowledged), len(acknowledged), 0, 0, False)
    reader = RunReader(folders[0])
    stored = {item.line for item in reader if isinstance(item, BoardLine)}
    try:
        unfinished = read_run(folders[0])["ended"] is None
    except InputError:
        unfinished = False
    readable = unfinished and reader.counts.foreign == 0 and reader.counts.bad_crc == 0
    return Round(
        acknowledged=len(acknowledged),
        lost=sum(line not in stored for line in acknowledged),
        stored=len(stored),
        torn=reader.counts.torn,
        readable=readable,
    )


if __name__ == "__main__":
    sys.exit(main())
