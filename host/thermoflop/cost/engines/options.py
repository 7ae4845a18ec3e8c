"""Options of engines that decide how they use memory, by the names that each engine has for them.

Defaults are those of the engines' own sources: vLLM ``config/cache.py`` and ``engine/arg_utils.py``
(commit 002f10e), SGLang ``server_args.py``, TensorRT-LLM ``llmapi/llm_args.py``, llama.cpp
``common/arg.cpp``, Ollama ``envconfig``. ``None`` is left to the engine: to the device, the model,
or what is asked for (``engines.budget`` and ``engines.pools``).
"""

from __future__ import annotations

import re

from thermoflop.base.messages import expected
from thermoflop.base.record import record
from thermoflop.base.written import read_number
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

LARGEST = 2**31 - 1
NEWEST = (1000, 0)
# A release, or what a build calls itself: 0.19.1rc1, 0.20.1.dev16+g7a1eb8ac2.
_VERSION = r"\d{1,3}\.\d{1,2}((\.|rc)[\w.+-]*)?"


@record
class Option:
    """An option: its name and shorter ones, what values it takes, and its default.

    ``kind``: ``share`` (above 0, up to 1), ``ratio`` (above 0, up to 100), ``whole`` (from
    ``least``), ``version``, ``flag``, ``format`` (of the cache) or ``choice`` of ``values``.
    ``left``: what leaves a number without a default to the engine, and ``unset`` what the engine
    then takes, in words.
    """

    name: str
    kind: str
    default: Any = None
    others: tuple[str, ...] = ()
    least: int = 1
    values: tuple[str, ...] = ()
    left: tuple[str, ...] = ("auto",)
    unset: str = ""


# Names that engines have for formats of the cache, beside those of ``hardware.precision``.
FORMATS = {
    "auto": None, "float16": "fp16", "f16": "fp16", "bfloat16": "bf16", "float32": "fp32",
    "f32": "fp32", "fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "fp8_inc": "fp8", "fp4_e2m1": "nvfp4",
    "int8_per_token_head": "int8", "fp8_per_token_head": "fp8",
}  # fmt: skip
_CACHE = ("fp32", "bf16", "fp16", "fp8", "int8", "nvfp4")
_GGUF = ("fp32", "fp16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")

# -1 is the engine's choice, or all layers; of other numbers it means nothing.
_FREE = ("auto", "-1")
_LAYERS = (*_FREE, "all")
_ASKED, _BY_CARD = "what is asked for", "by the card"

