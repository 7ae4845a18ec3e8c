"""Decoders whose code lies beside their weights and builds what another family's class does."""

from __future__ import annotations

from thermoflop.errors import UnknownModel
from thermoflop.model.config.families import dense, linear, mixtures  # noqa: F401 - parents
from thermoflop.model.config.family import at_least_zero, family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config


def _no_shared(config: Config) -> int:
    """Both published models have none."""
    if config["shared_intermediate_size"]:
        raise UnknownModel("shared_intermediate_size above 0 is not described for MiniMax-Text-01")
    return 0


# MiniMax-Text-01 and MiniMax-M1 as published, before transformers had their class
for _name in ("minimax_m1", "minimax_text_01"):
    family(
        _name,
        "minimax",
        keys={"shared_intermediate_size": at_least_zero(0)},
        traits={"shared_inner": _no_shared},
        ignored=(
            "shared_moe_mode",
            *(
                f"layernorm_{part}_{factor}"
                for part in ("full_attention", "linear_attention", "mlp")
                for factor in ("alpha", "beta")
            ),
        ),
    )
# models of language that write by removing masks: Qwen's layers, without a causal mask
family("Dream", "qwen2", traits={"whole": ("DreamModel",)})
_SDAR = ("debug", "fuse_cross_entropy", "micro_forward", "skip_checkpoint", "block_size")
family("sdar", "qwen3", ignored=_SDAR)
family("sdar_moe", "qwen3_moe", ignored=_SDAR)
