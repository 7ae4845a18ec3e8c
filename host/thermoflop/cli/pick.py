"""``thermoflop pick --gpu NAME``: which models run on a device, or on several together."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, print_result
from thermoflop.cli.cost_options import hardware_named
from thermoflop.cli.parser import length
from thermoflop.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--gpu", "--hardware", dest="hardware", metavar="NAME", type=hardware_named,
        help="a GPU, a Mac or a processor (see `thermoflop gpus`; 2x3090 share each model), a TOML "
        "file, or auto for the GPU of this machine (auto)")  # fmt: skip
    add(
        "--dtype",
        metavar="F,G",
        help="formats, widest first (bf16,q8_0,q6_k,q4_k_m; of vllm, "
        "sglang, tensorrt-llm: bf16,fp8,awq; of others what they read)",
    )
    add(
        "--context",
        type=length,
        default=4096,
        metavar="N",
        help="tokens that must fit: models with fewer positions are left out (4096)",
    )
    add("--at-least", type=float, default=10.0, metavar="R", help="tokens/s for one user (10)")
    add("--sort", choices=("size", "speed", "context"), default="size", help="(size)")
    add("--name", default="", metavar="PART", help="only models whose name has this in it")
    whose = "whose engine (llama.cpp; vllm on Gaudi and TPUs)"
    add_shared(parser, "--profile", help=whose)
    add("--top", type=int, default=12, metavar="N", help="models to print (12)")
    add_shared(parser, "--json")


def run(args: argparse.Namespace) -> int:
    """Print the models; 1 where none runs."""
    from thermoflop.cost.plan.pick import pick, picks_json, picks_text

    if args.hardware is None:
        try:
            args.hardware = hardware_named("auto")
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"no --gpu given, and {error}") from error
    dtypes = None if args.dtype is None else args.dtype.split(",")
    found = pick(
        args.hardware, dtypes=dtypes, context=args.context, at_least=args.at_least,
        sort=args.sort, pattern=args.name, profile=args.profile, top=args.top,
    )  # fmt: skip
    print_result(args, lambda: picks_json(found), lambda: picks_text(found), indented=True)
    return 0 if found.picks else 1
