"""A hundred boards over TCP and three simulated ones through one exporter: what it costs, what is
lost.

    python tests/many_boards.py [--boards 100] [--seconds 600]

Each stream is a board's lines, ten a second, with its own boot id. Twice the same: `export
prometheus`, scraped meanwhile, and `export mqtt` with a broker (mosquitto) that is killed and
started again halfway. Printed: processor share and memory of the exporter, time of a scrape, lines
that did not arrive, messages that were dropped. Exit code 0: no line was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from kit.board_lines import hello_line, sample_line, settings_line
from kit.commands import ENVIRONMENT, command

RATE_HZ = 10
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Streams:
    """The boards: servers in one thread; ``sent`` counts the samples of each."""

    def __init__(self, n: int) -> None:
        self.ports: list[int] = []
        self.sent = [0] * n
        self.on = threading.Event()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        for board in range(n):
            opened = asyncio.run_coroutine_threadsafe(self._open(board), self._loop)
            self.ports.append(opened.result())

    async def _open(self, board: int) -> int:
        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            boot = f"{0xB0000 + board:06x}"
            writer.write(hello_line(boot) + settings_line(boot))
            await asyncio.sleep(
                1.0
            )  # what came before a port is read is thrown away, as it should be
            seq, due_s = 0, time.monotonic()
            while self.on.is_set() and not writer.is_closing():
                writer.write(sample_line(seq, boot, temp_c=25 + board % 10, up_s=seq / RATE_HZ))
                seq += 1
                self.sent[board] = seq
                due_s += 1 / RATE_HZ
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await asyncio.sleep(10.0)  # the last lines are read before the end is seen

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])


def ports(streams: Streams) -> list[str]:
    """The options that name all boards."""
    named = [f"b{n}=socket://127.0.0.1:{port}" for n, port in enumerate(streams.ports)]
    words = [word for name in named for word in ("--port", name)]
    return words + [word for n in range(3) for word in ("--port", f"sim{n}=sim://?seed={n}")]


def usage(pid: int) -> tuple[float, float]:
    """Processor seconds and memory in MB of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return (int(fields[11]) + int(fields[12])) / ticks, pages * resource.getpagesize() / 1e6


def samples(url: str) -> dict[str, int]:
    """Samples read, by board."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    found = re.findall(r'thermoflop_board_samples_total\{board="(\w+)"\} (\S+)', text)
    return {name: int(float(value)) for name, value in found}


def left_over(url: str, streams: Streams) -> int:
    """Samples that were sent and not read; a busy machine is waited for."""
    lost, end_s = 1, time.monotonic() + 9.0  # the streams end after ten
    while lost > 0 and time.monotonic() < end_s:
        time.sleep(0.5)
        read = samples(url)
        lost = sum(streams.sent) - sum(read[f"b{k}"] for k in range(len(streams.sent)))
    return lost


def prometheus(n: int, seconds: float) -> int:
    """Lines lost with the metrics being scraped."""
    streams = Streams(n)
    streams.on.set()
    words = ["export", "prometheus", "--gpu", "none", "--http-port", "0", *ports(streams)]
    process = subprocess.Popen(command(*words), env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    while min(samples(url).get(f"b{k}", 0) for k in range(n)) < 1:
        time.sleep(0.2)
    (cpu_s, _), start_s, took_ms = usage(process.pid), time.monotonic(), []
    while time.monotonic() - start_s < seconds:
        asked_s = time.monotonic()
        samples(url)
        took_ms.append((time.monotonic() - asked_s) * 1000)
        time.sleep(1.0)
    now_s, memory_mb = usage(process.pid)
    share = (now_s - cpu_s) / (time.monotonic() - start_s)
    streams.on.clear()
    lost = left_over(url, streams)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    took_ms.sort()
    print(
        f"prometheus: {n} boards at {RATE_HZ} lines/s and 3 simulated for {seconds:g} s: "
        f"{share:.1%} of a core, {memory_mb:.0f} MB; {sum(streams.sent)} lines, {lost} lost; "
        f"scrape {took_ms[len(took_ms) // 2]:.0f} ms at the median, {took_ms[-1]:.0f} at most"
    )
    return lost


def mqtt(n: int, seconds: float) -> None:
    """The same to a broker that goes away halfway."""
    streams = Streams(n)
    streams.on.set()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mosquitto.conf"
        config.write_text("listener 18830 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
        broker = [str(MOSQUITTO), "-c", str(config)]
        running = subprocess.Popen(broker, stderr=subprocess.DEVNULL)
        words = ["export", "mqtt", "--gpu", "none", "--broker", "mqtt://127.0.0.1:18830"]
        process = subprocess.Popen(
            command(*words, *ports(streams)), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
        )
        time.sleep(seconds / 2)
        running.kill()
        running.wait()
        time.sleep(min(20.0, seconds / 4))
        running = subprocess.Popen(broker, stderr=subprocess.DEVNULL)
        time.sleep(seconds / 4)
        cpu_s, memory_mb = usage(process.pid)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        running.kill()
        running.wait()
    streams.on.clear()
    print(f"mqtt: {cpu_s / seconds:.1%} of a core, {memory_mb:.0f} MB; {said.splitlines()[-1]}")


def main() -> int:
    """Both, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--boards", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=600.0)
    args = parser.parse_args()
    lost = prometheus(args.boards, args.seconds)
    if MOSQUITTO is not None:
        mqtt(args.boards, args.seconds)
    return int(lost != 0)


if __name__ == "__main__":
    sys.exit(main())
