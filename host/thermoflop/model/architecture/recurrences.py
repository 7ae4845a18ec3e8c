"""Recurrences of one number a channel: RWKV's time mixing, Griffin's gated linear recurrence.

Sources: Peng et al. 2023 (RWKV-4, eq. 11 to 16); De et al. 2024 (Griffin, section 2.4).
"""

from __future__ import annotations

from thermoflop.base.number import kind_of
from thermoflop.base.record import record
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Vector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.base.number import Number
    from thermoflop.model.architecture.parts import Part


@record
class TimeMix:
    """RWKV-4: a weighted mean over all tokens before, that decays at its own rate a channel."""

    hidden: Number
    inner: Number

    @property
    def scanned(self) -> Number:
        """Channels that are updated for each token."""
        return self.inner

    @property
    def state_elements(self) -> Number:
        """Numerator, denominator and exponent a channel, and the token before, here and in the
        feed-forward."""
        return 3 * self.inner + 2 * self.hidden

    def convolution(self) -> None:
        """The mixing with the token before is element-wise."""
        return

    def linears(self) -> tuple[Linear, ...]:
        """Key, value and receptance, and back."""
        inward = [
            Linear(name, "attn", "attn_proj", self.hidden, self.inner)
            for name in ("k_proj", "v_proj", "r_proj")
        ]
        return (*inward, Linear("o_proj", "attn", "attn_proj", self.inner, self.hidden))

    def norms(self) -> tuple[Norm, ...]:
        """None."""
        return ()

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        decay = Vector("time_decay, time_first", "attn", 2 * self.inner)
        return (*self.linears(), decay, Vector("time_mix", "attn", 3 * self.hidden))


@record
class GatedRecurrence:
    """Griffin: ``inner`` channels after a short convolution, gated in blocks, one a head."""

    hidden: Number
    inner: Number
    heads: Number
    kernel: Number

    @property
    def block(self) -> Number:
        """Channels of a block."""
        inner, heads = self.inner, self.heads
        return inner / heads if kind_of(inner) == "sympy" else inner // heads

    @property
    def scanned(self) -> Number:
        """Channels that are updated for each token."""
        return self.inner

    @property
    def state_elements(self) -> Number:
        """Elements of the state of one sequence: channels and convolution window."""
        return self.inner * self.kernel

    def convolution(self) -> Convolution:
        """The short causal convolution over each channel."""
        where = ("conv1d", "recurrence", "recurrence")
        return Convolution(*where, 1, self.inner, self.kernel, bias=True)

    def linears(self) -> tuple[Linear, ...]:
        """Both branches, and back."""
        where = ("recurrence", "recurrence")
        return (
            Linear("x_proj", *where, self.hidden, self.inner, bias=True),
            Linear("y_proj", *where, self.hidden, self.inner, bias=True),
            Linear("out_proj", *where, self.inner, self.hidden, bias=True),
        )

    def gates(self) -> tuple[Linear, ...]:
        """Input and recurrence gate, a matrix a block."""
        where, size = ("recurrence", "recurrence"), (self.block, self.block)
        return tuple(
            Linear(name, *where, *size, bias=True, copies=self.heads)
            for name in ("input_gate", "recurrent_gate")
        )

    def norms(self) -> tuple[Norm, ...]:
        """None."""
        return ()

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        rate = Vector("recurrent_param", "recurrence", self.inner)
        return (*self.linears(), *self.gates(), self.convolution(), rate)
