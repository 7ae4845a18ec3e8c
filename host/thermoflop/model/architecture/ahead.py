"""A model's own layers that predict further ahead, apart from the model or alone."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.parts import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.architecture.description import Description


def draft_of(described: Description) -> Description | None:
    """The first module as a model of its own, which drafts for the model it belongs to."""
    module, stack = described.stack("mtp"), described.stack("decoder")
    if module is None or stack is None:
        return None
    tables = tuple(placed for placed in stack.front if isinstance(placed.part, Table))
    front = (*tables, *module.front)
    return replace(described, stacks=(replace(module, role="decoder", front=front),))


def without_ahead(described: Description) -> Description:
    """The description without its modules."""
    stacks = tuple(stack for stack in described.stacks if stack.role != "mtp")
    return replace(described, stacks=stacks)
