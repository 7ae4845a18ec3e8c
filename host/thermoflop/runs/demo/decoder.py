"""A decoder of distilgpt2's shape on numpy, run as a benchmark: prompts read, tokens generated.

    python -m thermoflop.runs.demo.decoder [--seconds 10] [--threads 1]
                                            run, with a mark and its tokens at each step
    python -m thermoflop.runs.demo.decoder --rates
                                            the best rates of this machine, as JSON

The decoder is bench's, of the catalogue's distilgpt2 with random weights, in float32. Between the
marks stand ``tokens`` and ``cpu_s``, the processor seconds of the step on all threads. It runs for
the seconds asked for, and up to six more where it got little processor time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time

from thermoflop.bench.decoder import Decoder
from thermoflop.bench.limits import HEADROOM, fastest_s, peak_flops_s
from thermoflop.bench.numpy_backend import NumpyBackend
from thermoflop.marks import mark, note
from thermoflop.model.load import load_model

MODEL = "distilgpt2"
PROMPT, GENERATE = 128, 32
MORE_S, ENOUGH_CPU = 6.0, 0.8  # a busy machine gets more time to warm the simulated thermistor
_TOKEN_IDS = 997  # prompts use so many; which ones they are costs nothing
_THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_GEMM_SIZE = 512
_LAYER = (28, 768, 3072)  # matrices of the decoder's own shape: 264 MB, larger than most caches
_READ_S = 0.5  # some ten reads, since other programs share the memory's bandwidth


def run(seconds: float, decoder: Decoder | None = None) -> None:
    """Read a prompt and generate, again and again; on distilgpt2 unless ``decoder`` is given."""
    decoder = decoder or Decoder(load_model(MODEL), NumpyBackend(), 1, PROMPT + GENERATE)
    decoder.forward([0], 0)  # the first call of a matrix library is slow
    start_s, start_cpu_s = time.monotonic(), time.process_time()
    prompts = 0
    while _goes_on(time.monotonic() - start_s, time.process_time() - start_cpu_s, seconds):
        _generate(decoder, [(prompts + 7 * i) % _TOKEN_IDS for i in range(PROMPT)])
        prompts += 1
    mark(None)
    print(f"{prompts} prompts of {PROMPT} tokens, {prompts * GENERATE} tokens generated")


def _goes_on(elapsed_s: float, cpu_s: float, seconds: float) -> bool:
    if elapsed_s < seconds:
        return True
    return cpu_s < ENOUGH_CPU * seconds and elapsed_s < seconds + MORE_S


def _generate(decoder: Decoder, prompt: list[int]) -> None:
    """One prompt and its tokens, each step with its numbers."""
    mark("prefill")
    cpu_s = time.process_time()
    logits = decoder.forward(prompt, 0)
    cpu_s = _note_step(len(prompt), cpu_s)
    mark("decode")
    for step in range(GENERATE):
        logits = decoder.forward([int(logits.argmax())], len(prompt) + step)
        cpu_s = _note_step(1, cpu_s)


def _note_step(tokens: int, before_cpu_s: float) -> float:
    now_cpu_s = time.process_time()
    note(tokens=tokens, cpu_s=round(now_cpu_s - before_cpu_s, 6))
    return now_cpu_s


def rates() -> dict[str, float]:
    """The best FLOP/s of a float32 product and bytes/s of weights read once; about a second.

    The weights are read as the decoder reads them, by one row at a time: a library reads a tall
    matrix by one column a third slower, which is no peak.
    """
    backend = NumpyBackend()
    layers = backend.flat(math.prod(_LAYER)).reshape(_LAYER)
    row = backend.normal(1, _LAYER[1])

    def read() -> None:
        for weights in layers:
            backend.matmul(row, weights)

    read_s = fastest_s(backend, read, _READ_S)
    return {
        "flops_per_s": HEADROOM * peak_flops_s(backend, _GEMM_SIZE),
        "bytes_per_s": HEADROOM * layers.nbytes / read_s,
    }


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
