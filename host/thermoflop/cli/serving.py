"""``thermoflop serving MODEL``: what many users of one server see."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, duration_s, print_result
from thermoflop.cli.cost_options import (
    add_engine_options,
    add_inference,
    engine_options,
    inference_options,
)
from thermoflop.cli.draft_options import acceptance, accepted, add_draft
from thermoflop.cli.model_options import add_model, load, say_format, say_sizes
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REQUESTS = 100_000  # simulated unless a number is given


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add_model(parser)
    add_inference(parser, one_run=False)
    add_shared(parser, "--profile")
    load_group = parser.add_argument_group("load")
    add = load_group.add_argument
    add(
        "--users",
        type=int,
        metavar="N",
        help="users who ask again once answered (as many as meet the targets, else 1)",
    )
    add("--rate", type=float, metavar="R", help="requests a second, at random")
    add_shared(load_group, "--lengths")
    add("--trace", metavar="FILE", help="recorded requests: a CSV or JSON (Azure, Mooncake, "
        "BurstGPT, Vidur, or columns such as arrival_s, prompt, generate)")  # fmt: skip
    add_shared(load_group, "--prefix-hit")
    engine = parser.add_argument_group("engine")
    add = engine.add_argument
    add_engine_options(engine)
    add_shared(engine, "--budget")
    add("--slots", type=int, metavar="N", help="sequences at once in a replica (the engine's)")
    add_draft(engine, "a model or an EAGLE-3 head that drafts, mtp or ngram")
    add_targets(parser)
    simulation = parser.add_argument_group("simulation")
    add = simulation.add_argument
    add("--simulate", type=int, nargs="?", const=REQUESTS, metavar="N",
        help=f"run N requests through an event loop as well ({REQUESTS:,})")  # fmt: skip
    add("--burstiness", type=float, default=1.0, metavar="G",
        help="shape of the gaps between them: 1 Poisson, below 1 bursts (1)")  # fmt: skip
    add("--seed", type=int, default=1, metavar="N", help="(1)")
    add_shared(parser, "--json")


def add_targets(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Add what users are promised."""
    add = parser.add_argument_group("targets", "seconds, or 500ms").add_argument
    return [
        add("--ttft", type=first_s, metavar="T", help="first token at most"),
        add("--tpot", type=token_s, metavar="T",
            help="time between a user's tokens at most, or 20tok/s"),
    ]  # fmt: skip


def first_s(text: str) -> float:
    """The ``type`` of a target of the first token."""
    return _target_s(text, 600.0)


def token_s(text: str) -> float:
    """The ``type`` of a target of the time between tokens, which ``20tok/s`` says too."""
    import re

    rate = re.fullmatch(r"(\d*\.?\d+) ?(?:(?:t|toks?|tokens?)/s|t(?:ok)?ps)", text.lower())
    if rate is not None and float(rate[1]) > 0:
        return 1 / float(rate[1])
    try:
        return _target_s(text, 10.0)
    except argparse.ArgumentTypeError as error:
        if "is no duration" not in str(error):
            raise
        raise argparse.ArgumentTypeError(f"{error}, or a rate such as 20tok/s") from None


def _target_s(text: str, most_s: float) -> float:
    """Seconds; what is too long and has no unit, or a minute's, was meant in ms."""
    from thermoflop.base.units import seconds

    value, number = duration_s(text), text.removesuffix("m")
    if most_s < value <= 1000 * most_s and number[-1:].isdigit():
        said = f"{text!r:.40} would be {seconds(value)}; did you mean {number}ms?"
        raise argparse.ArgumentTypeError(said)
    return value


def run(args: argparse.Namespace) -> int:
    """Print the steady state; 1 where a target is missed, or requests pile up."""
    from thermoflop.cost.serving.asked import OUTPUT
    from thermoflop.cost.serving.result import serving_json, serving_text
    from thermoflop.cost.serving.serving import serving

    model = load(args)
    options = _options(args)
    say_format(args, model)
    say_sizes(args, model, OUTPUT)
    served = serving(model, args.hardware, **options)
    print_result(args, lambda: serving_json(served), lambda: serving_text(served), indented=True)
    return int(served.saturated or served.meets is False)


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of ``serving``."""
    given = engine_options(args)
    options = {**inference_options(args), "engine_options": given}
    names = (
        "users", "rate", "lengths", "trace", "prefix_hit", "budget", "slots", "draft",
        "draft_tokens", "simulate", "burstiness", "seed",
    )  # fmt: skip
    options |= {name: getattr(args, name) for name in names}
    if not (args.draft or args.draft_tokens) and accepted(args):
        raise UsageError(f"{accepted(args)} needs --draft MODEL or --draft-tokens K")
    options["acceptance"] = acceptance(args)
    if args.simulate == 0:
        raise UsageError("simulate=0 makes no sense: expected a whole number from 10 to 10,000,000")
    options["simulate"] = args.simulate or 0
    return {**options, "ttft_s": args.ttft, "tpot_s": args.tpot}
