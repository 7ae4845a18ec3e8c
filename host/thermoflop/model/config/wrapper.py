"""Models of several towers: what sees or hears, a projector, and a text model that reads on.

A wrapper's family says which sections its configuration has and what is between them; the text
part is read by its own family, as if it stood alone.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.description import Description, Placed, Stack
from thermoflop.model.architecture.grid import RESIZED
from thermoflop.model.architecture.perceived import tower_on
from thermoflop.model.config.architectures import built, class_name
from thermoflop.model.config.readers import read_section, read_sections, reader_of
from thermoflop.model.config.tower import ANY_SIDE, read_tower

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from thermoflop.model.config.family import Section
    from thermoflop.model.config.keys import Config

# What the text part takes from the wrapper: its class, not its section, says which head there is.
_HEAD_KEYS = ("architectures", "id2label", "num_labels")
# Classes that build the text part alone, beside those whose names say so.
_TEXT_ALONE = frozenset(
    f"{name}ForCausalLM"
    for name in (
        *("Gemma3", "Gemma3n", "Gemma4", "Gemma4Unified", "Llama4", "MiniMaxM3VL"),
        *("Mllama", "Qwen3_5", "Qwen3_5Moe", "Qwen4Exp"),
    )
)


def _is_text(name: str) -> bool:
    """Whether a class of a wrapper's type builds the text part alone."""
    return name.endswith("TextModel") or "TextFor" in name or name in _TEXT_ALONE


def read_wrapper(config: Config) -> Description:
    """The description of the text model, with the towers before it.

    Traits of a wrapper: ``text``, the Section of the text model; ``towers``, a (Section, projector)
    each, where a projector may give stacks that follow the tower's, and makes the whole tower of
    the wrapper's own keys where there is no section; ``tied``: ``outer`` (tie_word_embeddings of
    the wrapper decides), ``either`` (or that of the text) or ``text``; ``extras``, a function that
    gives parts that are only kept; ``head``, one that gives another shape of the head;
    ``ending``, of the one class that is described; ``whole``, classes with a head whose names do
    not say so; ``shared``, a function that gives keys of the text's section that the class takes
    from elsewhere.
    """
    traits = config.family.traits
    head = {key: config.raw.get(key) for key in _HEAD_KEYS}
    if "ending" in traits:
        built(config, traits["ending"], ("generation",))
    if class_name(config, "") in traits.get("whole", ()):
        head["architectures"] = None
    shared = traits["shared"](config) if "shared" in traits else {}
    text = config.nested["text_config"] = read_section(config, traits["text"], **head, **shared)
    read_sections(config)
    described = reader_of(text.family.reader)(text)
    text.check_all()
    if _is_text(class_name(config, "")):
        return described
    hidden = described.stacks[-1].hidden
    towers = [_tower(config, section, project, hidden) for section, project in traits["towers"]]
    stacks = (*(stack for tower in towers for stack in tower), *described.stacks)
    kept = traits["extras"](config, hidden) if "extras" in traits else ()
    extras = (*described.extras, *(Placed(part, "none") for part in kept))
    described = replace(described, stacks=stacks, extras=extras)
    return _tied(config, traits.get("tied", "outer"), text, described)


def _tower(config: Config, section: Section | None, project: Any, hidden: int) -> tuple[Stack, ...]:
    """One tower with its projector, and what follows it; nothing where the model has none."""
    if section is None:
        return (_sized(config, project(config, hidden)),)
    if section.optional and config[section.key] is None:
        return ()
    inner = read_section(config, section)
    stack = read_tower(inner)
    inner.check_all()
    made = stack if project is None else project(config, inner, stack, hidden)
    first, *rest = made if isinstance(made, tuple) else (made,)
    return (_sized(config, first), *rest)


def _sized(config: Config, stack: Stack) -> Stack:
    """The tower on an image as the wrapper's processor gives it, where no size is said."""
    if stack.grid is None or stack.role != "image":
        return stack
    if "grid" in config.family.traits:
        grid = config.family.traits["grid"]
        rule = grid(config) if callable(grid) else grid
        stack = replace(stack, grid=replace(stack.grid, **rule))
    any_size = stack.grid is not None and stack.grid.rule in RESIZED
    return tower_on(stack, ANY_SIDE, ANY_SIDE) if any_size else stack


def left_out_by_version_4(raw: Mapping[str, Any]) -> bool:
    """Whether a file of transformers 4 leaves the tie out: its classes asked the text's section
    (``tie_weights`` by ``get_text_config``), where those of 5 ask the wrapper."""
    written = str(raw.get("transformers_version"))
    return not says_tie(raw) and written.startswith("4.")


def says_tie(raw: Mapping[str, Any]) -> bool:
    """Whether a section says itself if its head is the embedding's matrix."""
    return "tie_word_embeddings" in raw


def _tied(config: Config, rule: str, text: Config, described: Description) -> Description:
    """Whether the head is the embedding's matrix, as the wrapper's class decides it."""
    if described.head is None or described.head.group != "lm_head" or rule == "text":
        return described
    if "head" in config.family.traits:
        inputs, outputs = config.family.traits["head"](config)
        described = replace(described, head=replace(described.head, inputs=inputs, outputs=outputs))
    tied = bool(config["tie_word_embeddings"]) and rule != "none"
    own = text.get("tie_word_embeddings")
    if rule == "outer" and own is not None and left_out_by_version_4(config.raw):
        tied = bool(own)
    if rule == "either":
        tied = tied or bool(text.get("tie_word_embeddings"))
    return replace(described, head=replace(described.head, tied=tied))
