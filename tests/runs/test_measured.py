"""What was measured: numbers as people type them, and how the requests of a benchmark came."""

from __future__ import annotations

import json

import pytest
from thermoflop.errors import InputError
from thermoflop.model.config.gguf_formats import FILE_TYPES
from thermoflop.runs.engines.llama_bench import format_of, llama_bench_tests
from thermoflop.runs.measured import read_measured, read_number

SAVED = {
    "output_throughput": 1280.0, "completed": 100, "total_input_tokens": 102_400,
    "total_output_tokens": 25_600, "mean_ttft_ms": 50.0, "mean_tpot_ms": 9.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "tokens_per_s"),
    [("72.4", 72.4), ("72.4 tok/s", 72.4), ("72.4t/s", 72.4), ("72.4 TPS", 72.4), (".5", 0.5),
     ("72 tokens per second", 72), ("72 tokens/sec", 72), ("1,234.5", 1234.5), ("9e9", 9e9),
     ("1234567", 1234567), ("1,234,567 tok/s", 1234567), (" 1.5e-2 ", 0.015)],
)  # fmt: skip
def test_a_number_is_tokens_a_second_while_decoding(typed, tokens_per_s):
    assert read_measured(typed).values == {"tokens_per_s": tokens_per_s}


def test_a_number_may_be_piped_in():
    assert read_measured("-", b"52.3 tok/sec\n").values == {"tokens_per_s": 52.3}


@pytest.mark.parametrize("typed", ["13.9ms", "13.9 ms", "13.9 ms/token", "0.0139 s", "13,900 us"])
def test_a_number_with_a_unit_of_time_is_the_time_of_a_token(typed):
    assert read_measured(typed).values == {"token_s": pytest.approx(0.0139)}


@pytest.mark.parametrize(
    "typed", ["72,4", "1.234,5", "1,23", "1.2k", "0", "-5", "~72", "7 2", "nan", "inf", "1e400",
              "72..4", "5e", "", "ms", "12 W"],
)  # fmt: skip
def test_what_is_no_number_is_refused_with_what_would_be(typed):
    assert read_number(typed) is None
    with pytest.raises(InputError, match=r"neither a file nor a number: expected .*1,234\.5"):
        read_measured(typed)


@pytest.mark.parametrize(
    ("load", "users", "rate"),
    [
        ({"max_concurrency": 32, "request_rate": "inf"}, 32, None),
        ({"max_concurrency": None, "request_rate": 5.0}, None, 5.0),  # 1280 / 256 of them
        ({"max_concurrency": 256, "request_rate": 5.2}, None, 5.2),
        ({"max_concurrency": 32, "request_rate": 50.0}, 32, None),  # they waited for a place
        ({"max_concurrency": None, "request_rate": "inf"}, 100, None),
        ({"max_concurrency": None}, None, None),
    ],
)  # fmt: skip
def test_requests_come_as_users_at_a_rate_or_all_at_once(load, users, rate):
    measured = read_measured("-", json.dumps(SAVED | load).encode())
    assert (measured.users, measured.rate) == (users, rate)
    assert measured.at_once is (users == 100)


@pytest.mark.parametrize(
    ("backend", "engine"),
    [("sglang-oai", "sglang"), ("vllm-chat", "vllm"), ("openai", "vllm"), ("trt", "tensorrt-llm"),
     ("tgi", None), (None, "vllm")],
)  # fmt: skip
def test_the_engine_behind_a_client_is_that_of_its_backend(backend, engine):
    saved = SAVED | {"max_concurrency": 1} | ({"backend": backend} if backend else {})
    assert read_measured("-", json.dumps(saved).encode()).profile == engine


def test_of_several_results_the_last_one_counts_and_that_is_said():
    lines = [SAVED | {"max_concurrency": n} for n in (1, 2)]
    measured = read_measured("-", "\n".join(map(json.dumps, lines)).encode())
    assert (measured.users, measured.notes) == (2, ("2 results in it: the last one is checked",))


