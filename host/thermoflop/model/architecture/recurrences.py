"""Recurrences over tokens: state spaces, short convolutions, one number a channel.

Sources: Gu and Dao 2023, 2024 (Mamba); Peng et al. 2023 (RWKV-4, eq. 11 to 16); De et al. 2024
(Griffin, section 2.4); LFM2 (Liquid AI 2025).
"""

from __future__ import annotations

from thermoflop.base.number import Number, kind_of
from thermoflop.base.record import record
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Part, Vector

TYPE_CHECKING = False


@record
class Recurrence:
    """What all of them have: maps, the last of which leads back, around a state that is renewed."""

    hidden: Number
    if TYPE_CHECKING:

        @property
        def inner(self) -> Number:
            """Channels of all heads together."""

        @property
        def scanned(self) -> Number:
            """State elements that are updated for each token."""

    @property
    def state_elements(self) -> Number:
        """Elements of the recurrent state of one sequence: states and convolution window."""
        window = self.convolution()
        return self.scanned + (0 if window is None else window.outputs * window.kernel)

    @property
    def kept_elements(self) -> Number:
        """Those of them that an engine keeps. A convolution of four taps needs three positions from
        before; transformers keeps all four."""
        window = self.convolution()
        return self.state_elements - (0 if window is None else window.outputs)

    @property
    def kept_window(self) -> Number:
        """Those of ``kept_elements`` that are inputs of the convolution, in the format of the
        activations."""
        window = self.convolution()
        return 0 if window is None else window.outputs * (window.kernel - 1)

    def convolution(self) -> Convolution | None:
        """The short causal convolution over each channel, where there is one."""
        return None

    def linears(self) -> tuple[Linear, ...]:
        """The maps of every token."""
        return ()

    def gates(self) -> tuple[Linear, ...]:
        """Gates with a matrix for each block of channels."""
        return ()

    def vectors(self) -> tuple[Vector, ...]:
        """Parameters without a matrix."""
        return ()

    def norms(self) -> tuple[Norm, ...]:
        """The norms around the scan."""
        return ()

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        window = self.convolution()
        windows = () if window is None else (window,)
        return (*self.linears(), *self.gates(), *windows, *self.vectors(), *self.norms())


@record
class Mamba(Recurrence):
    """The selective state space of Mamba: ``inner`` channels with ``state`` states each."""

    inner: Number
    state: Number
    kernel: Number
    dt_rank: Number
    bias: bool = False
    conv_bias: bool = True
    inner_norms: bool = False

    @property
    def scanned(self) -> Number:
        """State elements that are updated for each token."""
        return self.inner * self.state

    def convolution(self) -> Convolution:
        """The short causal convolution over each channel."""
        return Convolution("conv1d", "ssm", "ssm_conv", 1, self.inner, self.kernel, self.conv_bias)

    def linears(self) -> tuple[Linear, ...]:
        """Input, selection, step and output projections; the step belongs to the scan."""
        selected = self.dt_rank + 2 * self.state
        return (
            Linear("in_proj", "ssm", "ssm_proj", self.hidden, 2 * self.inner, self.bias),
            Linear("x_proj", "ssm", "ssm_proj", self.inner, selected),
            Linear("dt_proj", "ssm", "ssm_scan", self.dt_rank, self.inner, bias=True),
            Linear("out_proj", "ssm", "ssm_proj", self.inner, self.hidden, self.bias),
        )

    def vectors(self) -> tuple[Vector, ...]:
        """Decays, and what goes past the states."""
        return Vector("A_log", "ssm", self.inner * self.state), Vector("D", "ssm", self.inner)

    def norms(self) -> tuple[Norm, ...]:
        """Jamba normalizes the step and both selections."""
        return selection_norms(self.dt_rank, self.state) if self.inner_norms else ()


def selection_norms(dt_rank: Number, state: Number) -> tuple[Norm, ...]:
    """Norms on the step and on both selections."""
    return Norm("dt_norm", dt_rank), Norm("b_norm", state), Norm("c_norm", state)


