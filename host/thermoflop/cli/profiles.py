"""``thermoflop profiles``: the engines that rates are known of, by generation."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, print_result


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_shared(parser, "--json", help="one JSON array")


def run(args: argparse.Namespace) -> int:
    """Print the profiles that ``--profile`` takes."""
    from thermoflop.cost.catalogue.profiles_text import profiles_json, profiles_text

    print_result(args, profiles_json, profiles_text, indented=True)
    return 0
