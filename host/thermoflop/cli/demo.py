"""``thermoflop demo``: watch a fan start because this machine works."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from thermoflop.cli.arguments import add_shared, print_result
from thermoflop.cli.streams import tell

if TYPE_CHECKING:
    from pathlib import Path

    from thermoflop.runs.demo.stages import DemoResult

EPILOG = """\
A decoder of distilgpt2's shape runs on this machine for ten seconds, on numpy, with random weights.
What it should cost is predicted before, from the best rates the machine shows for a second. The
processor time it takes is the heat in a simulated Pico W, which runs the real firmware, and in a
simulated GPU: its thermistor warms, its fan starts, and stops when the work is over. All of it is
recorded, as `thermoflop record` does it, and set down in a report. Exit code 0 when the fan did
both, 1 when it did not, 130 after Ctrl-C.
"""
SIMULATED = (
    "The board and the GPU are simulated (real firmware, no hardware); the benchmark is real. With "
    "a Pico W plugged in, `thermoflop flash` and `thermoflop record -- CMD` do this on your desk."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_shared(parser, "--duration", default=10.0, help="work for T (10s)")
    add_shared(parser, "--out", "--plain")
    add_shared(parser, "--json", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Play the demonstration, then print what happened."""
    from thermoflop.report.html.page import write_report
    from thermoflop.report.pictures.run_picture import draw_run

    tell(SIMULATED)
    result = _play(args)
    folder = result.outcome.folder
    _print_result(result, draw_run(folder), write_report([folder]), args)
    if result.interrupted:
        return 130
    return 0 if result.fan_worked else 1


def _play(args: argparse.Namespace) -> DemoResult:
    """Run the demonstration, with a picture on a terminal and plain lines elsewhere."""
    from thermoflop.report.terminal.demo import DemoLines, DemoPicture
    from thermoflop.runs.demo.stages import demo

    if sys.stdout.isatty() and not (args.plain or args.json):
        from rich.console import Console
        from rich.live import Live as Screen

        console = Console()
        with Screen(console=console, screen=True, auto_refresh=False) as screen:
            picture = DemoPicture(console, screen).see
            return demo(args.out, work_s=args.duration_s, on_line=picture)
    lines = None if args.json else DemoLines(sys.stderr).see
    return demo(args.out, work_s=args.duration_s, on_line=lines)


def _print_result(result: DemoResult, picture: Path, page: Path, args: argparse.Namespace) -> None:
    from thermoflop.report.html import predicted
    from thermoflop.report.summary import summarize, summary_lines
    from thermoflop.report.terminal.demo import work_lines
    from thermoflop.runs.analysis.analyze import analyze
    from thermoflop.runs.folder.reader import RunReader

    outcome, stage = result.outcome, result.stage
    analysis = analyze(outcome.folder)
    counters, clocks = outcome.run["counters"], outcome.run["clocks"]
    data = {
        "simulated": True,
        "folder": str(outcome.folder),
        "report": str(page),
        "picture": str(picture),
        "interrupted": result.interrupted,
        "duration_s": outcome.run["ended"]["duration_s"],
        "tokens": stage.tokens,
        "threads": result.threads,
        "fan_on_s": stage.fan_on_s,
        "fan_off_s": stage.fan_off_s,
        "predicted": [row.to_json() for row in analysis.predicted],
        "counters": counters,
        "summary": outcome.run["summary"],
    }
    lines = work_lines(result) + summary_lines(
        summarize(RunReader(outcome.folder)), counters, clocks
    )
    lines += ["", *predicted.lines(analysis), ""]
    files = {"folder": outcome.folder, "picture": picture, "report": page}
    lines += [f"{name:<12} {path}" for name, path in files.items()]
    print_result(args, lambda: data, lambda: "\n".join(lines))
