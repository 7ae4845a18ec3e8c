"""Do the host's books agree with what the simulated cable did? A campaign over many thousand lines.

    python tests/books.py --lines 100000

The real firmware runs in the simulated board, as fast as it can, over a cable that corrupts, drops
and tears lines, stalls, is unplugged, and a board that reboots. The link counts what it sees; the
cable's ledger counts what it did, line by line, byte by byte. Exit code 0 when the books agree.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "host")]

from thermoflop.pico.link import Link  # noqa: E402
from thermoflop.pico.ports import Target  # noqa: E402
from thermoflop.pico.track import Item  # noqa: E402

LINES_PER_S = 5.05  # of simulated time, hello and events among them


@dataclass(frozen=True)
class Entry:
    """One figure, as the host counted it and as it was."""

    name: str
    host: int
    truth: int


def main() -> int:
    """Run, print both books, and say whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=100_000, help="lines to hear (100000)")
    parser.add_argument("--seed", type=int, default=1, help="of the cable's faults (1)")
    args = parser.parse_args()
    start_s = time.perf_counter()
    entries = compare(args.lines, args.seed)
    for entry in entries:
        sign = "=" if entry.host == entry.truth else "DIFFERS FROM"
        print(f"{entry.name:<44} {entry.host:>8} {sign} {entry.truth}")
    wrong = sum(entry.host != entry.truth for entry in entries)
    print(f"{wrong} of {len(entries)} figures differ ({time.perf_counter() - start_s:.0f} s)")
    return int(wrong > 0)


def compare(n_lines: int, seed: int) -> list[Entry]:
    """Hear ``n_lines`` over a bad cable; the host's figures beside the true ones."""
    link = Link(Target(url(n_lines, seed)), _nobody)
    link.start()
    board = link._port.board
    while link.tracker.counters.lines < n_lines and not link.gone:
        time.sleep(0.02)
    link.stop()
    host, truth = link.tracker.counters, board.ledger
    return [
        Entry("samples believed", host.samples, truth.samples_delivered),
        Entry("samples that never came", host.gap_samples, truth.samples_missing),
        Entry("lines refused", host.bad_lines + host.torn_at_open, truth.bad_lines),
        Entry("lines cut off by an unplugged cable", host.torn_at_close, truth.torn_at_close),
        Entry("reboots", host.reboots, sum(truth.reboots.values())),
        Entry("reconnects", host.reconnects, truth.unplugs),
        Entry("stale lines believed or good ones refused", host.stale, 0),
        Entry("all lines", host.lines, truth.lines_delivered + truth.bad_lines),
    ]


def url(n_lines: int, seed: int) -> str:
    """A board on a bad cable: 1 % corrupted, and five reboots and unplugs on the way."""
    end_s = n_lines / LINES_PER_S
    faults = ["corrupt=0.01", "drop=0.005", "tear=0.003"]
    faults += [f"reboot@{end_s * n / 6:.1f}" for n in range(1, 6)]
    faults += [f"unplug@{end_s * (n + 0.5) / 6:.1f}:2" for n in range(5)]
    return f"sim://books?speed=max&seed={seed}&fault={','.join(faults)}"


def _nobody(_: list[Item]) -> None:
    """The figures are the link's own; the lines themselves go nowhere."""


if __name__ == "__main__":
    sys.exit(main())
