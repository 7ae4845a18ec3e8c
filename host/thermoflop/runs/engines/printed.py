"""The results that benchmark programs of engines print, read as they stand.

The keys are those of marks: ``ttft_s``, ``token_s``, ``total_s``, ``tokens_per_s``, and beside them
``prompt_tokens``, ``generated_tokens``, ``requests`` and ``format``: not ``tokens``, whose rate
would be that of the whole command, loading included. A line counts as a whole; of results that are
printed twice, as after a warm-up, the last one. Verbatim outputs with their sources are in
``tests/runs/engines``.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from thermoflop.base.record import record

MOST_BYTES = 64 << 10  # of the end of an output: results come last
_NUMBER = r"(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_FIELD = re.compile(r'"(model_type|n_prompt|n_gen|n_depth|avg_ts)":\s*"?([^",}]+)')
_MARKED = re.compile("[:=|│,]").search  # each line that is read has one of these
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


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
    lines = _lines(output)
    for program, read in _READERS.items():
        if numbers := {key: v for key, v in read(lines).items() if math.isfinite(v)}:
            values: Values = {**numbers, **_format(lines)} if read is _llama_bench else {**numbers}
            return EngineResult(program, values)
    return None


def _lines(output: bytes) -> list[str]:
    """The lines of an output's end that may say something, as a terminal leaves them."""
    text = _ESCAPES.sub("", output[-MOST_BYTES:].decode("utf-8", "replace"))
    lines = [line.rpartition("\r")[2].strip() for line in text.replace("\r\n", "\n").split("\n")]
    return [line for line in lines if _MARKED(line)]


def users_at_once(output: bytes) -> int | None:
    """How many requests a serving benchmark had at once, as it prints that; None where it does
    not."""
    stated = {
        "limit": (_labelled(r"Max(?:imum)? request concurrency"), 1.0),
        "peak": (_labelled("Peak concurrent requests"), 1.0),
    }
    found = _matched(_lines(output), stated)
    return round(found.get("limit", found.get("peak", 0))) or None


@record
class BenchTest:
    """One test of llama-bench: ``pp512`` reads 512 tokens, ``tg128 @ d4096`` generates 128 after
    4,096; ``model`` is the name that it prints."""

    name: str
    model: str
    prompt: int
    generate: int
    depth: int
    tokens_per_s: float


def llama_bench_tests(output: bytes) -> list[BenchTest]:
    """Every test of the tables that llama-bench printed, in their order; of one that is there
    twice, the last.

    Example:
        >>> table = b"| model | test | t/s |\\n| llama 8B | pp512 @ d64 | 99.5 |\\n"
        >>> [(test.prompt, test.depth, test.tokens_per_s) for test in llama_bench_tests(table)]
        [(512, 64, 99.5)]
    """
    tests: dict[tuple[str, str], BenchTest] = {}
    for cells in _tests(_lines(output)):
        match, rate = _test(cells["test"]), _rate(cells["t/s"])
        if match and rate:
            tokens, model = int(match[2]), cells.get("model", "")
            sizes = (tokens, 0) if match[1] == "pp" else (0, tokens)
            name = f"{match[1]}{tokens}{f' @ d{match[3]}' if match[3] else ''}"
            tests[name, model] = BenchTest(name, model, *sizes, int(match[3] or 0), rate)
    return list(tests.values())


def _test(cell: str) -> re.Match[str] | None:
    return re.fullmatch(r"(pp|tg) ?(\d+)(?: @ d(\d+))?", cell)  # with a space in older ones


def _rate(cell: str) -> float:
    rate = re.fullmatch(rf"{_NUMBER}(?: ± [\d.]+)?", cell)
    return float(rate[1]) if rate else 0.0


def format_of(model: str) -> str:
    """The format in a model's name, as llama.cpp writes it: ``llama 8B Q4_K - Medium``; "" for
    none."""
    sizes = {"Small": "_s", "Medium": "_m", "Large": "_l", None: ""}
    match = re.search(r" (B?F16|I?Q\w+)(?: - (Small|Medium|Large))?$", model)
    name = match[1].lower() + sizes[match[2]] if match else ""
    return {"f16": "fp16"}.get(name, name)


