"""``thermoflop compare MODEL``: MHA, GQA, MQA and MLA side by side; ``--mqa-page`` the web page."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_option, add_shared, print_result
from thermoflop.cli.cost_options import add_inference, inference_options
from thermoflop.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("model", metavar="MODEL", nargs="*", help="a config.json, a folder with one, or a name")
    add_inference(parser, otherwise="h100, or that of --profile")
    add("--gqa", type=int, metavar="G", help="key heads of GQA (the model's own)")
    add("--mla", type=int, default=512, metavar="R", help="rank of MLA (512)")
    add_shared(parser, "--profile")
    add_option(
        parser, "--mqa-page", choices=("A100", "V100"),
        help="the MHA-against-MQA web page on that GPU, instead of MODEL",
    )  # fmt: skip
    add_shared(parser, "--json", help="one JSON array")


def run(args: argparse.Namespace) -> None:
    """Print the comparison."""
    if args.mqa_page:
        if args.model:
            raise UsageError("--mqa-page has a model of its own, and stands instead of MODEL")
        from thermoflop.cost.mqa_page.page import DEVICES, Page, page_numbers, page_text

        peak, bandwidth = DEVICES[args.mqa_page]
        page = Page(peak_flops_s=peak, bandwidth_bytes_s=bandwidth)
        print_result(args, lambda: page_numbers(page), lambda: page_text(page), indented=True)
        return
    from thermoflop.cli.model_options import say_format, say_sizes
    from thermoflop.cost.inference.compare import compare, compare_json, compare_text
    from thermoflop.model.load import load_model

    if not args.model:
        raise UsageError("no MODEL: expected a name, a config.json, or --mqa-page")
    if len(args.model) > 1:
        raise UsageError(
            "one MODEL alone: its forms of attention stand side by side; for several models there "
            "is `thermoflop plan`, for runs `thermoflop runs compare`"
        )
    model = load_model(args.model[0])
    options = inference_options(args)
    say_format(args, model)
    say_sizes(args, model)
    forms = compare(model, args.hardware, args.gqa, args.mla, **options)
    print_result(args, lambda: compare_json(forms), lambda: compare_text(forms), indented=True)
