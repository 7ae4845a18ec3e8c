"""``thermoflop pico VERB...``: say one command to the board and print its answer."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thermoflop.pico.client import Answer

EPILOG = """\
verbs: id, get [key], set key value, save, defaults, fan auto | on [s] | off s, rate ms,
  sync token, mults L h d_model d_head n_ctx d_ff [vocab], faults, clear, reset, bootsel, help,
  cal r25 C | offset C
Settings last until the board restarts; `save` keeps them. Exit code 5 when the board refuses.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", metavar="P", help="port, sim://... or socket://host:port")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument("verb", metavar="VERB", help="what to do")
    parser.add_argument("words", metavar="ARG", nargs="*", default=[], help="its arguments")


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    from thermoflop.pico.client import ask
    from thermoflop.pico.ports import choose
    from thermoflop.pico.wire import encode_command

    encode_command(1, args.verb, args.words)  # a command that cannot be said opens no port
    answer = ask(choose(args.port), args.verb, args.words)
    if args.json:
        lines = [json.loads(line.line) for line in answer.lines]
        print(json.dumps({**answer.to_json(), **({"lines": lines} if lines else {})}))
    else:
        _print(answer)
    return 0


def _print(answer: Answer) -> None:
    from thermoflop.pico.wire import printable

    for line in answer.lines:
        data = json.loads(line.line)
        for key in ("k", "crc", "boot", "part", "parts"):
            data.pop(key, None)
        _print_pairs(data)
    _print_pairs(answer.detail)
    if answer.mults:
        print("page and script are published forms that over-count; exact is the network itself")
    for count in answer.mults:
        print(f"{printable(count.form):<12} {count.value:>25,} {count.what}")
    if not (answer.detail or answer.lines or answer.mults):
        print("done")


def _print_pairs(data: dict[str, object]) -> None:
    from thermoflop.pico.wire import printable

    for key, value in data.items():
        text = value if isinstance(value, str) else json.dumps(value)
        print(f"{printable(key):<12} {printable(text)}")
