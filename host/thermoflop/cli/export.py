"""``thermoflop export``: boards, GPUs and runs in the dashboards that people already have."""

from __future__ import annotations

import argparse
import contextlib
import sys
from functools import partial

from thermoflop.cli.arguments import add_shared, duration_s, path
from thermoflop.cli.streams import tell
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from thermoflop.web.export.room import Room

EMPTY_S = 2.0  # boards and GPUs that are there are found by then

EPILOG = """\
`export prometheus` answers scrapes at http://127.0.0.1:9877/metrics until Ctrl-C (exit code 0).
  thermoflop export prometheus --rules > alerts.yml       rules for Prometheus
  thermoflop export prometheus --dashboard > board.json   a dashboard for Grafana
From nothing to a Grafana picture of a board, with Prometheus and Grafana installed:
  thermoflop export prometheus &
  thermoflop export prometheus --rules > alerts.yml
  printf '%s\\n' 'global: {scrape_interval: 5s}' \\
    'rule_files: [alerts.yml]' 'scrape_configs:' \\
    '- {job_name: board, static_configs: [{targets: ["localhost:9877"]}]}' \\
    > board.yml
  prometheus --config.file=board.yml --web.listen-address=localhost:9095 &
  thermoflop export prometheus --dashboard > board.json
then import board.json in Grafana, with http://localhost:9095 as its Prometheus.

The GPUs' names are those of dcgm-exporter. What is not heard has no series: a board that went away
or a GPU that was lost disappears within 10 s, and `thermoflop_board_up` says 0. Counters begin
anew with the exporter, as rate() expects. A board that `record` or `log` holds is read from its
run, below --in.

`export mqtt --broker mqtt://HOST` publishes the same to an MQTT broker (mqtts:// with TLS), where
Home Assistant finds each board and GPU by itself. --credentials names a TOML file with username and
password. With --control Home Assistant can command the fan and set the temperature at which it
starts; the board's own rules stay above that, and without it no command is listened to. While the
broker is away, up to 10,000 messages wait; what is dropped is counted and said.

Ctrl-C ends either: exit code 0. 4: the HTTP port is taken; 7: the library is not installed
(pip install 'thermoflop[export]').
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from thermoflop.web.export.prometheus import DEFAULT_PORT

    parser.add_argument("to", choices=("prometheus", "mqtt"), help="where to")
    add_shared(
        parser, "--port", action="append", default=[],
        help="a board; NAME=PORT names it; may be repeated; without it, the only one there is",
    )  # fmt: skip
    parser.add_argument(
        "--fleet", type=path, metavar="FILE", help="the boards of a fleet, by its names (see log)"
    )
    add_shared(parser, "--gpu", "--in")
    add = parser.add_argument_group("prometheus").add_argument
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (127.0.0.1)")
    add("--http-port", type=int, default=DEFAULT_PORT, metavar="N", help=f"({DEFAULT_PORT})")
    add("--dashboard", action="store_true", help="print the dashboard for Grafana, and end")
    add("--rules", action="store_true", help="print the alert rules, and end")
    add = parser.add_argument_group("mqtt").add_argument
    add("--broker", metavar="URL", help="mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
    add("--credentials", type=path, metavar="FILE", help="TOML with username and password")
    add("--ca", type=path, metavar="FILE", help="certificates to trust, for TLS")
    add("--every", type=duration_s, default=1.0, metavar="T", help="between two states (1s)")
    add("--prefix", default="thermoflop", metavar="TOPIC", help="of all topics (thermoflop)")
    add("--control", action="store_true", help="let the broker command fan and setpoint")


def run(args: argparse.Namespace) -> None:
    """Export until Ctrl-C."""
    (_to_mqtt if args.to == "mqtt" else _to_prometheus)(args)


def _to_mqtt(args: argparse.Namespace) -> None:
    from thermoflop.cli.signals import stop_on_signals
    from thermoflop.web.export.broker import read_broker
    from thermoflop.web.export.home_assistant import Topics, slug
    from thermoflop.web.export.mqtt import MqttExporter

    if args.broker is None:
        raise UsageError("mqtt needs a broker: --broker mqtt://HOST[:PORT]")
    broker = read_broker(args.broker, args.credentials, args.ca)
    if slug(args.prefix) != args.prefix or not args.prefix:
        raise UsageError(f"--prefix {args.prefix!r}: expected letters, digits, - and _")
    if not args.every > 0:
        raise UsageError(f"--every {args.every:g}: expected more than 0 s")
    stop = stop_on_signals()
    with _open(args) as room, _said_where_empty(room):
        exporter = MqttExporter(room, broker, Topics(args.prefix), args.control, _notify)
        exporter.run(stop, args.every)


def _to_prometheus(args: argparse.Namespace) -> None:
    from thermoflop.web.export.prometheus import serve_metrics, shipped

    for what in ("dashboard", "rules"):
        if getattr(args, what):
            sys.stdout.write(shipped(what))
            return
    from thermoflop.cli.signals import stop_on_signals

    stop = stop_on_signals()
    told = partial(print, "metrics are at", flush=True)
    with _open(args) as room, _said_where_empty(room):
        serve_metrics(room, (args.host, args.http_port), stop, told)


@contextlib.contextmanager
def _said_where_empty(room: Room) -> Iterator[None]:
    """Say it where nothing is found to export in the first seconds, as an answer without a series
    says nothing."""
    from threading import Timer

    def say() -> None:
        if not (room.boards() or room.gpus() or room.runs()):
            _notify(
                "no board, no GPU and no recording is found here: what comes later is exported "
                "then (`thermoflop doctor` looks for a board, --port sim:// is a simulated one)"
            )

    timer = Timer(EMPTY_S, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _open(args: argparse.Namespace) -> AbstractContextManager[Room]:
    """The boards that are named, one by one and in a fleet's file, and the rest of the room."""
    from thermoflop.runs.record.fleet import read_fleet
    from thermoflop.web.export.room import open_room

    fleet = [] if args.fleet is None else read_fleet(args.fleet)
    return open_room(args.port, args.gpu, args.where, _notify, fleet)


def _notify(text: str) -> None:
    tell(f"thermoflop export: {text}")