_LLAMA = (
    Option("n_gpu_layers", "whole", None, ("ngl", "gpu_layers"), 0, left=_LAYERS, unset="all"),
    Option("ctx_size", "whole", None, ("c", "n_ctx"), 0, unset=_ASKED),
    Option("parallel", "whole", None, ("np", "n_parallel"), left=_FREE, unset=_ASKED),
    Option("ubatch_size", "whole", 512, ("ub", "n_ubatch")),
    Option("batch_size", "whole", 2048, ("b", "n_batch")),
    Option("cache_type_k", "format", others=("ctk", "type_k"), values=_GGUF, unset="f16"),
    Option("cache_type_v", "format", others=("ctv", "type_v"), values=_GGUF, unset="f16"),
    Option("flash_attn", "flag", True, ("fa",)),
    Option("swa_full", "flag", False),
    Option("n_cpu_moe", "whole", 0, ("ncmoe",), 0),
    Option("cpu_moe", "flag", False, ("cmoe",)),
    Option("mmproj", "flag", False),
    Option("n_outputs_max", "whole", None, unset="one a slot, of llama-bench all of a batch"),
    Option("build", "whole", None, unset="the newest"),
)
OPTIONS: Mapping[str, tuple[Option, ...]] = {
    "vllm": (
        Option("gpu_memory_utilization", "share", unset="0.92, 0.9 before 0.21"),
        Option("max_model_len", "whole", left=_FREE, unset="the model's"),
        Option("max_num_seqs", "whole", unset=_BY_CARD),
        Option("max_num_batched_tokens", "whole", unset=_BY_CARD),
        Option("block_size", "whole", 16),
        Option("enforce_eager", "flag", False),
        Option("enable_prefix_caching", "flag",
               unset="true, but of recurrent states only since 0.28"),
        Option("num_speculative_tokens", "whole", unset="1 of layers for drafts (--mtp)"),
        Option("kv_cache_dtype", "format", values=_CACHE, unset="auto"),
        Option("version", "version", left=("newest", "latest"), unset="the newest"),
    ),
    "sglang": (
        Option("mem_fraction_static", "share", unset=_BY_CARD),
        Option("chunked_prefill_size", "whole", left=_FREE, unset=_BY_CARD),
        Option("cuda_graph_max_bs", "whole", unset=_BY_CARD),
        Option("max_running_requests", "whole",
               unset="as many as fit, 48 while drafting, 256 of DeepSeek V4"),
        Option("page_size", "whole", unset="1, 64 of chosen keys, 256 of DeepSeek V4"),
        Option("swa_full_tokens_ratio", "share", unset="0.8, 0.1 of DeepSeek V4"),
        Option("mamba_full_memory_ratio", "ratio", unset="0.9"),
        Option("max_mamba_cache_size", "whole", unset="by mamba_full_memory_ratio"),
        Option("mamba_radix_cache_strategy", "choice", None, ("mamba_scheduler_strategy",),
               values=("auto", "no_buffer", "extra_buffer", "extra_buffer_lazy"),
               unset="extra_buffer, no_buffer of LFM2, on AMD and before 0.5.14"),
        Option("mamba_ssm_dtype", "choice", values=("float32", "bfloat16", "float16"),
               unset="float32"),
        Option("disable_radix_cache", "flag", unset="false"),
        Option("speculative_num_draft_tokens", "whole", unset="no drafts"),
        Option("kv_cache_dtype", "format", values=_CACHE, unset="auto"),
        Option("version", "version", left=("newest", "latest"), unset="the newest"),
    ),
    "tensorrt-llm": (
        Option("free_gpu_memory_fraction", "share", 0.9, ("kv_cache_free_gpu_mem_fraction",)),
        Option("max_batch_size", "whole", 2048),
        Option("max_num_tokens", "whole", 8192),
        Option("tokens_per_block", "whole", 32),
        Option("backend", "choice", "pytorch", values=("pytorch", "tensorrt")),
        Option("kv_cache_dtype", "format", others=("dtype",), values=_CACHE, unset="auto"),
    ),
    "llama.cpp": _LLAMA,
    "ollama": (
        Option("num_gpu", "whole", None, ("n_gpu_layers",), 0, left=_LAYERS, unset="all"),
        Option("num_ctx", "whole", None, ("context_length",), unset=_ASKED),
        Option("num_parallel", "whole", None, unset=_ASKED),
        Option("num_batch", "whole", 512),
        Option("kv_cache_type", "format", values=_GGUF, unset="f16"),
        Option("flash_attention", "flag", True),
    ),
    "transformers": (
        Option("attn_implementation", "choice", "sdpa",
               values=("sdpa", "flash_attention_2", "eager")),
    ),
    "autoawq": (),
}  # fmt: skip

# Names of Ollama's options as llama.cpp has them.
OLLAMA = {
    "num_gpu": "n_gpu_layers", "num_ctx": "ctx_size", "num_parallel": "parallel",
    "num_batch": "ubatch_size", "flash_attention": "flash_attn",
}  # fmt: skip


def option_defaults(engine: str) -> dict[str, str]:
    """The options of an engine's memory, and what each is where nothing is said, in words; none of
    an engine whose memory is not known."""
    return {
        option.name: option.unset or str(option.default).lower()
        for option in OPTIONS.get(engine, ())
    }


def options_of(engine: str) -> tuple[Option, ...]:
    """The options of an engine. UsageError, naming the engines that have some, for another."""
    if engine in OPTIONS:
        return OPTIONS[engine]
    known = ", ".join(OPTIONS)
    raise UsageError(f"engine {engine!r:.40} has no options of its memory: {known} have")


def parse_options(texts: Sequence[str]) -> dict[str, str]:
    """Names and values of ``NAME=VALUE``. UsageError for anything else, and for a name twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        name = _plain(name)
        if not sign or not name or not value.strip():
            raise UsageError(f"--engine-option {text!r:.60} is not of the form NAME=VALUE")
        if name in found:
            raise UsageError(f"--engine-option {name} is given twice")
        found[name] = value.strip()
    return found


def read_options(engine: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Every option of an engine, as given or by default. UsageError for a bad name or value."""
    defaults = {option.name: option.default for option in options_of(engine)}
    return {**defaults, **given_options(engine, given)}


