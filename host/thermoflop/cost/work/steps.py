"""The steps that a run consists of, each with how often it runs: the one list that all times,
fits, predictions and explanations are made of, under the conventions that fused kernels follow.
"""

from __future__ import annotations

from thermoflop.base.number import Number, kind_of, maximum, one_where
from thermoflop.base.record import replace
from thermoflop.model.operators.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


Weighted: TypeAlias = "list[tuple[Number, Step]]"

CONVENTIONS = {
    "attention": "causal in the prompt, fused: scores stay on the chip",
    "logits": "at the last position",
    "mla": "expanded in the prompt, absorbed in decoding",
    "expert_reads": "expected distinct experts, E(1-(1-k/E)^T)",
}
ABSORBED = "absorbed in the prompt and in decoding"
OF_ENCODERS = {
    "attention": "full, fused: scores stay on the chip",
    "logits": "not computed",
    "expert_reads": CONVENTIONS["expert_reads"],
}


def prefill_step(prompt: Number, batch: Number, cached: Number = 0, logits: str = "last") -> Step:
    """The step that reads a prompt: causal, fused, logits of the last position."""
    return Step(batch, prompt, cached, attention="causal", logits=logits, mla="expanded")


def decode_step(cached: Number, batch: Number) -> Step:
    """The step that adds one token: absorbed latent, fused, the encoder already run."""
    return Step(batch, 1, cached, encode=False, mla="absorbed", convolution="needed")


def check_step(new: Number, cached: Number, batch: Number) -> Step:
    """The step that checks drafted tokens: one that decodes ``new`` of each sequence at once, with
    logits at every one of them.

    Latent attention is absorbed as in any decode step: vLLM and FlashMLA take such steps for
    decoding, SGLang expands only what ``is_extend`` and is no ``is_target_verify``
    (srt/models/deepseek_v2.py). Recurrences write their state after each token, so that what is
    refused can be taken back ("keep the states for multi-query tokens", fused_recurrent.py of vLLM;
    CACHE_INTERMEDIATE_STATES of SGLang's and FlashInfer's kernels; ``n_rs_seq`` of llama.cpp).
    """
    return replace(
        decode_step(cached, batch), new=new, attention="causal", logits="all", snapshots=True
    )


def prompt_steps(
    new: Number,
    batch: Number,
    cached: Number = 0,
    *,
    chunk: int | None = None,
    stages: int = 1,
    logits: str = "last",
) -> Weighted:
    """The steps that read ``new`` tokens of a prompt after ``cached`` ones.

    At once, or in chunks of ``chunk`` tokens and a last one of what is left. All times are affine
    in the cached tokens, so the middle one of the whole chunks stands for them. Over ``stages``
    pipeline stages the chunks overlap: n of them take (n + p - 1)/(n p) of the time of one after
    the other (the bubble of Narayanan et al. 2021, section 2.2.1).
    """
    if chunk is None:
        return [(1.0, prefill_step(new, batch, cached, logits))]
    whole = new // chunk
    rest = new - whole * chunk
    some_left = one_where(rest > 0)
    count = maximum(whole + some_left, 1)
    overlap = (count + stages - 1) / (count * stages)
    middle = cached + maximum(whole - 1, 0) * chunk / 2
    steps = [
        (overlap * whole, prefill_step(chunk, batch, middle, logits)),
        (
            overlap * some_left,
            prefill_step(maximum(rest, 1), batch, cached + whole * chunk, logits),
        ),
    ]
    return [each for each in steps if kind_of(each[0]) == "numpy" or each[0]]


def middle_context(prompt: Number, generate: Number) -> Number:
    """Cached tokens of the middle one of the ``generate - 1`` decode steps after a prompt.

    The first of them has ``prompt`` tokens cached, the last ``prompt + generate - 2``; of an even
    number of steps the middle lies between two, at a half.
    """
    later = maximum(generate - 2, 0)
    if type(later) is int and later % 2 == 0:
        return prompt + later // 2
    return prompt + later / 2


def generation_steps(
    prompt: Weighted, context: Number, generate: Number, batch: Number
) -> Weighted:
    """Reading a prompt, then ``generate - 1`` decode steps, for which the middle one stands.

    ``context`` is the length of the whole prompt, what was cached of it included.
    """
    middle = decode_step(middle_context(context, generate), batch)
    return [*prompt, (maximum(generate - 1, 0), middle)]
