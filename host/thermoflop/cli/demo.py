"""``thermoflop demo``: watch a fan start because this machine works."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from thermoflop.cli.signals import stop_on_signals
from thermoflop.cli.words import duration_s

if TYPE_CHECKING:
    import threading

    from thermoflop.runs.demo import DemoResult

EPILOG = """\
This machine multiplies matrices of GPT-2's shapes for ten seconds. The processor time that takes
is the heat in a simulated Pico W, which runs the real firmware: its thermistor warms, its fan
starts, and stops when the work is over. All of it is recorded in a run folder. Exit code 0 when
the fan did both, 1 when it did not, 130 after Ctrl-C.
"""
SIMULATED = (
    "This board is simulated (real firmware, no hardware); with a Pico W plugged in, "
    "`thermoflop flash` and `thermoflop watch` show the same on your desk."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--seconds", type=duration_s, default=10.0, metavar="T", help="how long to work (10)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="where runs go (runs)"
    )
    parser.add_argument("--plain", action="store_true", help="plain lines on a terminal, too")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Play, then say what happened."""
    from thermoflop.report.picture import draw_run

    stop = stop_on_signals()
    print(SIMULATED, file=sys.stderr, flush=True)
    if sys.stdout.isatty() and not (args.plain or args.json):
        result = _with_picture(args, stop)
    else:
        result = _with_lines(args, stop)
    picture = draw_run(result.run.folder)
    _print_result(result, picture, args.json)
    if result.interrupted:
        return 130
    return 0 if result.fan_worked else 1


def _with_lines(args: argparse.Namespace, stop: threading.Event) -> DemoResult:
    from thermoflop.report.demo import DemoLines
    from thermoflop.runs.demo import demo

    lines = None if args.json else DemoLines(sys.stderr).see
    return demo(args.out, work_s=args.seconds, on_line=lines, stop=stop)


def _with_picture(args: argparse.Namespace, stop: threading.Event) -> DemoResult:
    from rich.console import Console
    from rich.live import Live as Screen

    from thermoflop.report.demo import DemoPicture
    from thermoflop.runs.demo import demo

    console = Console()
    with Screen(console=console, screen=True, auto_refresh=False) as screen:
        picture = DemoPicture(console, screen)
        return demo(
            args.out,
            work_s=args.seconds,
            on_line=picture.see,
            on_progress=picture.progress,
            stop=stop,
        )


def _print_result(result: DemoResult, picture: Path, as_json: bool) -> None:
    from thermoflop.report.demo import work_lines
    from thermoflop.report.summary import summary_lines

    run, counters = result.run, result.run.counters.to_json()
    if as_json:
        data = {
            "simulated": True,
            "folder": str(run.folder),
            "picture": str(picture),
            "duration_s": round(run.duration_s, 3),
            "interrupted": result.interrupted,
            "work": result.work_json(),
            "counters": counters,
            "summary": run.summary.to_json(),
        }
        print(json.dumps(data))
        return
    lines = work_lines(result) + summary_lines(run.summary, counters, run.clocks)
    lines += [f"{'folder':<12} {run.folder}", f"{'picture':<12} {picture}"]
    print("\n".join(lines))
