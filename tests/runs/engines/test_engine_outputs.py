"""Outputs of engines' benchmark programs, verbatim, with where they stand."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermoflop.errors import InputError
from thermoflop.runs.engines.llama_bench import llama_bench_tests
from thermoflop.runs.engines.printed import read_result
from thermoflop.runs.measured import read_measured

VLLM_SERVE = """\
============ Serving Benchmark Result ============
Successful requests:                     16
Failed requests:                         0
Benchmark duration (s):                  20.87
Total input tokens:                      16368
Total generated tokens:                  5600
Request throughput (req/s):              0.77
Output token throughput (tok/s):         268.31
Peak output token throughput (tok/s):    352.00
Peak concurrent requests:                16.00
Total token throughput (tok/s):          1052.55
---------------Time to First Token----------------
Mean TTFT (ms):                          2633.55
Median TTFT (ms):                        2648.65
P99 TTFT (ms):                           4610.48
-----Time per Output Token (excl. 1st token)------
Mean TPOT (ms):                          51.78
Median TPOT (ms):                        51.75
P99 TPOT (ms):                           57.57
---------------Inter-token Latency----------------
Mean ITL (ms):                           51.78
Median ITL (ms):                         46.55
P99 ITL (ms):                            258.31
==================================================
"""
SGLANG_SERVING = """\
============ Serving Benchmark Result ============
Backend:                                 sglang-oai
Traffic request rate:                    inf       
Max request concurrency:                 1         
Successful requests:                     5         
Benchmark duration (s):                  44.20     
Total input tokens:                      5000      
Total generated tokens:                  5000      
Total generated tokens (retokenized):    4997      
Request throughput (req/s):              0.11      
Input token throughput (tok/s):          113.12    
Output token throughput (tok/s):         113.12    
Total token throughput (tok/s):          226.24    
Concurrency:                             1.00      
----------------End-to-End Latency----------------
Mean E2E Latency (ms):                   8837.28   
Median E2E Latency (ms):                 8599.33   
---------------Time to First Token----------------
Mean TTFT (ms):                          363.58    
Median TTFT (ms):                        125.85    
P99 TTFT (ms):                           1063.32   
---------------Inter-Token Latency----------------
Mean ITL (ms):                           8.49      
Median ITL (ms):                         8.47      
P95 ITL (ms):                            8.66      
"""  # noqa: W291  # as it was printed
SGLANG_ONE_BATCH = """\
Warmup ...
Prefill. latency: 0.02265 s, throughput:   2648.96 token/s
Decode 0. Batch size: 1, latency: 0.00637 s, throughput:    157.09 token/s
Decode.  median latency: 0.00585 s, median throughput:    170.84 token/s
Total. latency:  0.076 s, throughput:    923.17 token/s
Benchmark ...
Prefill. latency: 0.01014 s, throughput:   5916.43 token/s
Decode 0. Batch size: 1, latency: 0.00572 s, throughput:    174.85 token/s
Decode.  median latency: 0.00572 s, median throughput:    174.85 token/s
Total. latency:  0.062 s, throughput:   1122.76 token/s
"""
LLAMA_BENCH = """\
| model                          |       size |     params | backend    | ngl |          test |                  t/s |
| ------------------------------ | ---------: | ---------: | ---------- | --: | ------------: | -------------------: |
| llama 1B F16                   |   2.30 GiB |     1.24 B | QNN        |  99 |         pp512 |         18.46 ± 1.73 |
| llama 1B F16                   |   2.30 GiB |     1.24 B | QNN        |  99 |         tg128 |          0.70 ± 0.00 |
"""  # noqa: E501
OLLAMA = """\
total duration:       2m27.989997625s
load duration:        559.665542ms
prompt eval count:    13 token(s)
prompt eval duration: 19.747s
prompt eval rate:     0.66 tokens/s
eval count:           1133 token(s)
eval duration:        2m7.682s
eval rate:            8.87 tokens/s
"""
OLLAMA_API = """\
{
  "model": "gemma3",
  "created_at": "2025-10-17T23:14:07.414671Z",
  "response": "Hello! How can I help you today?",
  "done": true,
  "done_reason": "stop",
  "total_duration": 174560334,
  "load_duration": 101397084,
  "prompt_eval_count": 11,
  "prompt_eval_duration": 13074791,
  "eval_count": 18,
  "eval_duration": 52479709
}
"""
LLAMA_CPP = """\
llama_print_timings:        load time =   907.71 ms
llama_print_timings:      sample time =   301.80 ms /   512 runs   (    0.59 ms per token,  1696.48 tokens per second)
llama_print_timings: prompt eval time =  6294.68 ms /   271 tokens (   23.23 ms per token,    43.05 tokens per second)
llama_print_timings:        eval time = 115222.19 ms /   510 runs   (  225.93 ms per token,     4.43 tokens per second)
"""  # noqa: E501
LLAMA_SERVER = """\
slot print_timing: id  0 | task 0 |
prompt eval time =     262.33 ms /   512 tokens (    0.51 ms per token,  1951.74 tokens per second)
       eval time =    1725.25 ms /   128 tokens (   13.48 ms per token,    74.19 tokens per second)
      total time =    1987.58 ms /   640 tokens
