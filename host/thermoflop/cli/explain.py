"""``thermoflop explain MODEL``: the formulas, derived; and the numbers, filled in."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, print_result, show
from thermoflop.cli.model_options import AS_ENGINES_RUN_IT, add_model, load
from thermoflop.cli.parser import length


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from thermoflop.model.operators.step import CONVENTIONS

    add_model(parser)
    add = parser.add_argument
    add("--batch", type=int, default=1, metavar="B", help="b (default 1)")
    add("--tokens", type=length, metavar="S", help="s (default 1024 or the longest)")
    add("--mla", choices=tuple(CONVENTIONS["mla"]),
        help=f"form of latent attention (default {AS_ENGINES_RUN_IT})")  # fmt: skip
    add("--gpu", "--hardware", metavar="NAME",
        help="also why a run takes what it takes on a device")  # fmt: skip
    add_shared(parser, "--json")


def run(args: argparse.Namespace) -> None:
    """Print the formulas."""
    from thermoflop.model.formulas.explain import explain
    from thermoflop.model.formulas.text import explain_record, explain_text

    model, device = load(args), None
    if args.gpu is not None:
        from thermoflop.cost.catalogue.devices import find_device

        device = find_device(args.gpu)
    found = explain(model, args.batch, args.tokens, args.mla)
    print_result(
        args, lambda: explain_record(found, args.mla), lambda: explain_text(found, model, args.mla),
        indented=True,
    )  # fmt: skip
    if device is not None and not args.json:
        from thermoflop.cost.reports.estimate import explain_step

        show(f"\n{explain_step(model, device, args.batch, args.tokens)}")
