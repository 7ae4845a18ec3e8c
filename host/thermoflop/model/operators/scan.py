"""Operators of the state-space recurrences.

Projections and convolutions are exact. The scan is counted from the published recurrence, one
token after the other, whatever algorithm runs it. Mamba and Mamba-2 update h = a h + b x and read
y = c h (Gu and Dao 2023, eq. 2): reading is a contraction over the states, one multiply-add for
each; updating is element-wise work, six operations for each (the decay: a product and an
exponential; a h; b x and its step; the sum). The gated delta rule reads its matrix with the key
and with the query, two contractions, decays it and adds an outer product (Yang et al. 2024,
eq. 10); Kimi's decays every channel for itself, at the same cost. RWKV-7 adds a second outer
product (Peng et al. 2025, eq. 17). Lightning attention and xLSTM read their matrices with the query
alone. Chunked kernels do more work, in larger matrices.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.linear import (
    GatedDelta,
    GeneralizedDelta,
    KimiDelta,
    Lightning,
    MatrixMemory,
)
from thermoflop.model.architecture.recurrences import GatedRecurrence, ShortConvolution, TimeMix
from thermoflop.model.operators.context import EmitContext, elementwise, normalize
from thermoflop.model.operators.kinds import Convolve, Scan
from thermoflop.model.operators.operator import Operator
from thermoflop.model.operators.step import convolved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.model.architecture.recurrences import Recurrence


# group, multiply-adds that read one element of the state, operations that renew it
_SCANS = {
    GatedDelta: ("linear_attn_scan", 2, 3),
    KimiDelta: ("linear_attn_scan", 2, 3),
    Lightning: ("linear_attn_scan", 1, 3),
    GeneralizedDelta: ("linear_attn_scan", 2, 5),
    MatrixMemory: ("linear_attn_scan", 1, 3),
    # products element by element alone: both exponentials, numerator, denominator, their quotient
    TimeMix: ("attn_scan", 0, 16),
    GatedRecurrence: ("recurrence", 0, 8),
    ShortConvolution: ("short_conv_window", 0, 0),
}


def recurrent_operators(mixer: Recurrence, scope: EmitContext) -> Iterator[Operator]:
    """In-projections, convolution, scan, gate, norms, out-projection."""
    *inward, outward = mixer.linears()
    for linear in inward:
        yield scope.linear(linear, scope.tokens)
    yield from _short_convolution(mixer, scope)
    for gate in mixer.gates():
        yield replace(scope.linear(gate, scope.tokens), batch=gate.copies)
    for norm in mixer.norms():
        yield normalize(norm, scope)
    role, reads, updates = _SCANS.get(type(mixer), ("ssm_scan", 1, 6))
    where = (scope.part, role, scope.times, scope.tokens)
    sizes = (mixer.scanned, scope.sequences, mixer.state_elements)
    yield Scan("scan", *where, reads, *sizes, updates, scope.new if scope.step.snapshots else 1)
    # silu x / (1 + exp(-x)) of four operations, and a product
    yield elementwise("silu gate", scope, scope.tokens, mixer.inner, 5, 2)
    yield scope.linear(outward, scope.tokens)


def _short_convolution(mixer: Recurrence, scope: EmitContext) -> Iterator[Operator]:
    """The causal depth-wise convolution, over the positions that the convention counts."""
    conv = mixer.convolution()
    if conv is None:
        return
    positions = convolved(scope.cached, scope.new, conv.kernel, scope.step.convolution)
    rows = scope.sequences * positions
    where = (scope.part, conv.role, scope.times)
    yield Convolve(conv.name, *where, rows, conv.kernel, conv.outputs, conv.outputs, conv.bias)
