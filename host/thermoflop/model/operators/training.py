"""Training: forward, backward and recomputation, from one forward table.

The backward pass of a contraction is two contractions of the same size, one for the gradient of
each operand, so backward is twice forward. ``recompute`` repeats the forward pass of the layers
during the backward pass: ``full`` all of it (Narayanan et al. 2021, eq. 3), ``selective`` the
scores, softmax and values alone (Korthikanti et al. 2022), ``fine-grained`` norms, activations and
the up-projections of latent attention (Megatron-Core: ``operators.again``), ``none`` nothing.
"""

from __future__ import annotations

from thermoflop.base.number import Number
from thermoflop.base.record import record
from thermoflop.errors import UsageError
from thermoflop.model.operators.again import FINE_GRAINED
from thermoflop.model.operators.kinds import Attend, Softmax
from thermoflop.model.operators.operator import Operator
from thermoflop.model.operators.table import OperatorTable

RECOMPUTE = ("none", FINE_GRAINED, "selective", "full")


@record
class Training:
    """One training step, made by ``Model.training``.

    Attributes:
        forward: the operators of the forward pass.
        recompute: what the backward pass computes again: ``none``, ``fine-grained``, ``selective``
            or ``full``.
        again: part and name of each operator that ``fine-grained`` computes again.

    Example:
        >>> import thermoflop as tf
        >>> step = tf.load_model("gpt2").training(1024, recompute="full")
        >>> step.backward_flops == 2 * step.forward_flops
        True
        >>> step.flops == step.model_flops + step.recomputed_flops
        True
    """

    forward: OperatorTable
    recompute: str
    again: frozenset[tuple[str, str]] = frozenset()

    @property
    def forward_flops(self) -> Number:
        """FLOPs of the forward pass."""
        return self.forward.flops

    @property
    def backward_flops(self) -> Number:
        """FLOPs of the backward pass: twice the forward pass."""
        return 2 * self.forward.flops

    @property
    def recomputed_flops(self) -> Number:
        """FLOPs of what is computed a second time."""
        return sum(each.flops for each in self.forward if self._repeats(each))

    def _repeats(self, operator: Operator) -> bool:
        if self.recompute == "full":
            return in_layers(operator)
        if self.recompute == FINE_GRAINED:
            return (operator.part, operator.name) in self.again
        return self.recompute == "selective" and isinstance(operator, Attend | Softmax)

    @property
    def flops(self) -> Number:
        """FLOPs of the whole step, recomputation included (hardware FLOPs)."""
        return 3 * self.forward.flops + self.recomputed_flops

    @property
    def model_flops(self) -> Number:
        """FLOPs without recomputation: what model FLOPs utilization counts."""
        return 3 * self.forward.flops

    @property
    def conventions(self) -> dict[str, str]:
        """The conventions in force."""
        return {
            **self.forward.conventions,
            "recompute": self.recompute,
            "backward": "2 x forward",
        }

    def __repr__(self) -> str:
        step = self.forward.step
        return (
            f"<Training {self.forward.model_name}: batch={step.batch}, tokens={step.new}, "
            f"recompute={self.recompute}, flops={self.flops}>"
        )


def in_layers(operator: Operator) -> bool:
    """Whether an operator belongs to a layer: not to a front, a tail or the head."""
    return operator.part != "head" and not operator.part.endswith((" front", " tail"))


def check_recompute(recompute: str, tokens: Number) -> None:
    """UsageError for a way to recompute that is not known, or for no tokens."""
    if recompute not in RECOMPUTE:
        known = ", ".join(RECOMPUTE)
        raise UsageError(f"recompute={recompute!r} is not known: expected one of {known}")
    if type(tokens) is int and tokens < 1:
        raise UsageError(f"training on {tokens} tokens makes no sense: expected at least 1")
