"""Where operators are being emitted: which tokens, which cache, how many layers alike."""

from __future__ import annotations

from thermoflop.base.number import Number
from thermoflop.base.record import record, replace
from thermoflop.model.architecture.parts import Linear, Norm
from thermoflop.model.operators.kinds import MatMul, Pass
from thermoflop.model.operators.operator import Operator
from thermoflop.model.operators.step import Step


@record
class EmitContext:
    """``new`` tokens of ``sequences`` sequences after ``cached`` ones, in ``times`` equal layers.

    ``tokens`` is sequences x new, the rows of every matrix product, worked out once. ``source`` is
    the number of encoder positions that cross attention sees, ``near`` the pairs of patches of an
    image that share a window.
    """

    step: Step
    part: str
    times: Number
    sequences: Number
    new: Number
    cached: Number
    tokens: Number
    source: Number = 0
    causal: bool = True
    near: Number | None = None

    @property
    def fused(self) -> bool:
        """Whether element-wise work is folded into its neighbours."""
        return self.step.kernels == "fused"

    def within(self, part: str, times: Number = 1) -> EmitContext:
        """The same tokens in another part of the model."""
        return replace(self, part=part, times=times)

    def last(self) -> EmitContext:
        """The last token of each sequence, after all others."""
        before = self.cached + self.new - 1
        return replace(self, new=1, cached=before, tokens=self.sequences)

    def linear(
        self, linear: Linear, rows: Number, target: str = "activations", sets: Number = 1
    ) -> MatMul:
        """A linear map on ``rows`` rows, in ``sets`` sets of weights (experts)."""
        return MatMul(
            linear.name,
            self.part,
            linear.role,
            self.times,
            rows,
            linear.inputs,
            linear.outputs,
            sets=sets,
            bias=linear.bias,
            unquantized=linear.unquantized,
            target=target,
        )


def normalize(norm: Norm, scope: EmitContext, rows: Number | None = None) -> Operator:
    """A norm over ``rows`` (None: every token), ``norm.vectors`` vectors in each."""
    count = scope.tokens if rows is None else rows
    return Pass(
        norm.name,
        scope.part,
        "norm",
        scope.times,
        count,
        norm.vectors * norm.width,
        norm.operations,
        kind="normalization",
        weights=norm.parameters,
    )


def residual(hidden: Number, branches: int, scope: EmitContext) -> Operator:
    """The additions to the residual stream.

    Fused with the norm that follows, an addition reads the branch and writes the stream; alone it
    reads both.
    """
    inputs = branches if scope.fused else 2 * branches
    name, group = "residual", "residual"
    where = (scope.part, group, scope.times, scope.tokens, hidden)
    return Pass(name, *where, branches, inputs=inputs, outputs=branches)


def elementwise(
    name: str, scope: EmitContext, rows: Number, width: Number, operations: Number, inputs: int = 1
) -> Operator:
    """Element-wise work that a fused kernel hides in its neighbour."""
    where = (scope.part, "elementwise", scope.times, rows, width)
    return Pass(name, *where, operations, inputs=inputs, fused=scope.fused)
