"""The command line: one small module per command, no logic here.

A command is a module in this package with ``configure(parser)``, which adds its options,
``run(args)``, which returns the exit code or, where all is well, nothing, and perhaps ``EPILOG``,
printed below its help as it stands. Only the module of the command that runs is imported, so that
starting stays cheap.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from importlib import import_module

from thermoflop.cli.parser import Parser
from thermoflop.errors import InputError, StorageError, ThermoflopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SELDOM = 50_000  # new objects between two looks for garbage, where Python looks after 700

# name -> (module in this package, one line of help), in the order the help page shows them
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "predict, run, record and report a benchmark; board and GPU simulated"),
    "ports": ("ports", "list serial ports, boards first"),
    "doctor": ("doctor", "why the board is not heard, and what to do about it"),
    "setup": ("setup", "a first board, guided: MicroPython, wiring, firmware, finger test"),
    "flash": ("flash", "put the firmware on the board"),
    "watch": ("watch", "a board, live: temperature, fan, faults, losses"),
    "log": ("log", "record a board into a folder until Ctrl-C"),
    "record": ("record", "run a command and record board, GPU, output and phases with it"),
    "runs": ("runs", "list, filter, show, export and delete what was recorded"),
    "report": ("report", "one page of one or more runs: curves, phases, tables, provenance"),
    "serve": ("serve", "the page: live board and GPUs, runs and the estimator in a browser"),
    "export": ("export", "boards, GPUs and runs for Prometheus, or for Home Assistant"),
    "pico": ("pico", "say one command to the board and print its answer"),
    "simulate": ("simulate", "a Pico W that is not there, running the real firmware"),
    "bench": ("bench", "run a decoder of a model's shape and its operators, beside their bounds"),
    "calibrate": ("calibrate", "measure this machine into a profile: a device and its rates"),
    "ops": ("ops", "the operators of one step: parameters, multiplications, FLOPs and bytes"),
    "explain": ("explain", "the formulas of a model, derived from its operators"),
    "mults": (
        "mults",
        "multiplications for one new token: two published formulas, and the exact count",
    ),
    "models": ("models", "the models that are known by name"),
    "estimate": ("estimate", "time, memory and energy of a run: bound, expectation, interval"),
    "check": ("check", "whether a number that you measured is good: beside what it should be"),
    "fit": ("fit", "whether it fits in memory: largest batch, longest context, fewest devices"),
    "serving": ("serving", "many users of one server: tokens, first token, throughput, limit"),
    "plan": (
        "plan",
        "which layout of which devices serves a load at the least cost, and its command",
    ),
    "pick": ("pick", "which models of the catalogue run on one device, in which format, how fast"),
    "train": ("train", "training: time, memory, utilization, days and cost"),
    "compare": ("compare", "attention what-ifs: MHA, GQA, MQA and MLA of one model side by side"),
    "sweep": ("sweep", "estimates by the million into Parquet: models, devices, layouts, sizes"),
    "gpus": ("gpus", "the devices that are known: memory, bandwidth, peaks, power, source"),
    "profiles": ("profiles", "the engines and trainers whose rates are known, by generation"),
    "completion": ("completion", "the script that completes words in bash, zsh, tcsh or fish"),
    "validate": ("validate", "check counts, times and memory against what others found"),
}

DESCRIPTION = """\
What a transformer run should cost, and what heat did to it.

to begin:
  thermoflop demo                              see it work, in half a minute
  thermoflop pick --gpu 4090                   which models run on a GPU
  thermoflop estimate llama-3-8b --gpu 4090    what a run should cost
  thermoflop check llama3.1:8b 130 --gpu 4090  whether your tokens/s are good
  thermoflop record -- python bench.py         what it cost, with its heat
"""
MANY_OPTIONS = 6
EXIT_CODES = """\
numbers: 1500, 1_500, 1.5k, 2e6, 300B, 15T; k is 1000, and 1024 in lengths in tokens, which are
named so: a prompt of 32k is 32,768 (32000 is 32,000, 128Ki always 131,072)

exit codes:
  0    done
  1    a check found a difference, or it failed
  2    usage: an option, or a value that it cannot have
  3    bad input: a model, device, profile, engine or run that is not known, or a file
  4    no board at that port
  5    the board refused
  6    a file cannot be written: no such folder, no permission, disk full or read-only
  7    an optional library is missing
  130  interrupted

record passes the exit code of its command through
"""


def _columns() -> int | None:
    """The width of the terminal, None into a pipe; shutil's own way imports compressors, 3 ms."""
    stated = os.environ.get("COLUMNS", "")
    if stated.isdecimal() and len(stated) < 5:
        return max(40, int(stated))
    try:
        return max(40, os.get_terminal_size(1).columns)
    except (OSError, ValueError, AttributeError):
        return None


def _page(args: argparse.Namespace) -> int | None:
    """How wide text may be: what another program reads has no width."""
    is_data = getattr(args, "json", False) or getattr(args, "csv", False) is True
    return None if is_data else _columns()


