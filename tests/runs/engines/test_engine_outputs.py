"""Outputs of engines' benchmark programs, verbatim, with where they stand."""

from __future__ import annotations

import pytest
from thermoflop.runs.engines.printed import read_result

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
            {"ttft_s": 0.01014, "token_s": 0.00572, "total_s": 0.062}, id="sglang.bench_one_batch",
        ),
        pytest.param(  # github.com/chraac/llama.cpp/pull/7: 512 / 18.46 s, and 1 / 0.70 s
            LLAMA_BENCH, "llama-bench",
            {"prompt_tokens": 512, "ttft_s": 27.7356446, "generated_tokens": 128,
             "token_s": 1.4285714, "format": "fp16"}, id="llama-bench",
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
        pytest.param(  # github.com/NVIDIA/TensorRT-LLM/pull/7104
            TENSORRT_LLM, "trtllm-bench", {"requests": 6144, "tokens_per_s": 7517.2584},
            id="trtllm-bench",
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
