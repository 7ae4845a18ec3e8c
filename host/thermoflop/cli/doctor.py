"""``thermoflop doctor``: why the board is not heard, and what to do about it."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, duration_s, print_result

EPILOG = """\
It listens and writes nothing, unless --ask is given: then a board that is heard is asked who it is.
Exit code 0 when nothing is wrong, 1 when something is.
"""
_SIGNS = {"ok": "ok ", "problem": "NO ", "unknown": " ? "}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_shared(parser, "--port")
    parser.add_argument("--ask", action="store_true", help="ask the board for its version")
    parser.add_argument(
        "--listen", type=duration_s, default=3.0, metavar="T", help="listen so long (3s)"
    )
    add_shared(parser, "--json", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Examine the board and its port, and print the findings."""
    from dataclasses import asdict

    from thermoflop.pico.doctor import PROBLEM, examine

    findings = examine(args.port, args.ask, args.listen)
    lines = []
    for finding in findings:
        lines.append(f"{_SIGNS[finding.state]} {finding.check:<14} {finding.text}")
        if finding.remedy:
            lines.append(f"{'':<18} -> {finding.remedy}")
    print_result(args, lambda: [asdict(each) for each in findings], lambda: "\n".join(lines))
    return int(any(finding.state == PROBLEM for finding in findings))
