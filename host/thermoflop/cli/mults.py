"""``thermoflop mults MODEL``: the seeds' multiplication counts beside the exact one."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, print_result
from thermoflop.cli.model_options import add_model, load
from thermoflop.cli.parser import length


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    parser.add_argument("--context", type=length, metavar="N", help="n_ctx (default: the longest)")
    parser.add_argument("--vocab", type=int, metavar="V", help="another vocabulary size")
    add_shared(parser, "--json")


def run(args: argparse.Namespace) -> None:
    """Print the counts and what tells them apart."""
    from thermoflop.model.mults import mults_record, mults_text

    counts = mults_record(load(args), args.context, args.vocab)
    print_result(args, lambda: counts, lambda: mults_text(counts), indented=True)
