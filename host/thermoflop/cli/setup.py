"""``thermoflop setup``: one guided first board, from the box to the finger test."""

from __future__ import annotations

import argparse
import sys

from thermoflop.cli.arguments import add_shared, path, print_result, show
from thermoflop.cli.streams import show_progress, tell
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

EPILOG = """\
It looks for a board (new in BOOTSEL, with MicroPython, or with the firmware),
names the .uf2 file that it needs, shows the wiring, puts the firmware on it,
and ends with the finger test: held the thermistor starts the fan, let go it
stops. What is wrong is named, with what to do about it.

  thermoflop setup                          what is plugged in
  thermoflop setup --uf2 RPI_PICO_W.uf2     MicroPython for a board in BOOTSEL
  thermoflop setup --port sim:// --yes      without a board: a simulated one

Ctrl-C at any step leaves nothing half done. Exit code 0 when the finger test is
passed, 1 when it found a fault, 2 when a question was not answered, 3 when the
.uf2 file is not the right one, 4 when there is no board, 130 after Ctrl-C.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add_shared(parser, "--port", help="serial port, or sim://; default: the only board")
    add("--uf2", type=path, metavar="FILE", help="MicroPython for a board in BOOTSEL")
    add("--disk", type=path, metavar="DIR", help="the disk of its boot loader, if not found")
    add("--yes", action="store_true", help="ask nothing: yes to every question")
    add_shared(parser, "--wait", default=60.0, help="wait so long for a board (60s)")
    add_shared(parser, "--json", help="print how it ended as JSON, and talk to standard error")


def run(args: argparse.Namespace) -> int:
    """Guide, and print how it ended."""
    from thermoflop.cli.signals import interrupt_on_end
    from thermoflop.pico.setup.guide import Request, set_up

    interrupt_on_end()
    talk = _Talk(sys.stderr if args.json else sys.stdout, args.yes)
    request = Request(args.port, args.uf2, args.disk, args.wait, args.yes)
    try:
        outcome = set_up(request, talk)
    except KeyboardInterrupt:
        talk.show("")
        tell("\nthermoflop setup: ended; nothing is half done")
        raise
    finally:
        talk.show("")
    fault = outcome.fault
    if fault is None:
        seen = "; nobody looked at the fan itself" if args.yes else ""
        text = f"passed: the board works{seen}; `thermoflop watch` shows it, `thermoflop serve` too"
    else:
        text = f"FAULT {fault.name}: {fault.text}\n   -> {fault.remedy}"
    print_result(args, outcome.to_json, lambda: text)
    return int(fault is not None)


class _Talk:
    """Questions and answers at a terminal, or through pipes."""

    def __init__(self, out: TextIO, yes: bool) -> None:
        self._out = out
        self._yes = yes

    def tell(self, text: str) -> None:
        """Print a line."""
        show_progress("")
        show(text, self._out)

    def show(self, text: str) -> None:
        """Replace the line of progress; nothing into a pipe."""
        show_progress(text[:78])

    def draw(self) -> None:
        """Print the wiring."""
        from thermoflop.pico.setup.wiring import PARTS, drawing

        print(drawing(self._out.encoding or "ascii") + PARTS, file=self._out, flush=True)

    def agree(self, question: str) -> bool:
        """Ask; Enter is yes."""
        return self._yes or not self.wait_for(question).lower().startswith("n")

    def wait_for(self, question: str) -> str:
        """Ask; the answer."""
        if self._yes:
            return ""
        show_progress("")
        print(question, end="", file=self._out, flush=True)
        try:
            answer = sys.stdin.readline()
        except (OSError, ValueError, AttributeError):  # closed
            answer = ""
        if not answer.endswith("\n"):
            print(file=self._out)
            raise UsageError("nobody answers: --yes answers every question with yes")
        if not sys.stdin.isatty():
            print(file=self._out)
        return answer.strip()
