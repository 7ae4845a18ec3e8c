"""How engines put prompts into the steps of a full server, and how much a step holds.

``mixed``: a prompt's chunk runs in the same step as the decoding sequences, up to a budget of
tokens (chunked prefill: Agrawal et al. 2023, "SARATHI"). ``passes``: waiting prompts are read in a
step of their own, while decoding waits. ``static``: a batch is read, then generated to its end.
"""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.cost.engines.engine import Engine
from thermoflop.cost.hardware.device import Device
from thermoflop.errors import UsageError

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


def policy_of(
    engine: Engine, device: Device, budget: int | None = None, slots: int | None = None
) -> Policy:
    """What an engine does on a device, with a token budget or slots where the user says some."""
    large = device.memory_bytes >= LARGE_BYTES and not device.name.startswith("A100")
    most = slots or SLOTS.get(engine.name, 1024 if large else 256)
    if engine.name == "transformers":
        why = "generate() has no continuous batching: a batch is read, then generated to its end"
        return Policy("static", budget or 2**20, slots or 2**20, why)
    if engine.name == "llama.cpp":
        filled = budget or LLAMA_BATCH
        why = f"llama-server fills {filled:,} tokens with prompts beside decoding sequences"
        return Policy("mixed", filled, most, why)
    if engine.reads == "passes" and engine.name != "default":
        why = "waiting prompts are read in passes of their own, while decoding waits"
        return Policy("passes", budget or engine.budget, most, why)
    why = "chunks of prompts run beside decoding sequences, in the same step"
    usual = engine.budget if large else min(engine.budget, 2048)
    return Policy("mixed", budget or usual, most, why)


def check_rate(policy: Policy) -> None:
    """UsageError for requests at a rate to an engine that does not take them as they come."""
    if policy.name == "static":
        raise UsageError(f"{policy.why}: ask for users, not for a rate")
