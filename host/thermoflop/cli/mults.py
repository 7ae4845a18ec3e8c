"""``thermoflop mults MODEL``: the seeds' multiplication counts beside the exact one."""

from __future__ import annotations

from thermoflop.cli.model_options import add_model, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_model(parser)
    parser.add_argument("--context", type=int, metavar="N", help="n_ctx (default: the longest)")
    parser.add_argument("--vocab", type=int, metavar="V", help="another vocabulary size")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the counts and what tells them apart."""
    from thermoflop.model.mults import mults_report

    print(mults_report(load(args), args.context, args.vocab, as_json=args.json))
    return 0