def _matched(lines: list[str], patterns: dict[str, tuple[str, float]]) -> dict[str, float]:
    """key -> the number in the last line that its expression matches, times the factor."""
    values = {}
    compiled = {key: (re.compile(text), factor) for key, (text, factor) in patterns.items()}
    for line in lines:
        for key, (pattern, factor) in compiled.items():
            if match := pattern.fullmatch(line):
                values[key] = float(match[1]) * factor
    return values


def _labelled(label: str) -> str:
    return rf"{label}:\s*{_NUMBER}"


def _serving(lines: list[str]) -> dict[str, float]:
    """The block that `vllm bench serve` prints, and sglang.bench_serving after it; that of
    sglang.bench_offline_throughput has fewer lines."""
    head = re.compile(r"=+ (?:Serving|Offline Throughput) Benchmark Result =+")
    if not any(map(head.fullmatch, lines)):
        return {}
    values = _matched(lines, {
        "requests": (_labelled("Successful requests"), 1),
        "prompt_tokens": (_labelled("Total input tokens"), 1),
        "generated_tokens": (_labelled("Total generated tokens"), 1),
        "tokens_per_s": (_labelled(r"Output token throughput \(tok/s\)"), 1),
        "ttft_s": (_labelled(r"Mean TTFT \(ms\)"), 1e-3),
        "token_s": (_labelled(r"Mean TPOT \(ms\)"), 1e-3),
        "itl_s": (_labelled(r"Mean ITL \(ms\)"), 1e-3),
    })  # fmt: skip
    between_s = values.pop("itl_s", 0.0)
    if between_s > 0:  # older ones of SGLang print no TPOT
        values.setdefault("token_s", between_s)
    return values


def _vllm_latency(lines: list[str]) -> dict[str, float]:
    return _matched(lines, {"total_s": (rf"Avg latency: {_NUMBER} seconds", 1)})


def _vllm_throughput(lines: list[str]) -> dict[str, float]:
    rates = rf"Throughput: [\d.]+ requests/s, [\d.]+ total tokens/s, {_NUMBER} output tokens/s"
    return _matched(lines, {"tokens_per_s": (rates, 1)})


def _sglang_one_batch(lines: list[str]) -> dict[str, float]:
    """A warm-up and the benchmark print the same: the last one counts."""
    rate = r"throughput:\s*[\d.]+ token/s"
    return _matched(lines, {
        "ttft_s": (rf"Prefill\. latency:\s*{_NUMBER} s, {rate}", 1),
        "token_s": (rf"Decode\.\s+median latency:\s*{_NUMBER} s, median {rate}", 1),
        "total_s": (rf"Total\. latency:\s*{_NUMBER} s, {rate}", 1),
    })  # fmt: skip


def _tensorrt_llm(lines: list[str]) -> dict[str, float]:
    if "= PERFORMANCE OVERVIEW" not in lines:
        return {}
    return _matched(lines, {
        "requests": (_labelled("Number of requests"), 1),
        "tokens_per_s": (_labelled(r"Total Output Throughput \(tokens/sec\)"), 1),
        "ttft_s": (_labelled(r"Average time-to-first-token \[TTFT\] \(ms\)"), 1e-3),
        "token_s": (_labelled(r"Average time-per-output-token \[TPOT\] \(ms\)"), 1e-3),
        "total_s": (_labelled(r"Average request latency \(ms\)"), 1e-3),
    })  # fmt: skip


def _genai_perf(lines: list[str]) -> dict[str, float]:
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
    if "timetofirsttoken(ms)" not in means and "requestlatency(ms)" not in means:
        return {}
    below = ["".join(line.split()).lower() for line in lines]  # older ones have the rates there
    return _matched([*(f"{name}:{mean}" for name, mean in means.items()), *below], {
        "requests": (_labelled(r"requestcount\((?:count|requests)\)"), 1),
        "tokens_per_s": (_labelled(r"outputtokenthroughput\((?:per|tokens/)sec\)"), 1),
        "ttft_s": (_labelled(r"timetofirsttoken\(ms\)"), 1e-3),
        "token_s": (_labelled(r"intertokenlatency\(ms\)"), 1e-3),
    })  # fmt: skip


