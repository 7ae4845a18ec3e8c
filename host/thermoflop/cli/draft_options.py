"""Options of what drafts tokens (speculative decoding), of ``estimate`` and ``serving``."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_option
from thermoflop.cli.parser import share
from thermoflop.errors import UsageError

DRAFTED = 4


def add_draft(parser: argparse._ActionsContainer, what: str) -> None:
    """What drafts, how many tokens, and how many of them are accepted."""
    add = parser.add_argument
    add("--draft", metavar="MODEL", help=what)
    add_option(parser, "--draft-tokens", type=int, metavar="K", help=f"tokens a draft ({DRAFTED})")
    add("--acceptance", type=share, metavar="A",
        help="chance that one of them is accepted where those before it are (0.7)")  # fmt: skip
    add_option(parser, "--tokens-per-check", type=float, metavar="T",
               help="instead: tokens of a check on average, as engines log them (acceptance "
               "length); 1 + K x the share of all drafted ones that llama.cpp logs")  # fmt: skip


def accepted(args: argparse.Namespace) -> str:
    """The option that says how many drafted tokens are accepted; "" where none does."""
    if args.tokens_per_check is not None:
        return "--tokens-per-check"
    return "" if args.acceptance is None else "--acceptance"


def acceptance(args: argparse.Namespace) -> float:
    """The acceptance that was given, or at which a check has the tokens that were."""
    if args.tokens_per_check is None:
        return 0.7 if args.acceptance is None else float(args.acceptance)
    if args.acceptance is not None:
        raise UsageError("--acceptance and --tokens-per-check say one thing twice: expected one")
    from thermoflop.cost.inference.speculative import acceptance_of

    drafted = DRAFTED if args.draft_tokens is None else args.draft_tokens
    return acceptance_of(args.tokens_per_check, max(drafted, 1))
