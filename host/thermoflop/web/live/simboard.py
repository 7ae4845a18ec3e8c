"""A simulated board in its own process, read by one reader at a time like a real one.

The page reads it through ``socket://``, and hands it to a recorder as it would hand over a cable.
It outlives the page while somebody reads it, so that a recording goes on when the page is gone.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from thermoflop.errors import BoardError, ThermoflopError

if TYPE_CHECKING:
    from thermoflop.pico.simulated.board import SimulatedBoard

START_S = 20.0
ALONE_S = 20.0  # how long it waits for a reader when whoever started it is gone
FINGER_S = 12.0
_LOOK_EVERY_S = 0.5


class SimBoard:
    """The process of one simulated board; ``address`` is the URL to read it at."""

    def __init__(self, url: str) -> None:
        """Start the process. Raises BoardError for an invalid URL."""
        self.url = url
        arguments = [sys.executable, "-P", "-m", "thermoflop.web.live.simboard", url]
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C at the page's terminal is not for it
        )
        self.address = self._first_line()

    def _first_line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101  # it was asked for above
        line = self._process.stdout.readline().strip()
        if not line.startswith("socket://"):
            assert self._process.stderr is not None  # noqa: S101
            lines = self._process.stderr.read().strip().splitlines()
            raise BoardError(
                lines[-1] if lines else f"the simulated board {self.url} did not start"
            )
        return line

    def touch(self) -> None:
        """Put a finger on its thermistor for a while. Raises BoardError when it has ended."""
        try:
            assert self._process.stdin is not None  # noqa: S101
            self._process.stdin.write(f"finger {FINGER_S}\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise BoardError("the simulated board has ended") from error

    def let_go(self) -> None:
        """Let it end once nobody reads it."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def end(self) -> None:
        """Switch it off."""
        self.let_go()
        self._process.terminate()
        self._process.wait(timeout=START_S)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def main(url: str) -> int:
    """Serve the board of this URL; reads orders from standard input."""
    import signal

    from thermoflop.pico.simulated.board import SimulatedBoard
    from thermoflop.pico.simulated.options import parse_url
    from thermoflop.pico.simulated.tcpport import LOOPBACK, serve_tcp
    from thermoflop.pico.wire import encode_command

    try:
        board = SimulatedBoard(parse_url(url)[1])
        signal.signal(signal.SIGTERM, lambda *_: board.switch_off())
        threading.Thread(target=_orders, args=(board,), daemon=True).start()
        # a recorder that takes over has to hear that the board is simulated, and its settings
        serve_tcp(
            board, (LOOPBACK, 0), lambda host, port: print(f"socket://{host}:{port}"),
            greeting=encode_command(0, "id"),
        )  # fmt: skip
    except ThermoflopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _orders(board: SimulatedBoard) -> None:
    """Obey orders until standard input ends, then end the board once nobody reads it."""
    for line in sys.stdin:
        word, _, rest = line.partition(" ")
        if word == "finger":
            board.world.touch(float(rest))
    read_s = time.monotonic()
    while time.monotonic() - read_s < ALONE_S:
        time.sleep(_LOOK_EVERY_S)
        if board.cable.attached:
            read_s = time.monotonic()
    board.switch_off()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1]))
