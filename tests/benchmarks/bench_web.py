"""What the page costs: viewers of the live page, and a recording beside them.

``python tests/benchmarks/bench_web.py [--viewers 50] [--gpus 8] [--slow 1] [--seconds 60]``

A simulated board says ten samples a second and is recorded by ``thermoflop record``; ``serve``
follows the recording. Then so many viewers open the live page: each fetches it, connects the page's
socket as a browser does, and takes the live frames; of them ``--slow`` take one every ten seconds.
How memory grows is the slope of a line through what was read every second. All viewers run in one
process of their own, so what is printed of the server is the server's alone.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
from kit import website  # noqa: E402
from kit.commands import ENVIRONMENT  # noqa: E402

BOARD = "sim://?heat=off&uptime=60&speed=2"  # five samples a second of its own, twice as fast
ARRIVE_S = 0.2  # between two viewers: each has a page built
SLOW_S = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Viewer:
    """What one viewer got."""

    frames: int = 0
    bytes: int = 0
    points: int = 0
    lost: int = 0
    next: dict[str, int] = field(default_factory=dict)
    longest_s: float = 0.0

    def take(self, text: str) -> None:
        """One frame: its readings must go on where the last one ended."""
        self.frames += 1
        self.bytes += len(text)
        for key, news in json.loads(text)["points"].items():
            first, count = news["from"], len(news["points"])
            if key in self.next:
                self.lost += first - self.next[key]
            self.next[key] = first + count
            self.points += count


async def watch(url: str, seconds: float, pause_s: float = 0.0) -> Viewer:
    """Open the live page as a browser does and stay for so long; ``pause_s`` after each frame."""
    import httpx
    import socketio
    from websockets.asyncio.client import connect

    async with httpx.AsyncClient(timeout=60) as http:
        html = (await http.get(f"{url}live")).text
    found = re.search(r"query: (\{'client_id'[^}]*\})", html)
    assert found is not None
    query = {**ast.literal_eval(found[1]), "tab_id": os.urandom(8).hex(), "document_id": "bench"}
    query["implicit_handshake"] = "true"
    words = "&".join(f"{key}={value}" for key, value in query.items())
    page = socketio.AsyncClient(reconnection=False)
    await page.connect(
        f"{url}?{words}",
        socketio_path="/_nicegui_ws/socket.io",
        transports=["websocket"],
        wait_timeout=60,  # all viewers are one process, which is the busiest here
    )
    viewer = Viewer()
    address = f"ws://{urlsplit(url).netloc}/live/stream"
    # so many frames does the library take ahead; one that takes none sees no answer to its pings
    options: dict[str, Any] = {"max_queue": 1, "ping_interval": None} if pause_s else {}
    options["open_timeout"] = 60
    async with connect(address, compression=None, max_size=None, **options) as stream:
        end_s = time.monotonic() + seconds
        last_s = time.monotonic()
        while time.monotonic() < end_s:
            viewer.take(await stream.recv())
            await asyncio.sleep(pause_s)
            viewer.longest_s = max(viewer.longest_s, time.monotonic() - last_s)
            last_s = time.monotonic()
    await page.disconnect()
    return viewer


async def watch_all(url: str, viewers: int, slow: int, seconds: float) -> list[Viewer]:
    """All viewers, the slow ones first; they come within a few seconds."""
    tasks = []
    for number in range(viewers):
        pause_s = SLOW_S if number < slow else 0.0
        tasks.append(asyncio.create_task(watch(url, seconds, pause_s)))
        await asyncio.sleep(ARRIVE_S)
    return await asyncio.gather(*tasks)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int) -> float:
    """Resident memory in MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def measured(pid: int, seconds: float, url: str, viewers: int, slow: int = 0) -> dict[str, Any]:
    """The server's processor share and memory with so many viewers."""
    watchers = None
    if viewers:
        words = [sys.executable, __file__, "--watch", url, "--viewers", str(viewers)]
        words += ["--slow", str(slow), "--seconds", str(seconds)]
        watchers = subprocess.Popen(words, stdout=subprocess.PIPE, env=ENVIRONMENT)
        time.sleep(ARRIVE_S * viewers + 3)
    before, start_s, memory = cpu_s(pid), time.monotonic(), []
    while time.monotonic() - start_s < max(1.0, seconds - ARRIVE_S * viewers - 5):
        time.sleep(1.0)
        memory.append((time.monotonic() - start_s, memory_mb(pid)))
    share = (cpu_s(pid) - before) / (time.monotonic() - start_s)
    result: dict[str, Any] = {"share": share, "memory_mb": memory[-1][1], "slope": slope(memory)}
    if watchers is not None:
        result |= json.loads(watchers.communicate()[0])
    return result


