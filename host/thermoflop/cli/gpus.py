"""``thermoflop gpus [NAME...]``: the devices that are known, with sources."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, print_result

EPILOG = """\
A device of your own is a TOML file, for `--gpu mine.toml`:
  memory_gb = 48
  bandwidth_gb_s = 900
  power_w = 300
  thermal_resistance_c_per_w = 0.1   # for the steady temperature rise
  [dense_tflops]
  bf16 = 200
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a name or a TOML file: all that is known; rtx, amd or 24gb: those",
    )
    add_shared(parser, "--json", help="one JSON array")


def run(args: argparse.Namespace) -> None:
    """Print the catalogue, or all that is known of some devices."""
    from thermoflop.cost.catalogue.devices_text import (
        device_text,
        devices_json,
        devices_named,
        devices_text,
    )

    devices, listed = devices_named(args.names)

    def text() -> str:
        return devices_text(devices) if listed else "\n\n".join(map(device_text, devices))

    print_result(args, lambda: devices_json(devices), text, indented=True)
