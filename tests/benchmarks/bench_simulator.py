"""How much faster than real time the simulated board runs, and what it costs in real time.

python tests/benchmarks/bench_simulator.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "host"), str(ROOT / "tests")]

from kit.simulated_board import SteppedBoard  # noqa: E402
from thermoflop.pico.simulated.options import parse_options  # noqa: E402

SIMULATED_S = 2000.0
REAL_S = 10.0


def main() -> None:
    """Measure and print."""
    board = SteppedBoard()
    start_s = time.perf_counter()
    n_lines = len(board.run(SIMULATED_S))
    took_s = time.perf_counter() - start_s
    board.stop()
    print(f"as fast as possible  {SIMULATED_S / took_s:,.0f} x real time")
    each_ms = 1e3 * took_s / n_lines
    print(f"                     {n_lines / took_s:,.0f} lines/s, {each_ms:.2f} ms each")
    board = SteppedBoard(parse_options([("speed", "1")]))
    board.start()
    ticket = board.cable.attach()
    start_cpu_s = time.process_time()
    board.begin()
    end_s = time.monotonic() + REAL_S
    while time.monotonic() < end_s:
        board.cable.read(ticket, 65536, 0.5)
    share = (time.process_time() - start_cpu_s) / REAL_S
    board.stop()
    print(f"in real time         {100 * share:.2f} % of one core")


if __name__ == "__main__":
    main()
