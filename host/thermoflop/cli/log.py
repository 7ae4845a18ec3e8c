"""``thermoflop log``: record a board into a folder of its own until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from thermoflop.cli.arguments import add_shared, path, print_result
from thermoflop.cli.signals import stop_on_signals
from thermoflop.cli.streams import show_progress, tell
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from thermoflop.pico.link import Link
    from thermoflop.runs.record.log import RunResult

EPILOG = """\
The run goes on until --duration has passed, Ctrl-C, SIGTERM or the end of the terminal (SIGHUP),
and ends in order: exit code 0.
A second Ctrl-C ends at once (130); what was written stays. When the port goes away for good the
run is finished and the exit code is 4; a board that is unplugged is waited for.

--fleet records many boards in one process, each under its name and with its settings:
  out = "runs"
  [boards.rack-1]
  serial = "E6614103E7341A2B"   # or port = "/dev/ttyACM0"; see `ports`
  on_c = 40.0                   # settings: set and saved where they differ
--systemd prints a unit for it, to be read and installed by hand.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add_shared(parser, "--port", "--duration", "--out")
    add("--name", default="log", help="a word for the folder's name (log)")
    add_shared(parser, "--wait")
    add("--fleet", type=path, metavar="FILE", help="record all boards that this file names")
    add("--systemd", action="store_true", help="print a systemd unit for --fleet, and end")
    add("--plot", action="store_true", help="draw the run into its folder")
    add("--echo", action="store_true", help="print each board line once it is in the file")
    add_shared(parser, "--json", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Record, then print what was recorded and where."""
    if args.fleet is not None or args.systemd:
        return _run_fleet(args)
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
            on_line=echo or (lambda _: None),
            on_progress=_show_counters,
            stop=stop,
            first_line_s=args.wait,
        )
    finally:
        if echo:
            echo.close()
        show_progress("")
    if echo and echo.left_out:
        tell(f"{echo.left_out} lines were recorded and not echoed: the reader was too slow")
    picture = None
    if args.plot:
        from thermoflop.report.pictures.run_picture import draw_run

        picture = draw_run(result.folder)
    _print_result(result, picture, args)
    if result.end == "gone":
        tell(f"thermoflop log: the port went away for good: {result.why}")
        return 4
    return 0


def _run_fleet(args: argparse.Namespace) -> int:
    """All boards of a fleet until a signal comes, or the unit that does so from boot on."""
    from thermoflop.runs.record.fleet import read_fleet, record_fleet, systemd_unit

    if args.fleet is None:
        raise UsageError("--systemd prints the unit of a fleet: name its file with --fleet")
    for option in ("port", "duration_s", "plot", "echo", "json"):
        if getattr(args, option):
            raise UsageError(f"--{option.removesuffix('_s')} is of one board, not of a --fleet")
    boards = read_fleet(args.fleet)
    if args.systemd:
        print(systemd_unit(args.fleet, [sys.executable, "-m", "thermoflop"]), end="")
        return 0
    record_fleet(boards, stop_on_signals(), lambda text: tell(f"thermoflop log: {text}"))
    return 0


def _show_counters(elapsed_s: float, link: Link) -> None:
    """What has come so far, as the line of progress on a terminal."""
    from thermoflop.pico.ports import is_simulated

    counters, last = link.tracker.counters, link.tracker.last_sample
    parts = [f"{elapsed_s:6.0f} s", f"{counters.samples} samples"]
    if is_simulated(link.target.url):
        parts.append("simulated board")
    if last is not None:
        parts.append("no valid reading" if last.temp_c is None else f"{last.temp_c:.2f} °C")
        parts.append("fan on" if last.fan else "fan off")
        parts += [f"FAULT {flag}" for flag in last.flags]
    lost = counters.lost_samples + counters.bad_lines
    if lost:
        parts.append(f"{lost} lost or bad")
    if not link.connected:
        parts.append("waiting for the board to come back")
    show_progress("  ".join(parts))


def _print_result(result: RunResult, picture: Path | None, args: argparse.Namespace) -> None:
    from thermoflop.pico.ports import is_simulated
    from thermoflop.report.summary import summary_lines

    counters = result.counters.to_json()
    data = {
        "folder": str(result.folder),
        "picture": str(picture) if picture else None,
        "end": result.end,
        "why": result.why,
        "duration_s": round(result.duration_s, 3),
        "lines_written": result.lines_written,
        "counters": counters,
        "clocks": result.clocks,
        "summary": result.summary.to_json(),
    }
    lines = summary_lines(result.summary, counters, result.clocks)
    if is_simulated(args.port or ""):
        lines.append(f"{'board':<12} simulated: its figures are no measurement")
    lines.append(f"{'folder':<12} {result.folder}")
    if picture:
        lines.append(f"{'picture':<12} {picture}")
    # with --echo, standard output carries the board's lines and nothing else
    file = sys.stderr if args.echo else sys.stdout
    print_result(args, lambda: data, lambda: "\n".join(lines), file=file)
