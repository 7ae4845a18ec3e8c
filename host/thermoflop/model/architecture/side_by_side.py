"""Mixers of hybrids: gated short convolutions, and mixers that work side by side.

Sources: LFM2 (Liquid AI 2025), Falcon-H1 (2025, section 2: attention beside a state space).
"""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.model.architecture.parts import Convolution, Linear, Norm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.base.number import Number
    from thermoflop.model.architecture.parts import Part


@record
class ShortConvolution:
    """y = C (conv of B x): two gates and a value from the hidden state, no state but the window."""

    hidden: Number
    kernel: Number
    bias: bool = False

    @property
    def inner(self) -> Number:
        """Channels."""
        return self.hidden

    @property
    def scanned(self) -> Number:
        """State elements that are updated for each token: none."""
        return 0

    @property
    def state_elements(self) -> Number:
        """Elements of the convolution window of one sequence."""
        return self.hidden * self.kernel

    def convolution(self) -> Convolution:
        """The short causal convolution over each channel."""
        name, group = "conv1d", "short_conv"
        return Convolution(name, group, group, 1, self.hidden, self.kernel, self.bias)

    def linears(self) -> tuple[Linear, ...]:
        """Gates and value, and back."""
        group, role, hidden = "short_conv", "short_conv_proj", self.hidden
        return (
            Linear("in_proj", group, role, hidden, 3 * hidden, self.bias),
            Linear("out_proj", group, role, hidden, hidden, self.bias),
        )

    def norms(self) -> tuple[Norm, ...]:
        """None."""
        return ()

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        return (*self.linears(), self.convolution())


@record
class SideBySide:
    """Mixers of one layer that read the same state, and whose results are summed up."""

    hidden: Number
    mixers: tuple[Any, ...]  # of `mixers.Mixer`, which this is one of

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        return tuple(part for mixer in self.mixers for part in mixer.parts())
