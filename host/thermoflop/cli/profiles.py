"""``thermoflop profiles``: the engines that rates are known of, by generation."""

from __future__ import annotations

import argparse
from functools import partial

from thermoflop.cli.arguments import add_shared, print_result
from thermoflop.errors import InputError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("pattern", nargs="*", metavar="TEXT", help="names with all of these")
    add_shared(parser, "--json", help="one JSON array")


def run(args: argparse.Namespace) -> None:
    """Print the profiles that ``--profile`` takes."""
    from thermoflop.cost.catalogue.profiles_text import profiles_json, profiles_text

    named = partial(_has, args.pattern)
    if args.pattern and not profiles_json(named):
        from thermoflop.base.messages import expected
        from thermoflop.cost.catalogue.profiles import profiles

        word = " ".join(args.pattern)
        raise InputError(f"{word!r:.60} is in no profile's name: {expected(word, profiles())}")
    print_result(args, lambda: profiles_json(named), lambda: profiles_text(named), indented=True)


def _has(words: list[str], name: str) -> bool:
    """Whether a name has all of these in it."""
    return all(word.lower() in name for word in words)
