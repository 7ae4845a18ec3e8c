"""``thermoflop watch``: a board, live; a picture on a terminal, plain lines elsewhere."""

from __future__ import annotations

import argparse
import math
import sys
import threading
import time
from typing import TYPE_CHECKING

from thermoflop.cli.arguments import add_shared, duration_s
from thermoflop.cli.signals import stop_on_signals
from thermoflop.cli.streams import is_dumb, tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from thermoflop.pico.link import Link
    from thermoflop.pico.track import Item

EPILOG = "Nothing is sent to the board and nothing is recorded. Ctrl-C ends it: exit code 0."
_FRAME_S = 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_shared(parser, "--port", "--duration")
    parser.add_argument(
        "--window", type=duration_s, default=120.0, metavar="T", help="time across the plot (2m)"
    )
    add_shared(parser, "--wait", "--plain")
    add_shared(parser, "--json", help="the board's own lines as they are")


def run(args: argparse.Namespace) -> int:
    """Watch until Ctrl-C."""
    from thermoflop.pico.link import Link
    from thermoflop.pico.ports import choose

    stop = stop_on_signals()
    target = choose(args.port)
    with Link(target) as link:
        turns = _turns(link, stop, args)
        if sys.stdout.isatty() and not (args.plain or args.json or is_dumb()):
            _draw(link, turns, args.window)
        else:
            _print(turns, args.json)
    if link.gone and not stop.is_set():
        tell(f"thermoflop watch: the port went away for good: {link.gone}")
        return 4
    return 0


def _turns(link: Link, stop: threading.Event, args: argparse.Namespace) -> Iterator[list[Item]]:
    """What came from the board, ten times a second until it is over."""
    start_s = time.monotonic()
    end_s = start_s + (args.duration_s or math.inf)
    goes_on = True
    while goes_on:
        link.expect_board(time.monotonic() - start_s, args.wait)
        goes_on = not (time.monotonic() >= end_s or link.gone or stop.wait(_FRAME_S))
        yield link.inbox.take()


def _print(turns: Iterator[list[Item]], as_json: bool) -> None:
    from thermoflop.pico.track import BoardLine
    from thermoflop.report.terminal.plain import PlainLines

    plain = PlainLines()
    for items in turns:
        texts: Iterable[str]
        if as_json:
            texts = (item.line.decode("ascii") for item in items if isinstance(item, BoardLine))
        else:
            texts = plain.add(items)
        for text in texts:
            print(text)
        sys.stdout.flush()


def _draw(link: Link, turns: Iterator[list[Item]], window_s: float) -> None:
    from rich.console import Console, Group
    from rich.live import Live as Screen

    from thermoflop.report.terminal.live import Live

    live = Live(link.target.url, window_s)
    console = Console()
    tracker = link.tracker
    with Screen(console=console, screen=True, auto_refresh=False) as screen:
        drawn: object = None
        for items in turns:
            live.add(items)
            look = (console.size, link.connected)
            if not items and look == drawn:
                continue
            drawn = look
            columns, rows = console.size
            lines = live.render(columns, rows, tracker.board, tracker.counters, link.connected)
            screen.update(Group(*lines), refresh=True)
