"""A step that decodes and reads prompts at once, as engines with chunked prefill run it.

Every matrix is read once for all tokens of the step (Agrawal et al. 2023, SARATHI: a chunk of a
prompt carries the decoding of others along); attention is computed for each part by itself.
"""

from __future__ import annotations

from thermoflop.base.number import Number, maximum
from thermoflop.base.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.work.work import Work
    from thermoflop.model.operators.step import Step

# What each part of a step does for itself.
ALONE = ("attention", "scan")


@record
class Mixed:
    """A step in which the sequences of ``decode`` add a token while ``chunk`` reads prompts."""

    decode: Step
    chunk: Step

    @property
    def batch(self) -> Number:
        """Sequences that the step adds a token to."""
        return self.decode.batch

    @property
    def encode(self) -> bool | None:
        """No encoder runs: see ``Step.encode``."""
        return self.decode.encode


def merged(decode: Sequence[Work], chunk: Sequence[Work]) -> list[Work]:
    """The operators of two steps that run as one."""
    others: dict[tuple[object, ...], list[Work]] = {}
    for work in chunk:
        others.setdefault(_key(work), []).append(work)
    works: list[Work] = []
    for work in decode:
        alike = others.get(_key(work))
        works.append(_both(work, alike.pop(0)) if alike and work.kind not in ALONE else work)
    return works + [work for left in others.values() for work in left]


def _key(work: Work) -> tuple[object, ...]:
    return work.name, work.part, work.group, work.kind


def _both(one: Work, two: Work) -> Work:
    """One operator for the tokens of both: its weights and its padding once.

    A collective's steps in a row stand in ``flops`` (``network_work``) and are taken once as well.
    A chunk of some hundred tokens reads nearly every expert, so that the larger part stands for
    the experts of both.
    """
    once = one.kind == "network"
    return replace(
        one,
        flops=maximum(one.flops, two.flops) if once else one.flops + two.flops,
        row_flops=maximum(one.row_flops, two.row_flops),
        padding_flops=maximum(one.padding_flops, two.padding_flops),
        weight_bytes=maximum(one.weight_bytes, two.weight_bytes),
        kv_bytes=one.kv_bytes + two.kv_bytes,
        activation_bytes=one.activation_bytes + two.activation_bytes,
        element_flops=one.element_flops + two.element_flops,
    )