def given_options(engine: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options that were given, by the names that the engine's own list has. UsageError for a
    bad name or value."""
    options = options_of(engine)
    values: dict[str, Any] = {}
    if given is not None and not isinstance(given, dict):
        raise UsageError(f"engine_options={given!r:.40} is no dictionary of names and values")
    by_name = {name: option for option in options for name in (option.name, *option.others)}
    for name, value in (given or {}).items():
        option = by_name.get(_plain(str(name)))
        if option is None:
            raise UsageError(f"{engine} has no option {name!s:.60}: {_asked(str(name), options)}")
        values[option.name] = _read(option, value)
    return values


def _asked(name: str, options: Sequence[Option]) -> str:
    """What belongs in the place of a name: the engine's own share of a device in that of
    another's."""
    own = _share_of_device(options)
    if own and _plain(name) in map(_share_of_device, OPTIONS.values()):
        return f"did you mean {own}?"
    return expected(name, [each.name for each in options] or ["none at all"])


def _share_of_device(options: Sequence[Option]) -> str:
    """The option for the share of a device that an engine takes, the first of its shares; "" of an
    engine without."""
    return next((option.name for option in options if option.kind == "share"), "")


def own_names(engine: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options as they are read, by the names that an engine has: Ollama's are llama.cpp's, of which
    it has a few, and its context is that of a slot."""
    if engine != "ollama":
        return options
    found = {name: options[other] for name, other in OLLAMA.items() if other in options}
    if size := found.get("num_ctx"):
        found["num_ctx"] = size // (found["num_parallel"] or 1)
    return found


def _plain(name: str) -> str:
    return name.strip().lower().lstrip("-").replace("-", "_")


def _read(option: Option, value: Any) -> Any:
    """The value of an option. UsageError, saying what was expected."""
    read = {
        "share": _share,
        "ratio": _ratio,
        "whole": _whole,
        "version": _version,
        "flag": _flag,
    }.get(option.kind)
    found = _choice(option, value) if read is None else read(option, value)
    words = option.left if option.kind in ("format", "whole", "version") else ()
    left = option.default is None and str(value).strip().lower() in words  # to the engine
    if found is not None or left:
        return found
    expected = {
        "share": "a share above 0, up to 1", "ratio": "a number above 0, up to 100",
        "flag": "true or false",
        "version": _version_asked(value), "whole": f"a whole number from {option.least}",
    }.get(option.kind, f"one of {', '.join(option.values)}")  # fmt: skip
    raise UsageError(f"{option.name}={value!s:.40} makes no sense: expected {expected}")


def _version(_option: Option, value: Any) -> str | None:
    """A version in its own words: 0.20 and 0.2 are two. A number has lost which of them it was."""
    text = str(value).strip().lower().removeprefix("v")
    return text if isinstance(value, str) and re.fullmatch(_VERSION, text) else None


def _version_asked(value: Any) -> str:
    """What is expected in the place of a version, of a number that is none too."""
    asked = "a release such as '0.19', or 'newest'"
    return asked if isinstance(value, str) else f"{asked}, as text: as a number 0.20 is 0.2"


def version_numbers(version: str | None) -> tuple[int, int]:
    """A version as numbers that compare as versions do: (0, 20) of ``0.20.1``; beyond all for None,
    the newest."""
    if version is None:
        return NEWEST
    major, minor = version.split(".")[:2]
    return int(major), int(re.match(r"\d+", minor)[0])  # type: ignore[index]


def _share(_option: Option, value: Any) -> float | None:
    percent = isinstance(value, str) and value.endswith("%")
    try:
        number = 0.0 if isinstance(value, bool) else float(value[:-1] if percent else value)
    except (TypeError, ValueError):
        return None
    number = number / 100 if percent else number
    return number if 0 < number <= 1 else None


def _ratio(_option: Option, value: Any) -> float | None:
    try:
        number = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number <= 100 else None


def _whole(option: Option, value: Any) -> int | None:
    number = read_number(value, 1024) if isinstance(value, str) else value  # 8k tokens are 8192
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    return number if option.least <= number <= LARGEST else None


def _flag(_option: Option, value: Any) -> bool | None:
    return {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False,
            "off": False, "no": False}.get(str(value).strip().lower())  # fmt: skip


def _choice(option: Option, value: Any) -> str | None:
    text = str(value).strip().lower()
    text = (FORMATS.get(text, text) or "") if option.kind == "format" else text
    return text if text in option.values else None
