"""``thermoflop explain MODEL``: the formulas, derived; and the numbers, filled in."""

from __future__ import annotations

from thermoflop.cli.model_options import add_model, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_model(parser)
    parser.add_argument("--batch", type=int, default=1, metavar="B", help="b (default 1)")
    parser.add_argument("--tokens", type=int, metavar="S", help="s (default 1024 or the longest)")
    parser.add_argument(
        "--gpu", "--hardware", metavar="NAME", help="also why a run takes what it takes on a device"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the formulas."""
    from thermoflop.model.formulas.text import explain_report

    print(explain_report(load(args), args.batch, args.tokens, as_json=args.json))
    if args.gpu is not None and not args.json:
        from thermoflop.cost.reports.estimate import explained

        print(f"\n{explained(load(args), args.gpu, args.batch, args.tokens)}")
    return 0
