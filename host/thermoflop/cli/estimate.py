"""``thermoflop estimate MODEL``: time, memory and energy of a run."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_option, add_shared, show, with_assumed
from thermoflop.cli.cost_options import add_inference, inference_options
from thermoflop.cli.draft_options import DRAFTED, acceptance, add_draft
from thermoflop.cli.model_options import add_model, load, say_sizes
from thermoflop.cli.parser import length, share, svg_path
from thermoflop.errors import UsageError

EPILOG = """\
Exit code 1: the figures are printed, and the run does not fit in the device's memory (`fit` says
what would help).
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add_model(parser)
    add_inference(parser, otherwise="h100, or that of --profile")
    add_shared(parser, "--profile")
    add("--prefix", type=length, default=0, metavar="N", help="prompt tokens cached")
    add("--chunk", type=length, metavar="N", help="prompt tokens read at once")
    add_shared(parser, "--page", "--images", "--audio", "--encoder")
    overlap = "share of the network's time that hides behind computing (0)"
    add_option(parser, "--comm-overlap", type=share, default=0.0, metavar="S", help=overlap)
    add_shared(parser, "--node-size", "--network-bandwidth")
    how = "draft tokens with a smaller model or an EAGLE-3 head, by mtp, or by ngram"
    add_draft(parser, how)
    add_shared(parser, "--price", "--why")
    add("--saturation", action="store_true", help="throughput against batch")
    add_shared(parser, "--svg", help="draw milliseconds and tokens/s against the batch")
    add("--roofline", type=svg_path, metavar="FILE", help="draw every operator under the roofline")
    add_shared(parser, "--json")


def run(args: argparse.Namespace) -> int:
    """Print the estimate; 1 when what it needs does not fit in memory."""
    from thermoflop.cost.reports.estimate import ReportOptions, estimate_report

    args.mtp = args.mtp or args.draft == "mtp"
    model = load(args)
    options = inference_options(args)
    say_sizes(args, model)
    options |= {"prefix": args.prefix, "chunk": args.chunk, "overlap": args.comm_overlap}
    options |= {"node_size": args.node_size, "network_gb_s": args.network_gb_s}
    said = (args.draft_tokens, args.acceptance, args.tokens_per_check)
    if args.draft is None and said != (None, None, None):
        raise UsageError("--draft-tokens, --acceptance and --tokens-per-check need --draft MODEL")
    drafted = DRAFTED if args.draft_tokens is None else args.draft_tokens
    drafting = (args.draft, drafted, acceptance(args))
    extras = ReportOptions(
        args.why, args.saturation, args.svg, args.roofline, drafting, args.price, args.json
    )
    text, fits = estimate_report(model, args.hardware, options, extras)
    show(text if args.json else with_assumed(args, text))
    return 0 if fits else 1
