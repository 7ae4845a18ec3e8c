"""``thermoflop ports``: the serial ports of this machine, boards first."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, print_result
from thermoflop.cli.streams import tell

EPILOG = "Exit code 0 when there is a board, 4 when there is none."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_shared(parser, "--json", help="print the list as JSON")


def run(args: argparse.Namespace) -> int:
    """List the ports."""
    from thermoflop.pico.ports import list_ports
    from thermoflop.pico.wire import printable

    ports = list_ports()
    lines = []
    for port in ports:
        kind = "board" if port.is_board else "-"
        number = printable(port.serial_number or "-")
        lines.append(
            f"{port.device:<16} {kind:<6} {port.usb_id or '-':<10} {number}  {port.description}"
        )
    print_result(args, lambda: [port.to_json() for port in ports], lambda: "\n".join(lines))
    if any(port.is_board for port in ports):
        return 0
    if not args.json:
        tell("no board is plugged in; `thermoflop doctor` tells what may be wrong")
    return 4
