"""``thermoflop log``: record a board into a folder of its own until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from thermoflop.cli.arguments import duration_s, progress_line
from thermoflop.cli.signals import stop_on_signals

if TYPE_CHECKING:
    from thermoflop.runs.record.log import Progress, RunResult

EPILOG = """\
The run goes on until --for has passed, Ctrl-C or SIGTERM, and ends in order: exit code 0.
A second Ctrl-C ends at once (130); what was written stays. When the port goes away for good the
run is finished and the exit code is 4; a board that is unplugged is waited for.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", metavar="P", help="port, sim://... or socket://host:port")
    parser.add_argument(
        "--for", dest="duration_s", type=duration_s, metavar="T", help="stop after 60s, 5m or 1h"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="where runs go (runs)"
    )
    parser.add_argument("--name", default="log", help="a word for the folder's name (log)")
    parser.add_argument(
        "--wait", type=duration_s, default=5.0, metavar="T", help="wait for a first line (5s)"
    )
    parser.add_argument("--plot", action="store_true", help="draw the run into its folder")
    parser.add_argument(
        "--echo", action="store_true", help="print each board line once it is in the file"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Record, then say what was recorded and where."""
    from thermoflop.runs.record.echo import EchoPump
    from thermoflop.runs.record.log import record

    stop = stop_on_signals()
    echo = EchoPump(sys.stdout.fileno()) if args.echo else None
    try:
        result = record(
            args.port,
            args.out,
            name=args.name,
            duration_s=args.duration_s,
            on_line=echo,
            on_progress=_show if sys.stderr.isatty() else None,
            stop=stop,
            first_line_s=args.wait,
        )
    finally:
        if echo:
            echo.close()
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
    if echo and echo.left_out:
        print(
            f"{echo.left_out} lines were recorded and not echoed: the reader was too slow",
            file=sys.stderr,
        )
    picture = _draw(result.folder) if args.plot else None
    _print_result(result, picture, args)
    if result.end == "gone":
        print(f"thermoflop log: the port went away for good: {result.why}", file=sys.stderr)
        return 4
    return 0


def _show(progress: Progress) -> None:
    sys.stderr.write("\r" + progress_line(progress) + "\x1b[K")
    sys.stderr.flush()


def _draw(folder: Path) -> Path:
    from thermoflop.report.pictures.run_picture import draw_run

    return draw_run(folder)


def _print_result(result: RunResult, picture: Path | None, args: argparse.Namespace) -> None:
    from thermoflop.report.summary import summary_lines

    # with --echo, standard output carries the board's lines and nothing else
    where = sys.stderr if args.echo else sys.stdout
    counters = result.counters.to_json()
    if args.json:
        data = {
            "folder": str(result.folder),
            "picture": str(picture) if picture else None,
            "end": result.end,
            "why": result.why,
            "duration_s": round(result.duration_s, 3),
            "lines_written": result.lines_written,
            "counters": counters,
            "clocks": list(result.clocks),
            "summary": result.summary.to_json(),
        }
        print(json.dumps(data), file=where)
        return
    lines = summary_lines(result.summary, counters, result.clocks)
    lines.append(f"{'folder':<12} {result.folder}")
    if picture:
        lines.append(f"{'picture':<12} {picture}")
    print("\n".join(lines), file=where)
