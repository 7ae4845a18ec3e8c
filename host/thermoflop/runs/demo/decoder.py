"""A decoder of distilgpt2's shape on numpy, run as a benchmark: prompts read, tokens generated.

    python -m thermoflop.runs.demo.decoder [--seconds 10] [--threads 1]
                                            run, with a mark and its tokens at each step
    python -m thermoflop.runs.demo.decoder --rates
                                            the best rates of this machine, as JSON

Weights are random; what is multiplied, read and kept is what the model of that name does (Sanh et
al. 2019: 6 layers, d_model 768, 12 heads of 64, d_ff 3072, 50257 words, tied head), in float32.
Between the marks stand ``tokens`` and ``cpu_s``, the processor seconds of the step on all threads.
It runs for the seconds asked for, and up to six more where it got little processor time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from thermoflop.marks import mark, note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

MODEL, LAYERS, D_MODEL, HEADS, D_FF, WORDS, POSITIONS = "distilgpt2", 6, 768, 12, 3072, 50257, 1024
PROMPT, GENERATE = 128, 32
MORE_S, ENOUGH_CPU = 6.0, 0.8
RATE_S = 0.4
_SCALE = 0.04
_THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_GEMM_SIZE, _READ_ROWS = 512, 1 << 17


class Layer:
    """Attention and feed-forward with their norms; the cache grows by what is read."""

    def __init__(self, block: Array, d_model: int, heads: int, d_ff: int) -> None:
        """Weights are taken from ``block``, which is longer than any of them."""
        import numpy as np

        def weight(*shape: int) -> Array:
            return np.resize(block, shape)

        self.heads = heads
        self.qkv, self.qkv_bias = weight(d_model, 3 * d_model), weight(3 * d_model)
        self.out, self.out_bias = weight(d_model, d_model), weight(d_model)
        self.up, self.up_bias = weight(d_model, d_ff), weight(d_ff)
        self.down, self.down_bias = weight(d_ff, d_model), weight(d_model)
        self.norms = [weight(d_model) for _ in range(4)]
        self.forget()

    def forget(self) -> None:
        """Empty the cache."""
        self.keys: Any = None
        self.values: Any = None

    def __call__(self, x: Array) -> Array:
        """Rows of new tokens through the layer."""
        x = x + self._attend(_norm(x, *self.norms[:2])) @ self.out + self.out_bias
        inner = _gelu(_norm(x, *self.norms[2:]) @ self.up + self.up_bias)
        return x + inner @ self.down + self.down_bias

    def _attend(self, x: Array) -> Array:
        import numpy as np

        new, width = x.shape
        heads = (x @ self.qkv + self.qkv_bias).reshape(new, 3, self.heads, width // self.heads)
        query, key, value = heads.transpose(1, 2, 0, 3)
        if self.keys is not None:
            key = np.concatenate([self.keys, key], axis=1)
            value = np.concatenate([self.values, value], axis=1)
        self.keys, self.values = key, value
        scores = query @ key.transpose(0, 2, 1) / np.float32(math.sqrt(width // self.heads))
        if new > 1:
            seen = np.tri(new, key.shape[1], key.shape[1] - new, dtype=bool)
            scores = np.where(seen, scores, np.float32(-1e9))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = scores / scores.sum(axis=-1, keepdims=True) @ value
        rows: Array = mixed.transpose(1, 0, 2).reshape(new, width)
        return rows


class Decoder:
    """The whole model; greedy."""

    def __init__(
        self,
        layers: int = LAYERS,
        d_model: int = D_MODEL,
        heads: int = HEADS,
        d_ff: int = D_FF,
        words: int = WORDS,
        positions: int = POSITIONS,
    ) -> None:
        """One random block, copied into every weight: filling them all anew takes seconds."""
        import numpy as np

        rng = np.random.default_rng(1)
        block = _SCALE * (rng.random(1_000_003, dtype=np.float32) - np.float32(0.5))
        self.words = np.resize(block, (words, d_model))
        self.positions = np.resize(block[::-1], (positions, d_model))
        self.layers = [Layer(block, d_model, heads, d_ff) for _ in range(layers)]
        self.norm = [np.resize(block, (d_model,)) for _ in range(2)]

    @property
    def parameters(self) -> int:
        """How many numbers it has."""
        own = [self.words, self.positions, *self.norm]
        for layer in self.layers:
            own += [value for name, value in vars(layer).items() if name.endswith("_bias")]
            own += [layer.qkv, layer.out, layer.up, layer.down, *layer.norms]
        return sum(array.size for array in own)

    def read(self, tokens: list[int], at: int = 0) -> Array:
        """The logits after the last of ``tokens``, which stand from position ``at`` on."""
        if at == 0:
            for layer in self.layers:
                layer.forget()
        x = self.words[tokens] + self.positions[at : at + len(tokens)]
        for layer in self.layers:
            x = layer(x)
        # words times the vector, not the vector times words transposed: rows are read in order
        logits: Array = self.words @ _norm(x[-1], *self.norm)
        return logits


def run(seconds: float, model: Decoder | None = None) -> None:
    """Read a prompt and generate, again and again."""
    model = model or Decoder()
    model.read([0])  # the first call of a matrix library is slow
    start_s, start_cpu_s = time.monotonic(), time.process_time()
    n = 0
    while _goes_on(time.monotonic() - start_s, time.process_time() - start_cpu_s, seconds):
        _generate(model, [(n + 7 * i) % len(model.words) for i in range(PROMPT)])
        n += 1
    mark(None)
    print(f"{n} prompts of {PROMPT} tokens, {n * GENERATE} tokens generated")


def _goes_on(elapsed_s: float, cpu_s: float, seconds: float) -> bool:
    if elapsed_s < seconds:
        return True
    return cpu_s < ENOUGH_CPU * seconds and elapsed_s < seconds + MORE_S


def _generate(model: Decoder, prompt: list[int]) -> None:
    """One prompt and its tokens, each step with its numbers."""
    mark("prefill")
    cpu_s = time.process_time()
    logits = model.read(prompt)
    cpu_s = _told(len(prompt), cpu_s)
    mark("decode")
    for step in range(GENERATE):
        logits = model.read([int(logits.argmax())], len(prompt) + step)
        cpu_s = _told(1, cpu_s)


def _told(tokens: int, before_cpu_s: float) -> float:
    now_cpu_s = time.process_time()
    note(tokens=tokens, cpu_s=round(now_cpu_s - before_cpu_s, 6))
    return now_cpu_s


def rates() -> dict[str, float]:
    """The best FLOP/s of a float32 product and bytes/s of a matrix read once; about a second."""
    import numpy as np

    rng = np.random.default_rng(0)
    square = rng.random((_GEMM_SIZE, _GEMM_SIZE), dtype=np.float32)
    tall = np.resize(square, (_READ_ROWS, _GEMM_SIZE))
    vector = square[0].copy()
    out = np.empty_like(square)
    product_s = _fastest_s(lambda: np.matmul(square, square, out=out))
    read_s = _fastest_s(lambda: tall @ vector)
    return {"flops_per_s": 2 * _GEMM_SIZE**3 / product_s, "bytes_per_s": tall.nbytes / read_s}


def _fastest_s(call: Callable[[], Any]) -> float:
    call()
    best_s, until_s = math.inf, time.perf_counter() + RATE_S
    while time.perf_counter() < until_s:
        start_s = time.perf_counter()
        call()
        best_s = min(best_s, time.perf_counter() - start_s)
    return best_s


def _norm(x: Array, gain: Array, shift: Array) -> Array:
    import numpy as np

    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    normal: Array = centred / np.sqrt(variance + np.float32(1e-5)) * gain + shift
    return normal


def _gelu(x: Array) -> Array:
    import numpy as np

    half, a, b = np.float32(0.5), np.float32(0.7978845608), np.float32(0.044715)
    curved: Array = half * x * (1 + np.tanh(a * (x + b * x * x * x)))
    return curved


def main() -> None:
    """Run it, or measure the rates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rates", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    for name in _THREAD_VARIABLES:  # numpy, which is not imported yet, reads them
        os.environ[name] = str(args.threads)
    if args.rates:
        print(json.dumps(rates()))
    else:
        run(args.seconds)


if __name__ == "__main__":
    main()
