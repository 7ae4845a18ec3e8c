"""``thermoflop serve``: the page."""

from __future__ import annotations

import argparse
import sys

from thermoflop.cli.arguments import add_shared
from thermoflop.cli.streams import tell
from thermoflop.errors import UsageError

EPILOG = """\
Only this machine can open the page. With --host others can, who have the token in the address that
is printed; it travels unencrypted, so use it on a network that you trust, or through ssh.

Ctrl-C ends the page (exit code 0) and no recording: the next `serve` shows it. Exit code 4: the
HTTP port is taken, or the board cannot be opened; 7: NiceGUI is not installed.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from thermoflop.web.site import DEFAULT_PORT

    add = parser.add_argument
    add_shared(parser, "--port", help="the board: a port, sim://..., socket://host:port")
    add_shared(parser, "--gpu", "--in")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (127.0.0.1)")
    page_port = f"the page's ({DEFAULT_PORT})"
    add("--http-port", type=int, default=DEFAULT_PORT, metavar="N", help=page_port)
    add("--open", action="store_true", help="open the page in a browser")


def run(args: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    from thermoflop.cli.signals import stop_on_signals
    from thermoflop.web.server.server import serve
    from thermoflop.web.site import Site

    if args.port is not None and args.port.isdecimal():
        raise UsageError(
            f"--port {args.port} names the board's port, and is a number: expected a port such as "
            f"/dev/ttyACM0; for the page's own say --http-port {args.port}"
        )
    stop = stop_on_signals()
    board = None if args.port == "none" else args.port
    site = Site(args.where, board, args.gpu, args.host, args.http_port)

    def print_address(url: str) -> None:
        print(f"the page is at {url}", flush=True)
        if sys.stderr.isatty():
            tell("Ctrl-C ends it")

    serve(site, stop, print_address, open_browser=args.open)
