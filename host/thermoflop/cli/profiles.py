"""``thermoflop profiles``: the engines and trainers that rates are known of, by generation."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, print_result


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "pattern", nargs="*", metavar="TEXT", help="names with all of these, or what one means"
    )
    add_shared(parser, "--json", help="one JSON array")


def run(args: argparse.Namespace) -> None:
    """Print the profiles that ``--profile`` takes."""
    from thermoflop.cost.catalogue.profiles_asked import asked_profiles

    asked = asked_profiles(args.pattern)
    print_result(args, asked.json, lambda: str(asked), indented=True)
