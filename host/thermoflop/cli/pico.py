"""``thermoflop pico VERB...``: send one command to the board and print its answer."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from thermoflop.cli.arguments import add_shared, print_result

if TYPE_CHECKING:
    from thermoflop.pico.client import Answer

EPILOG = """\
verbs:
  id, get [key], set key value, save, defaults, fan auto | on [s] | off s,
  rate ms, sync token, mults L h d_model d_head n_ctx d_ff [vocab], faults,
  clear, reset, bootsel, help, cal r25 C | offset C

Settings last until the board restarts; `save` keeps them. Exit code 5 when the board refuses.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_shared(parser, "--port")
    add_shared(parser, "--json", help="print the answer as JSON")
    parser.add_argument("verb", metavar="VERB", help="what to do")
    parser.add_argument("arguments", metavar="ARG", nargs="*", default=[], help="its arguments")


def run(args: argparse.Namespace) -> None:
    """Send the command and print the answer."""
    from thermoflop.pico.client import ask
    from thermoflop.pico.ports import choose
    from thermoflop.pico.wire import encode_command

    encode_command(1, args.verb, args.arguments)  # a command that cannot be encoded opens no port
    answer = ask(choose(args.port), args.verb, args.arguments)
    lines = [json.loads(line.line) for line in answer.lines]
    data = {**answer.to_json(), **({"lines": lines} if lines else {})}
    print_result(args, lambda: data, lambda: _text(answer, lines))


def _text(answer: Answer, lines: list[dict[str, object]]) -> str:
    """The board's answer, one pair of key and value a line."""
    from thermoflop.pico.wire import printable

    framing = ("k", "crc", "boot", "part", "parts")
    pairs = [pair for line in lines for pair in line.items() if pair[0] not in framing]
    printed = []
    for key, value in (*pairs, *answer.detail.items()):
        text = value if isinstance(value, str) else json.dumps(value)
        printed.append(f"{printable(key):<12} {printable(text)}")
    if answer.mults:
        printed.append(
            "page and script are published forms that over-count; exact is the network itself"
        )
    for count in answer.mults:
        printed.append(f"{printable(count.form):<12} {count.value:>25,} {count.what}")
    return "\n".join(printed) or "done"
