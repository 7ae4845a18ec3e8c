"""``thermoflop validate counts [FILE...]``: compare every count with records of the truth."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("what", choices=("counts",), help="what to check")
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="records to check besides the published ones that the package carries",
    )
    parser.add_argument("--each", action="store_true", help="one line a record, not a family")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the comparisons; 1 when any differs."""
    from thermoflop.model.validate import validate_counts

    report = validate_counts(args.files)
    print(report.json_text() if args.json else report.text(each=args.each))
    return 0 if report.all_equal else 1