class HelpFormatter(argparse.HelpFormatter):
    """Help as wide as the terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=(_columns() or 80) - 2)

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: Any) -> str:
        """Operands alone, where there are many options: those are listed below."""
        operands = [each for each in actions if not each.option_strings]
        if usage is not None or len(actions) - len(operands) < MANY_OPTIONS:
            return super()._format_usage(usage, actions, groups, prefix)
        shown = HelpFormatter(f"{self._prog} [options]")
        return super(HelpFormatter, shown)._format_usage(None, operands, [], prefix)


class RawHelpFormatter(HelpFormatter):
    """The same, with examples in the text after the arguments left as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        from thermoflop.base.paper import filled, paper

        with paper(width + 2 - len(indent)):
            lines = filled(text).rstrip().split("\n")
        return "".join(f"{indent}{line}".rstrip() + "\n" for line in lines)


def build_parser(only: str | None = None, everything: bool = False) -> Parser:
    """Build the parser of the command line.

    Args:
        only: the one command that it is for, which starts faster. None: all are listed.
        everything: whether every command has its options, as completion needs; else ``only`` has.
    """
    from thermoflop import __version__

    parser = Parser(
        prog="thermoflop",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=RawHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"thermoflop {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", prog="thermoflop"
    )
    commands_listed = COMMANDS if only is None else {only: COMMANDS[only]}
    for name, (module, summary) in commands_listed.items():
        sub = commands.add_parser(
            name, help=summary, description=summary, formatter_class=HelpFormatter
        )
        if everything or only == name:
            command = import_module(f"thermoflop.cli.{module}")
            if epilog := getattr(command, "EPILOG", ""):
                sub.epilog, sub.formatter_class = epilog, RawHelpFormatter
            command.configure(sub)
            sub.set_defaults(run=command.run)
    return parser


def _parse(typed: list[str]) -> argparse.Namespace:
    """The arguments; a command's options may stand before, between and after its operands.

    argparse's own subcommands cannot: they give up on a list of files that an option interrupts.
    What `record` runs keeps its options to itself.
    """
    if typed[:1] == ["help"]:
        typed = [*(word for word in typed[1:] if word != "help"), "--help"]
    if typed == ["version"]:
        typed = ["--version"]
    name = typed[0] if typed and typed[0] in COMMANDS else None
    parser = build_parser(name)
    if name is None:
        if typed and typed[0].startswith("--") and typed[0] not in parser._option_string_actions:  # noqa: SLF001
            parser.error(f"a command comes before {typed[0]!r:.60}")
        args: argparse.Namespace = parser.parse_args(typed)
        return args
    command = _of(parser, name)
    parse = command.parse_args if name == "record" else command.parse_intermixed_args
    args = parse(typed[1:], argparse.Namespace(command=name))
    for sentence in command.understood:
        print(f"thermoflop {name}: {sentence}", file=sys.stderr)
    return args


def _of(parser: Parser, name: str) -> Parser:
    """The parser of one command."""
    commands = parser._actions[-1].choices  # noqa: SLF001 - argparse has no other way in
    command: Parser = dict(commands or ())[name]
    return command


def _in_the_others_place(args: argparse.Namespace, said: str) -> str:
    """What a refused name is, where a device stands for a model, or a model for a device."""
    from thermoflop.cost.catalogue.devices import is_known
    from thermoflop.model.config.catalogue import canonical, names

    model, device = (getattr(args, name, None) for name in ("model", "hardware"))
    if isinstance(model, str) and said.startswith(repr(model)) and is_known(model):
        return f"; it is a device: MODEL --gpu {model}"
    is_device = isinstance(device, str) and said.startswith(repr(device))
    if is_device and canonical(str(device)) in names():
        return f"; it is a model: {args.command} {device} --gpu NAME"
    return ""


def main(argv: list[str] | None = None) -> int:
    """Run one command; an error becomes one sentence on standard error.

    Args:
        argv: what is typed after ``thermoflop``. None: what this process was started with.

    Returns:
        The exit code, as ``EXIT_CODES`` lists them.

    Raises:
        SystemExit: by argparse, for ``--help``, ``--version`` and options that make no sense.
    """
    from thermoflop.base.paper import paper
    from thermoflop.base.progress import shown_on
    from thermoflop.cli import streams

    streams.prepare()
    if argv is None:  # the process is the command's own
        # importing makes no garbage: to look for it took a seventh of a short command's time
        gc.set_threshold(SELDOM)
    typed = sys.argv[1:] if argv is None else argv
    args = _parse(typed)
    if args.command is None:
        build_parser().print_help()
        return 0
    try:
        streams.interrupts()
        with shown_on(sys.stderr, streams.is_dumb()), paper(_page(args)):
            code = int(args.run(args) or 0)
        sys.stdout.flush()
        return code
    except ThermoflopError as error:
        said = _of(build_parser(args.command), args.command).spoken(str(error))
        if isinstance(error, InputError):
            said += _in_the_others_place(args, said)
        streams.tell(f"thermoflop {args.command}: {said}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        streams.forget_output()
        return 0
    except OSError as error:
        if not streams.is_full(error):
            raise
        streams.forget_output()
        streams.tell(f"thermoflop {args.command}: cannot write the output: {error.strerror}")
        return StorageError.exit_code
