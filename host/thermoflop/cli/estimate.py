"""``thermoflop estimate MODEL``: time, memory and energy of a run."""

from __future__ import annotations

from thermoflop.cli.cost_options import (
    add_hardware,
    add_plan,
    add_precision,
    add_sizes,
    plan_of,
    settle,
    sizes_of,
)
from thermoflop.cli.model_options import add_model, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_model(parser)
    add_hardware(parser, default=None, otherwise="h100, or that of --profile")
    add_sizes(parser)
    add_precision(parser)
    add_plan(parser)
    parser.add_argument("--profile", metavar="P", help="vllm, llama.cpp, mine, ... or a JSON file")
    parser.add_argument("--prefix", type=int, default=0, metavar="N", help="prompt tokens cached")
    parser.add_argument("--chunk", type=int, metavar="N", help="prompt tokens read at once")
    parser.add_argument("--page", type=int, metavar="N", help="tokens in a page of the cache")
    parser.add_argument("--overlap", type=float, default=0.0, metavar="S", help="network hidden")
    parser.add_argument("--draft", metavar="MODEL", help="draft tokens with a smaller model")
    parser.add_argument("--drafted", type=int, metavar="K", help="tokens a draft (4)")
    parser.add_argument("--acceptance", type=float, metavar="A", help="of drafted (0.7)")
    parser.add_argument("--why", action="store_true", help="every operator, and what binds it")
    parser.add_argument("--saturation", action="store_true", help="throughput against batch")
    parser.add_argument("--svg", metavar="FILE", help="draw the latency against the batch")
    parser.add_argument("--roofline", metavar="FILE", help="draw every operator under its roof")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the estimate."""
    from thermoflop.cost.reports.estimate import Wanted, estimate_report

    settle(args)
    model = load(args)
    options = {
        **plan_of(args),
        **sizes_of(args, model),
        "dtype": args.dtype,
        "kv_dtype": args.kv_dtype,
        "profile": args.profile,
        "prefix": args.prefix,
        "chunk": args.chunk,
        "page": args.page,
        "overlap": args.overlap,
    }
    if args.draft is None and (args.drafted, args.acceptance) != (None, None):
        from thermoflop.errors import UsageError

        raise UsageError("--drafted and --acceptance need --draft MODEL")
    drafted = 4 if args.drafted is None else args.drafted
    drafting = (args.draft, drafted, 0.7 if args.acceptance is None else args.acceptance)
    ask = Wanted(args.why, args.saturation, args.svg, args.roofline, drafting, args.json)
    print(estimate_report(model, args.hardware, options, ask))
    return 0
