"""``thermoflop doctor``: why the board is not heard, and what to do about it."""

from __future__ import annotations

import argparse
import json

from thermoflop.cli.arguments import duration_s

EPILOG = """\
It listens and writes nothing, unless --ask is given: then a board that is heard is asked who it is.
Exit code 0 when nothing is wrong, 1 when something is.
"""
_SIGNS = {"ok": "ok ", "problem": "NO ", "unknown": " ? "}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", metavar="P", help="port, sim://... or socket://host:port")
    parser.add_argument("--ask", action="store_true", help="ask the board for its version")
    parser.add_argument(
        "--listen", type=duration_s, default=3.0, metavar="T", help="listen so long (3s)"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Examine and print."""
    from thermoflop.pico.doctor import PROBLEM, examine

    findings = examine(args.port, args.ask, args.listen)
    if args.json:
        print(json.dumps([finding.to_json() for finding in findings]))
    for finding in findings if not args.json else []:
        print(f"{_SIGNS[finding.state]} {finding.check:<14} {finding.text}")
        if finding.remedy:
            print(f"{'':<18} -> {finding.remedy}")
    return int(any(finding.state == PROBLEM for finding in findings))
