"""The results that benchmark programs of engines print, read as they stand.

The keys are those of marks: ``ttft_s``, ``token_s``, ``total_s``, ``tokens_per_s``, and beside them
``prompt_tokens``, ``generated_tokens``, ``requests`` and ``format``: not ``tokens``, whose rate
would be that of the whole command, loading included. A line counts as a whole; of results that are
printed twice, as after a warm-up, the last one. Verbatim outputs with their sources are in
``tests/runs/engines``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from thermoflop.base.record import record
from thermoflop.runs.engines.lines import NUMBER, labelled, lines_of, matched
from thermoflop.runs.engines.llama_bench import format_in, read_tests


@record
class EngineResult:
    """What one program printed: its name, and the values by the keys of marks."""

    program: str
    values: dict[str, float | str]


Values = dict[str, float | str]
Reader = Callable[[list[str]], dict[str, float]]


def read_result(output: bytes) -> EngineResult | None:
    """The result in a command's output; None where no program that is known printed one.

    Args:
        output: the end of what it printed, ``MOST_BYTES`` of it at most.

    Example:
        >>> read_result(b"Avg latency: 1.5 seconds\\n").values
        {'total_s': 1.5}
    """
    lines = lines_of(output)
    for program, read in _READERS.items():
        if numbers := {key: v for key, v in read(lines).items() if 0 < v < math.inf}:
            values: Values = {**numbers, **format_in(lines)} if read is read_tests else {**numbers}
            return EngineResult(program, values)
    return None


def load_printed(output: bytes) -> dict[str, float]:
    """What a benchmark prints of its load: ``limit`` or ``peak`` of requests at once, ``rate`` a
    second (infinite where all come at once), ``accepted`` tokens of each check of drafts."""
    lines = lines_of(output)
    limit = "(?:Max(?:imum)? request concurrency|Number of concurrent requests)"
    rate = r"(?:Traffic request rate|Request rate configured \(RPS\))"
    return _in_flight(_perf_means(lines)) | matched(lines, {
        "limit": (labelled(limit), 1),
        "peak": (labelled("Peak concurrent requests"), 1),
        "rate": (rf"{rate}:\s*(inf|[\d.]+)", 1),
        "accepted": (labelled("Accept(?:ance)? length"), 1),
    })  # fmt: skip


def _serving(lines: list[str]) -> dict[str, float]:
    """The block that `vllm bench serve` prints, and sglang.bench_serving after it; that of
    sglang.bench_offline_throughput has fewer lines."""
    head = re.compile(r"=+ (?:Serving|Offline Throughput) Benchmark Result =+")
    if not any(map(head.fullmatch, lines)):
        return {}
    values = matched(lines, {
        "requests": (labelled("Successful requests"), 1),
        "prompt_tokens": (labelled("Total input tokens"), 1),
        "generated_tokens": (labelled("Total generated tokens"), 1),
        "tokens_per_s": (labelled(r"Output token throughput \(tok/s\)"), 1),
        "ttft_s": (labelled(r"Mean TTFT \(ms\)"), 1e-3),
        "token_s": (labelled(r"Mean TPOT \(ms\)"), 1e-3),
        "itl_s": (labelled(r"Mean ITL \(ms\)"), 1e-3),
    })  # fmt: skip
    between_s = values.pop("itl_s", 0.0)
    if between_s > 0:  # older ones of SGLang print no TPOT
        values.setdefault("token_s", between_s)
    return values


def _vllm_latency(lines: list[str]) -> dict[str, float]:
    return matched(lines, {"total_s": (rf"Avg latency: {NUMBER} seconds", 1)})


def _vllm_throughput(lines: list[str]) -> dict[str, float]:
    """How many requests there were follows: so many tokens of all, at such rates of both."""
    line = r"Throughput: {} requests/s, [\d.]+ total tokens/s, {} output tokens/s"
    values = matched(lines, {
        "tokens_per_s": (line.format(r"[\d.]+", NUMBER), 1),
        "requests_per_s": (line.format(NUMBER, r"[\d.]+"), 1),
        "prompt_tokens": (labelled("Total num prompt tokens"), 1),
        "generated_tokens": (labelled("Total num output tokens"), 1),
    })  # fmt: skip
    rate, requests_per_s = values.get("tokens_per_s", 0.0), values.pop("requests_per_s", 0.0)
    if rate > 0 and len(values) == 3:
        return {**values, "requests": values["generated_tokens"] / rate * requests_per_s}
    return {"tokens_per_s": rate} if rate > 0 else {}


def _of_all(values: dict[str, float]) -> dict[str, float]:
    """With mean tokens of a request as those of all, where it is known how many there were."""
    requests = values.get("requests", 1.0)
    return {k: v * requests if k.endswith("_tokens") else v for k, v in values.items()}


def _sglang_one_batch(lines: list[str]) -> dict[str, float]:
    """A warm-up and the benchmark print the same: the last one counts. Its sizes follow from times
    and rates, that of outputs where the digits of both decide it."""
    line = r"{}latency:\s*{} s, {}throughput:\s*{} token/s"
    found = {
        key: matched(lines, {
            "s": (line.format(head, NUMBER, more, r"[\d.]+"), 1),
            "rate": (line.format(head, r"[\d.]+", more, NUMBER), 1),
        })
        for key, head, more in (("ttft_s", r"Prefill\. ", ""), ("total_s", r"Total\. ", ""),
                                ("token_s", r"Decode\.\s+median ", "median "))
    }  # fmt: skip
    values = {key: each["s"] for key, each in found.items() if "s" in each}
    tokens = {key: math.prod(each.values()) for key, each in found.items() if len(each) == 2}
    if len(tokens) == 3 and all(map(math.isfinite, tokens.values())) and values["total_s"]:
        batch = max(1, round(tokens["token_s"]))
        values |= {"requests": batch, "prompt_tokens": batch * round(tokens["ttft_s"] / batch)}
        if 5e-4 / values["total_s"] * tokens["total_s"] < batch / 2:
            output = round((tokens["total_s"] - values["prompt_tokens"]) / batch)
            values["generated_tokens"] = batch * max(output, 1)
    return values


def _tensorrt_llm(lines: list[str]) -> dict[str, float]:
    if "= PERFORMANCE OVERVIEW" not in lines:
        return {}
    return _of_all(matched(lines, {
        "requests": (labelled("Number of requests"), 1),
        "prompt_tokens": (labelled(r"Average Input Length \(tokens\)"), 1),
        "generated_tokens": (labelled(r"Average Output Length \(tokens\)"), 1),
        "tokens_per_s": (labelled(r"Total Output Throughput \(tokens/sec\)"), 1),
        "ttft_s": (labelled(r"Average time-to-first-token \[TTFT\] \(ms\)"), 1e-3),
        "token_s": (labelled(r"Average time-per-output-token \[TPOT\] \(ms\)"), 1e-3),
        "total_s": (labelled(r"Average request latency \(ms\)"), 1e-3),
    }))  # fmt: skip


def _in_flight(means: dict[str, str]) -> dict[str, float]:
    """Little's law: as many requests are in flight as come in the time that one takes."""
    found = matched([f"{name}:{mean}" for name, mean in means.items()], {
        "rate": (labelled(r"requestthroughput\((?:per|requests/)sec\)"), 1),
        "latency_s": (labelled(r"requestlatency\(ms\)"), 1e-3),
    })  # fmt: skip
    return {"limit": found["rate"] * found["latency_s"]} if len(found) == 2 else {}


