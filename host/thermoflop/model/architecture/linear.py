"""Linear attention with a matrix for each head as its state: delta rules, Lightning.

Sources: Yang 2024 (gated delta rule); Kimi Linear (2025, section 3: a decay for every channel);
MiniMax-01 (2025, section 2.2: Lightning attention, a fixed decay for every head); Peng et al. 2025
(arXiv 2503.14456: RWKV-7); Beck et al. 2024 (arXiv 2405.04517, section 2.3: mLSTM).
"""

from __future__ import annotations

from thermoflop.base.number import Number
from thermoflop.base.record import record
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Vector
from thermoflop.model.architecture.recurrences import Recurrence

GROUP, ROLE = "linear_attn", "linear_attn_proj"


@record
class GatedDelta(Recurrence):
    """The gated delta rule of Qwen3-Next: a key x value matrix per value head is the state.

    ``taps``: a convolution over the values alone, whose taps two maps make of each token, through
    so many elements (Jet-Nemotron).
    """

    key_heads: Number
    value_heads: Number
    key_dim: Number
    value_dim: Number
    kernel: Number
    taps: Number | None = None

    @property
    def inner(self) -> Number:
        """Value channels of all heads together."""
        return self.value_heads * self.value_dim

    @property
    def mixed(self) -> Number:
        """Channels of queries, keys and values."""
        return 2 * self.key_heads * self.key_dim + self.inner

    @property
    def scanned(self) -> Number:
        """State elements that are updated for each token."""
        return self.value_heads * self.key_dim * self.value_dim

    def convolution(self) -> Convolution:
        """The short causal convolution over each channel, without bias."""
        made = self.taps is not None
        channels = self.inner if made else self.mixed
        return Convolution("conv1d", GROUP, "linear_attn_conv", 1, channels, self.kernel, tied=made)

    def linears(self) -> tuple[Linear, ...]:
        """Projections to queries, keys, values and gate, to both rates, to taps, and back."""
        taps: tuple[Linear, ...] = ()
        if self.taps is not None:
            made = self.inner * self.kernel
            taps = (
                Linear("taps_w1", GROUP, ROLE, self.hidden, self.taps),
                Linear("taps_w2", GROUP, ROLE, self.taps, made, bias=True),
            )
        return (
            Linear("in_proj_qkvz", GROUP, ROLE, self.hidden, self.mixed + self.inner),
            Linear("in_proj_ba", GROUP, ROLE, self.hidden, 2 * self.value_heads),
            *taps,
            Linear("out_proj", GROUP, ROLE, self.inner, self.hidden),
        )

    def vectors(self) -> tuple[Vector, ...]:
        """Decays and steps of each value head."""
        heads = self.value_heads
        return Vector("A_log", GROUP, heads), Vector("dt_bias", GROUP, heads, bias=True)

    def norms(self) -> tuple[Norm, ...]:
        """The gated norm on each value head."""
        return (Norm("gated_norm", self.value_dim, vectors=self.value_heads),)


@record
class _Squares(Recurrence):
    """``heads`` states of ``dim`` x ``dim``."""

    heads: Number
    dim: Number

    @property
    def inner(self) -> Number:
        """Channels of all heads together."""
        return self.heads * self.dim

    @property
    def scanned(self) -> Number:
        """State elements that are updated for each token."""
        return self.inner * self.dim


@record
class KimiDelta(_Squares):
    """The delta rule with a decay for every key channel: ``heads`` states of ``dim`` x ``dim``.

    Decay and output gate go through ``dim`` elements; the gate is one matrix where ``full_gate``
    (Kimi K3), the decay where ``full_decay`` (Ling 3).
    """

    kernel: Number
    full_gate: bool = False
    full_decay: bool = False

    def convolution(self) -> Convolution:
        """The short causal convolution over each channel of queries, keys and values."""
        return Convolution("conv1d", GROUP, "linear_attn_conv", 1, 3 * self.inner, self.kernel)

    def linears(self) -> tuple[Linear, ...]:
        """Projections to queries, keys, values, decay, rate and gate, and back."""
        wide = (GROUP, ROLE, self.hidden, self.inner)
        narrow, decay = (GROUP, ROLE, self.hidden, self.dim), ("forget_gate", "forget_gate")
        gates = (Linear("g_a_proj", *narrow), Linear("g_b_proj", GROUP, ROLE, self.dim, self.inner))
        decays = (
            Linear("f_a_proj", *decay, self.hidden, self.dim),
            Linear("f_b_proj", *decay, self.dim, self.inner),
        )
        full_decay = (Linear("f_proj", *decay, self.hidden, self.inner),)
        return (
            *(Linear(f"{name}_proj", *wide) for name in "qkv"),
            *(full_decay if self.full_decay else decays),
            Linear("b_proj", GROUP, ROLE, self.hidden, self.heads),
            *((Linear("g_proj", *wide),) if self.full_gate else gates),
            Linear("o_proj", GROUP, ROLE, self.inner, self.hidden),
        )

    def vectors(self) -> tuple[Vector, ...]:
        """Decays of each head, steps of each channel."""
        decays = Vector("A_log", "forget_gate", self.heads)
        return decays, Vector("dt_bias", "forget_gate", self.inner, bias=True)

    def norms(self) -> tuple[Norm, ...]:
        """The gated norm on each head."""
        return (Norm("gated_norm", self.dim, vectors=self.heads),)


