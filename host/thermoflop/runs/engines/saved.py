"""The result files that benchmark programs write, as JSON or as JSON lines, by the keys of marks.

Their keys: vllm/benchmarks (serve.py, latency.py, throughput.py), sglang's bench_serving.py and
bench_one_batch.py, tensorrt_llm/bench (its report), genai-perf's and aiperf's profile_export_*.json
and guidellm's benchmarks.json.
"""

from __future__ import annotations

import json
import math

from thermoflop.base.plain import is_number
from thermoflop.base.record import record
from thermoflop.runs.engines.printed import EngineResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


@record
class _File:
    """What one program writes: the paths that tell it, those of the keys of marks, each with its
    factor, and those of what it says of its load. Of ``means`` the requests are not counted in."""

    program: str
    told_by: tuple[str, ...]
    values: dict[str, tuple[str, float]]
    load: dict[str, tuple[str, ...]]
    means: bool = False


_GUIDELLM = "metrics.{}.successful.mean"
_FILES = (
    _File(
        "a serving benchmark", ("output_throughput", "total_output_tokens"),
        {"requests": ("completed", 1), "prompt_tokens": ("total_input_tokens", 1),
         "generated_tokens": ("total_output_tokens", 1), "tokens_per_s": ("output_throughput", 1),
         "ttft_s": ("mean_ttft_ms", 1e-3), "token_s": ("mean_tpot_ms", 1e-3)},
        {"limit": ("max_concurrency",), "rate": ("request_rate",),
         "accepted": ("spec_decode_acceptance_length", "accept_length"), "backend": ("backend",),
         "model": ("model_id",)},
    ),
    _File("vllm bench latency", ("avg_latency", "latencies"), {"total_s": ("avg_latency", 1)}, {}),
    _File(
        "vllm bench throughput", ("total_num_tokens", "num_requests", "requests_per_second"),
        {"requests": ("num_requests", 1), "requests_per_s": ("requests_per_second", 1),
         "all_tokens": ("total_num_tokens", 1)}, {},
    ),
    _File(
        "sglang.bench_one_batch", ("prefill_latency", "batch_size"),
        {"prompt_tokens": ("input_len", 1), "generated_tokens": ("output_len", 1),
         "ttft_s": ("prefill_latency", 1), "token_s": ("median_decode_latency", 1),
         "total_s": ("total_latency", 1)},
        {"limit": ("batch_size",)},
    ),
    _File(
        "trtllm-bench", ("request_info.num_requests", "performance.system_output_throughput_tok_s"),
        {"requests": ("request_info.num_requests", 1),
         "prompt_tokens": ("request_info.avg_input_length", 1),
         "generated_tokens": ("request_info.avg_output_length", 1),
         "tokens_per_s": ("performance.system_output_throughput_tok_s", 1),
         "ttft_s": ("streaming_metrics.avg_ttft_ms", 1e-3),
         "token_s": ("streaming_metrics.avg_tpot_ms", 1e-3)},
        {"limit": ("request_info.avg_num_concurrent_requests",),
         "devices": ("world_info.world_size",), "dtype": ("engine.quantization",),
         "model": ("engine.model",)},
        means=True,
    ),
    _File(
        "genai-perf", ("request_latency.avg", "output_token_throughput.avg"),
        {"requests": ("request_count.avg", 1), "prompt_tokens": ("input_sequence_length.avg", 1),
         "generated_tokens": ("output_sequence_length.avg", 1),
         "tokens_per_s": ("output_token_throughput.avg", 1),
         "ttft_s": ("time_to_first_token.avg", 1e-3),
         "token_s": ("inter_token_latency.avg", 1e-3)},
        {"limit": ("input_config.**.concurrency",), "rate": ("input_config.**.request_rate",)},
        means=True,
    ),
    _File(
        "guidellm", (_GUIDELLM.format("output_tokens_per_second"),),
        {"requests": ("metrics.request_totals.successful", 1),
         "prompt_tokens": (_GUIDELLM.format("prompt_token_count"), 1),
         "generated_tokens": (_GUIDELLM.format("output_token_count"), 1),
         "tokens_per_s": (_GUIDELLM.format("output_tokens_per_second"), 1),
         "ttft_s": (_GUIDELLM.format("time_to_first_token_ms"), 1e-3),
         "token_s": (_GUIDELLM.format("inter_token_latency_ms"), 1e-3)},
        {"limit": ("**.strategy.streams", "**.strategy.max_concurrency",
                   _GUIDELLM.format("request_concurrency")),
         "rate": ("**.strategy.rate",)},
        means=True,
    ),
)  # fmt: skip


def saved_results(data: bytes) -> list[tuple[EngineResult, dict[str, Any]]]:
    """The results in a file's bytes, in their order, each with what it says of its load: ``limit``
    of requests at once, ``rate`` a second, ``accepted`` tokens a check, ``backend``,
    ``devices``, ``model``.

    Example:
        >>> result, load = saved_results(b'{"avg_latency": 1.5, "latencies": [1.5]}')[0]
        >>> result.program, result.values
        ('vllm bench latency', {'total_s': 1.5})
    """
    return [
        (EngineResult(file.program, _values(file, each)), _load(file, each))
        for each in _objects(data)
        for file in _FILES
        if all(_at(each, path.split(".")) for path in file.told_by)  # 0: nothing was answered
    ]


def _objects(data: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, of its lines, or of the lists in them."""
    text = data.decode("utf-8", "replace").strip()
    if not text.startswith(("{", "[")):
        return
    for part in [text] if _parsed(text) is not None else text.splitlines():
        found = _parsed(part)
        if isinstance(found, dict):
            found = found.get("benchmarks", [found])  # guidellm's
        found = found if isinstance(found, list) else ()
        yield from (each for each in found if isinstance(each, dict))


def _parsed(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _values(file: _File, each: dict[str, Any]) -> dict[str, float | str]:
    values: dict[str, float | str] = {}
    requests = _number(each, file.values.get("requests", ("", 1))[0]) or 1.0
    for key, (path, factor) in file.values.items():
        number = _number(each, path)
        if number is not None and number > 0:
            counted = requests if file.means and key.endswith("_tokens") else 1.0
            values[key] = number * factor * counted
    return values


def _load(file: _File, each: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for key, paths in file.load.items():
        values = (value for path in paths if (value := _at(each, path.split("."))) is not None)
        found[key] = next(values, None)
    rate, latency_ms = (_number(each, f"request_{name}.avg") for name in ("throughput", "latency"))
    if found.get("limit") is None and found.get("rate") is None and rate and latency_ms:
        found["limit"] = rate * latency_ms / 1e3  # Little's law
    return found


def _number(each: Any, path: str) -> float | None:
    value = _at(each, path.split("."))
    return float(value) if is_number(value) and math.isfinite(value) else None


def _at(value: Any, path: list[str], deep: int = 8) -> Any:
    """What stands at a path of keys, of which ``**`` is any number, or None."""
    if not path or not isinstance(value, dict) or not deep:
        return None if path else value
    if path[0] != "**":
        return _at(value.get(path[0]), path[1:], deep - 1)
    places = (_at(value, path[1:], deep), *(_at(each, path, deep - 1) for each in value.values()))
    return next((place for place in places if place is not None), None)
