"""The soak: a hundred thousand lines of the real firmware over a bad cable, through link and store.

One line in a hundred is corrupted, others are dropped or torn; the cable is pulled, the board
restarts for each of its reasons, the host stops reading for a while. At the end the host's counts
must equal the simulator's truth, and each sample in the run must be, byte for byte, one that the
board sent. Run it as ``python tests/soak.py``; it prints a table and exits 1 when a row differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from thermoflop.pico.simulated import registry as desk
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.options import Options, parse_options
from thermoflop.pico.simulated.truth import CableTruth
from thermoflop.pico.track import BoardLine
from thermoflop.pico.wire import Sample
from thermoflop.runs.folder.reader import RunReader
from thermoflop.runs.record.log import RunResult, record

SAMPLES_PER_S = 10  # the board's fastest rate
TROUBLES = 20  # unplugs, and restarts, in a campaign of any length
CAUSES = ("power", "reset", "watchdog")


class Witness(CableTruth):
    """A truth that keeps every line the board sent."""

    def __init__(self) -> None:
        """Nothing sent yet."""
        super().__init__()
        self.all_lines: set[bytes] = set()

    def sent(self, line: bytes) -> None:
        """Count and keep."""
        self.all_lines.add(line)
        super().sent(line)


@dataclass(frozen=True)
class Row:
    """One count, as the simulator made it and as the host did."""

    name: str
    truth: int
    host: int

    @property
    def agrees(self) -> bool:
        """Whether both came to the same."""
        return self.truth == self.host


@dataclass(frozen=True)
class Campaign:
    """What came out."""

    rows: tuple[Row, ...]
    lines: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether all rows agree."""
        return all(row.agrees for row in self.rows)


def options(lines: int, seed: int, troubles: int) -> tuple[Options, float]:
    """The board's options, and for how many simulated seconds it takes to send the lines."""
    seconds = lines / SAMPLES_PER_S
    step = seconds / (troubles + 1)
    faults = ["corrupt=0.01", "drop=0.005", "tear=0.005"]
    for n in range(1, troubles + 1):
        kind = "power" if n % 4 == 0 else "link"
        faults.append(f"unplug@{step * n:.1f}:{2 + n % 5}={kind}")
        faults.append(f"reboot@{step * (n + 0.4):.1f}={CAUSES[n % len(CAUSES)]}")
        if n % 5 == 0:
            faults.append(f"stall@{step * (n + 0.7):.1f}:10")
    words = [("seed", str(seed)), ("speed", "max"), ("fault", ",".join(faults))]
    return parse_options(words), seconds


def campaign(lines: int, seed: int, out: Path, troubles: int = TROUBLES) -> Campaign:
    """Record a board that sends about so many lines, and compare the books."""
    asked, seconds = options(lines, seed, troubles)
    witness = Witness()
    board = SimulatedBoard(asked, until_s=seconds, truth=witness)
    board.start()
    ticket = board.cable.attach()
    board.cable.write(ticket, b"!1 rate 100\n!2 save\n")
    board.cable.detach(ticket)
    name = f"soak-{seed}-{lines}"
    start_s = time.monotonic()
    stop = threading.Event()
    threading.Thread(target=_stop_at_end, args=(board, stop), daemon=True).start()
    try:
        result = record(desk.put(name, board), out, name="soak", stop=stop)
    finally:
        desk.remove(name)
    took_s = time.monotonic() - start_s
    rows = compare(witness, result) + from_disk(witness, result.folder)
    return Campaign(tuple(rows), witness.lines_sent, took_s)


def _stop_at_end(board: SimulatedBoard, stop: threading.Event) -> None:
    """Stop the recorder when the board has ended and all it sent was read."""
    board.wait()
    while board.cable.unread_bytes:
        time.sleep(0.01)
    stop.set()


def compare(truth: CableTruth, result: RunResult) -> list[Row]:
    """The truth's counts beside the link's."""
    host = result.counters
    on_the_way = truth.samples_missing - truth.drops_told
    return [
        Row("samples accepted", truth.samples_delivered, host.samples),
        Row("bad lines", truth.bad_lines, host.bad_lines + host.torn_at_open),
        Row("torn at the end of a link", truth.torn_at_close, host.torn_at_close),
        Row("samples missing", truth.samples_missing, host.gap_samples),
        Row("of these dropped by the board", truth.drops_told, host.board_drops),
        Row("of these lost on the way", on_the_way, host.lost_samples),
        Row("reboots", truth.boots_heard - 1, host.reboots),
        Row("reconnects", truth.unplugs, host.reconnects),
        Row("lines refused as stale", 0, host.stale),
    ]


def from_disk(witness: Witness, folder: Path) -> list[Row]:
    """What the run folder holds, read back."""
    samples = foreign = 0
    reader = RunReader(folder)
    for item in reader:
        if isinstance(item, BoardLine):
            samples += isinstance(item.message, Sample)
            foreign += item.line + b"\n" not in witness.all_lines
    return [
        Row("samples on disk", witness.samples_delivered, samples),
        Row("lines on disk that the board never sent", 0, foreign),
        Row("torn or foreign records on disk", 0, reader.counts.torn + reader.counts.foreign),
    ]


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(args.lines, args.seed, Path(folder))
    print(f"{result.lines} lines in {result.seconds:.1f} s, seed {args.seed}")
    print(f"{'':<42}{'simulator':>10}{'host':>10}")
    for row in result.rows:
        print(f"{row.name:<42}{row.truth:>10}{row.host:>10}{'' if row.agrees else '  DIFFERS'}")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
