"""``thermoflop calibrate``: measure this machine into a profile of one's own."""

from __future__ import annotations

import argparse
import sys

from thermoflop.cli.arguments import add_shared, print_result
from thermoflop.cli.bench import add_backend

EPILOG = """\
Some three minutes (--quick: one); leave the machine alone meanwhile. The profile is then a device
and the rates of an engine on it:
  thermoflop bench gpt2 --profile mine
  thermoflop estimate gpt2 --profile mine --prompt 512
Ctrl-C leaves the old profile as it was.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--name", default="mine", metavar="NAME", help="of the profile (mine)")
    add("--quick", action="store_true", help="fewer shapes, wider intervals")
    add_backend(parser)
    add_shared(parser, "--json", help="print the profile as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure, keep the profile, and print it."""
    from thermoflop.bench.backends import open_backend
    from thermoflop.bench.calibrate.run import calibrate, check_name
    from thermoflop.bench.calibrate.text import Progress, profile_text
    from thermoflop.bench.check import check

    check_name(args.name)
    backend = open_backend(args.backend or "numpy", args.device or "cpu", args.dtype or "fp32")
    check(backend)
    with Progress(sys.stderr) as progress:
        profile = calibrate(args.name, backend, args.quick, progress.say, progress.at)
    print_result(args, lambda: profile, lambda: profile_text(profile))
    return 0