"""
TENSORRT_LLM = """\
===========================================================
= REQUEST DETAILS 
===========================================================
Number of requests:             6144
Number of concurrent requests:  1018.8281
Average Input Length (tokens):  1024.0000
Average Output Length (tokens): 1024.0000
===========================================================
= PERFORMANCE OVERVIEW 
===========================================================
Request Throughput (req/sec):                     7.3411
Total Output Throughput (tokens/sec):             7517.2584
"""  # noqa: W291
LLAMA_BENCH_CSV = """\
build_commit,build_number,cpu_info,gpu_info,backends,model_filename,model_type,n_prompt,n_gen,\
n_depth,test_time,avg_ns,stddev_ns,avg_ts,stddev_ts
"8cf427ff","5163","AMD Ryzen 7 7800X3D 8-Core Processor","NVIDIA GeForce RTX 4080","CUDA",\
"models/Qwen2.5-7B-Instruct-Q4_K_M.gguf","qwen2 7B Q4_K - Medium","512","0","0",\
"2025-04-24T11:57:09Z","70285660","982040","7285.676949","100.064434"
"8cf427ff","5163","AMD Ryzen 7 7800X3D 8-Core Processor","NVIDIA GeForce RTX 4080","CUDA",\
"models/Qwen2.5-7B-Instruct-Q4_K_M.gguf","qwen2 7B Q4_K - Medium","0","128","0",\
"2025-04-24T11:57:10Z","1067431600","3834831","119.915244","0.430617"
"""
LLAMA_BENCH_JSON = """\
[
  {
    "backends": "CUDA",
    "model_type": "qwen2 7B Q4_K - Medium",
    "n_prompt": 512,
    "n_gen": 0,
    "n_depth": 0,
    "test_time": "2025-04-24T11:58:50Z",
    "avg_ns": 72135640,
    "stddev_ns": 1453752,
    "avg_ts": 7100.002165,
    "stddev_ts": 140.341520,
    "samples_ns": [ 74601900, 71632900, 71745200, 71952700, 70745500 ],
    "samples_ts": [ 6863.1, 7147.55, 7136.37, 7115.79, 7237.21 ]
  },
  {
    "backends": "CUDA",
    "model_type": "qwen2 7B Q4_K - Medium",
    "n_prompt": 0,
    "n_gen": 128,
    "n_depth": 0,
    "test_time": "2025-04-24T11:58:51Z",
    "avg_ns": 1076767880,
    "stddev_ns": 9449585,
    "avg_ts": 118.881588,
    "stddev_ts": 1.041811,
    "samples_ns": [ 1075361300, 1065089400, 1071761200, 1081934900, 1089692600 ],
    "samples_ts": [ 119.03, 120.178, 119.43, 118.307, 117.464 ]
  }
]
"""
LLAMA_BENCH_OLD = """\
| model                          |       size |     params | backend    | ngl | test       |              t/s |
| ------------------------------ | ---------: | ---------: | ---------- | --: | ---------- | ---------------: |
| llama 7B mostly Q4_0           |   3.56 GiB |     6.74 B | CUDA       |  -1 | pp 512     |  2368.80 ± 93.24 |
| llama 7B mostly Q4_0           |   3.56 GiB |     6.74 B | CUDA       |  -1 | tg 128     |    131.42 ± 0.59 |
"""  # noqa: E501
GENAI_PERF = """\
                              NVIDIA GenAI-Perf | LLM Metrics
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━━┓
┃                         Statistic ┃    avg ┃    min ┃    max ┃    p99 ┃    p90 ┃    p75 ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━━┩
│          Time to first token (ms) │  16.26 │  12.39 │  17.25 │  17.09 │  16.68 │  16.56 │
│          Inter token latency (ms) │   1.85 │   1.55 │   2.04 │   2.02 │   1.97 │   1.92 │
│              Request latency (ms) │ 499.20 │ 451.01 │ 554.61 │ 548.69 │ 526.13 │ 514.19 │
│            Output sequence length │ 261.90 │ 256.00 │ 298.00 │ 296.60 │ 270.00 │ 265.00 │
│             Input sequence length │ 550.06 │ 550.00 │ 553.00 │ 551.60 │ 550.00 │ 550.00 │
│ Output token throughput (per sec) │ 520.87 │    N/A │    N/A │    N/A │    N/A │    N/A │
│      Request throughput (per sec) │   1.99 │    N/A │    N/A │    N/A │    N/A │    N/A │
└───────────────────────────────────┴────────┴────────┴────────┴────────┴────────┴────────┘
"""
GENAI_PERF_OLD = """\
                                LLM Metrics                                 \n\
