"""``thermoflop bench MODEL``: run a model's operators on this CPU and time them."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thermoflop.runs.bench.measure import Peaks, Timed

EPILOG = """\
Operators run in float32 on numpy, with random numbers; no model file is needed. Beside each stands
the time at the best rates that this machine showed at the start of the run; it is no bound, a cache
can beat it. Under `thermoflop record` each operator is a phase:
  thermoflop record -- thermoflop bench gpt2 --new 128
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("model", metavar="MODEL", help="a config.json, a folder with one, or a catalogue name")
    add("--batch", type=int, default=1, metavar="N", help="sequences (1)")
    add("--new", type=int, default=1, metavar="N", help="new tokens: 1 is decode (1)")
    add("--cached", type=int, default=0, metavar="N", help="tokens in the cache already (0)")
    add("--json", action="store_true", help="print as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from thermoflop.model.load import load_model
    from thermoflop.runs.bench.measure import bench, peaks

    table = load_model(args.model).operators(
        args.batch, args.new, args.cached, dtype="fp32", logits="last", kernels="eager"
    )
    known = peaks()
    rows = []
    for timed in bench(table, known):
        rows.append(timed)
        if not args.json:
            print(line(timed), flush=True)
    if args.json:
        print(json.dumps(report(known, rows)))
        return 0
    print(total(rows, known))
    return 0


def report(known: Peaks, rows: list[Timed]) -> dict[str, object]:
    """Everything as data."""
    from dataclasses import asdict

    return {"peaks": asdict(known), "operators": [row.to_json() for row in rows]}


def line(row: Timed) -> str:
    """One operator."""
    at_best = f"at best rates {1e6 * row.at_best_s:10.1f} µs"
    if row.median_s is None:
        return f"{row.name:<18} x{row.times:<4} {at_best}  not run on numpy"
    measured = f"measured {1e6 * row.median_s:10.1f} µs"
    return f"{row.name:<18} x{row.times:<4} {at_best}  {measured}  {row.efficiency:6.1%}"


def total(rows: list[Timed], known: Peaks) -> str:
    """The sum over those that ran."""
    ran = [row for row in rows if row.median_s is not None]
    at_best_s = sum(row.times * row.at_best_s for row in ran)
    measured_s = sum(row.times * (row.median_s or 0.0) for row in ran)
    skipped = len(rows) - len(ran)
    if skipped:
        print(f"{skipped} of {len(rows)} operators were not run", file=sys.stderr)
    return (
        f"sum of those that ran: at best rates {1e3 * at_best_s:.2f} ms, "
        f"measured {1e3 * measured_s:.2f} ms; "
        f"best rates {known.flops_per_s / 1e9:.1f} GFLOP/s, {known.bytes_per_s / 1e9:.1f} GB/s"
    )
