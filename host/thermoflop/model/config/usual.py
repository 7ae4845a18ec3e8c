"""Traits that most classes keep under the same keys, for families that say nothing else."""

from __future__ import annotations

from thermoflop.model.config.keys import Config

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_ACTIVATIONS = ("hidden_act", "hidden_activation", "activation_function")
_SHARED = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")


def activation(config: Config) -> str | None:
    """The name of the activation of feed-forwards."""
    return next((config[key] for key in _ACTIVATIONS if key in config), None)


def window(config: Config) -> int | None:
    """``sliding_window``, unless there is a ``use_sliding_window`` that switches it off."""
    tokens: int | None = config.get("sliding_window")
    return tokens if config.get("use_sliding_window", True) else None


def experts(config: Config) -> int:
    """Experts among which a router chooses; none where the family has no key for them."""
    count: int = next((config[key] for key in _EXPERTS if key in config), 0)
    return count


def shared_inner(config: Config) -> int:
    """Neurons that all tokens run through: stated, or so many experts side by side as one."""
    if "shared_expert_intermediate_size" in config:
        stated: int = config["shared_expert_intermediate_size"]
        return stated
    count = next((config[key] for key in _SHARED if key in config), None) or 0
    inner: int | None = config.get("moe_intermediate_size")
    return count * (inner or config["intermediate_size"]) if count else 0
