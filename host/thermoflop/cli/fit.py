"""``thermoflop fit MODEL``: whether it fits in memory, and how far."""

from __future__ import annotations

from thermoflop.cli.cost_options import (
    add_hardware,
    add_plan,
    add_precision,
    add_sizes,
    format_for,
    plan_of,
    sizes_of,
)
from thermoflop.cli.model_options import add_model, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_model(parser)
    add_hardware(parser)
    add_sizes(parser)
    add_precision(parser)
    add_plan(parser)
    parser.add_argument("--page", type=int, metavar="N", help="tokens in a page of the cache")
    parser.add_argument("--svg", metavar="FILE", help="draw the memory as a bar")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print what fits; 1 when what was asked for does not."""
    from thermoflop.cost.inference.capacity import fit, fit_json, fit_text

    model = load(args)
    found = fit(
        model,
        args.hardware,
        dtype=args.dtype or format_for(args.hardware),
        kv_dtype=args.kv_dtype,
        page=args.page,
        **sizes_of(args, model),
        **plan_of(args),
    )
    if args.svg is not None:
        from thermoflop.base.files import write_picture
        from thermoflop.cost.reports.pictures import memory_picture

        title = f"{found.model_name} on {found.plan.devices} x {found.device.name}"
        write_picture(args.svg, memory_picture(title, [(found.precision.name, found.memory)]))
    if args.json:
        import json

        print(json.dumps(fit_json(found), ensure_ascii=False, indent=1))
    else:
        print(fit_text(found))
    return 0 if found.fits else 1
