"""``thermoflop models``: the catalogue."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, print_result


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("pattern", nargs="*", metavar="TEXT", help="names with all of these")
    parser.add_argument("--families", action="store_true", help="the model_types instead")
    add_shared(parser, "--json")


def run(args: argparse.Namespace) -> None:
    """Print the catalogue, or the families."""
    from thermoflop.model.listing import families_named, model_rows, models_text

    pattern = " ".join(args.pattern)
    if args.families:
        named = families_named(pattern)
        text = "\n".join([*named, f"{len(named)} families"])
        print_result(args, lambda: {"families": named}, lambda: text, indented=True)
        return
    rows = model_rows(pattern)
    print_result(args, lambda: {"models": rows}, lambda: models_text(rows, pattern), indented=True)
