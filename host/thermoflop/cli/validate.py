"""``thermoflop validate counts|times|memory [FILE...]``: check against what others found."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "what",
        choices=("counts", "times", "memory", "training"),
        help="counts: parameters and FLOPs of libraries; times (training among them), memory: what "
        "people measured and published",
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="counts: records to check besides those that the package carries; "
        "else rows of one's own to check instead of them",
    )
    parser.add_argument("--each", action="store_true", help="one line a record or row")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the comparisons; 1 when a count differs, or a bound is beaten."""
    if args.what == "counts":
        from thermoflop.model.validate import validate_counts

        counts = validate_counts(args.files)
        print(counts.json_text() if args.json else counts.text(each=args.each))
        return 0 if counts.all_equal else 1
    if args.what == "memory":
        from thermoflop.cost.validate.memory import validate_memory

        memory = validate_memory(args.files)
        print(memory.json_text() if args.json else memory.text(each=args.each))
        return 0
    if args.what == "training":
        from thermoflop.cost.validate.training import validate_training

        training = validate_training(args.files)
        print(training.json_text() if args.json else training.text(each=args.each))
        return 1 if training.violations else 0
    from thermoflop.cost.validate.times import validate_times

    if sys.stderr.isatty():
        print("half a minute or more: each model is left out of a fit in turn", file=sys.stderr)
    times = validate_times(args.files)
    print(times.json_text() if args.json else times.text(each=args.each))
    return 1 if times.violations else 0