def test_requests_in_flight_are_as_many_as_come_while_one_takes_its_time():
    """4 a second, each of which takes 2.5 s: ten."""
    rows = ("Request latency (ms)", 2500.0), ("Request throughput (per sec)", 4.0)
    table = "\n".join(f"│ {name} │ {mean:,.2f} │ N/A │" for name, mean in rows)
    assert read_measured("-", f"{table}\n│ Time to first token (ms) │ 9.00 │".encode()).users == 10


def test_formats_and_devices_that_a_result_names_are_its_own():
    report = {
        "engine": {"quantization": "FP8"}, "world_info": {"world_size": 2},
        "request_info": {"num_requests": 10},
        "performance": {"system_output_throughput_tok_s": 1.0},
    }  # fmt: skip
    measured = read_measured("-", json.dumps(report).encode())
    assert (measured.dtype, measured.devices, measured.profile) == ("fp8", 2, "tensorrt-llm")


# ``llama_model_ftype_name`` of llama.cpp's src/llama-model-loader.cpp, in the order of its numbers.
PRINTED = (
    "all F32, F16, Q4_0, Q4_1, Q8_0, Q5_0, Q5_1, Q2_K - Medium, Q3_K - Small, Q3_K - Medium, "
    "Q3_K - Large, Q4_K - Small, Q4_K - Medium, Q5_K - Small, Q5_K - Medium, Q6_K, "
    "IQ2_XXS - 2.0625 bpw, IQ2_XS - 2.3125 bpw, Q2_K - Small, IQ3_XS - 3.3 bpw, "
    "IQ3_XXS - 3.0625 bpw, IQ1_S - 1.5625 bpw, IQ4_NL - 4.5 bpw, IQ3_S - 3.4375 bpw, "
    "IQ3_S mix - 3.66 bpw, IQ2_S - 2.5 bpw, IQ2_M - 2.7 bpw, IQ4_XS - 4.25 bpw, "
    "IQ1_M - 1.75 bpw, BF16, TQ1_0 - 1.69 bpw ternary, TQ2_0 - 2.06 bpw ternary, MXFP4 MoE, NVFP4"
)


def test_every_format_that_llama_cpp_prints_is_known():
    printed = [f"gpt-oss 20B {name}" for name in PRINTED.split(", ")]
    assert [format_of(name) for name in printed] == [FILE_TYPES[n] for n in sorted(FILE_TYPES)]


def test_a_format_of_llama_bench_that_is_not_known_keeps_its_name():
    table = b"| model | test | t/s |\n| llama 8B Q9_Z - Fancy | tg128 | 99.5 |\n"
    assert read_measured("-", table).dtype == "llama 8B Q9_Z - Fancy"


def test_tests_after_a_context_are_read_from_json_as_from_a_table():
    saved = {"model_type": "llama 8B F16", "n_prompt": 0, "n_gen": 32, "n_depth": 64, "avg_ts": 9.5}
    table = b"| model | test | t/s |\n| llama 8B F16 | tg32 @ d64 | 9.5 |\n"
    tests = llama_bench_tests(json.dumps([saved]).encode())
    assert tests == llama_bench_tests(table)
    assert [(test.generate, test.depth, test.tokens_per_s) for test in tests] == [(32, 64, 9.5)]


PRINTED_ZEROS = """\
============ Serving Benchmark Result ============
Successful requests:                     0
Total generated tokens:                  0
Output token throughput (tok/s):         0.00
Mean TTFT (ms):                          0.00
"""


@pytest.mark.parametrize(
    "output", [PRINTED_ZEROS, json.dumps(dict.fromkeys(SAVED, 0)),
               '{"total_num_tokens": 0, "num_requests": 3, "requests_per_second": 3.0}',
               '{"avg_latency": "x", "latencies": [1.5]}'],
)  # fmt: skip
def test_a_benchmark_of_which_nothing_was_answered_has_no_result(output):
    with pytest.raises(InputError, match="no result of a benchmark"):
        read_measured("-", output.encode())


@pytest.mark.parametrize("limit", [float("inf"), 10**400, -1, "four", [4]])
def test_a_count_that_is_none_is_as_if_it_was_not_there(limit):
    saved = SAVED | {"max_concurrency": limit}
    assert read_measured("-", json.dumps(saved).encode()).users is None
