"""Multiplies matrices of GPT-2 small's shapes, in a process of its own, and reports as it goes.

This file runs by itself, with numpy and nothing else of this package. It says ``{"ready":true}``,
waits for a line on its standard input, multiplies until that input ends or another line comes, and
prints ten reports a second. A report has ``t_s``, seconds of work so far; ``cpu_s``, processor
seconds this process has used in that time, all its threads together; ``mults``, the multiplications
of the products that are done, counted from their shapes.

The shapes are those of one layer of GPT-2 small (Radford et al. 2019: d_model 768, 12 heads of 64,
d_ff 3072) over 128 tokens: the query, key and value projection, each head's scores and weighted
values, the output projection, and the two of the feed-forward.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

TOKENS = 128
D_MODEL, HEADS, D_HEAD, D_FF = 768, 12, 64, 3072
REPORT_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Product:
    """``batch`` products of an (m, k) matrix with a (k, n) matrix."""

    name: str
    batch: int
    m: int
    k: int
    n: int

    @property
    def mults(self) -> int:
        """Multiplications, one per term of each element."""
        return self.batch * self.m * self.k * self.n


LAYER = (
    Product("qkv", 1, TOKENS, D_MODEL, 3 * D_MODEL),
    Product("scores", HEADS, TOKENS, D_HEAD, TOKENS),
    Product("values", HEADS, TOKENS, TOKENS, D_HEAD),
    Product("out", 1, TOKENS, D_MODEL, D_MODEL),
    Product("up", 1, TOKENS, D_MODEL, D_FF),
    Product("down", 1, TOKENS, D_FF, D_MODEL),
)


class Work:
    """The operands of a layer, and how many multiplications have been done with them."""

    def __init__(self) -> None:
        """Fill the matrices with numbers that are neither zero nor large."""
        import numpy as np

        rng = np.random.default_rng(1)
        self.mults = 0
        self._matmul = np.matmul
        self._operands: list[tuple[Any, Any, Any, int]] = []
        for product in LAYER:
            left = rng.standard_normal((product.batch, product.m, product.k), dtype=np.float32)
            right = rng.standard_normal((product.batch, product.k, product.n), dtype=np.float32)
            out = np.empty((product.batch, product.m, product.n), dtype=np.float32)
            self._operands.append((left, right, out, product.mults))

    def until(self, stop: threading.Event) -> None:
        """Multiply, layer after layer, until ``stop`` is set."""
        while True:
            for left, right, out, mults in self._operands:
                if stop.is_set():
                    return
                self._matmul(left, right, out=out)
                self.mults += mults


def main() -> None:
    """Ready, go, report, stop."""
    work = Work()
    _say({"ready": True})
    if not sys.stdin.readline():
        return
    stop = threading.Event()
    threading.Thread(target=_wait_for_stop, args=(stop,), daemon=True).start()
    reporter = threading.Thread(target=_report, args=(work, stop), daemon=True)
    reporter.start()
    work.until(stop)
    reporter.join()


def _report(work: Work, stop: threading.Event) -> None:
    start_s, start_cpu_s = time.monotonic(), time.process_time()
    goes_on = True
    while goes_on:
        goes_on = not stop.wait(REPORT_EVERY_S)
        _say(
            {
                "t_s": round(time.monotonic() - start_s, 6),
                "cpu_s": round(time.process_time() - start_cpu_s, 6),
                "mults": work.mults,
            }
        )


def _wait_for_stop(stop: threading.Event) -> None:
    sys.stdin.readline()  # a line, or the end of the process that started us
    stop.set()


def _say(data: dict[str, object]) -> None:
    try:
        print(json.dumps(data), flush=True)
    except OSError:  # nobody listens any more; the end of standard input stops the work
        sys.stderr.close()


if __name__ == "__main__":
    main()
