"""``thermoflop models``: the catalogue."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("pattern", nargs="*", metavar="TEXT", help="names with all of these")
    parser.add_argument("--families", action="store_true", help="the model_types instead")
    add_shared(parser, "--json")


def run(args: argparse.Namespace) -> None:
    """Print the catalogue, or the families."""
    from thermoflop.model.listing import families_text, models_text

    report = families_text if args.families else models_text
    show(report(" ".join(args.pattern), as_json=args.json))
