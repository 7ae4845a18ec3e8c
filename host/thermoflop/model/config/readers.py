"""The reader that a family names, and the sections of a configuration that has several."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import UnknownModel
from thermoflop.model.config.decoder import read_decoder
from thermoflop.model.config.families import find_family
from thermoflop.model.config.keys import Config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from thermoflop.model.architecture.description import Description
    from thermoflop.model.config.family import Section


# how publishers name the number of modules that predict tokens further ahead
AHEAD_KEYS = (
    "num_nextn_predict_layers",
    "num_mtp_layers",
    "mtp_num_hidden_layers",
    "num_mtp_modules",
)


# Types whose files name none of these keys, and whose weights have such modules all the same
# (``getattr(config, "num_nextn_predict_layers", 1)``, qwen3_next_mtp.py of vLLM; three files of
# MiMo-V2-Flash, of which vLLM's mimo_v2_mtp.py reads the first).
UNSAID = {"qwen3_next": 1, "mimo_v2_flash": 3}
SECTIONS = ("text_config", "vision_config", "audio_config")


def modules_ahead(raw: Mapping[str, Any]) -> int:
    """How many such modules a configuration, or its text model's, names; 0: none."""
    for place in (raw, *map(raw.get, ("text_config", "mtp_config"))):
        if not isinstance(place, dict):
            continue
        for key in AHEAD_KEYS:
            count = place.get(key)
            if type(count) is int and count > 0:
                return count
    named = any(key in raw for key in AHEAD_KEYS)
    return 0 if named else UNSAID.get(str(raw.get("model_type")), 0)


def read_section(config: Config, section: Section, **changes: Any) -> Config:
    """A section's own configuration; ``changes`` are set in it, or taken out by None.

    UnknownModel where its family is not known.
    """
    raw = config[section.key]
    if raw is None:
        others = (*SECTIONS, "model_type")
        beside = {key: value for key, value in config.raw.items() if key not in others}
        raw = beside if section.flat else {"model_type": section.family, **(section.init or {})}
    if section.merged:
        raw = {**(section.init or {}), **raw}
    stated = changes.get("model_type") or raw.get("model_type") or section.family
    name = section.family if section.fixed else stated
    family = find_family(name) if isinstance(name, str) else None
    if family is None:
        raise UnknownModel(
            f"{section.key} of {config.family.name} needs the family {quote_value(name)}, which is "
            "not known here"
        )
    kept = {key: value for key, value in raw.items() if key not in changes}
    kept.update({key: value for key, value in changes.items() if value is not None})
    inner = Config(family, kept, config.ignore)
    read_sections(inner)
    return inner


def read_sections(config: Config) -> dict[str, Config]:
    """The sections that have been read, now with those that the family's trait ``sections`` names,
    each of them checked."""
    for section in config.family.traits.get("sections", ()):
        config.nested[section.key] = inner = read_section(config, section)
        inner.check_all()
    return config.nested


def reader_of(name: str) -> Callable[[Config], Description]:
    """The reader that a family names, imported when it is first needed."""
    if name == "decoder":
        return read_decoder
    from importlib import import_module

    where, _, special = ("alone.part" if name == "tower" else name).partition(".")
    module = import_module(f"thermoflop.model.config.{where}")
    reader: Callable[[Config], Description] = getattr(module, f"read_{special or where}")
    return reader
