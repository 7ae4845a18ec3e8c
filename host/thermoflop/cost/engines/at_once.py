"""How many sequences and tokens an engine runs at once, by its own options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thermoflop.base.plain import checked_within
from thermoflop.cost.engines.budget import EngineMemory
from thermoflop.cost.engines.footprint import placement_of, sglang_sizes
from thermoflop.cost.engines.options import given_options
from thermoflop.cost.engines.sglang_choices import apart
from thermoflop.cost.work.share import Layout, Share
from thermoflop.errors import UsageError

# What engines call the tokens that a step, or a pass of prompts, has at most, and how many are
# taken.
TOKENS_AT_ONCE = {
    "vllm": "max_num_batched_tokens", "sglang": "chunked_prefill_size",
    "tensorrt-llm": "max_num_tokens", "llama.cpp": "batch_size", "ollama": "num_batch",
}  # fmt: skip
FEWEST_TOKENS, MOST_TOKENS = 16, 2**20

# What leaves layers of llama.cpp, or their experts, to the host, and the value that leaves none.
ON_HOST = {"n_gpu_layers": None, "n_cpu_moe": 0, "cpu_moe": False}


def tokens_asked(engine: EngineMemory | None, given: Mapping[str, Any] | None) -> int | None:
    """Tokens of a step where an option says so; None where none is given. UsageError for too few or
    too many."""
    name = None if engine is None else TOKENS_AT_ONCE.get(engine.engine)
    if engine is None or name is None:
        return None
    asked = given_options(engine.engine, given).get(name)
    expected = f"{FEWEST_TOKENS} to {MOST_TOKENS:,} tokens of a step"
    checked_within(name, asked, FEWEST_TOKENS, MOST_TOKENS, expected)
    return asked


def tokens_apart(
    engine: EngineMemory | None, asked: int | None, layout: Layout
) -> tuple[int | None, str]:
    """Tokens of a pass of one replica, and a clause on them where attention is apart: SGLang has
    as many as a device's memory says, and divides those, or what was asked for, by the replicas
    (``_handle_data_parallelism`` of server_args.py, "to avoid MoE kernel issues", 0.5.15)."""
    if engine is None or engine.engine != "sglang":
        return asked, ""
    whole = asked or sglang_sizes(engine.device, layout.tp, engine.options)[0]
    if (groups := apart(layout)) == 1:
        return whole, ""
    each = max(FEWEST_TOKENS, whole // groups)
    return each, f", of {each:,} tokens a replica (chunked_prefill_size={whole} over {groups})"


def check_on_device(engine: EngineMemory | None, share: Share) -> None:
    """UsageError where an option leaves layers in the computer's memory: of many users no speed is
    known there."""
    if engine is None or engine.key != "llama.cpp":
        return
    for name in ON_HOST:
        value = engine.options[name]
        if not placement_of(share, {**engine.options, **ON_HOST, name: value}).host_active_bytes:
            continue
        called = "num_gpu" if engine.engine == "ollama" else name
        raise UsageError(
            f"{called}={str(value).lower()} leaves layers in the computer's memory, where a server "
            "of many is not counted: `thermoflop fit` says how fast one decodes there"
        )


def lowered(engine: EngineMemory | None, slots: int | None, limit: tuple[int | None, str]) -> str:
    """A sentence where fewer sequences run than were asked for, as an option of the engine says;
    "" where as many do."""
    most, name = limit
    if engine is None or slots is None or most is None or slots <= most:
        return ""
    return (
        f"slots={slots:,} of a replica: {engine.engine} runs {most:,} at once ({name}); "
        f"--engine-option {name}=N raises that"
    )
