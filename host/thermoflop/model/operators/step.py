"""One forward step, and the conventions under which its operators are counted.

Published numbers disagree because their conventions do; here each one is an option, checked, and
every output states it. ``CONVENTIONS`` says what each choice means.
"""

from __future__ import annotations

from thermoflop.base.messages import expected
from thermoflop.base.number import Number, kind_of, maximum, minimum, where_zero
from thermoflop.base.record import record
from thermoflop.errors import UsageError

CONVENTIONS: dict[str, dict[str, str]] = {
    "attention": {
        "full": "every query meets every key (FlopCounterMode, PaLM's MFU)",
        "windowed": "a query meets as many keys as its window holds, before it or not",
        "causal": "a query meets only the keys before it, and only those in its window",
    },
    "logits": {
        "all": "at every position",
        "last": "at the last position of each sequence",
        "none": "not computed",
    },
    "mla": {
        "latent": "latent cached, keys and values expanded from all of it in each step",
        "expanded": "expanded keys and values cached",
        "absorbed": "latent cached, expansion folded into queries and output",
    },
    "kernels": {
        "fused": "scores stay on the chip; activations, rotations and biases are epilogues",
        "eager": "every operator reads its inputs from memory and writes its output there",
    },
    "experts": {
        "routed": "a token runs through its top-k experts",
        "all": "every expert runs on every token",
    },
    "expert_reads": {
        "expected": "weights of the expected number of distinct experts, E(1-(1-k/E)^T)",
        "fewest": "weights of one token's top-k experts: every token may choose the same",
        "all": "weights of all experts",
    },
    "convolution": {
        "padded": "as the reference code runs it: n+taps-1 positions, 2 in a decode step",
        "needed": "one position for each new token",
    },
}


@record
class Step:
    """One forward step: its sizes, whole numbers or numpy arrays of them, and its conventions.

    Published counts disagree because their conventions do. Each is a choice by name, and every
    output states it; ``CONVENTIONS`` in this module holds the sentence for each.

    Attributes:
        batch: sequences, 1 by default.
        new: tokens of each sequence that are run, 1 by default.
        cached: tokens of each sequence in the cache already, 0 by default.
        encoder: source positions of an encoder-decoder, 0 by default (Whisper: positions after
            its convolutions, half as many as mel frames).
        images: images in all, for a model that sees. None: one for each sequence where the model
            cannot do without.
        encode: whether the encoder runs in this step. None: unless there is a cache.
        attention: ``full`` (default: every query meets every key, as in PaLM's MFU), ``windowed``
            (as many as its window holds) or ``causal`` (only the keys before it, and only those in
            its window).
        logits: at ``all`` positions (default), at the ``last`` of each sequence, or ``none``.
        mla: latent attention with the latent cached and expanded in each step (``latent``, the
            default), with ``expanded`` keys and values cached, or with the expansion ``absorbed``
            into queries and output.
        kernels: ``fused`` (default: scores stay on the chip, element-wise work is part of its
            neighbours) or ``eager`` (each operator reads its inputs and writes its output).
        experts: ``routed`` (default: a token runs through its top-k) or ``all``.
        expert_reads: weights read of the ``expected`` number of distinct experts (default), of the
            ``fewest`` (one token's: all may choose alike) or of ``all``.
        convolution: ``padded`` (default: as the reference code runs it) or ``needed`` (one
            position for each new token).
        audio: clips of sound in all, for a model that hears; 0 by default.
        last_only: whether layers that keep no keys of their own, after which only such follow, run
            for the last token of each sequence alone: nothing reads what they make of the others
            where logits are at the last; False by default.
        snapshots: whether recurrences write their state after each token, as they do of drafted
            tokens that are checked, and not after the last alone; False by default.

    Example:
        >>> from thermoflop import Step
        >>> step = Step(batch=4, new=1, cached=1023, attention="causal")
        >>> step.conventions()["attention"], step.runs_encoder
        ('causal', False)
    """

    batch: Number = 1
    new: Number = 1
    cached: Number = 0
    encoder: Number = 0
    images: Number | None = None
    encode: bool | None = None
    attention: str = "full"
    logits: str = "all"
    mla: str = "latent"
    kernels: str = "fused"
    experts: str = "routed"
    expert_reads: str = "expected"
    convolution: str = "padded"
    audio: Number = 0
    last_only: bool = False
    snapshots: bool = False

    def conventions(self) -> dict[str, str]:
        """The conventions in force.

        Returns:
            Name to choice, in the order of ``CONVENTIONS``.
        """
        return {name: getattr(self, name) for name in CONVENTIONS}

    @property
    def runs_encoder(self) -> bool:
        """Whether the encoder runs in this step."""
        if self.encode is not None:
            return self.encode
        if kind_of(self.cached) == "numpy":
            empty = self.cached == 0
            if empty.all() != empty.any():
                raise UsageError(
                    "cached holds both zero and non-zero lengths: say encode=True or False"
                )
            return bool(empty.all())
        return bool(self.cached == 0)


