"""The model, layout and sizes that an engine's benchmark program is asked for on its command line.

Names and defaults of the options are those of the programs' own help: vLLM's ``vllm/benchmarks/``
(latency.py, throughput.py, serve.py, datasets.py), SGLang's ``bench_one_batch.py``,
``bench_serving.py`` and ``server_args.py``, llama.cpp's ``tools/llama-bench``, TensorRT-LLM's
``tensorrt_llm/bench``; of Ollama ``cmd/cmd.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any


@dataclass(frozen=True, slots=True)
class EngineCommand:
    """A benchmark that was recognized: ``options`` are those of ``tf.estimate``."""

    program: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    missing: str = ""  # what the command line does not say, without which nothing is predicted
    needs: tuple[str, ...] = ()  # options that say what is missing, where some can


# option of ``tf.estimate`` -> the names that a program has for it, its default last
_Names = dict[str, tuple[tuple[str, ...], int | None]]

_VLLM_LAYOUT: _Names = {
    "tp": (("--tensor-parallel-size", "-tp"), 1),
    "pp": (("--pipeline-parallel-size", "-pp"), 1),
    "dp": (("--data-parallel-size", "-dp"), 1),
}
_SGLANG_LAYOUT: _Names = {
    "tp": (("--tensor-parallel-size", "--tp-size", "--tp"), 1),
    "pp": (("--pipeline-parallel-size", "--pp-size", "--pp"), 1),
    "dp": (("--data-parallel-size", "--dp-size", "--dp"), 1),
    "ep": (("--expert-parallel-size", "--ep-size", "--ep"), 1),
}
_RANDOM: _Names = {
    "prompt": (("--random-input-len", "--random-input", "--input-len"), 1024),
    "generate": (("--random-output-len", "--random-output", "--output-len"), 128),
}
_FORMATS = {
    "half": "fp16",
    "float16": "fp16",
    "bfloat16": "bf16",
    "float32": "fp32",
    "float": "fp32",
}


@dataclass(frozen=True, slots=True)
class _Program:
    """How one program is called, and which options say what."""

    name: str
    words: tuple[str, ...]  # that stand in the command line in this order
    profile: str
    model: tuple[str, ...]
    numbers: _Names
    serves: bool = False  # a client: the layout is another command's
    positional: str = ""  # the word before the model, where no option names it


_PROGRAMS = (
    _Program(
        "vllm bench latency", ("vllm", "bench", "latency"), "vllm", ("--model",),
        {**_VLLM_LAYOUT, "prompt": (("--input-len",), 32), "generate": (("--output-len",), 128),
         "batch": (("--batch-size",), 8)},
    ),
    _Program(
        "vllm bench throughput", ("vllm", "bench", "throughput"), "vllm", ("--model",),
        {**_VLLM_LAYOUT, **_RANDOM, "batch": (("--max-num-seqs",), None)},
    ),
    _Program(
        "vllm bench serve", ("vllm", "bench", "serve"), "vllm", ("--model",),
        {**_RANDOM, "batch": (("--max-concurrency",), None)}, serves=True,
    ),
    _Program(
        "sglang.bench_one_batch", ("sglang.bench_one_batch",), "sglang",
        ("--model-path", "--model"),
        {**_SGLANG_LAYOUT, "prompt": (("--input-len",), 1024), "generate": (("--output-len",), 16),
         "batch": (("--batch-size", "--batch"), 1)},
    ),
    _Program(
        "sglang.bench_serving", ("sglang.bench_serving",), "sglang", ("--model",),
        {"prompt": (("--random-input-len", "--random-input"), 1024),
         "generate": (("--random-output-len", "--random-output"), 1024),
         "batch": (("--max-concurrency",), None)}, serves=True,
    ),
    _Program(
        "llama-bench", ("llama-bench",), "llama.cpp", ("-m", "--model"),
        {"prompt": (("-p", "--n-prompt"), 512), "generate": (("-n", "--n-gen"), 128)},
    ),
    _Program("ollama run", ("ollama", "run"), "ollama", (), {}, positional="run"),
    _Program(
        "trtllm-bench", ("trtllm-bench", "throughput"), "tensorrt-llm", ("--model", "-m"),
        {"tp": (("--tp",), 1), "pp": (("--pp",), 1), "ep": (("--ep",), 1),
         "prompt": (("--target_input_len",), None), "generate": (("--target_output_len",), None),
         "batch": (("--concurrency",), None)},
    ),
)  # fmt: skip


def sizes_unasked(program: str) -> dict[str, int]:
    """The sizes that a program has unasked, by their names in ``tf.estimate``."""
    found = (each.numbers for each in _PROGRAMS if each.name == program)
    numbers = next(found, {})
    sizes = ("prompt", "generate", "batch")
    return {key: n for key, (_, n) in numbers.items() if key in sizes and n is not None}


def read_command(argv: Sequence[str]) -> EngineCommand | None:
    """What a command line asks of an engine; None for a command that is no benchmark we know.

    Example:
        >>> read_command("vllm bench latency --model gpt2 -tp 2 --batch-size 4".split()).options
        {'tp': 2, 'pp': 1, 'dp': 1, 'prompt': 32, 'generate': 128, 'batch': 4, 'profile': 'vllm'}
    """
    words = [PurePath(word).name if "/" in word else word for word in argv]
    for program in _PROGRAMS:
        given = _options(argv)
        model = next((given[name] for name in program.model if given.get(name)), None)
        if program.positional and program.positional in argv:
            after = argv[argv.index(program.positional) + 1 :]
            model = next((word for word in after if not word.startswith("-")), None)
        if _stand_in_order(program.words, words) and model is not None:
            return _command(program, model, given)
    return None


def _command(program: _Program, model: str, given: dict[str, str]) -> EngineCommand:
    options: dict[str, Any] = {}
    missing = [] if not program.serves else ["the layout is the server's"]
    for key, (names, default) in program.numbers.items():
        text = next((given[name] for name in names if name in given), None)
        if text is None and default is None:
            missing.append(f"{' or '.join(names)} is not given")
        elif text is not None and not text.isdecimal():  # several sizes at once
            missing.append(f"{key} is {text[:40]!r}, not one number")
        else:
            options[key] = default if text is None else int(text)
    dtype = _FORMATS.get(given.get("--dtype", ""))
    quantization = given.get("--quantization", given.get("-q"))
    if quantization in ("fp8", "mxfp4"):
        dtype = quantization
    if dtype is not None:
        options["dtype"] = dtype
    if given.get("--kv-cache-dtype", "auto").startswith("fp8"):
        options["kv_dtype"] = "fp8"
    if "--enable-expert-parallel" in given:
        options["ep"] = options.get("tp", 1) * options.get("dp", 1)
    options["profile"] = program.profile
    needs: tuple[str, ...] = ()
    if program.positional:
        needs = "prompt", "generate"
        missing.append(
            "how many tokens are read and generated: say it with --prompt and --generate"
        )
    return EngineCommand(program.name, model, options, "; ".join(missing), needs)


def _stand_in_order(names: Sequence[str], words: Sequence[str]) -> bool:
    rest = iter(words)
    return all(name in rest for name in names)


def _options(argv: Sequence[str]) -> dict[str, str]:
    """``--name value`` and ``--name=value``; the last one counts, one without a value is empty."""
    given: dict[str, str] = {}
    for index, word in enumerate(argv):
        if not word.startswith("-"):
            continue
        name, sign, value = word.partition("=")
        after = argv[index + 1] if index + 1 < len(argv) else ""
        given[name] = value if sign else "" if after.startswith("-") else after
    return given
