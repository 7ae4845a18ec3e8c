"""``thermoflop gpus [NAME...]``: the devices that are known, with sources."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="a name, an alias, or a TOML file")
    parser.add_argument("--json", action="store_true", help="one JSON array")


def run(args: argparse.Namespace) -> int:
    """Print the catalogue, or all that is known of some devices."""
    from thermoflop.cost.catalogue.devices_text import (
        device_text,
        devices_json,
        devices_named,
        devices_text,
    )

    devices = devices_named(args.names)
    if args.json:
        import json

        print(json.dumps(devices_json(devices), ensure_ascii=False, indent=1))
    elif args.names:
        print("\n\n".join(device_text(device) for device in devices))
    else:
        print(devices_text(devices))
    return 0