def _llama_bench(lines: list[str]) -> dict[str, float]:
    """What llama-bench prints: ``pp512`` reads 512 tokens, ``tg128`` generates 128; one sequence.
    Where it ran several sizes none of them is the run's."""
    tests: dict[str, set[tuple[int, float]]] = {"pp": set(), "tg": set()}
    for cells in _tests(lines):
        match, rate = _test(cells["test"]), _rate(cells["t/s"])
        if match and not match[3] and rate > 0:
            tests[match[1]].add((int(match[2]), rate))
    values: dict[str, float] = {}
    if len(tests["pp"]) == 1:
        ((n, rate_per_s),) = tests["pp"]
        values |= {"prompt_tokens": float(n), "ttft_s": n / rate_per_s}
    if len(tests["tg"]) == 1:
        ((n, rate_per_s),) = tests["tg"]
        values |= {"generated_tokens": float(n), "token_s": 1 / rate_per_s}
    return values


def _format(lines: list[str]) -> dict[str, str]:
    """The format of the first model that names one."""
    named = (format_of(cells.get("model", "")) for cells in _tests(lines))
    name = next(filter(None, named), "")
    return {"format": name} if name else {}


def _tests(lines: list[str]) -> Iterator[dict[str, str]]:
    """The rows of llama-bench's table; those of its -o csv, json and jsonl as such."""
    yield from _below(map(_markdown, lines), "test", "t/s")
    separated = _below(csv.reader(lines), "n_prompt", "n_gen", "avg_ts")
    for each in (*_objects(lines), *separated):
        read, made = each.get("n_prompt", ""), each.get("n_gen", "")
        if "0" in (read, made) and each.get("n_depth", "0") == "0":
            test = f"tg{made}" if read == "0" else f"pp{read}"
            yield {"test": test, "t/s": each["avg_ts"], "model": each.get("model_type", "")}


def _objects(lines: list[str]) -> Iterator[dict[str, str]]:
    """What stands in JSON objects, on one line or on many; the rate comes after the sizes."""
    fields: dict[str, str] = {}
    for line in lines:
        for name, value in _FIELD.findall(line):
            fields[name] = value.strip()
            if name == "avg_ts":
                yield fields
                fields = {}


def _markdown(line: str) -> list[str]:
    """The cells of a table's row; none where the line is no row."""
    return [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []


def _below(rows: Iterable[list[str]], *columns: str) -> Iterator[dict[str, str]]:
    """The rows below a head that has these columns, each as wide as it; a line without cells ends
    its table."""
    names: list[str] = []
    for cells in rows:
        if not cells or set(columns) <= set(cells):
            names = cells
        elif len(cells) == len(names):
            yield dict(zip(names, cells, strict=True))


def _ollama(lines: list[str]) -> dict[str, float]:
    """`ollama run --verbose`: Go's durations, such as 2m7.682s or 204.563ms."""
    duration = r"((?:\d+(?:\.\d+)?(?:h|m|s|ms|µs|ns))+)"
    counted: dict[str, Any] = {}
    for line in lines:
        for key, label, text in (
            ("prompt_tokens", "prompt eval count", rf"{_NUMBER} token\(s\)"),
            ("generated_tokens", "eval count", rf"{_NUMBER} token\(s\)"),
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
    """The timings that llama.cpp's programs print, in milliseconds."""
    head, tail = r"\w*(?:timings|perf_context_print):\s*", r"\s*\(.*\)"
    values: dict[str, float] = {}
    for line in lines:
        n = r"\s*/\s*(\d+)\s*"
        if match := re.fullmatch(rf"{head}prompt eval time =\s*{_NUMBER} ms{n}tokens{tail}", line):
            values |= {"ttft_s": float(match[1]) / 1000, "prompt_tokens": float(match[2])}
        match = re.fullmatch(rf"{head}eval time =\s*{_NUMBER} ms{n}runs{tail}", line)
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
    "llama-bench": _llama_bench,
    "ollama": _ollama,
    "Ollama's API": _ollama_api,
    "llama.cpp": _llama_cpp,
}