┏━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━┳━━━━━━━┳━━━━━━━┳━━━━━━━┳━━━━━━━┳━━━━━━━┓
┃                Statistic ┃   avg ┃   min ┃   max ┃   p99 ┃   p90 ┃   p75 ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━╇━━━━━━━╇━━━━━━━╇━━━━━━━╇━━━━━━━╇━━━━━━━┩
│     Request latency (ms) │  5.00 │  4.00 │  6.00 │  5.98 │  5.80 │  5.50 │
│ Time to first token (ms) │  8.00 │  7.00 │  9.00 │  8.98 │  8.80 │  8.50 │
│ Inter token latency (ms) │ 11.00 │ 10.00 │ 12.00 │ 11.98 │ 11.80 │ 11.50 │
│   Output sequence length │  2.00 │  1.00 │  3.00 │  2.98 │  2.80 │  2.50 │
│    Input sequence length │  6.00 │  5.00 │  7.00 │  6.98 │  6.80 │  6.50 │
└──────────────────────────┴───────┴───────┴───────┴───────┴───────┴───────┘
Request throughput (requests/sec): 123.00
Output token throughput (tokens/sec): 456.00
"""
AIPERF = """\
                                     NVIDIA AIPerf | LLM Metrics
┏━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━━┓
┃              Metric ┃      avg ┃      min ┃       max ┃      p99 ┃      p90 ┃      p50 ┃      std ┃
┡━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━┩
│ Time to First Token │    17.73 │    12.25 │     53.21 │    53.17 │    19.85 │    14.63 │     9.90 │
│                (ms) │          │          │           │          │          │          │          │
│       Time to First │    17.73 │    12.25 │     53.21 │    53.17 │    19.85 │    14.63 │     9.90 │
│   Output Token (ms) │          │          │           │          │          │          │          │
│ Inter Token Latency │     3.81 │     3.53 │      4.17 │     4.15 │     3.97 │     3.79 │     0.12 │
│                (ms) │          │          │           │          │          │          │          │
│        Output Token │   262.66 │   239.55 │    283.24 │   279.36 │   270.36 │   264.13 │     8.25 │
│ Throughput Per User │          │          │           │          │          │          │          │
│   (tokens/sec/user) │          │          │           │          │          │          │          │
│        Output Token │ 1,007.36 │      N/A │       N/A │      N/A │      N/A │      N/A │      N/A │
│          Throughput │          │          │           │          │          │          │          │
│        (tokens/sec) │          │          │           │          │          │          │          │
│       Request Count │    50.00 │      N/A │       N/A │      N/A │      N/A │      N/A │      N/A │
│          (requests) │          │          │           │          │          │          │          │
└─────────────────────┴──────────┴──────────┴───────────┴──────────┴──────────┴──────────┴──────────┘
"""  # noqa: E501
VLLM_THROUGHPUT = """\
Throughput: 25.00 requests/s, 28800.00 total tokens/s, 3200.00 output tokens/s
Total num prompt tokens:  1024000
Total num output tokens:  128000
"""
SGLANG_OFFLINE = """\
====== Offline Throughput Benchmark Result =======
Backend:                                 engine    
Successful requests:                     2000      
Benchmark duration (s):                  350.25    
Total input tokens:                      626729    
Total generated tokens:                  388685    
Last generation throughput (tok/s):      33.36     
Request throughput (req/s):              5.71      
Input token throughput (tok/s):          1789.23   
Output token throughput (tok/s):         1109.45   
Total token throughput (tok/s):          2898.68   
==================================================
"""  # noqa: W291


@pytest.mark.parametrize(
    ("output", "program", "values"),
    [
        pytest.param(  # github.com/vllm-project/vllm/pull/33743
            VLLM_SERVE, "a serving benchmark",
            {"requests": 16, "prompt_tokens": 16368, "generated_tokens": 5600,
             "tokens_per_s": 268.31, "ttft_s": 2.63355, "token_s": 0.05178}, id="vllm bench serve",
        ),
        pytest.param(  # github.com/sgl-project/sglang/pull/8552: no TPOT, so the mean ITL
            SGLANG_SERVING, "a serving benchmark",
            {"requests": 5, "prompt_tokens": 5000, "generated_tokens": 5000, "tokens_per_s": 113.12,
             "ttft_s": 0.36358, "token_s": 0.00849}, id="sglang.bench_serving",
        ),
        pytest.param(  # github.com/sgl-project/sglang/pull/30147: the second one is the benchmark
            SGLANG_ONE_BATCH, "sglang.bench_one_batch",
            # one of 60 tokens: 10.14 ms of 5,916.43/s; 69.6 in all, so 9.6 of output: not decided
            {"ttft_s": 0.01014, "token_s": 0.00572, "total_s": 0.062, "requests": 1,
             "prompt_tokens": 60}, id="sglang.bench_one_batch",
        ),
        pytest.param(  # github.com/chraac/llama.cpp/pull/7: 512 / 18.46 s, and 1 / 0.70 s
            LLAMA_BENCH, "llama-bench",
            {"prompt_tokens": 512, "ttft_s": 27.7356446, "generated_tokens": 128,
             "token_s": 1.4285714, "format": "fp16"}, id="llama-bench",
        ),
        # ggml-org/llama.cpp tools/llama-bench/README.md, some of its columns; of before the tables
        # without the blank
        pytest.param(
            LLAMA_BENCH_CSV, "llama-bench",
            {"prompt_tokens": 512, "ttft_s": 512 / 7285.676949, "generated_tokens": 128,
             "token_s": 1 / 119.915244, "format": "q4_k_m"}, id="llama-bench -o csv",
        ),
        pytest.param(
            LLAMA_BENCH_JSON, "llama-bench",
            {"prompt_tokens": 512, "ttft_s": 512 / 7100.002165, "generated_tokens": 128,
             "token_s": 1 / 118.881588, "format": "q4_k_m"}, id="llama-bench -o json",
        ),
        pytest.param(  # an object a line
            re.sub(r"\s*\n\s*", "", LLAMA_BENCH_JSON).replace("},", "}\n"), "llama-bench",
            {"prompt_tokens": 512, "ttft_s": 512 / 7100.002165, "generated_tokens": 128,
             "token_s": 1 / 118.881588, "format": "q4_k_m"}, id="llama-bench -o jsonl",
        ),
        pytest.param(
            LLAMA_BENCH_OLD, "llama-bench",
            {"prompt_tokens": 512, "ttft_s": 512 / 2368.80, "generated_tokens": 128,
             "token_s": 1 / 131.42, "format": "q4_0"}, id="llama-bench, older",
        ),
        pytest.param(  # triton-inference-server/perf_analyzer genai-perf/README.md
            GENAI_PERF, "genai-perf",
            {"tokens_per_s": 520.87, "ttft_s": 0.01626, "token_s": 0.00185,
             "prompt_tokens": 550.06, "generated_tokens": 261.9}, id="genai-perf",
        ),
        pytest.param(  # the same, genai-perf/tests/test_console_exporter.py
            GENAI_PERF_OLD, "genai-perf",
            {"tokens_per_s": 456, "ttft_s": 0.008, "token_s": 0.011, "prompt_tokens": 6,
             "generated_tokens": 2}, id="genai-perf, older",
        ),
        pytest.param(  # ai-dynamo/aiperf docs/tutorials/custom-dataset.md, some of its rows
            AIPERF, "genai-perf",
            {"requests": 50, "tokens_per_s": 1007.36, "ttft_s": 0.01773, "token_s": 0.00381},
            id="aiperf",
        ),
        pytest.param(  # printed by vllm/benchmarks/throughput.py: 128,000 tokens / 3,200 x 25
            VLLM_THROUGHPUT, "vllm bench throughput",
            {"requests": 1000, "prompt_tokens": 1024000, "generated_tokens": 128000,
             "tokens_per_s": 3200}, id="vllm bench throughput",
        ),
        pytest.param(  # printed by sgl-project/sglang python/sglang/bench_offline_throughput.py
            SGLANG_OFFLINE, "a serving benchmark",
            {"requests": 2000, "prompt_tokens": 626729, "generated_tokens": 388685,
             "tokens_per_s": 1109.45}, id="sglang.bench_offline_throughput",
        ),
        pytest.param(  # github.com/taketwo/llm-ollama/issues/32: 127.682 s / 1133
            OLLAMA, "ollama",
            {"prompt_tokens": 13, "ttft_s": 19.747, "generated_tokens": 1133,
             "token_s": 0.112693733}, id="ollama run --verbose",
        ),
        pytest.param(  # docs.ollama.com/api/usage: 52.479709 ms / 18
            OLLAMA_API, "Ollama's API",
            {"requests": 1, "prompt_tokens": 11, "ttft_s": 0.013074791, "generated_tokens": 18,
             "token_s": 0.00291553939}, id="Ollama's API",
        ),
        pytest.param(  # github.com/ggml-org/llama.cpp/issues/2237: 115.22219 s / 510
            LLAMA_CPP, "llama.cpp",
            {"prompt_tokens": 271, "ttft_s": 6.29468, "generated_tokens": 510,
             "token_s": 0.22592586}, id="llama.cpp",
        ),
        pytest.param(  # printed by ggml-org/llama.cpp tools/server: 1725.25 ms / 128
            LLAMA_SERVER, "llama.cpp",
            {"prompt_tokens": 512, "ttft_s": 0.26233, "generated_tokens": 128,
             "token_s": 0.0134785156}, id="llama-server",
        ),
        pytest.param(  # github.com/NVIDIA/TensorRT-LLM/pull/7104
            TENSORRT_LLM, "trtllm-bench", {"requests": 6144, "tokens_per_s": 7517.2584,
             "prompt_tokens": 6144 * 1024, "generated_tokens": 6144 * 1024}, id="trtllm-bench",
        ),
    ],
)  # fmt: skip
def test_a_printed_result_is_read_in_the_units_of_marks(
    output: str, program: str, values: dict[str, float]
) -> None:
    for text in (output, output.replace("\n", "\r\n"), f"100%|####| 9/9\r{output}\x1b[0m"):
        result = read_result(text.encode())
        assert result is not None
        assert result.program == program
        assert result.values == pytest.approx(values)


@pytest.mark.parametrize(
    "output",
    [
        b"", b"\xff\xfe\0", b"Mean TTFT (ms): 12.5\n", b"eval rate: 24.61 tokens/s\n",
        b"the Avg latency: 1.5 seconds\n", b"Avg latency: nan seconds\n",
        b"| pp512 | 18.46 |\n", b"eval count: 0 token(s)\neval duration: 0s\n"[:0],
    ],
)  # fmt: skip
def test_what_no_program_prints_is_no_result(output: bytes) -> None:
    assert read_result(output) is None


def test_a_table_of_several_sizes_says_nothing_of_one() -> None:
    """pp512 and pp1024: neither is the run's prompt; the one generation is."""
    row = "| llama 1B F16 | 2.30 GiB | 1.24 B | QNN | 99 | pp1024 | 20.00 ± 0.10 |\n"
    result = read_result((LLAMA_BENCH + row).encode())
    assert result is not None
    assert set(result.values) == {"generated_tokens", "token_s", "format"}


