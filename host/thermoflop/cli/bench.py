"""``thermoflop bench MODEL``: run a model's operators and its whole decoder, and time them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from thermoflop.cli.arguments import add_shared, print_result, show
from thermoflop.cli.parser import length
from thermoflop.cli.streams import tell

if TYPE_CHECKING:
    from thermoflop.bench.measure import OperatorRow, StepRow

EPILOG = """\
Random weights of the model's shape; no model file is needed. Beside each time stand its bound,
which no run beats, and with --profile what this machine is expected to take. A decoder that does
not fit into memory runs with fewer layers, and says so. Under `record` each operator and step is a
phase. Everything at once on a machine with a GPU:
  thermoflop record -- thermoflop bench --suite gpu --calibrate
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help="a config.json, its folder, or a known name")
    add("--suite", choices=("cpu", "gpu"), help="a set of models and sizes instead")
    add("--batch", type=int, nargs="+", metavar="N", help="sequences, one or more sizes (1)")
    add("--prompt", type=length, nargs="+", metavar="N", help="tokens of the prompt (128)")
    add("--generate", type=length, metavar="N", help="tokens generated after it (16)")
    add("--layers", type=int, metavar="N", help="of the decoder (all, or what fits into memory)")
    add("--only", choices=("operators", "decoder"), help="one of the two (both)")
    add_shared(parser, "--profile", help="expectations: what `thermoflop calibrate` made")
    add("--calibrate", action="store_true", help="calibrate first, into the profile `mine`")
    add_backend(parser)
    add_shared(parser, "--json")


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add the library, the device and the number format that operators run with."""
    add = parser.add_argument
    add("--backend", choices=("numpy", "torch"), help="numpy, or torch where it is installed")
    add("--device", metavar="D", help="cpu, cuda or cuda:1 (cpu)")
    add("--dtype", choices=("fp32", "bf16", "fp16"), help="number format (fp32)")


def run(args: argparse.Namespace) -> None:
    """Measure, print a line for each operator and step, then the summary."""
    from thermoflop.bench.run import run_bench
    from thermoflop.bench.suite import BenchOptions
    from thermoflop.bench.text import Lines, best_text, summary_text

    lines = Lines()

    def print_row(row: OperatorRow | StepRow | str) -> None:
        if not args.json:
            show(lines.of(row))

    options = BenchOptions(
        args.models, args.batch, args.prompt, args.generate, args.layers, args.suite, args.only,
        args.profile, args.calibrate, args.backend, args.device, args.dtype,
    )  # fmt: skip
    result = run_bench(options, print_row, tell)
    print_result(args, result.to_json, lambda: f"{summary_text(result)}\n{best_text(result.best)}")
