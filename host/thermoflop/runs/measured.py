"""What was measured: a number that somebody typed, or what a benchmark printed or wrote."""

from __future__ import annotations

import math
import re

from thermoflop.base.record import record
from thermoflop.errors import InputError
from thermoflop.runs.engines.lines import MOST_BYTES
from thermoflop.runs.engines.llama_bench import BenchTest, format_of, llama_bench_tests
from thermoflop.runs.engines.printed import load_printed, read_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.runs.engines.printed import EngineResult

NUMBER = "your number"
# Whose engine a program runs, where its output does not say.
_PROFILES = {
    "llama-bench": "llama.cpp", "llama.cpp": "llama.cpp", "ollama": "ollama",
    "Ollama's API": "ollama", "vllm bench latency": "vllm", "vllm bench throughput": "vllm",
    "a serving benchmark": "vllm", "sglang.bench_one_batch": "sglang",
    "trtllm-bench": "tensorrt-llm",
}  # fmt: skip
# The engine behind a serving benchmark, by how the name of its backend begins.
_BACKENDS = {
    "sglang": "sglang", "engine": "sglang", "vllm": "vllm", "openai": "vllm",
    "trt": "tensorrt-llm", "tensorrt": "tensorrt-llm", "llama.cpp": "llama.cpp",
}  # fmt: skip
_ALL_AT_ONCE = ("vllm bench throughput", "engine")  # programs and backends without a server
_AS_ASKED = 0.9  # of the rate that was asked for: below that requests waited for others
_MOST = 1e9  # requests at once, or devices: more is no count
_LEAST = 1e-15  # of what is counted or timed, and of its inverse
_LONGEST_NUMBER = 100
_MOST_SAVED_BYTES = 64 << 20  # with every token's time
_FIGURES = {"ttft_s", "token_s", "total_s", "tokens_per_s", "requests_per_s"}  # that are judged
_IN_A_SECOND = {"ms": 1e3, "s": 1.0, "us": 1e6, "µs": 1e6}
_READ = re.compile(
    r"(\d+|\d{1,3}(?:,\d{3})+|(?=\.\d))(\.\d+)?(e[+-]?\d+)? ?"
    r"(?:(?P<time>ms|s|us|µs)(?:(?:/| ?per )(?:t|tok|token))?"
    r"|(?:t|toks?|tokens?)?(?:/| ?per )s(?:ec|econd)?|t(?:ok)?ps)?"
)
_EXPECTED = (
    "the output of a benchmark, tokens/s such as 72.4 or 1,234.5, or the time of a token such as "
    "13.9ms"
)


@record
class Measured:
    """What was measured: the program, its values by the keys of marks, the tests of llama-bench,
    its engine (None: not known), and what it says of its run. ``users`` ask again as soon as they
    are answered, requests come at a ``rate``, or all come ``at_once``."""

    program: str
    values: dict[str, float]
    tests: tuple[BenchTest, ...] = ()
    profile: str | None = None
    gpu: str | None = None
    users: int | None = None
    rate: float | None = None
    at_once: bool = False
    dtype: str | None = None
    devices: int | None = None
    accepted: float = 1.0
    notes: tuple[str, ...] = ()
    model: str = ""


def read_number(text: str) -> Measured | None:
    """A number of tokens a second, or the time of a token; None for what is neither.

    Example:
        >>> read_number("1,234.5 tok/s").values, read_number("13.9 ms").values
        ({'tokens_per_s': 1234.5}, {'token_s': 0.0139})
        >>> read_number("72,4") is None
        True
    """
    found = _READ.fullmatch(text.strip().lower())
    value = (
        float("".join(part or "" for part in found.groups()[:3]).replace(",", "")) if found else 0
    )
    if not found or not _LEAST < value < 1 / _LEAST:
        return None
    unit = found["time"]
    return Measured(
        NUMBER, {"token_s": value / _IN_A_SECOND[unit]} if unit else {"tokens_per_s": value}
    )