def checked(step: Step) -> Step:
    """The same step, or UsageError naming the value that makes no sense."""
    for name, choices in CONVENTIONS.items():
        value = getattr(step, name)
        if value not in choices:
            asked = expected(str(value), choices)
            raise UsageError(f"{name}={value!r:.40} is not a convention: {asked}")
    for name, least in (("batch", 1), ("new", 0), ("cached", 0), ("encoder", 0), ("audio", 0)):
        _check_size(name, getattr(step, name), least)
    if step.images is not None:
        _check_size("images", step.images, 0)
    return step


def _check_size(name: str, value: Number, least: int) -> None:
    if kind_of(value) == "sympy":
        return
    if kind_of(value) == "numpy":
        whole = value.dtype.kind in "iu" or (value.dtype.kind == "f" and (value % 1 == 0).all())
        if not (whole and value.size and (value >= least).all()):
            raise UsageError(f"{name} must be whole numbers of at least {least} throughout")
        return
    if type(value) is not int or value < least:
        raise UsageError(f"{name}={value!r} makes no sense: expected a whole number >= {least}")


def keys_held(cached: Number, new: Number, window: Number | None) -> Number:
    """Keys that a layer holds in a step: those kept from before, and the new ones.

    A window of w keeps w - 1 old keys, so a decode step attends min(w, cached + 1), itself
    included (Jiang 2023, Mistral 7B).
    """
    if window is None:
        return cached + new
    return minimum(cached, window - 1) + new


def causal_pairs(
    cached: Number, new: Number, window: Number | None, chunk: Number | None
) -> Number:
    """(query, key) pairs under the causal mask, for one head of one sequence.

    The i-th new query meets cached + i keys, at most ``window``; or, in chunks, those of its own.
    """
    if chunk is not None:
        return _chunk_pairs(cached + new, chunk) - _chunk_pairs(cached, chunk)
    if window is None:
        return new * cached + _halved_square(new)
    growing = minimum(maximum(window - cached, 0), new)
    return growing * cached + _halved_square(growing) + (new - growing) * window


def _halved_square(count: Number) -> Number:
    """1 + 2 + ... + count, exact."""
    return count * (count + 1) / 2 if kind_of(count) == "sympy" else count * (count + 1) // 2


def _chunk_pairs(positions: Number, chunk: Number) -> Number:
    """Pairs of the first ``positions`` queries when attention restarts at every chunk."""
    whole, rest = positions // chunk, positions % chunk
    return whole * _halved_square(chunk) + _halved_square(rest)


def convolved(step_cached: Number, new: Number, kernel: Number, convention: str) -> Number:
    """Positions that a causal convolution computes for ``new`` tokens.

    ``padded`` is what transformers computes before it cuts the result: padding by taps - 1 on both
    sides gives n + taps - 1 positions; in a decode step the cached window of ``taps`` positions and
    the new one give two (``torch_causal_conv1d_update``).
    """
    if convention == "needed":
        return new
    return new + where_zero(step_cached, kernel - 1, 1)