def slope(points: list[tuple[float, float]]) -> float:
    """Of the line through the second half of the points, by least squares; a minute."""
    half = points[len(points) // 2 :]
    mean_x, mean_y = (sum(each) / len(half) for each in zip(*half, strict=True))
    over = sum((x - mean_x) * (y - mean_y) for x, y in half)
    under = sum((x - mean_x) ** 2 for x, _ in half)
    return 60 * over / under if under else 0.0


def record(runs: Path, seconds: float) -> tuple[subprocess.Popen[bytes], subprocess.Popen[str]]:
    """A recording of a board at ten samples a second, and the board."""
    board = subprocess.Popen(
        [sys.executable, "-m", "thermoflop.web.live.simboard", BOARD],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert board.stdout is not None
    address = board.stdout.readline().strip()
    words = ["record", "--control", "--port", address, "--gpu", "sim", "--out", str(runs), "--"]
    recorder = subprocess.Popen(
        [sys.executable, "-m", "thermoflop", *words, "sleep", f"{seconds:g}"],
        env=ENVIRONMENT, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not list(runs.glob("*/run.json")):
        assert recorder.poll() is None
        time.sleep(0.1)
    return recorder, board


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--slow", type=int, default=0)
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.watch:
        found = asyncio.run(watch_all(args.watch, args.viewers, args.slow, args.seconds))
        quick = found[args.slow :]
        print(json.dumps({
            "frames_hz": sum(v.frames for v in quick) / args.seconds / len(quick),
            "points": min(v.points for v in quick),
            "lost": sum(v.lost for v in found),
            "kb_s": sum(v.bytes for v in quick) / args.seconds / len(quick) / 1e3,
            "longest_s": max(v.longest_s for v in quick),
        }))  # fmt: skip
        return 0
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        alone_s = min(10.0, args.seconds)
        recorder, board = record(runs, args.seconds + alone_s + 40)
        with website.Site(runs, "--gpu", f"{args.gpus}xsim") as site:
            pid = site.process.pid
            time.sleep(3)
            nobody = measured(pid, alone_s, site.url, 0)
            crowd = measured(pid, args.seconds, site.url, args.viewers, args.slow)
            recorder.send_signal(signal.SIGTERM)
            recorder.wait(timeout=30)
        board.kill()
        run = json.loads(next(runs.glob("*/run.json")).read_text())
    show(args, nobody, crowd, run)
    return 0


def show(args: Any, nobody: dict[str, Any], crowd: dict[str, Any], run: dict[str, Any]) -> None:
    """The table."""
    counters, gpu = run["counters"], run["gpu"]
    print(f"{args.viewers} viewers, {args.slow} of them slow, for {args.seconds:g} s, "
          f"{args.gpus} GPUs and a board at 10 readings a second")  # fmt: skip
    print(f"  frames a second to each viewer      {crowd['frames_hz']:8.2f}")
    print(f"  readings lost, all viewers          {crowd['lost']:8d}")
    print(f"  longest pause of any viewer         {crowd['longest_s']:8.2f} s")
    print(f"  sent to each viewer                 {crowd['kb_s']:8.1f} kB/s")
    print(f"  server, share of one core           {100 * crowd['share']:8.1f} %")
    print(f"    nobody looking                    {100 * nobody['share']:8.1f} %")
    each = 100 * (crowd["share"] - nobody["share"]) / args.viewers
    print(f"    each viewer                       {each:8.2f} %")
    print(f"  server, memory                      {crowd['memory_mb']:8.1f} MB")
    print(f"    nobody looking                    {nobody['memory_mb']:8.1f} MB")
    print(f"    growing                           {crowd['slope']:8.2f} MB a minute")
    print(f"  recorder beside it: samples         {counters['samples']:8d}")
    print(f"    lost, dropped, bad lines          {counters['lost_samples']:8d} "
          f"{run['dropped_items']} {counters['bad_lines']}")  # fmt: skip
    print(f"    GPU readings, turns missed        {gpu['samples']:8d} {gpu['missed_turns']}")


if __name__ == "__main__":
    sys.exit(main())