def test_only_the_end_of_a_long_output_is_read() -> None:
    result = read_result(b"x" * (1 << 20) + b"\nAvg latency: 2.5 seconds\n" + b"." * 1000)
    assert result is not None
    assert result.values == {"total_s": 2.5}
    assert read_result(b"Avg latency: 2.5 seconds\n" + b"x\n" * (1 << 16)) is None


def test_tests_of_a_file_have_their_depth_and_what_ran_them() -> None:
    """-o json of two cards; ``n_depth`` tokens stand before."""
    deep = LLAMA_BENCH_JSON.replace('"n_depth": 0', '"n_depth": 4096').replace(
        '"backends": "CUDA"',
        '"backends": "CUDA", "gpu_info": "RTX 3090, RTX 3090", "model_n_params": 7615616512, '
        '"n_gpu_layers": 99',
    )
    tests = llama_bench_tests(deep.encode())
    assert [test.name for test in tests] == ["pp512 @ d4096", "tg128 @ d4096"]
    assert (tests[0].params, tests[0].layers) == (7_615_616_512, 99)
    assert (tests[0].backend, tests[0].gpu) == ("CUDA", "RTX 3090, RTX 3090")
    measured = read_measured("-", deep.encode())
    assert (measured.gpu, measured.devices) == ("RTX 3090", 2)