@record
class Mamba2(Recurrence):
    """The state-space duality of Mamba-2: ``heads`` of ``head_dim``, ``groups`` share B and C.
    ``out_bias`` None: as ``bias``. ``normed``: a gated norm before the output projection.
    ``dt_rank``: B, C and steps are made of the convolved values, as in Mamba (PLaMo 2)."""

    heads: Number
    head_dim: Number
    groups: Number
    state: Number
    kernel: Number
    bias: bool = False
    conv_bias: bool = True
    out_bias: bool | None = None
    normed: bool = True
    dt_rank: Number | None = None

    @property
    def inner(self) -> Number:
        """Channels of all heads together."""
        return self.heads * self.head_dim

    @property
    def mixed(self) -> Number:
        """Channels that pass the convolution: values, B and C."""
        return self.inner + (2 * self.groups * self.state if self.dt_rank is None else 0)

    @property
    def scanned(self) -> Number:
        """State elements that are updated for each token."""
        return self.inner * self.state

    def convolution(self) -> Convolution:
        """The short causal convolution over each channel."""
        return Convolution("conv1d", "ssm", "ssm_conv", 1, self.mixed, self.kernel, self.conv_bias)

    def linears(self) -> tuple[Linear, ...]:
        """Input and output projections, and what selects where that is Mamba's."""
        where, rank = ("ssm", "ssm_proj"), self.dt_rank
        width = self.inner + self.mixed + (self.heads if rank is None else 0)
        selects: tuple[Linear, ...] = ()
        if rank is not None:
            selected = rank + 2 * self.groups * self.state
            selects = (
                Linear("bcdt_proj", *where, self.inner, selected),
                Linear("dt_proj", "ssm", "ssm_scan", rank, self.heads),
            )
        out_bias = self.bias if self.out_bias is None else self.out_bias
        return (
            Linear("in_proj", *where, self.hidden, width, self.bias),
            *selects,
            Linear("out_proj", *where, self.inner, self.hidden, out_bias),
        )

    def vectors(self) -> tuple[Vector, ...]:
        """Decays, what goes past the states, and steps."""
        step = Vector("dt_bias", "ssm", self.heads, bias=True)
        return Vector("A_log, D", "ssm", 2 * self.heads), step

    def norms(self) -> tuple[Norm, ...]:
        """The gated norm before the output projection, and those on what selects."""
        gated = (Norm("gated_norm", self.inner),) if self.normed else ()
        return (
            gated if self.dt_rank is None else (*gated, *selection_norms(self.dt_rank, self.state))
        )


@record
class TimeMix(Recurrence):
    """RWKV-4: a weighted mean over all tokens before, that decays at its own rate a channel. The
    mixing with the token before is element-wise."""

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

    def linears(self) -> tuple[Linear, ...]:
        """Key, value and receptance, and back."""
        inward = [
            Linear(name, "attn", "attn_proj", self.hidden, self.inner)
            for name in ("k_proj", "v_proj", "r_proj")
        ]
        return (*inward, Linear("o_proj", "attn", "attn_proj", self.inner, self.hidden))

    def vectors(self) -> tuple[Vector, ...]:
        """Rates of decay, and shares of the token before."""
        decay = Vector("time_decay, time_first", "attn", 2 * self.inner)
        return decay, Vector("time_mix", "attn", 3 * self.hidden)


@record
class GatedRecurrence(Recurrence):
    """Griffin: ``inner`` channels after a short convolution, gated in blocks, one a head."""

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

    def vectors(self) -> tuple[Vector, ...]:
        """The rates of decay."""
        return (Vector("recurrent_param", "recurrence", self.inner),)


@record
class ShortConvolution(Recurrence):
    """y = C (conv of B x): two gates and a value from the hidden state, no state but the window."""

    kernel: Number
    bias: bool = False
    scanned = 0

    @property
    def inner(self) -> Number:
        """Channels."""
        return self.hidden

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
