"""Generation: a prefill and a sum of decode steps, at a cost that does not grow with the tokens."""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.errors import UsageError
from thermoflop.model.architecture.cache import period
from thermoflop.model.operators.totals import NOTHING, Totals, even_pieces, series, totals_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.base.number import Number
    from thermoflop.model.architecture.description import Description
    from thermoflop.model.operators.operator import Traffic
    from thermoflop.model.operators.table import OperatorTable


@record
class Generation:
    """A prompt and the tokens generated after it, made by ``Model.generation``.

    The prefill gives the first token; each of the ``new - 1`` decode steps that follow adds one,
    the first of them with ``prompt`` tokens cached.

    Attributes:
        prompt: tokens of the prompt of each sequence.
        new: tokens generated for each sequence.
        batch: sequences.
        prefill: the operators of the step that reads the prompt.
        decoding: the sums over all decode steps.

    Example:
        >>> import thermoflop as tf
        >>> generation = tf.load_model("gpt2").generation(512, 512)
        >>> generation.flops == generation.prefill.flops + generation.decoding.flops
        True
        >>> generation.traffic.total == sum(generation.traffic.by_kind().values())
        True
    """

    prompt: int
    new: int
    batch: int
    prefill: OperatorTable
    decoding: Totals

    @property
    def totals(self) -> Totals:
        """Prefill and decode steps together."""
        return totals_of(self.prefill).plus(self.decoding)

    @property
    def flops(self) -> Number:
        """FLOPs of contractions, convolutions and scans, 2 for each multiply-add."""
        return self.totals.flops

    @property
    def elementwise_flops(self) -> Number:
        """FLOPs on single elements: norms, softmax, activations, biases, residuals."""
        return self.totals.elementwise_flops

    @property
    def traffic(self) -> Traffic:
        """Bytes moved, by kind."""
        return self.totals.traffic(self.prefill.formats)

    @property
    def conventions(self) -> dict[str, str]:
        """The conventions in force."""
        return self.prefill.conventions

    def __repr__(self) -> str:
        return (
            f"<Generation {self.prefill.model_name}: prompt={self.prompt}, new={self.new}, "
            f"batch={self.batch}, flops={self.flops}>"
        )


def check_lengths(prompt: int, new: int) -> None:
    """UsageError for lengths that make no sense."""
    for name, value in (("prompt", prompt), ("new", new)):
        if type(value) is not int or value < 1:
            raise UsageError(f"{name}={value!r} makes no sense: expected a whole number >= 1")


def decode_totals(
    description: Description, at: Callable[[int], Totals], prompt: int, new: int, chunked: bool
) -> Totals:
    """The sum of ``new - 1`` decode steps; ``at(cached)`` gives the totals of one.

    Between the lengths at which windows fill, the totals grow evenly, so each piece is an
    arithmetic series of its first and last step; where a cache grows by an entry for several
    tokens, so many series.
    """
    decoding = NOTHING
    stride = period(description)
    if new > 1:
        for start, end in even_pieces(description, prompt, prompt + new - 2, chunked):
            for first in range(start, min(start + stride, end + 1)):
                steps = (end - first) // stride
                last = at(first + steps * stride)
                decoding = decoding.plus(series(at(first), last, steps + 1))
    return decoding
