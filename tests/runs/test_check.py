"""A measured result beside what it should be: the sizes that it prints, and the verdict."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.errors import InputError, UsageError
from thermoflop.model.load import load_model
from thermoflop.runs.check import Judged, check, read_measured

LLAMA_BENCH = b"""\
ggml_cuda_init: found 1 CUDA devices:
  Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes
| model                  |     size | params | backend | ngl |          test |     t/s |
| ---------------------- | -------: | -----: | ------- | --: | ------------: | ------: |
| llama 8B Q4_K - Medium | 4.58 GiB | 8.03 B | CUDA    |  99 |         pp512 |11500.00 |
| llama 8B Q4_K - Medium | 4.58 GiB | 8.03 B | CUDA    |  99 | pp512 @ d4096 |  9000.00 |
| llama 8B Q4_K - Medium | 4.58 GiB | 8.03 B | CUDA    |  99 |         tg128 |   127.74 |
"""
SERVING = b"""\
============ Serving Benchmark Result ============
Backend:                                 sglang-oai
Max request concurrency:                 8
Successful requests:                     80
Total input tokens:                      81920
Total generated tokens:                  20480
Output token throughput (tok/s):         700.00
Mean TTFT (ms):                          100.00
Mean TPOT (ms):                          11.00
==================================================
"""
NOTHING = {"profile": None, "dtype": None, "prompt": None, "generate": None, "batch": None}


def test_every_test_of_llama_bench_is_judged_with_the_context_that_it_has():
    """127.74 tokens/s: a 4090 and tg512 of Llama 3 8B in Q4_K_M, as of May 2024 published."""
    measured = read_measured("-", LLAMA_BENCH)
    assert (measured.gpu, measured.dtype) == ("NVIDIA GeForce RTX 4090", "q4_k_m")
    found = check(load_model("llama-3-8b"), "rtx 4090", measured, NOTHING)
    assert [each.name for each in found.figures] == ["pp512", "pp512 @ d4096", "tg128"]
    deep = tf.estimate(
        "llama-3-8b", "rtx 4090", dtype="q4_k_m", profile="llama.cpp",
        prompt=4608, prefix=4096, generate=1,
    )  # fmt: skip
    assert found.figures[1].expected == 512 / deep.first_token.expected_s
    assert found.figures[2].verdict == "inside"
    assert found.is_good


def test_a_serving_benchmark_is_held_against_a_full_server_of_its_users_and_sizes():
    found = check(load_model("llama-3-8b"), "h100", read_measured("-", SERVING), NOTHING)
    served = tf.serving("llama-3-8b", "h100", users=8, prompt=1024, generate=256, profile="sglang")
    assert [each.measured for each in found.figures] == [0.1, 0.011, 700.0]
    assert found.figures[2].expected == served.tokens_per_s
    assert "8 users, 1,024 prompt + 256 output tokens" in found.title


def test_how_many_requests_ran_at_once_is_asked_for_where_no_line_says_it():
    lines = [line for line in SERVING.splitlines(keepends=True) if b"concurrency" not in line]
    with pytest.raises(UsageError, match="--users"):
        check(load_model("gpt2"), "h100", read_measured("-", b"".join(lines)), NOTHING)


@pytest.mark.parametrize("typed", ["72.4", "72.4 tok/s", "72.4t/s", "72.4 tokens/s", "72.4tps"])
def test_a_number_is_tokens_a_second_while_decoding(typed):
    assert read_measured(typed).values == {"tokens_per_s": 72.4}


@pytest.mark.parametrize(
    ("measured", "verdict", "is_good"),
    [(49, "slower", False), (50, "inside", True), (150, "inside", True), (160, "faster", True),
     (201, "beyond", False)],
)  # fmt: skip
def test_a_rate_is_good_from_the_low_end_of_its_interval_up_to_its_bound(
    measured, verdict, is_good
):
    from thermoflop.runs.check import Check

    rate = Judged("while decoding", True, measured, 100, 50, 150, 200)
    time = Judged("each token", False, 1 / measured, 1 / 100, 1 / 150, 1 / 50, 1 / 200)
    assert rate.verdict == time.verdict == verdict
    assert Check("", (rate,), ()).is_good is is_good


def test_what_has_no_result_in_it_is_refused_with_what_would_have():
    with pytest.raises(InputError, match="expected what llama-bench"):
        read_measured("-", b"all is well\n")
    two = LLAMA_BENCH + LLAMA_BENCH.replace(b"llama 8B", b"qwen2 7B")
    with pytest.raises(InputError, match="keep the rows of one"):
        read_measured("-", two)