@record
class Lightning(_Squares):
    """Linear attention with a fixed decay: ``heads`` states of ``dim`` x ``dim``.

    With ``normed``, queries and keys of each head have a norm (Ling 2.5).
    """

    normed: bool = False
    biases: tuple[bool, bool] = (False, False)  # of the first and the last map

    def linears(self) -> tuple[Linear, ...]:
        """Projections to queries, keys and values, to the gate, and back."""
        return (
            Linear("qkv_proj", GROUP, ROLE, self.hidden, 3 * self.inner, self.biases[0]),
            Linear("output_gate", GROUP, ROLE, self.hidden, self.inner),
            Linear("out_proj", GROUP, ROLE, self.inner, self.hidden, self.biases[1]),
        )

    def norms(self) -> tuple[Norm, ...]:
        """The norm on the results of all heads, and those on queries and keys."""
        each = (Norm(name, self.dim, vectors=self.heads) for name in ("q_norm", "k_norm"))
        return (*(each if self.normed else ()), Norm("norm", self.inner))


@record
class GeneralizedDelta(_Squares):
    """RWKV-7: S = S diag(w) + (S a) b' + v k', a delta rule with a decay and a rate for every
    channel, read by y = S r.

    Decay, rate, what is taken of the first layer's values (0: it is the first) and gate each go
    through so many elements (``ranks``). The mixing with the token before is element-wise.
    """

    ranks: tuple[int, int, int, int]

    @property
    def state_elements(self) -> Number:
        """The matrices, and the token before, here and in the feed-forward."""
        return self.scanned + self.kept_window

    @property
    def kept_window(self) -> Number:
        """The token before, twice, in the format of the activations."""
        return 2 * self.hidden

    def linears(self) -> tuple[Linear, ...]:
        """Receptance, key and value, the four pairs of narrow maps, and back."""
        pairs = []
        for name, rank in zip("wavg", self.ranks, strict=True):
            if rank:
                pairs.append(Linear(f"{name}_lora_a", GROUP, ROLE, self.hidden, rank))
                pairs.append(Linear(f"{name}_lora_b", GROUP, ROLE, rank, self.inner, name != "g"))
        return (
            *(Linear(f"{name}_proj", GROUP, ROLE, self.hidden, self.inner) for name in "rkv"),
            *pairs,
            Linear("o_proj", GROUP, ROLE, self.inner, self.hidden),
        )

    def vectors(self) -> tuple[Vector, ...]:
        """Shares of the token before, and what weighs keys, rates and the bonus."""
        shares = Vector("x_r, x_w, x_k, x_v, x_a, x_g", GROUP, 6 * self.hidden)
        return shares, Vector("k_k, k_a, r_k", GROUP, 3 * self.inner)

    def norms(self) -> tuple[Norm, ...]:
        """The length of each head's removal key, and the norm on each head's result."""
        heads = self.heads
        removal = Norm("k_norm", self.dim, "l2", weight=False, vectors=heads)
        return removal, Norm("g_norm", self.dim, "layer", bias=True, vectors=heads, copies=heads)


@record
class MatrixMemory(Recurrence):
    """xLSTM's mLSTM: C = f C + i v k', n = f n + i k, read by C q over n q: ``heads`` matrices of
    ``key_dim`` x ``value_dim``, and a normalizer that is one column more."""

    heads: Number
    key_dim: Number
    value_dim: Number

    @property
    def inner(self) -> Number:
        """Value channels of all heads together."""
        return self.heads * self.value_dim

    @property
    def scanned(self) -> Number:
        """State elements that are updated for each token."""
        return self.heads * self.key_dim * (self.value_dim + 1)

    @property
    def state_elements(self) -> Number:
        """Those, and the largest exponent of each head."""
        return self.scanned + self.heads

    def linears(self) -> tuple[Linear, ...]:
        """Queries, keys, values and output gate, input and forget gates, and back."""
        width = 2 * self.heads * self.key_dim + 2 * self.inner
        return (
            Linear("qkv_opreact", GROUP, ROLE, self.hidden, width),
            Linear("ifgate_preact", GROUP, ROLE, self.hidden, 2 * self.heads, bias=True),
            Linear("out_proj", GROUP, ROLE, self.inner, self.hidden),
        )

    def norms(self) -> tuple[Norm, ...]:
        """The norm on the result of each head."""
        heads = self.heads
        return (Norm("multihead_norm", self.value_dim, "layer", vectors=heads, copies=heads),)
