"""Result files of benchmark programs: their keys are those of the programs' sources, the numbers
made up."""

from __future__ import annotations

import json

import pytest
from thermoflop.runs.engines.saved import saved_results

# vllm/benchmarks/serve.py; the lists of --save-detailed come before the means
VLLM = {
    "backend": "vllm", "request_rate": "inf", "max_concurrency": 32, "completed": 320,
    "total_input_tokens": 327680, "total_output_tokens": 81920, "output_throughput": 2600.0,
    "ttfts": [0.2] * 9, "errors": [""] * 9, "mean_ttft_ms": 210.0, "mean_tpot_ms": 10.9,
}  # fmt: skip
# sglang/bench_serving.py, bench_one_batch.py
SGLANG = {
    "backend": "sglang", "request_rate": float("inf"), "max_concurrency": 16, "completed": 160,
    "total_input_tokens": 163840, "total_output_tokens": 40960, "output_throughput": 1260.0,
    "mean_ttft_ms": 140.0, "mean_tpot_ms": 9.9, "accept_length": None,
}  # fmt: skip
ONE_BATCH = {
    "run_name": "default", "batch_size": 8, "input_len": 1024, "output_len": 64,
    "prefill_latency": 0.21, "median_decode_latency": 0.0088, "total_latency": 0.77,
}  # fmt: skip
# tensorrt_llm/bench/dataclasses/reporting.py
TENSORRT_LLM = {
    "engine": {"quantization": "FP8"}, "world_info": {"world_size": 2},
    "request_info": {"num_requests": 1000, "avg_num_concurrent_requests": 127.8,
                     "avg_input_length": 1024.0, "avg_output_length": 256.0},
    "performance": {"system_output_throughput_tok_s": 6400.0},
    "streaming_metrics": {"avg_ttft_ms": 900.0, "avg_tpot_ms": 16.0},
}  # fmt: skip
# docs.nvidia.com/aiperf/dev/reference/json-export-schema
AIPERF = {
    "request_latency": {"unit": "ms", "avg": 2500.0}, "request_count": {"avg": 50.0},
    "time_to_first_token": {"avg": 18.0}, "inter_token_latency": {"avg": 9.8},
    "output_token_throughput": {"avg": 1007.4}, "input_sequence_length": {"avg": 1024.0},
    "output_sequence_length": {"avg": 256.0},
    "input_config": {"endpoint": {}, "loadgen": {"concurrency": 10}},
}  # fmt: skip
GUIDELLM = {"benchmarks": [{
    "config": {"strategy": {"type_": "concurrent", "streams": 8}},
    "metrics": {
        "request_totals": {"successful": 80},
        **{name: {"successful": {"mean": mean}} for name, mean in (
            ("prompt_token_count", 1024.0), ("output_token_count", 256.0),
            ("time_to_first_token_ms", 80.0), ("inter_token_latency_ms", 10.2),
            ("output_tokens_per_second", 690.0), ("request_concurrency", 7.9),
        )},
    },
}]}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "program", "values", "load"),
    [
        (VLLM, "a serving benchmark",
         {"requests": 320, "prompt_tokens": 327680, "generated_tokens": 81920,
          "tokens_per_s": 2600, "ttft_s": 0.21, "token_s": 0.0109},
         {"limit": 32, "rate": "inf", "backend": "vllm"}),
        (SGLANG, "a serving benchmark",
         {"requests": 160, "prompt_tokens": 163840, "generated_tokens": 40960,
          "tokens_per_s": 1260, "ttft_s": 0.14, "token_s": 0.0099},
         {"limit": 16, "rate": float("inf"), "backend": "sglang"}),
        (ONE_BATCH, "sglang.bench_one_batch",
         {"prompt_tokens": 1024, "generated_tokens": 64, "ttft_s": 0.21, "token_s": 0.0088,
          "total_s": 0.77}, {"limit": 8}),
        ({"avg_latency": 1.41, "latencies": [1.4, 1.42], "percentiles": {}}, "vllm bench latency",
         {"total_s": 1.41}, {}),
        ({"elapsed_time": 40.0, "num_requests": 1000, "total_num_tokens": 1152000,
          "requests_per_second": 25.0, "tokens_per_second": 28800.0}, "vllm bench throughput",
         {"requests": 1000, "requests_per_s": 25, "all_tokens": 1152000}, {}),
        (TENSORRT_LLM, "trtllm-bench",
         {"requests": 1000, "prompt_tokens": 1024000, "generated_tokens": 256000,
          "tokens_per_s": 6400, "ttft_s": 0.9, "token_s": 0.016},
         {"limit": 127.8, "devices": 2, "dtype": "FP8"}),
        (AIPERF, "genai-perf",
         {"requests": 50, "prompt_tokens": 51200, "generated_tokens": 12800,
          "tokens_per_s": 1007.4, "ttft_s": 0.018, "token_s": 0.0098}, {"limit": 10}),
        (GUIDELLM, "guidellm",
         {"requests": 80, "prompt_tokens": 81920, "generated_tokens": 20480, "tokens_per_s": 690,
          "ttft_s": 0.08, "token_s": 0.0102}, {"limit": 8}),
    ],
)  # fmt: skip
def test_a_result_file_is_read_in_the_units_of_marks(written, program, values, load):
    for text in (json.dumps(written), json.dumps(written, indent=2)):
        ((result, said),) = saved_results(text.encode())
        assert result.program == program
        assert result.values == pytest.approx(values)
        assert {key: value for key, value in said.items() if value is not None} == load


def test_requests_in_flight_follow_from_rate_and_latency_where_nothing_says_them():
    """4 a second that each take 2.5 s."""
    written = AIPERF | {"input_config": {}, "request_throughput": {"avg": 4.0}}
    ((_, said),) = saved_results(json.dumps(written).encode())
    assert said["limit"] == 10


def test_each_line_is_a_result_and_what_is_none_is_left_out():
    lines = [json.dumps(SGLANG), "", "no result", json.dumps({"results": {}}), json.dumps(VLLM)]
    assert [said["limit"] for _, said in saved_results("\n".join(lines).encode())] == [16, 32]


@pytest.mark.parametrize(
    "data", [b"", b"7", b"[1, null]", b"{", b"\xff{}", b"[" * 100_000, b'{"benchmarks": 3}',
             b'{"output_throughput": "x", "total_output_tokens": null}', b'{"a":' * 100_000],
)  # fmt: skip
def test_what_is_no_result_is_none(data):
    assert saved_results(data) == []


def test_numbers_that_are_none_are_no_values():
    broken = {**VLLM, "mean_ttft_ms": float("nan"), "mean_tpot_ms": True, "completed": "320"}
    ((result, _),) = saved_results(json.dumps(broken).encode())
    assert not {"ttft_s", "token_s", "requests"} & result.values.keys()