def read_measured(source: str, data: bytes | None = None) -> Measured:
    """What a source says: a number, or the output or the result file of a benchmark, which is in
    ``data`` or else in the file that the source names. InputError where it says nothing."""
    piped = b"" if data is None or len(data) > _LONGEST_NUMBER else data
    typed = source if data is None else piped.decode("utf-8", "replace")
    if (number := read_number(typed)) is not None:
        return number
    if data is None:
        data = _read(source)
    from thermoflop.runs.engines.saved import saved_results

    if saved := saved_results(data):
        result, load = saved[-1]
        several = f"{len(saved)} results in it: the last one is checked"
        measured = _told(result, (), load, (several,) * (len(saved) > 1))
    else:
        output = data[-MOST_BYTES:]
        tests = tuple(llama_bench_tests(output))
        measured = _told(read_result(output), tests, _said(output, tests))
    if not (measured.tests or _FIGURES & measured.values.keys()):
        raise InputError(
            f"{source!r:.60} has no result of a benchmark in it: expected what llama-bench, ollama "
            "run --verbose, vllm bench, sglang's benchmarks, trtllm-bench, genai-perf or aiperf "
            "print or save, or guidellm saves"
        )
    return measured


def _read(source: str) -> bytes:
    import os

    from thermoflop.base.files import read_bytes

    if not os.path.lexists(source):
        raise InputError(f"{source!r:.60} is neither a file nor a number: expected {_EXPECTED}")
    return read_bytes(source, _EXPECTED, _MOST_SAVED_BYTES)


def _said(output: bytes, tests: tuple[BenchTest, ...]) -> dict[str, Any]:
    """What an output says of its load and its devices, if those are alike."""
    text = output.decode("utf-8", "replace")
    backend = re.search(r"^Backend:\s+(\S+)", text, re.MULTILINE)
    gpus = re.findall(r"^ *Device \d+: ([^,\n]+), compute capability", text, re.MULTILINE)
    gpus = gpus or [name for test in tests[:1] for name in test.gpu.split(", ") if name]
    alike = {"gpu": gpus[0], "devices": len(gpus)} if len(set(gpus)) == 1 else {}
    return {**load_printed(output), "backend": backend and backend[1], **alike}


def _told(
    result: EngineResult | None, tests: tuple[BenchTest, ...], said: dict[str, Any],
    notes: tuple[str, ...] = (),
) -> Measured:  # fmt: skip
    """A result with what else is said of its run."""
    models = {test.model for test in tests}
    if len(models) > 1:
        raise InputError(f"llama-bench ran {len(models)} models: keep the rows of one of them")
    program = "llama-bench" if result is None else result.program
    values = {} if result is None else result.values
    numbers = {key: float(v) for key, v in values.items() if not isinstance(v, str)}
    numbers = {key: value for key, value in numbers.items() if _LEAST < value < 1 / _LEAST}
    if program == "sglang.bench_one_batch" and "generated_tokens" not in numbers:
        numbers.pop("total_s", None)  # of outputs of a length that is not known
    dtype = str(said.get("dtype")).lower()
    dtype = dtype if dtype in ("fp8", "nvfp4") else ""
    for model in models:
        dtype = format_of(model) or model  # what is none is refused by its name
    backend, devices = said.get("backend"), _positive(said.get("devices"), _MOST)
    profiles = (engine for name, engine in _BACKENDS.items() if str(backend).startswith(name))
    return Measured(
        program, numbers, tests,
        next(profiles, None) if backend else _PROFILES.get(program),
        said.get("gpu"), **_load(program, numbers, said),
        dtype=dtype or None,
        devices=round(devices) if devices else None,
        accepted=_positive(said.get("accepted")) or 1.0, notes=notes,
        model=str(said.get("model") or ""),
    )  # fmt: skip


def _load(program: str, values: dict[str, float], said: dict[str, Any]) -> dict[str, Any]:
    """How requests came: as many users, at a rate, or all at once where neither was limited."""
    if program == "sglang.bench_one_batch":
        return {"users": round(_positive(said.get("limit"), _MOST) or values.get("requests", 1))}
    limit, rate = _positive(said.get("limit"), _MOST), _positive(said.get("rate"))
    requests, tokens = values.get("requests"), values.get("generated_tokens")
    if rate is not None and rate < math.inf:
        answered = (
            requests * values.get("tokens_per_s", 0) / tokens if requests and tokens else rate
        )
        if limit is None or answered > _AS_ASKED * rate:
            return {"rate": rate}
    if limit is not None:
        return {"users": max(1, round(limit))}
    unserved = program in _ALL_AT_ONCE or said.get("backend") in _ALL_AT_ONCE
    if requests and (unserved or rate is not None or "peak" in said):
        return {"users": round(requests), "at_once": True}
    return {}


def _positive(value: Any, most: float = math.inf) -> float | None:
    """A number above 0 and up to ``most``, or None; vLLM writes an infinite rate as a text."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 < number <= most else None
