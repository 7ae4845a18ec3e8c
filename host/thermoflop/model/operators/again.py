"""What fine-grained recomputation makes again: results that cost little beside what they occupy.

Megatron-Core's modules ``layernorm``, ``moe_act`` and ``mla_up_proj``, whose results are discarded
(``--recompute-granularity selective --recompute-modules ...``; of dense feed-forwards the fused
SwiGLU of xformers and Liger does the same), and "Recomputation of RMSNorm and MLA Up-Projection"
(DeepSeek-V3 technical report, section 3.2.3): norms before what they feed, activations times their
gates, and of latent attention queries, keys and values with their rotation.
"""

from __future__ import annotations

from thermoflop.model.architecture.feedforward import Moe
from thermoflop.model.architecture.mixers import LatentAttention

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from thermoflop.model.architecture.description import Description, Layer

    class Named(Protocol):
        """An operator, or what was made of one."""

        @property
        def part(self) -> str: ...
        @property
        def name(self) -> str: ...
        @property
        def kind(self) -> str: ...


FINE_GRAINED = "fine-grained"


def made_again(operators: Iterable[Named], description: Description) -> frozenset[tuple[str, str]]:
    """Part and name of each operator that fine-grained recomputation runs once more."""
    layers = {run.layer.kind: run.layer for stack in description.stacks for run in stack.runs}
    found: set[tuple[str, str]] = set()
    for each in operators:
        layer = layers.get(each.part.partition(" ")[2])  # behind the tower's name
        if layer is not None and _is_again(each, layer):
            found.add((each.part, each.name))
    return frozenset(found)


def _is_again(operator: Named, layer: Layer) -> bool:
    if operator.kind == "normalization":
        return all(operator.name != norm.name for norm in layer.norms_after)
    return operator.name in (products(layer) | _upward(layer))


def products(layer: Layer) -> frozenset[str]:
    """Names of the activations of a layer's feed-forwards, times their gates."""
    feed = layer.feed
    if isinstance(feed, Moe):
        return frozenset(each.product for each in (feed.expert, feed.shared) if each is not None)
    return frozenset() if feed is None else frozenset({feed.product})


def _upward(layer: Layer) -> frozenset[str]:
    """Names of what makes queries, keys and values of latents."""
    latent = [mixer for mixer in layer.mixers if isinstance(mixer, LatentAttention)]
    names = {linear.name for mixer in latent for linear in mixer.upward()}
    return frozenset(names | {"rotary"}) if latent else frozenset()
