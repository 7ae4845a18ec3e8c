"""``thermoflop export``: boards, GPUs and runs in the dashboards that people already have."""

from __future__ import annotations

import argparse
import sys

from thermoflop.cli.arguments import add_shared

EPILOG = """\
`export prometheus` answers scrapes at http://127.0.0.1:9877/metrics until Ctrl-C (exit code 0).
  thermoflop export prometheus --rules > alerts.yml       rules for Prometheus
  thermoflop export prometheus --dashboard > board.json   a dashboard for Grafana

The GPUs' names are those of dcgm-exporter. What is not heard has no series: a board that went away
or a GPU that was lost disappears within 10 s, and `thermoflop_board_up` says 0. Counters begin
anew with the exporter, as rate() expects. A board that `record` or `log` holds is read from its
run, below --in. Exit code 4: the HTTP port is taken; 7: prometheus-client is not installed.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from thermoflop.web.export.prometheus import DEFAULT_PORT

    kinds = parser.add_subparsers(dest="to", metavar="WHERE", required=True)
    prometheus = kinds.add_parser("prometheus", help="metrics to be scraped")
    add_sources(prometheus)
    add = prometheus.add_argument
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (127.0.0.1)")
    add("--http-port", type=int, default=DEFAULT_PORT, metavar="N", help=f"({DEFAULT_PORT})")
    add("--dashboard", action="store_true", help="print the dashboard for Grafana, and end")
    add("--rules", action="store_true", help="print the alert rules, and end")


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is exported."""
    add_shared(
        parser, "--port", action="append", default=[],
        help="a board; NAME=PORT names it; may be repeated; without it, the only one there is",
    )  # fmt: skip
    add_shared(parser, "--gpu", "--in")


def run(args: argparse.Namespace) -> int:
    """Export until Ctrl-C."""
    from thermoflop.web.export.prometheus import serve_metrics, shipped

    for what in ("dashboard", "rules"):
        if getattr(args, what):
            sys.stdout.write(shipped(what))
            return 0
    from thermoflop.cli.signals import stop_on_signals
    from thermoflop.web.export.room import open_room

    stop = stop_on_signals()

    def print_address(url: str) -> None:
        print(f"metrics are at {url}", flush=True)

    with open_room(args.port, args.gpu, args.where, _notify) as room:
        serve_metrics(room, (args.host, args.http_port), stop, print_address)
    return 0


def _notify(text: str) -> None:
    print(f"thermoflop export: {text}", file=sys.stderr, flush=True)
