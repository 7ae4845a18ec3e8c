"""The command line: one small module per command, no logic here.

A command is a module in this package with ``configure(parser)`` and ``run(args) -> int``. Only the
module of the command that was asked for is imported, so that starting stays cheap.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from thermoflop.errors import StorageError, ThermoflopError

# name -> (module in this package, one line of help), in the order the help page shows them
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "this machine works, a simulated board warms, its fan starts"),
    "ports": ("ports", "list serial ports, boards first"),
    "doctor": ("doctor", "why the board is not heard, and what to do about it"),
    "flash": ("flash", "put the firmware on the board"),
    "watch": ("watch", "a board, live: temperature, fan, faults, losses"),
    "log": ("log", "record a board into a folder until Ctrl-C"),
    "pico": ("pico", "say one command to the board and print its answer"),
    "simulate": ("simulate", "a Pico W that is not there, running the real firmware"),
}

EXIT_CODES = """\
exit codes: 0 done; 1 a check found a difference, or it failed; 2 usage; 3 bad input;
  4 no board at that port; 5 the board refused; 6 disk full or read-only;
  7 an optional library is missing; 130 interrupted
"""


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser; with ``only``, just that command's own arguments are filled in."""
    from thermoflop import __version__

    parser = argparse.ArgumentParser(
        prog="thermoflop",
        description="What a transformer run should cost, and what heat did to it.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"thermoflop {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (module, summary) in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary)
        if only == name:
            command = import_module(f"thermoflop.cli.{module}")
            command.configure(sub)
            sub.set_defaults(run=command.run)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code; errors become one sentence on stderr."""
    from thermoflop.cli import streams

    streams.prepare()
    words = sys.argv[1:] if argv is None else argv
    only = next((word for word in words if word in COMMANDS), None)
    parser = build_parser(only)
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help()
        return 0
    try:
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except ThermoflopError as error:
        print(f"thermoflop {args.command}: {error}", file=sys.stderr)
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
        print(
            f"thermoflop {args.command}: cannot write the output: {error.strerror}", file=sys.stderr
        )
        return StorageError.exit_code
