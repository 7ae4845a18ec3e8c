"""Parameters of a description: every part once, with the sets of weights that exist of it."""

from __future__ import annotations

from thermoflop.model.architecture.feedforward import Moe
from thermoflop.model.architecture.parts import HASH_TABLES, Linear, Map, Norm, Part, Table, Vector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.base.number import Number
    from thermoflop.model.architecture.description import Description, Placed
    from thermoflop.model.architecture.formats import Format


def total(description: Description) -> Number:
    """All parameters; a tied matrix counts once."""
    return sum(sets * part.parameters for sets, part in description.parts())


def by_group(description: Description) -> dict[str, Number]:
    """Parameters by group, groups without any left out."""
    groups: dict[str, Number] = {}
    for sets, part in description.parts():
        count = sets * part.parameters
        if type(count) is int and count == 0:
            continue
        groups[part.group] = groups.get(part.group, 0) + count
    return groups


def biases(description: Description) -> Number:
    """Parameters in biases, those of norms included."""
    return sum(sets * _bias(part) for sets, part in description.parts())


def _bias(part: Part) -> Number:
    """Parameters in the bias of a part; a vector is one, or is none."""
    if isinstance(part, Map):
        return part.bias_parameters
    if isinstance(part, Norm):
        return part.copies * part.width if part.bias else 0
    return part.elements if isinstance(part, Vector) and part.bias else 0


def mixtures(description: Description) -> Iterator[tuple[Number, Moe]]:
    """Every mixture of experts, with the number of layers that have it."""
    for run in description.runs:
        if isinstance(run.layer.feed, Moe):
            yield run.sets, run.layer.feed


def expert_parameters(moe: Moe) -> Number:
    """Parameters of all experts of one mixture."""
    return sum(part.parameters for part in moe.expert.parts())


def active(description: Description) -> Number:
    """Parameters that work on one token: top-k of the experts, what it looks up of hashed n-grams,
    and all the rest."""
    count = total(description)
    for sets, moe in mixtures(description):
        experts = expert_parameters(moe)
        if type(experts) is int and type(moe.experts) is int:
            idle = experts // moe.experts * (moe.experts - moe.top_k)
        else:
            idle = experts - experts * moe.top_k / moe.experts
        count = count - sets * idle
    aside = (each.part.parameters for each in description.extras if each.rows == "aside")
    layers = sum(run.sets * _unread(run.layer.others) for run in description.runs)
    return count - sum(aside) - layers - sum(_unread(each.front) for each in description.stacks)


def _unread(parts: tuple[Placed, ...]) -> Number:
    """Elements of tables of hashed n-grams that a token does not look up."""
    unread: Number = 0
    for placed in parts:
        part = placed.part
        if isinstance(part, Table) and part.group == HASH_TABLES:
            unread = unread + (part.rows - placed.times) * part.width
    return unread


def stored_bytes(description: Description, weights: Format, unquantized: Format) -> Number:
    """Bytes of all parameters: matrices in layers in one format, the rest in the other."""
    size: Number = 0
    for sets, part in description.parts():
        matrix: Number = 0
        if isinstance(part, Linear) and not part.unquantized and not part.tied:
            matrix = part.matrix_parameters
        rest = part.parameters - matrix
        size = size + sets * (weights.bytes_of(matrix) + unquantized.bytes_of(rest))
    return size
