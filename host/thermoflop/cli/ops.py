"""``thermoflop ops MODEL``: the operator table of one step, for people, JSON or CSV."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, show, with_assumed
from thermoflop.cli.model_options import add_conventions, add_formats, add_model, load, options_of
from thermoflop.cli.parser import length
from thermoflop.errors import UsageError

EPILOG = """\
examples:
  thermoflop ops qwen3-8b --prefill 2048 --batch 8        a prompt of 2048 tokens, batch 8
  thermoflop ops llama-3-70b --decode 32767 --dtype int4  one new token after 32,767
  thermoflop ops deepseek-v3 --decode 4096 --mla latent   keys and values expanded in each step
  thermoflop explain gpt2                                 the formulas, derived
  thermoflop mults llama-3.1-70b --context 8192           published counts beside the exact one
  thermoflop validate counts                              proof: exit code 0 if all is equal
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    step = parser.add_argument_group("step (default: a prefill of 1024 tokens, or the longest)")
    one = step.add_mutually_exclusive_group()
    one.add_argument("--prefill", type=length, metavar="N", help="read a prompt of N tokens")
    one.add_argument("--decode", type=length, metavar="K", help="add one token to K cached ones")
    one.add_argument("--encode", type=length, metavar="N", help="the encoder alone on N positions")
    step.add_argument("--batch", type=int, default=1, metavar="B", help="sequences (default 1)")
    step.add_argument("--encoder", type=length, metavar="N", help="source of an encoder-decoder")
    sees = "images, for a model that sees; 2x1024x768 adds their tokens"
    step.add_argument("--images", type=images, metavar="N[xWxH]", help=sees)
    add_shared(step, "--audio")
    add_conventions(parser)
    add_formats(parser)
    output = parser.add_mutually_exclusive_group()
    add_shared(output, "--json", help="one JSON object, exact numbers")
    output.add_argument("--csv", action="store_true", help="one line an operator, exact numbers")


def images(text: str) -> int | str:
    """A number of images, or their count, width and height."""
    return int(text) if text.isdecimal() and len(text) < 9 else text


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    from thermoflop.model.report import table_report

    model = load(args, notes=False)
    mla = "expanded" if args.decode is None else "absorbed"
    options = {"mla": mla, **options_of(args), "images": args.images, "audio": args.audio}
    _check_one_width(args)
    table = model.step_table(
        args.prefill, args.decode, args.encode, args.batch, args.encoder, **options
    )
    form = "json" if args.json else "csv" if args.csv else "text"
    text = table_report(model, table, form)
    show(with_assumed(args, text) if form == "text" else text)


def _check_one_width(args: argparse.Namespace) -> None:
    """UsageError for a format that other commands know and that is a mix, with what shows it."""
    from thermoflop.model.architecture.formats import parse_format, spelled

    for option in ("dtype", "weights"):
        name = getattr(args, option)
        try:
            parse_format(name or "bf16")
        except UsageError:
            from thermoflop.cost.hardware.precision import is_precision
            from thermoflop.model.config.published_forms import published_form

            if not is_precision(key := spelled(name)):
                try:
                    published_form(key)
                except UsageError:
                    continue  # nobody's: the table says what there is
            raise UsageError(
                f"{option}={name} gives each matrix a format of its own, and this table has one "
                f"width for all, such as q4_k, gptq or nf4; `thermoflop fit {args.model} "
                f"--dtype {name} --why` has them by group"
            ) from None
