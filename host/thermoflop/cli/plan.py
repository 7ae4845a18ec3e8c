"""``thermoflop plan MODEL --gpu A,B``: which layout serves a load at the least cost."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, print_result
from thermoflop.cli.cost_options import (
    add_engine_options,
    choose_device,
    engine_options,
    hardware_named,
)
from thermoflop.cli.model_options import add_model, load_all
from thermoflop.cli.parser import length
from thermoflop.cli.serving import add_targets
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\
A price list is a TOML file that you keep; the latest price of a device counts:
  [[price]]
  device = "h100"
  dollars_per_hour = 2.49
  date = 2026-11-01
  source = "our contract"
Rows come by tok/s/device, or by $/M with a price; for given users or a rate by devices, or dollars,
then ms/token. Formats that the engine does not make of the model's own weights come last, and
stages (pp) count a tenth more. kJ/M is kJ per million tokens, of all devices, $/M dollars.
Exit code 1 where nothing meets what was asked; then the nearest is said, and what blocks it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add_model(parser, several=True)
    add("--gpu", "--hardware", dest="hardware", metavar="A,B",
        type=hardware_named,
        help="devices to choose from, or auto for the GPU of this machine (h100)")  # fmt: skip
    add("--max-devices", type=int, metavar="N", help="devices in all at most (8)")
    add("--dtype", metavar="F,G", help="formats to try (as published, and what the device does)")
    add_shared(parser, "--profile", default="auto", help="whose engine (vllm; on a Mac llama.cpp)")
    per_device = "dollars a device and hour, 2.5 or one of each of --gpu (2.5,3.5), or a list"
    add("--price", metavar="P", help=per_device)
    add("--top", type=int, default=5, metavar="N", help="choices to print (5)")
    parser.set_defaults(of_serving=_add_serving(parser), of_training=_add_training(parser))
    add_shared(parser, "--json")


def _add_serving(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Add the options of serving alone."""
    serving = parser.add_argument_group("serving")
    add = serving.add_argument
    return [
        add("--prompt", type=length, metavar="N", help="mean tokens of a prompt (1024)"),
        add("--generate", type=length, metavar="N", help="mean tokens of an output (256)"),
        *add_shared(serving, "--lengths", "--prefix-hit", "--budget"),
        add("--users", type=int, metavar="N", help="users at once who must be served"),
        add("--rate", type=float, metavar="R", help="requests a second that must be answered"),
        add("--kv-dtype", metavar="F", help="the cache: bf16, fp8, ..."),
        add("--disaggregate", action="store_true", help="try pools of prefill and decode too"),
        *add_shared(serving, "--svg", help="draw the frontier: tokens/s a device against a user's"),
        add("--csv", metavar="FILE", help="write the choices as CSV"),
        *add_engine_options(serving),
        *add_targets(parser),
    ]  # fmt: skip


def _add_training(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Add the options of training alone; ``--train`` asks for it."""
    add = parser.add_argument_group("training, instead of serving").add_argument
    add("--train", action="store_true", help="plan the training of the model")
    return [
        add("--tokens", type=float, metavar="T", help="tokens of the run: 1e12"),
        add("--max-days", type=float, metavar="D", help="least device hours within these days"),
        add("--global-batch", type=int, default=512, metavar="B",
            help="sequences an iteration (512)"),
        add("--sequence", type=length, metavar="N", help="tokens of each (2048)"),
    ]  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Print the choices; 1 where nothing meets what was asked."""
    choose_device(args, many="max_devices")
    if args.max_devices is None:
        args.max_devices = 8
    _check_one_question(args)
    if args.train:
        return _train(args)
    from thermoflop.base.files import write_text
    from thermoflop.base.record import plain
    from thermoflop.cost.plan.plan import plan
    from thermoflop.cost.plan.result import plan_csv, plan_picture, plan_text

    options = _options(args)
    found = [plan(model, args.hardware, **options) for model in load_all(args)]
    if args.svg is not None and any(each.frontier for each in found):
        write_text(args.svg, plan_picture(found))
    if args.csv is not None:
        write_text(args.csv, plan_csv(found))
    _print(args, [plain(each) for each in found], [plan_text(each) for each in found])
    return 0 if all(each.choices for each in found) else 1


def _check_one_question(args: argparse.Namespace) -> None:
    """UsageError for an option that the question does not read."""
    of = "serving" if args.train else "training: say --train"
    for option in args.of_serving if args.train else args.of_training:
        if getattr(args, option.dest) != option.default:
            raise UsageError(f"{option.option_strings[0]} is of a plan of {of}")


def _print(args: argparse.Namespace, data: list[dict[str, Any]], texts: list[str]) -> None:
    """One plan as it is, several one after the other."""
    one = data[0] if len(data) == 1 else {"plans": data}
    print_result(args, lambda: one, lambda: "\n\n".join(texts), indented=True)


def _train(args: argparse.Namespace) -> int:
    """The same for training."""
    from thermoflop.cost.plan.training import (
        plan_training,
        training_plan_json,
        training_plan_text,
    )

    if args.tokens is None:
        raise UsageError("--train needs --tokens: how long the run is")
    price = _price(args)
    if isinstance(price, str | dict):
        raise UsageError(f"--price {args.price!r:.60} is no number: --train takes dollars an hour")
    names = ("max_devices", "max_days", "global_batch", "sequence", "tokens", "top")
    options = {name: getattr(args, name) for name in names}
    found = [
        plan_training(
            model, args.hardware, dtype=args.dtype or "bf16", price=price,
            profile=None if args.profile == "auto" else args.profile, **options,
        )
        for model in load_all(args)
    ]  # fmt: skip
    texts = [training_plan_text(each) for each in found]
    _print(args, [training_plan_json(each) for each in found], texts)
    return 0 if all(each.choices for each in found) else 1


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of ``plan``."""
    names = (
        "prompt", "generate", "lengths", "prefix_hit", "users", "rate", "max_devices", "kv_dtype",
        "profile", "budget", "disaggregate", "top",
    )  # fmt: skip
    given = engine_options(args, "auto")
    options = {"engine_options": given, **{name: getattr(args, name) for name in names}}
    dtypes = None if args.dtype is None else args.dtype.split(",")
    return {
        **options, "dtypes": dtypes, "price": _price(args), "ttft_s": args.ttft,
        "tpot_s": args.tpot,
    }  # fmt: skip


def _price(args: argparse.Namespace) -> float | str | dict[str, float] | None:
    """A number as one, and several as those of each device; else the path of a list."""
    text, prices = args.price, []
    if text is None:
        return None
    if text == "":
        raise UsageError("--price '' is neither a number nor a file")
    try:
        prices = [float(each) for each in text.split(",")]
    except ValueError:
        return str(text)
    if len(prices) == 1:
        return prices[0]
    names = args.hardware.split(",") if isinstance(args.hardware, str) else [args.hardware]
    if len(names) != len(prices):
        raise UsageError(f"--price {text} has {len(prices)} prices, and --gpu {len(names)} devices")
    return dict(zip(names, prices, strict=True))
