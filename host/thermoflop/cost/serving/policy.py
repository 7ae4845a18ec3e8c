"""How engines put prompts into the steps of a full server, and how much a step holds.

``mixed``: a prompt's chunk runs in the same step as the decoding sequences, up to a budget of
tokens (chunked prefill: Agrawal et al. 2023, "SARATHI"). ``passes``: waiting prompts are read in a
step of their own, while decoding waits. ``static``: a batch is read, then generated to its end.
"""

from __future__ import annotations

from thermoflop.base.record import record, replace
from thermoflop.cost.engines.engine import Engine
from thermoflop.cost.hardware.device import Device

# vLLM's EngineArgs.get_batch_defaults: a server has 8192 tokens and 1024 sequences on devices of
# 70 GiB and more (but for the A100), 2048 and 256 on others.
LARGE_BYTES = 70 * 2**30
# Sequences at once by default: TensorRT-LLM's max_batch_size, SGLang's max_running_requests as it
# is derived, slots that llama-server is given here.
SLOTS = {"tensorrt-llm": 2048, "sglang": 4096, "llama.cpp": 64}
# What llama-server puts together at once: its n_batch.
LLAMA_BATCH = 2048


@record
class Policy:
    """``budget`` tokens run in a step at most, ``slots`` sequences are in flight at most."""

    name: str
    budget: int
    slots: int
    why: str


def policy_of(engine: Engine, device: Device) -> Policy:
    """What an engine does on a device unless told otherwise."""
    large = device.memory_bytes >= LARGE_BYTES and not device.name.startswith("A100")
    slots = SLOTS.get(engine.name, 1024 if large else 256)
    if engine.name == "transformers":
        why = "generate() has no continuous batching: a batch is read, then generated to its end"
        return Policy("static", 2**20, 2**20, why)
    if engine.name == "llama.cpp":
        why = f"llama-server fills {_tokens(LLAMA_BATCH)} with prompts beside decoding sequences"
        return Policy("mixed", LLAMA_BATCH, slots, why)
    if engine.reads == "passes" and engine.name != "default":
        why = "waiting prompts are read in passes of their own, while decoding waits"
        return Policy("passes", engine.budget, slots, why)
    why = "chunks of prompts run beside decoding sequences, in the same step"
    return Policy("mixed", engine.budget if large else min(engine.budget, 2048), slots, why)


def with_policy(policy: Policy, budget: int | None, slots: int | None) -> Policy:
    """A policy with a token budget or slots of the user's."""
    budget, slots = budget or policy.budget, slots or policy.slots
    why = policy.why.replace(_tokens(policy.budget), _tokens(budget))  # where it says how many
    return replace(policy, budget=budget, slots=slots, why=why)


def _tokens(budget: int) -> str:
    return f"{budget:,} tokens"
