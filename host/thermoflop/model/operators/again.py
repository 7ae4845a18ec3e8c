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
    from thermoflop.model.architecture.parts import Norm

    class Named(Protocol):
        """An operator, or what was made of one."""

        @property
        def part(self) -> str: ...
        @property
        def name(self) -> str: ...


FINE_GRAINED = "fine-grained"


def made_again(operators: Iterable[Named], description: Description) -> frozenset[tuple[str, str]]:
    """Part and name of each operator that fine-grained recomputation runs once more."""
    again = {run.layer.kind: _again(run.layer) for each in description.stacks for run in each.runs}
    return frozenset(
        (each.part, each.name)
        for each in operators
        if each.name in again.get(each.part.partition(" ")[2], ())  # behind the tower's name
    )


def norms_of_stream(layer: Layer) -> tuple[Norm, ...]:
    """The norms of the residual stream whose results enter blocks; those of queries and keys are
    not among Megatron-Core's."""
    return tuple(norm for norm in layer.norms_before if norm.width == layer.hidden)


def products(layer: Layer) -> frozenset[str]:
    """Names of the activations of a layer's feed-forwards, times their gates."""
    feed = layer.feed
    if isinstance(feed, Moe):
        return frozenset(each.product for each in (feed.expert, feed.shared) if each is not None)
    return frozenset() if feed is None else frozenset({feed.product})


def _again(layer: Layer) -> frozenset[str]:
    """Names of all that is made again of a layer."""
    return products(layer) | _upward(layer) | {norm.name for norm in norms_of_stream(layer)}


def _upward(layer: Layer) -> frozenset[str]:
    """Names of what makes queries, keys and values of latents."""
    latent = [mixer for mixer in layer.mixers if isinstance(mixer, LatentAttention)]
    names = {linear.name for mixer in latent for linear in mixer.upward()}
    names |= {norm.name for mixer in latent for norm in mixer.norms()}
    return frozenset(names | {"rotary"}) if latent else frozenset()
