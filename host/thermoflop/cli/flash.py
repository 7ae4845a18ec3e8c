"""``thermoflop flash``: put the firmware on a board."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from thermoflop.cli.arguments import add_shared, print_result
from thermoflop.cli.streams import show_progress

if TYPE_CHECKING:
    from thermoflop.pico.flash import Report


EPILOG = """\
The board must run MicroPython 1.22 or later. It keeps settings.txt, and whenever the cable is
pulled it starts with the old firmware or the new one, never a mixture.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add_shared(parser, "--port", help="serial port; default: the only board")
    add("--dry-run", action="store_true", help="say what would be copied; the board restarts")
    add("--no-wait", action="store_true", help="do not wait until the new firmware says hello")
    add_shared(parser, "--json", help="print what was done as JSON")


def run(args: argparse.Namespace) -> None:
    """Install the firmware of this package."""
    from thermoflop.pico import firmware
    from thermoflop.pico.flash import WAIT_S, flash
    from thermoflop.pico.ports import choose

    package = firmware.load()
    target = choose(args.port)
    wait_s = None if args.no_wait else WAIT_S
    try:
        report = flash(target, package, dry_run=args.dry_run, wait_s=wait_s, progress=show_progress)
    finally:
        show_progress("")
    print_result(args, report.to_json, lambda: "\n".join(sentences(report, args.dry_run)))


def sentences(report: Report, dry_run: bool) -> list[str]:
    """What was done, or with ``dry_run`` would be, in sentences."""
    would = "would copy" if dry_run else "copied"
    lines = [f"{report.board} at {report.port}, firmware {report.version}"]
    if report.finished_earlier:
        done = "is still to be finished" if dry_run else "was finished first"
        lines.append(f"an update that an earlier attempt had committed {done}")
    if report.copied:
        names = ", ".join(report.copied)
        lines.append(f"{would} {len(report.copied)} files, {report.copied_bytes} bytes: {names}")
    if report.unchanged:
        lines.append(f"{len(report.unchanged)} files were up to date")
    if report.kept and report.copied:
        is_kept = "would be kept" if dry_run else "is kept"
        lines.append(f"the program that was on the board {is_kept} as {report.kept}")
    if report.hello is not None:
        lines.append(f"the board restarted and runs firmware {report.hello.fw}")
    return lines