def test_answers_of_ollama_add_up_and_what_the_model_says_of_itself_does_not() -> None:
    """A stream's last chunk each: 10 tokens in 1 s and 30 in 1 s are 40 tokens of 50 ms."""
    said = r'{"response":"{\"eval_count\": 999, \"eval_duration\": 5}","done":false}'
    ends = [
        f'{{"done":true,"prompt_eval_count":{n},"prompt_eval_duration":{ns},"eval_count":{tokens},'
        '"eval_duration":1000000000}'
        for n, ns, tokens in ((4, 100_000_000, 10), (6, 300_000_000, 30))
    ]
    result = read_result("\n".join([said, ends[0], said, ends[1], ""]).encode())
    assert result is not None
    assert result.values == pytest.approx({
        "requests": 2, "prompt_tokens": 10, "ttft_s": 0.2, "generated_tokens": 40, "token_s": 0.05,
    })  # fmt: skip


OUTPUTS = sorted(value for name, value in globals().items() if name.isupper())
EXTREMES = ["0", "-1", "nan", "inf", "1e308", "1e-308", "9" * 400, "", "null"]


@given(st.sampled_from(OUTPUTS), st.data())
def test_no_number_in_an_output_leads_to_a_crash_or_a_value_that_is_none(
    output: str, data: st.DataObject
) -> None:
    places = [match.span() for match in re.finditer(r"\d+(?:\.\d+)?", output)]
    start, end = data.draw(st.sampled_from(places))
    changed = output[:start] + data.draw(st.sampled_from(EXTREMES)) + output[end:]
    try:
        measured = read_measured("-", changed.encode())
    except InputError:
        return
    counts = [*measured.values.values(), *(test.tokens_per_s for test in measured.tests)]
    assert all(0 < value < math.inf for value in counts)