def _perf_means(lines: list[str]) -> dict[str, str]:
    """The table of genai-perf, and of aiperf after it: a metric's mean is in the second column.
    A long name goes on in further rows, which have nothing else."""
    means: dict[str, str] = {}
    name = mean = ""
    for line in lines:
        cells = ["".join(cell.split()).lower() for cell in line.strip("│").split("│")]
        if not line.startswith("│") or len(cells) < 2:
            continue
        if any(cells[1:]):
            name, mean = cells[0], cells[1].replace(",", "")
        else:
            means.pop(name, None)
            name += cells[0]
        means[name] = mean
    return means


def _genai_perf(lines: list[str]) -> dict[str, float]:
    means = _perf_means(lines)
    if "timetofirsttoken(ms)" not in means and "requestlatency(ms)" not in means:
        return {}
    below = ["".join(line.split()).lower() for line in lines]  # older ones have the rates there
    return _of_all(matched([*(f"{name}:{mean}" for name, mean in means.items()), *below], {
        "requests": (labelled(r"requestcount\((?:count|requests)\)"), 1),
        "prompt_tokens": (labelled(r"inputsequencelength(?:\(tokens\))?"), 1),
        "generated_tokens": (labelled(r"outputsequencelength(?:\(tokens\))?"), 1),
        "tokens_per_s": (labelled(r"outputtokenthroughput\((?:per|tokens/)sec\)"), 1),
        "ttft_s": (labelled(r"timetofirsttoken\(ms\)"), 1e-3),
        "token_s": (labelled(r"intertokenlatency\(ms\)"), 1e-3),
    }))  # fmt: skip


