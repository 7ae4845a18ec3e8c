"""``thermoflop watch``: a board, live; a picture on a terminal, plain lines elsewhere."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from typing import TYPE_CHECKING

from thermoflop.cli.arguments import add_shared, duration_s
from thermoflop.cli.signals import stop_on_signals
from thermoflop.cli.streams import is_dumb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thermoflop.pico.link import Link

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
        watch = _Watch(link, stop, args)
        if sys.stdout.isatty() and not (args.plain or args.json or is_dumb()):
            watch.picture(target.url, args.window)
        else:
            watch.lines(args.json)
    if link.gone and not stop.is_set():
        print(f"thermoflop watch: the port went away for good: {link.gone}", file=sys.stderr)
        return 4
    return 0


class _Watch:
    def __init__(self, link: Link, stop: threading.Event, args: argparse.Namespace) -> None:
        self._link = link
        self._stop = stop
        self._start_s = time.monotonic()
        self._wait_s = args.wait
        self._end_s = self._start_s + args.duration_s if args.duration_s else None

    def _goes_on(self) -> bool:
        self._link.expect_board(time.monotonic() - self._start_s, self._wait_s)
        late = self._end_s is not None and time.monotonic() >= self._end_s
        return not (late or self._link.gone or self._stop.wait(_FRAME_S))

    def lines(self, as_json: bool) -> None:
        from thermoflop.pico.track import BoardLine
        from thermoflop.report.terminal.plain import PlainLines

        plain = PlainLines()
        goes_on = True
        while goes_on:
            goes_on = self._goes_on()
            items = self._link.inbox.take()
            texts: Iterable[str]
            if as_json:
                texts = (item.line.decode("ascii") for item in items if isinstance(item, BoardLine))
            else:
                texts = plain.add(items)
            for text in texts:
                print(text)
            sys.stdout.flush()

    def picture(self, port: str, window_s: float) -> None:
        from rich.console import Console, Group
        from rich.live import Live as Screen

        from thermoflop.report.terminal.live import Live

        live = Live(port, window_s)
        console = Console()
        tracker = self._link.tracker
        with Screen(console=console, screen=True, auto_refresh=False) as screen:
            drawn: object = None
            while self._goes_on():
                items = self._link.inbox.take()
                live.add(items)
                look = (console.size, self._link.connected)
                if not items and look == drawn:
                    continue
                drawn = look
                columns, rows = console.size
                lines = live.render(
                    columns, rows, tracker.board, tracker.counters, self._link.connected
                )
                screen.update(Group(*lines), refresh=True)
