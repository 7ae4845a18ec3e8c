"""Shows that the firmware's heap stays flat: the loop on the real MicroPython VM, for a long time.

    python tests/heap.py --ticks 100000

Prints the heap after each collection; exit code 1 when the last reading is more than 1 kB above the
first, or when the VM is not installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vm import runner

ALLOWED_GROWTH_BYTES = 1024
STEP = 1000


def heap_bytes(ticks: int) -> list[int]:
    """The heap in use after each thousand ticks, garbage collected."""
    files = {path: file.read_text(encoding="utf-8") for path, file in runner.suite_files().items()}
    job = {"package": str(runner.find_package()), "files": files, "ticks": ticks, "step": STEP}
    run = subprocess.run(
        ["node", str(runner.TESTS / "vm" / "heap.mjs")],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line)["heap_bytes"] for line in run.stdout.splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(description="watch the firmware's heap on the real VM")
    parser.add_argument("--ticks", type=int, default=100_000, help="ticks of 100 ms (%(default)s)")
    args = parser.parse_args()
    if runner.missing():
        print(runner.missing())
        return 1
    heap = heap_bytes(args.ticks)
    grown = heap[-1] - heap[0]
    print(f"{args.ticks} ticks: first {heap[0]} B, least {min(heap)} B, most {max(heap)} B")
    print(f"last {heap[-1]} B, grown by {grown} B")
    return 0 if grown <= ALLOWED_GROWTH_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
