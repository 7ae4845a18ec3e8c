"""``thermoflop check MODEL RESULT``: whether a number that was measured is good."""

from __future__ import annotations

import argparse
import sys

from thermoflop.cli.arguments import add_shared, print_result
from thermoflop.cli.cost_options import add_inference, choose_device, inference_options
from thermoflop.cli.model_options import add_model, load
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.cost.hardware.device import Device

EPILOG = """\
RESULT is a file of what llama-bench, ollama run --verbose, vllm bench, sglang's benchmarks,
trtllm-bench, genai-perf or aiperf printed or saved, or guidellm saved, - for what is piped in,
tokens/s while decoding (72.4) or the time of a token (13.9ms). Sizes, load and format are those
that it says; the engine is the program's own, unless --profile names another. What does not fit
is held against llama.cpp or Ollama with a part in the computer's memory. Exit code 1: something is
slower than its interval, or beyond its bound; or it does not fit, and is not as with that part.

examples:
  thermoflop check llama-3.1-8b yesterday.txt --gpu 4070
  llama-bench -m llama-3.1-8b-Q4_K_M.gguf | thermoflop check llama-3.1-8b - --gpu 4070
  thermoflop check llama3.1:8b 72.4 --gpu 4070
  thermoflop check llama-3.1-8b openai-infqps-concurrency32-Llama-3.1-8B.json --gpu h100
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    parser.add_argument("result", metavar="RESULT", help="a file, - or a number (below)")
    add_inference(parser, otherwise="what the result names, else this machine's")
    said = "of a server (as the result says)"
    parser.add_argument("--users", type=int, metavar="N", help=f"requests at once, {said}")
    parser.add_argument("--rate", type=float, metavar="R", help=f"requests a second, {said}")
    cached = "share of prompts cached (0, and bounds that allow any)"
    add_shared(parser, "--prefix-hit", default=None, help=cached)
    add_shared(parser, "--profile", "--json")


def run(args: argparse.Namespace) -> int:
    """Print the result beside its estimate; 1 where it is not good."""
    from thermoflop.runs.check import check
    from thermoflop.runs.judged import check_json
    from thermoflop.runs.measured import read_measured

    measured = read_measured(args.result, sys.stdin.buffer.read() if args.result == "-" else None)
    model = load(args)
    if args.hardware is None:
        args.hardware = _device(measured.gpu)
    choose_device(args)
    options = {name: getattr(args, name) for name in ("users", "rate", "prefix_hit")}
    found = check(model, args.hardware, measured, **inference_options(args), **options)
    print_result(args, lambda: check_json(found), lambda: str(found), indented=True)
    return int(not found.is_good)


def _device(named: str | None) -> str | Device:
    """The device that a result names, or this machine's. UsageError where neither is known."""
    from thermoflop.cli.cost_options import hardware_named
    from thermoflop.runs.gpu.known import catalogue_device

    if named is not None and (device := catalogue_device(named)) is not None:
        return device
    try:
        return hardware_named("auto")
    except argparse.ArgumentTypeError:
        raise UsageError("on which device? Name it, as in --gpu rtx-4070") from None
