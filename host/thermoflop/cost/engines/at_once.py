"""How many sequences and tokens an engine runs at once, by its own options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thermoflop.cost.engines.budget import MOST_AT_ONCE, EngineMemory
from thermoflop.errors import UsageError

# What engines call the tokens that a step, or a pass of prompts, has at most.
TOKENS_AT_ONCE = {
    "vllm": "max_num_batched_tokens", "sglang": "chunked_prefill_size",
    "tensorrt-llm": "max_num_tokens", "llama.cpp": "batch_size",
}  # fmt: skip

# What leaves layers of llama.cpp, or their experts, to the host.
ON_HOST = ("n_gpu_layers", "n_cpu_moe", "cpu_moe")


def tokens_asked(engine: EngineMemory | None, given: Mapping[str, Any] | None) -> int | None:
    """Tokens of a step where an option says so; None where none is given."""
    if engine is None or not given:
        return None
    name = TOKENS_AT_ONCE.get(engine.key)
    named = {str(each).lower().lstrip("-").replace("-", "_") for each in given}
    return int(engine.options[name]) if name in named and engine.options[name] else None


def check_on_device(engine: EngineMemory | None) -> None:
    """UsageError where an option leaves layers in the computer's memory: of many users no speed is
    known there."""
    if engine is None:
        return
    asked = engine.options
    left = {name: asked[name] for name in ON_HOST if asked.get(name) not in (None, False)}
    if left.get("n_cpu_moe") == 0:
        del left["n_cpu_moe"]
    for name, value in left.items():
        raise UsageError(
            f"{name}={value} leaves layers in the computer's memory, where a server of many is not "
            "counted: `thermoflop fit` says how fast one decodes there"
        )


def lowered(engine: EngineMemory | None, slots: int | None, most: int | None) -> str:
    """A sentence where fewer sequences run than were asked for, as an option of the engine says;
    "" where as many do."""
    if engine is None or slots is None or most is None or slots <= most:
        return ""
    name = MOST_AT_ONCE[engine.engine]
    return (
        f"slots={slots:,} of a replica: {engine.engine} runs {most:,} at once ({name}); "
        f"--engine-option {name}={slots} raises that"
    )
