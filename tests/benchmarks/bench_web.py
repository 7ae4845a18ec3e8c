"""What the page costs: viewers of the live page, and a recording beside them.

``python tests/benchmarks/bench_web.py [--viewers 50] [--seconds 60]``

A simulated board says ten samples a second and is recorded by ``thermoflop record``; ``serve``
follows the recording. Then so many viewers open the live page: each fetches it, connects the page's
socket as a browser does, and takes the live frames. All viewers run in one process of their own, so
what is printed of the server is the server's alone.
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


async def watch(url: str, seconds: float) -> Viewer:
    """Open the live page as a browser does and stay for so long."""
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
        f"{url}?{words}", socketio_path="/_nicegui_ws/socket.io", transports=["websocket"]
    )
    viewer = Viewer()
    address = f"ws://{urlsplit(url).netloc}/live/stream"
    async with connect(address, compression=None, max_size=None) as stream:
        end_s = time.monotonic() + seconds
        last_s = time.monotonic()
        while time.monotonic() < end_s:
            viewer.take(await stream.recv())
            viewer.longest_s = max(viewer.longest_s, time.monotonic() - last_s)
            last_s = time.monotonic()
    await page.disconnect()
    return viewer


async def watch_all(url: str, viewers: int, seconds: float) -> list[Viewer]:
    """All viewers; they come within a few seconds."""
    tasks = []
    for _ in range(viewers):
        tasks.append(asyncio.create_task(watch(url, seconds)))
        await asyncio.sleep(0.05)
    return await asyncio.gather(*tasks)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int) -> float:
    """Resident memory in MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def measured(pid: int, seconds: float, url: str, viewers: int) -> dict[str, Any]:
    """The server's processor share and memory with so many viewers."""
    script = [sys.executable, __file__, "--watch", url, "--viewers", str(viewers)]
    watchers = None
    if viewers:
        words = [*script, "--seconds", str(seconds)]
        watchers = subprocess.Popen(words, stdout=subprocess.PIPE, env=ENVIRONMENT)
        time.sleep(0.05 * viewers + 3)
    before, start_s = cpu_s(pid), time.monotonic()
    time.sleep(max(1.0, seconds - 0.05 * viewers - 5))
    share = (cpu_s(pid) - before) / (time.monotonic() - start_s)
    result: dict[str, Any] = {"share": share, "memory_mb": memory_mb(pid)}
    if watchers is not None:
        result |= json.loads(watchers.communicate()[0])
    return result


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
        time.sleep(0.1)
    return recorder, board


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.watch:
        found = asyncio.run(watch_all(args.watch, args.viewers, args.seconds))
        print(json.dumps({
            "frames_hz": sum(v.frames for v in found) / args.seconds / len(found),
            "points": min(v.points for v in found),
            "lost": sum(v.lost for v in found),
            "kb_s": sum(v.bytes for v in found) / args.seconds / len(found) / 1e3,
            "longest_s": max(v.longest_s for v in found),
        }))  # fmt: skip
        return 0
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        alone_s = min(10.0, args.seconds)
        recorder, board = record(runs, args.seconds + alone_s + 40)
        with website.Site(runs, "--gpu", "sim") as site:
            pid = site.process.pid
            time.sleep(3)
            nobody = measured(pid, alone_s, site.url, 0)
            crowd = measured(pid, args.seconds, site.url, args.viewers)
            recorder.send_signal(signal.SIGTERM)
            recorder.wait(timeout=30)
        board.kill()
        run = json.loads(next(runs.glob("*/run.json")).read_text())
    show(args, nobody, crowd, run)
    return 0


def show(args: Any, nobody: dict[str, Any], crowd: dict[str, Any], run: dict[str, Any]) -> None:
    """The table."""
    counters, gpu = run["counters"], run["gpu"]
    print(f"{args.viewers} viewers for {args.seconds:g} s, board at 10 samples a second")
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
    print(f"  recorder beside it: samples         {counters['samples']:8d}")
    print(f"    lost, dropped, bad lines          {counters['lost_samples']:8d} "
          f"{run['dropped_items']} {counters['bad_lines']}")  # fmt: skip
    print(f"    GPU readings, turns missed        {gpu['samples']:8d} {gpu['missed_turns']}")


if __name__ == "__main__":
    sys.exit(main())
