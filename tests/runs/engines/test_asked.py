"""What the command lines of benchmark programs ask for."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.runs.engines.asked import read_command

MORE = (
    "--input-len 1000 --output-len 100 --dtype half --kv-cache-dtype fp8_e4m3 "
    "--enable-expert-parallel"
)
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.parametrize(
    ("command", "program", "options"),
    [
        (f"vllm bench latency --model {LLAMA}", "vllm bench latency",
         {"prompt": 32, "generate": 128, "batch": 8, "tp": 1, "pp": 1, "dp": 1,
          "profile": "vllm"}),
        (f"/usr/bin/vllm bench latency --model={LLAMA} -tp 2 --batch-size=4 {MORE}",
         "vllm bench latency",
         {"prompt": 1000, "generate": 100, "batch": 4, "tp": 2, "pp": 1, "dp": 1, "ep": 2,
          "dtype": "fp16", "kv_dtype": "fp8", "profile": "vllm"}),
        (f"vllm bench throughput --model {LLAMA} --input-len 512 --max-num-seqs 64 -q fp8",
         "vllm bench throughput",
         {"prompt": 512, "generate": 128, "batch": 64, "tp": 1, "pp": 1, "dp": 1, "dtype": "fp8",
          "profile": "vllm"}),
        (f"python -m sglang.bench_one_batch --model-path {LLAMA} --batch 32 --tp 4",
         "sglang.bench_one_batch",
         {"prompt": 1024, "generate": 16, "batch": 32, "tp": 4, "pp": 1, "dp": 1, "ep": 1,
          "profile": "sglang"}),
        (f"./llama-bench -m {LLAMA} -p 256 -n 64", "llama-bench",
         {"prompt": 256, "generate": 64, "profile": "llama.cpp"}),
    ],
)  # fmt: skip
def test_a_benchmark_s_command_line_says_model_layout_and_sizes(
    command: str, program: str, options: dict[str, Any]
) -> None:
    asked = read_command(command.split())
    assert asked is not None
    assert (asked.program, asked.model, asked.missing) == (program, LLAMA, "")
    assert dict(asked.options) == options


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (f"vllm bench serve --model {LLAMA}", "--max-concurrency is not given"),
        (f"vllm bench serve --model {LLAMA} --max-concurrency 8", "the layout is the server's"),
        (f"trtllm-bench --model {LLAMA} throughput --tp 2", "--concurrency is not given"),
        (f"llama-bench -m {LLAMA} -p 512,1024", "prompt is '512,1024', not one number"),
        (f"python -m sglang.bench_one_batch --model-path {LLAMA} --batch a", "batch is 'a'"),
        (f"ollama run --verbose {LLAMA} hello", "say it with --prompt and --generate"),
    ],
)
def test_what_the_command_line_does_not_say_is_named(command: str, missing: str) -> None:
    asked = read_command(command.split())
    assert asked is not None
    assert missing in asked.missing


@pytest.mark.parametrize(
    "command",
    ["", "python bench.py --model gpt2", "vllm serve gpt2", "vllm bench latency",
     "vllm bench latency --model", "bench vllm latency --model gpt2", "echo vllm-bench latency"],
)  # fmt: skip
def test_another_command_is_none_of_ours(command: str) -> None:
    assert read_command(command.split()) is None
