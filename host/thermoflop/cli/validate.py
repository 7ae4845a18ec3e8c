"""``thermoflop validate counts|times|memory [FILE...]``: compare with what others measured."""

from __future__ import annotations

import argparse
import os

from thermoflop.cli.arguments import add_shared, show
from thermoflop.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    checks = ("counts", "times", "memory", "training", "plan", "kernels")
    add("what", metavar="WHAT", choices=checks,
        help="counts: parameters and FLOPs of libraries; times (training among them): what people "
        "measured and published, each fitted without its model, device or date; memory: "
        "what they measured; plan: the layout it would choose, among measured ones; "
        "kernels: single operators, with devices and architectures left out, and with a few "
        "kernels of their own",
    )  # fmt: skip
    add("files", nargs="*", metavar="FILE",
        help="counts: records to check besides those that the package carries; "
        "else rows of one's own to check instead of them",
    )  # fmt: skip
    add("--each", action="store_true", help="one line a record or row")
    add_shared(parser, "--json")


def run(args: argparse.Namespace) -> int:
    """Print the comparisons; 1 when a count differs, or a bound is beaten."""
    # a fit solves small systems by the thousand: threads of the linear algebra only add to that
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    result: Any
    if args.what == "counts":
        from thermoflop.model.validate import validate_counts

        result = validate_counts(args.files)
        failed = not result.all_equal
    elif args.what == "memory":
        from thermoflop.cost.validate.memory import validate_memory

        result, failed = validate_memory(args.files), False
    elif args.what == "kernels":
        from thermoflop.cost.validate.kernels import validate_kernels

        result = validate_kernels(args.files)
        failed = result.unexplained
    elif args.what == "training":
        from thermoflop.cost.validate.times import validate_training

        result = validate_training(args.files)
        failed = bool(result.violations)
    elif args.what == "plan":
        from thermoflop.cost.validate.plan import validate_plan

        result, failed = validate_plan(args.files), False
    else:
        from thermoflop.cost.validate.times import validate_times

        result = validate_times(args.files)
        failed = bool(result.violations)
    show(result.json_text() if args.json else printable(result.text(each=args.each)))
    return int(failed)
