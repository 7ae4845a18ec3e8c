"""``thermoflop serve``: the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

EPILOG = """\
Only this machine can open the page. With --host others can, who have the token in the address that
is printed; it travels unencrypted, so use it on a network that you trust, or through ssh.

Ctrl-C ends the page (exit code 0) and no recording: the next `serve` shows it. Exit code 4: the
HTTP port is taken, or the board cannot be opened; 7: NiceGUI is not installed.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    from thermoflop.web.site import DEFAULT_PORT

    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--port", metavar="P", help="the board: a port, sim://... or socket://host:port")
    add("--gpu", choices=("auto", "none", "sim"), default="auto", help="GPU telemetry (auto)")
    add("--in", dest="where", type=Path, default=Path("runs"), metavar="DIR", help="(runs)")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (127.0.0.1)")
    add("--http-port", type=int, default=DEFAULT_PORT, metavar="N", help=f"({DEFAULT_PORT})")
    add("--open", action="store_true", help="open the page in a browser")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from thermoflop.cli.signals import stop_on_signals
    from thermoflop.web.server import serve
    from thermoflop.web.site import Site

    stop = stop_on_signals()
    site = Site(args.where, args.port, args.gpu, args.host, args.http_port)

    def say(url: str) -> None:
        print(f"the page is at {url}", flush=True)
        if sys.stderr.isatty():
            print("Ctrl-C ends it", file=sys.stderr)

    serve(site, stop, say, open_browser=args.open)
    return 0
