"""Ring 2.0 with linear attention: Lightning in all layers but the last of each group.

Read from the code beside its weights, as SGLang and mlx-lm have it.
"""

from __future__ import annotations

from thermoflop.model.config.families import beside_weights  # noqa: F401 - bailing_moe is there
from thermoflop.model.config.families.newest_hybrids import lightning
from thermoflop.model.config.family import family, required, spaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.model.config.keys import Config


def _kinds(config: Config) -> Sequence[str]:
    """Full attention at the end of each group, and in a group that is cut short."""
    layers, group = config["num_hidden_layers"], config["layer_group_size"]
    whole = layers // group * group
    return ["full" if (at + 1) % group == 0 or at >= whole else "linear" for at in range(layers)]


family(
    "bailing_moe_linear",
    "bailing_moe",
    keys={"layer_group_size": required()},
    traits={"kinds": _kinds, "recurrent": lightning},
    ignored=spaced("group_norm_size linear_silu use_linear_silu linear_rope"),
)
