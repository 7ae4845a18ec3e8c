"""What a model is for, by its family and by the class that its file names."""

from __future__ import annotations

from thermoflop.model.config.architectures import ENDINGS, class_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.architecture.description import Description
    from thermoflop.model.config.keys import Config

_BARE = ("bare", "encoder", "decoder")
_SCORES = ("sequence", "token", "question", "choice", "next sentence", "reward")
_UNMASKS = (
    "it writes by removing masks, in as many steps as are asked for, and each step runs every "
    "position anew: times are of one step, its prompt is all positions"
)


def purpose_of(config: Config, description: Description) -> str:
    """``generate``, ``embed``, ``rank`` or ``unmask``. A class that has a head of language has it
    in the description; what another one is for, its name says."""
    said = config.family.traits.get("purpose")
    head, kind = description.head, _kind(config)
    if head is not None:
        return str(said or ("rank" if head.role == "classifier" else "generate"))
    if kind in _SCORES:
        return "rank"
    return "embed" if kind in _BARE or description.stack("encoder") is None else "generate"


def _kind(config: Config) -> str:
    """The kind of head or half that the name of the class says; "" for a name that says none."""
    name = class_name(config, str(config.family.traits.get("class", "")))
    return ENDINGS.get(max(filter(name.endswith, ENDINGS), key=len, default=""), "")


def step_said(config: Config, purpose: str) -> tuple[str, ...]:
    """A sentence on what a step is, where that is no next token."""
    if purpose == "unmask":
        return (_UNMASKS,)
    said = config.family.traits.get("step_said")
    return (said,) if said else ()
