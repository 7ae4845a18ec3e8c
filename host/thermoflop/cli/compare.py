"""``thermoflop compare MODEL``: MHA, GQA, MQA and MLA side by side; ``--page`` the old page."""

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

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="a config.json, a folder with one, or a name"
    )
    add_hardware(parser, default=None, otherwise="h100, or that of --profile")
    add_sizes(parser)
    add_precision(parser)
    add_plan(parser)
    parser.add_argument("--gqa", type=int, metavar="G", help="key heads of GQA (the model's own)")
    parser.add_argument("--mla", type=int, default=512, metavar="R", help="rank of MLA (512)")
    parser.add_argument("--profile", metavar="P", help="vllm, llama.cpp, mine, ... or a JSON file")
    parser.add_argument(
        "--page", choices=("A100", "V100"),
        help="the MHA-against-MQA web page on that GPU, instead of MODEL (no page of the cache)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON array")


def run(args: argparse.Namespace) -> int:
    """Print the comparison."""
    import json

    if args.page:
        from thermoflop.cost.mqa_page.page import DEVICES, Page, page_numbers, page_text

        peak, bandwidth = DEVICES[args.page]
        page = Page(peak_flops_s=peak, bandwidth_bytes_s=bandwidth)
        print(json.dumps(page_numbers(page), indent=1) if args.json else page_text(page))
        return 0
    from thermoflop.cost.inference.compare import compare, compare_json, compare_text
    from thermoflop.errors import UsageError
    from thermoflop.model.load import load_model

    if args.model is None:
        raise UsageError("no MODEL: expected a name, a config.json, or --page")
    settle(args)
    model = load_model(args.model)
    names = ("dtype", "kv_dtype", "profile")
    options = {**plan_of(args), **sizes_of(args, model)}
    options |= {name: getattr(args, name) for name in names}
    found = compare(model, args.hardware, args.gqa, args.mla, **options)
    print(json.dumps(compare_json(found), indent=1) if args.json else compare_text(found))
    return 0
