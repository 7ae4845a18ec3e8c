"""``thermoflop serve``: the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

EPILOG = """\
Ctrl-C ends it: exit code 0. The port is taken: 4. NiceGUI is not installed: 7.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    from thermoflop.web.site import DEFAULT_PORT

    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--port", metavar="P", help="the board: a port, sim://... or socket://host:port")
    add("--gpu", default="auto", metavar="G", help="auto, none or sim (auto)")
    add("--in", dest="where", type=Path, default=Path("runs"), metavar="DIR", help="(runs)")
    add("--http-port", type=int, default=DEFAULT_PORT, metavar="N", help=f"({DEFAULT_PORT})")
    add("--open", action="store_true", help="open the page in a browser")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from thermoflop.cli.signals import stop_on_signals
    from thermoflop.web.server import serve
    from thermoflop.web.site import Site

    stop_on_signals()
    site = Site(runs=args.where, board_port=args.port, gpu=args.gpu, port=args.http_port)

    def say(url: str) -> None:
        print(f"the page is at {url}", flush=True)
        if sys.stderr.isatty():
            print("Ctrl-C ends it", file=sys.stderr)

    serve(site, say, open_browser=args.open)
    return 0
