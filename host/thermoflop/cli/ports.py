"""``thermoflop ports``: the serial ports of this machine, boards first."""

from __future__ import annotations

import argparse
import json
import sys


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.epilog = "Exit code 0 when there is a board, 4 when there is none."
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def run(args: argparse.Namespace) -> int:
    """List the ports."""
    from thermoflop.pico.ports import list_ports
    from thermoflop.pico.wire import printable

    ports = list_ports()
    if args.json:
        print(json.dumps([port.to_json() for port in ports]))
    for port in ports if not args.json else []:
        what = "board" if port.is_board else "-"
        number = printable(port.serial_number or "-")
        print(f"{port.device:<16} {what:<6} {port.usb_id or '-':<10} {number}  {port.description}")
    if any(port.is_board for port in ports):
        return 0
    if not args.json:
        print(
            "no board is plugged in; `thermoflop doctor` tells what may be wrong", file=sys.stderr
        )
    return 4
