"""``thermoflop fit MODEL``: whether it fits in memory, and how far."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, print_result
from thermoflop.cli.cost_options import (
    add_engine_options,
    add_inference,
    engine_options,
    inference_options,
)
from thermoflop.cli.model_options import add_model, load, say_sizes
from thermoflop.cli.parser import bandwidth
from thermoflop.cli.questions import questions_text

EPILOG = questions_text()


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    add_inference(parser)
    add_shared(parser, "--profile", help="vllm, sglang, tensorrt-llm, llama.cpp, ollama, ...: "
               "whose memory")  # fmt: skip
    add_engine_options(parser)
    parser.add_argument(
        "--host-bandwidth", type=bandwidth, metavar="GB/S",
        help="of the host's memory, for layers left there (89.6)",
    )  # fmt: skip
    add_shared(parser, "--page", "--images", "--audio", "--encoder")
    add_shared(parser, "--why", help="what the weights are made of, and what stays wide")
    add_shared(parser, "--svg", help="draw the memory as a bar")
    add_shared(parser, "--json")


def run(args: argparse.Namespace) -> int:
    """Print what fits; 1 when the run of these sizes does not."""
    from thermoflop.cost.inference.capacity import fit
    from thermoflop.cost.inference.what_fits import fit_json, fit_text

    model, given = load(args), engine_options(args)
    options = inference_options(args)
    say_sizes(args, model)
    capacity = fit(
        model, args.hardware, engine_options=given,
        host_bandwidth=args.host_bandwidth, **options,
    )  # fmt: skip
    if args.svg is not None:
        from thermoflop.base.files import write_text
        from thermoflop.cost.reports.pictures import memory_picture

        title = f"{capacity.model_name} on {capacity.plan.devices} x {capacity.device.name}"
        picture = memory_picture(title, capacity.precision.label, capacity.memory)
        write_text(args.svg, picture)

    def text() -> str:
        if not args.why:
            return fit_text(capacity)
        from thermoflop.cost.why.memory import why_fit

        return f"{fit_text(capacity)}\n\n{why_fit(capacity)}"

    print_result(args, lambda: fit_json(capacity), text, indented=True)
    return 0 if capacity.fits else 1