def _ollama(lines: list[str]) -> dict[str, float]:
    """`ollama run --verbose`: Go's durations, such as 2m7.682s or 204.563ms."""
    duration = r"((?:\d+(?:\.\d+)?(?:h|m|s|ms|µs|ns))+)"
    counted: dict[str, Any] = {}
    for line in lines:
        for key, label, text in (
            ("prompt_tokens", "prompt eval count", rf"{NUMBER} token\(s\)"),
            ("generated_tokens", "eval count", rf"{NUMBER} token\(s\)"),
            ("ttft_s", "prompt eval duration", duration),
            ("decode_s", "eval duration", duration),
        ):
            if match := re.fullmatch(rf"{label}:\s*{text}", line):
                counted[key] = _seconds(match[1]) if "duration" in label else float(match[1])
    decode_s = counted.pop("decode_s", 0.0)
    if decode_s > 0 and counted.get("generated_tokens", 0) > 0:
        counted["token_s"] = decode_s / counted["generated_tokens"]
    return counted


def _ollama_api(lines: list[str]) -> dict[str, float]:
    """The counters that end each answer of Ollama's API, in nanoseconds, as curl prints them
    (docs.ollama.com/api/usage): the tokens of all, and the means. In a text of the model's own the
    quotes would be escaped."""
    sums: dict[str, list[float]] = {}
    for line in lines:
        for name, digits in re.findall(
            r'"((?:prompt_)?eval_(?:count|duration))"\s*:\s*(\d+)', line
        ):
            sums.setdefault(name, []).append(float(digits))
    decode_ns, tokens = sums.get("eval_duration", []), sum(sums.get("eval_count", []))
    if not decode_ns or tokens <= 0:
        return {}
    values = {
        "requests": float(len(decode_ns)),
        "generated_tokens": tokens,
        "token_s": sum(decode_ns) / 1e9 / tokens,
    }
    if prompts := sums.get("prompt_eval_count"):  # left out where all of it was cached
        values["prompt_tokens"] = sum(prompts)
    if prompt_ns := sums.get("prompt_eval_duration"):
        values["ttft_s"] = sum(prompt_ns) / 1e9 / len(prompt_ns)
    return values


_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}


def _seconds(duration: str) -> float:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|µs|ns|h|m|s)", duration)
    return math.fsum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _llama_cpp(lines: list[str]) -> dict[str, float]:
    """The timings that llama.cpp's programs print, in milliseconds; of its server the last ones."""
    head, tail = r"(?:\S.*[:|]\s*)?", r"\s*\(.*\)"
    values: dict[str, float] = {}
    for line in lines:
        n = r"\s*/\s*(\d{1,9})\s*"
        if match := re.fullmatch(rf"{head}prompt eval time =\s*{NUMBER} ms{n}tokens{tail}", line):
            values |= {"ttft_s": float(match[1]) / 1000, "prompt_tokens": float(match[2])}
        match = re.fullmatch(rf"{head}eval time =\s*{NUMBER} ms{n}(?:runs|tokens){tail}", line)
        if match and (runs := int(match[2])) > 0:
            values |= {"token_s": float(match[1]) / 1000 / runs, "generated_tokens": float(runs)}
    return values


_READERS: dict[str, Reader] = {
    "a serving benchmark": _serving,
    "vllm bench latency": _vllm_latency,
    "vllm bench throughput": _vllm_throughput,
    "sglang.bench_one_batch": _sglang_one_batch,
    "trtllm-bench": _tensorrt_llm,
    "genai-perf": _genai_perf,
    "llama-bench": read_tests,
    "ollama": _ollama,
    "Ollama's API": _ollama_api,
    "llama.cpp": _llama_cpp,
}
