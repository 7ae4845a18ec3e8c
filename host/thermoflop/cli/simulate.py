"""``thermoflop simulate``: a Pico W that is not there, running the real firmware."""

from __future__ import annotations

import argparse
import math
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from thermoflop.cli.arguments import add_shared, json_text, path
from thermoflop.cli.signals import stop_on_signals
from thermoflop.cli.streams import tell
from thermoflop.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from thermoflop.pico.simulated.board import SimulatedBoard
    from thermoflop.pico.simulated.options import Options

EPILOG = """\
Without --pty or --tcp the board's lines go to standard output. Time 0 of heat, fingers and faults
is when the first reader opens the board. Inside Python and for --port, the same board is
sim://?seed=7&finger=5:10&fault=open@20:3, with the same words.

faults (KIND[@START[:SECONDS]][=VALUE], several with commas or by giving --fault again):
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from thermoflop.pico.simulated.menu import menu_text
    from thermoflop.pico.simulated.options import WORDS

    parser.epilog = EPILOG + menu_text() + "\n\nCtrl-C ends it: exit code 0.\n"
    add, add_port = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    add_port("--pty", nargs="?", const="", metavar="LINK",
             help="serve on a pseudo-terminal and print its path; LINK is a symbolic link to make",
    )  # fmt: skip
    add_port("--tcp", nargs="?", const="0", metavar="HOST:PORT",
             help="serve on a TCP port and print it; without HOST for this machine only",
    )  # fmt: skip
    add_shared(parser, "--duration", help="end after 60s, 5m or 1h of its time")
    for name, meaning in WORDS.items():
        action = "append" if name in ("finger", "fault") else "store"
        add(f"--{name}", action=action, metavar=name.upper(), help=meaning)
    add("--ledger", type=path, metavar="FILE", help="write what was done to the lines, as JSON")


def run(args: argparse.Namespace) -> None:
    """Simulate until the time is over or Ctrl-C."""
    from thermoflop.base.files import write_text
    from thermoflop.pico.simulated.board import SimulatedBoard

    if args.ledger:
        _check_writable(args.ledger)
    board = SimulatedBoard(_options(args), until_s=args.duration_s or math.inf)
    stop_on_signals(board.switch_off)
    try:
        _serve(board, args)
    finally:
        board.stop()
        if args.ledger:
            ledger = json_text(board.truth.to_json(), indented=True)
            write_text(str(args.ledger), ledger + "\n")
    if board.firmware_error:
        print(board.firmware_error, file=sys.stderr, end="")


def _options(args: argparse.Namespace) -> Options:
    from thermoflop.pico.simulated.options import WORDS, parse_options

    pairs = []
    for name in WORDS:
        given = getattr(args, name)
        pairs += [(name, text) for text in (given if isinstance(given, list) else [given]) if text]
    return parse_options(pairs)


def _serve(board: SimulatedBoard, args: argparse.Namespace) -> None:
    told = partial(print, flush=True)  # the port's name, alone on its line, for scripts too
    if args.pty is not None:
        from thermoflop.pico.simulated.ptyport import serve_pty

        serve_pty(board, told, path(args.pty) if args.pty else None)
    elif args.tcp is not None:
        from thermoflop.pico.simulated.tcpport import is_loopback, parse_address, serve_tcp

        address = parse_address(args.tcp)
        if not is_loopback(address[0]):
            tell(f"anybody who can reach {address[0]} can read and command this simulated board")
        serve_tcp(board, address, lambda host, port: told(f"socket://{host}:{port}"))
    else:
        from thermoflop.pico.simulated.stdoutport import serve_output

        serve_output(board, _write)


def _write(data: bytes) -> None:
    """All of ``data`` to standard output, past Python's buffer: it would fail again at exit."""
    try:
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write the board's lines: {error.strerror}") from error


def _check_writable(file: Path) -> None:
    try:
        file.touch()
    except OSError as error:
        raise StorageError(f"cannot write {file}: {error.strerror}") from error
