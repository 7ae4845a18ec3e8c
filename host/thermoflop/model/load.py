"""``load_model``: from a file, a folder, a dictionary or a catalogue name to a Model."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import UnknownModel, UsageError, printable
from thermoflop.model.architecture.parts import Table
from thermoflop.model.config.architectures import purpose_of, step_said
from thermoflop.model.config.assumed import assumed
from thermoflop.model.config.drafting_classes import of_speculators
from thermoflop.model.config.families import FAMILY_NAMES, UNNAMED, find_family, own_type
from thermoflop.model.config.keys import Config
from thermoflop.model.config.positions import max_positions
from thermoflop.model.config.readers import modules_ahead, reader_of
from thermoflop.model.config.source import QUANTIZATION_KEYS, Source, read_source
from thermoflop.model.model import Model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from os import PathLike
    from typing import Any

    from thermoflop.model.architecture.description import Description
    from thermoflop.model.architecture.quantization import Quantization
    from thermoflop.model.config.family import Family

TOWER_ROLES = frozenset({"image", "audio", "video"})
# Files that lie beside a config.json, by keys that each has, and what is meant instead.
_OTHER_FILES: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset(["peft_type"]), "an adapter's file: pass the model that it is for"),
    (
        frozenset(["dim", "n_layers", "n_heads"]),
        "a params.json, in its maker's own keys: pass the config.json beside it, or the name",
    ),
    (frozenset(["_class_name"]), "a file of diffusers, whose models are not counted"),
    (frozenset(["tokenizer_class"]), "a tokenizer's file: pass the config.json beside it"),
)  # fmt: skip


def load_model(
    source: str | PathLike[str] | Mapping[str, Any],
    ignore: str | Iterable[str] = (),
    family: str | None = None,
    mtp: bool = False,
    beyond_context: bool = False,
) -> Model:
    """Describe a model from its configuration. No weights are read, and nothing is downloaded.

    Args:
        source: path of a config.json, path of a folder with one, the configuration as a
            dictionary, a name of the catalogue (``thermoflop models``) as people write it, or a
            Hugging Face id; an ``owner/name`` in the user's local cache is read from there.
        ignore: a key, or several, that change no count although they look like it; none by
            default.
        family: the known family that a ``model_type`` nobody knows is counted as, where its keys
            are exactly that family's; its name then says so. None (default): never.
        mtp: whether the layers that predict tokens further ahead, which published totals leave
            out, count as well, as the group ``mtp``; not by default.
        beyond_context: whether more positions than the configuration states may be asked for,
            where they are rotations or slopes, which can be stretched (YaRN); not by default.

    Returns:
        The model.

    Raises:
        InputError: for what is no configuration, or a value that is not what it should be.
        UnknownModel: an InputError, for a name, a ``model_type``, a ``family`` or a key that is
            not understood.
        UsageError: for an ``ignore`` that is no key of the configuration, a ``family`` that is said
            of a type that is known, ``mtp`` where there are no such layers, or
            ``beyond_context`` where positions are rows of a table.

    Example:
        >>> import thermoflop as tf
        >>> tf.load_model("llama-3-8b")  # as published
        <Model llama-3-8b: llama, 8,030,261,248 parameters>
        >>> tf.load_model({"model_type": "gpt2", "n_layer": 2}).default_tokens
        1024
        >>> tf.load_model("lama-3-8b")
        Traceback (most recent call last):
        ...
        thermoflop.errors.UnknownModel: 'lama-3-8b' is no name in the catalogue; the nearest name \
is llama-3-8b; nor is it a file or a folder; `thermoflop models` lists the names, and the \
config.json of a repository is read by its path
    """
    found = read_source(source)
    raw, name = found.raw, found.name
    if not isinstance(ignore, str | list | tuple | set | frozenset):
        raise UsageError(f"ignore={ignore!r:.60} makes no sense: expected keys of a configuration")
    ignored = frozenset((ignore,) if isinstance(ignore, str) else ignore)
    absent = sorted(str(key) for key in ignored if key not in raw and not _within(raw, key))
    if absent:
        raise UsageError(f"ignore={absent[0]!r:.60} is no key of {name or 'this configuration'}")
    model = read_model(raw, name, found.origin, ignored, found, family, mtp)
    return stretched(model) if beyond_context else model


def stretched(model: Model) -> Model:
    """The model without an end of its context. UsageError where its positions are a table."""
    for stack in model.description.stacks:
        for placed in stack.front:
            table = placed.part
            if stack.role == "decoder" and isinstance(table, Table) and table.group == "embed_pos":
                raise UsageError(
                    f"the positions of {model.name} are a table of {table.rows} rows: "
                    "no context is longer"
                )
    return replace(model, max_positions=None)


def _within(raw: Mapping[str, Any], key: str) -> bool:
    """Whether a nested configuration (text_config, vision_config) has the key."""
    return any(isinstance(value, dict) and key in value for value in raw.values())


def read_model(
    raw: Mapping[str, Any],
    name: str = "",
    origin: str = "",
    ignored: frozenset[str] = frozenset(),
    found: Source | None = None,
    counted_as: str | None = None,
    mtp: bool = False,
) -> Model:
    """The Model of a configuration that has been read already."""
    raw = of_speculators(raw)
    family, asked = _family_of(raw, counted_as, ignored)
    found = Source(raw) if found is None else found
    config = Config(family, raw, ignored)
    description = reader_of(family.reader)(config)
    config.check_all()
    if mtp:
        from thermoflop.model.config.ahead import with_ahead

        description = with_ahead(config, description)
        if found.metadata is not None:
            from thermoflop.model.config.gguf_model import stored_of

            found = replace(found, stored=stored_of(found.metadata, ahead=True))
    quantization, formats, uncounted, unknown = _quantization(config, description, found)
    name = printable(name or str(raw.get("_name_or_path") or family.name))
    purpose = found.purpose or purpose_of(config, description)
    taken = assumed(config, description, whole=not found.ours, asked=bool(asked))
    taken = (*step_said(config, purpose), *taken)
    if purpose == "unmask":
        description = replace(description, unmasks=True)
    model = Model(
        f"{name} as {family.name}" if asked else name,
        family.name,
        description,
        max_positions(config, description),
        origin,
        (*asked, *_notes(config, description), *taken, *formats),
        quantization,
        found.stored,
        found.named_format,
        found.format_said or found.stored_fault or uncounted,
        found.hub_id,
        unknown,
        purpose,
        taken,
    )
    if found.metadata is None or mtp:
        return model
    from thermoflop.model.config.gguf_model import numbers_said

    counted = (model.params, model.params_by_group.get("pooler", 0))
    return replace(model, notes=(*model.notes, *numbers_said(found.metadata, raw, *counted)))


def _family_of(
    raw: Mapping[str, Any], counted_as: str | None, ignored: frozenset[str]
) -> tuple[Family, tuple[str, ...]]:
    """The family of a configuration, and a sentence where it is the user who says so."""
    if counted_as is not None:
        from thermoflop.model.config.as_family import chosen_family

        family = chosen_family(raw, counted_as, ignored)
        own = raw.get("model_type")
        said = f"model_type {own!r:.60} is not known and is counted as {counted_as}, as asked"
        return family, () if own == counted_as else (said,)
    name = own_type(_model_type(raw), raw)
    known = find_family(name) if name in FAMILY_NAMES else None
    if known is None:
        raise _unknown_family(raw)
    return known, ()


def _quantization(
    config: Config, description: Description, found: Source
) -> tuple[Quantization | None, tuple[str, ...], str, str]:
    """What is said of number formats, here or beside it, sentences about it, one on what of it is
    not counted, and what of it is not understood."""
    raw, beside, fault = config.raw, found.beside, found.beside_fault
    stored = found.stored_fault if found.stored is None else found.stored.line
    said = found.format_said or stored
    lines = (said,) if said else ()
    if found.formats is not None:
        return found.formats, lines, "", ""
    inner = (value for key, value in raw.items() if key.endswith("_config"))
    places = (raw, *(value for value in inner if isinstance(value, dict)))
    speaks = any(place.get(key) for place in places for key in QUANTIZATION_KEYS)
    if beside is None and not fault and not speaks:
        return None, lines, "", ""
    from thermoflop.model.config.quantization import read_quantization

    quantization, uncounted, unknown = read_quantization(raw, beside, fault)
    merged = config.nested.get("text_config", config).family.traits.get("merged", ())
    if quantization is not None and merged:
        quantization = replace(quantization, merged=merged)
    line = "" if quantization is None else quantization.line(description)
    return quantization, (*filter(None, (line, uncounted)), *lines), uncounted, unknown


def _model_type(raw: Mapping[str, Any]) -> str:
    """The ``model_type``, which every configuration has to state, or the class of a few."""
    classes = raw.get("architectures")
    named = classes[0] if isinstance(classes, list) and len(classes) == 1 else None
    model_type = raw.get("model_type", UNNAMED.get(named) if isinstance(named, str) else None)
    if not isinstance(model_type, str) or not model_type:
        other = next((what for keys, what in _OTHER_FILES if keys <= raw.keys()), "")
        if other:
            base = raw.get("base_model_name_or_path")
            named = f" ({base!r:.80})" if isinstance(base, str) and base else ""
            raise UnknownModel(f"model_type is missing: this is {other}{named}")
        raise UnknownModel(
            "model_type is missing, so the family of the model is not known; "
            f"expected one of {len(FAMILY_NAMES)} such as llama, gpt2 or bert"
        )
    return model_type


def _unknown_family(raw: Mapping[str, Any]) -> UnknownModel:
    """The refusal of a family: what is nearest, and what would have to be added."""
    from thermoflop.model.config.refused import REFUSED

    name = own_type(str(raw["model_type"]), raw)
    if name in REFUSED:
        return UnknownModel(f"model_type {name!r} is not counted: {REFUSED[name]}")
    from thermoflop.model.config.as_family import fitting_families, near_family

    fits = fitting_families(raw)
    if fits:
        unknown = UnknownModel(
            f"model_type {name[:60]!r} is not known, but its keys are exactly those of "
            f"{' or '.join(fits)}",
            f"; if its code is that of {fits[0]}, --as {fits[0]} (family={fits[0]!r}) counts it so",
        )
        unknown.fitting = fits[0]
        return unknown
    near = near_family(name)
    inner = raw.get("text_config")
    if isinstance(inner, dict) and inner.get("model_type") in FAMILY_NAMES:
        return UnknownModel(
            f"model_type {name[:60]!r} is not known, but its text_config "
            f"({inner['model_type']}) is: pass that alone"
        )
    return UnknownModel(
        f"model_type {name[:60]!r} is not known; "
        f"{f'the nearest family is {near}' if near else 'no family is near'}",
        ". To add it, write its keys, defaults and traits in thermoflop/model/config/families "
        "(see CONTRIBUTING)",
    )


def _notes(config: Config, description: Description) -> tuple[str, ...]:
    """What a reader of the numbers should know, in a sentence each."""
    notes: list[str | None] = []
    parts = [part for _, part in description.parts()]
    ahead = sum(part.parameters for part in parts if part.group == "mtp")
    if ahead:
        notes.append(f"{ahead:,} of the parameters predict tokens further ahead (mtp)")
    elif modules_ahead(config.raw):
        notes.append("the layers that predict tokens further ahead are not counted")
    aside = [each.part for each in description.extras if each.rows == "aside"]
    if aside:
        held, named = sum(part.parameters for part in aside), " and ".join(p.name for p in aside)
        notes.append(f"{held:,} of the parameters are held, and their work is not counted: {named}")
    if config.raw.get("topk_method") == "noaux_tc":
        notes.append("the router's correction bias is a buffer, not a parameter")
    if any(part.group == "indexer" for part in parts):
        notes.append("a query meets the keys that an indexer chooses, whatever mask is counted")
    if any(part.group in ("ssm", "linear_attn") for part in parts):
        notes.append("the scan is counted from the published recurrence, token by token")
    kimi = config.family.name.startswith("kimi")
    if kimi and any(part.group == "depth_attn" for part in parts):
        notes.append(
            "Kimi K3's gates, latent experts and attention over depth are derived from its report "
            "and published weights; the work of the last, under 0.01 % of the FLOPs, is not listed"
        )
    if any(part.name == "o_proj" and part.group == "mlp" for part in parts):
        notes.append(
            "the attention's output projection counts with the MLP, as transformers names it"
        )
    for each in (config, *config.nested.values()):
        note = each.family.traits.get("note")
        notes.append(note(each) if callable(note) else note)
    said = filter(None, dict.fromkeys(notes))
    return (*said, *_tie_notes(config, description), *_tower_notes(description))


def _tie_notes(config: Config, description: Description) -> list[str]:
    """Where the wrapper says nothing of the tie, whose word it is that is counted: its own default,
    though the text's is another, or the text's (Mistral Small 3.1, of transformers 4: weights with
    a head of their own)."""
    head, text = description.head, config.nested.get("text_config")
    if head is None or text is None:
        return []
    from thermoflop.model.config.wrapper import left_out_by_version_4, says_tie

    if says_tie(config.raw):
        return []
    own = text.get("tie_word_embeddings")
    # transformers leaves out of a file what its class takes anyway, so that the wrapper's default
    # is its word; of a file that somebody else wrote nobody knows
    said = says_tie(text.raw) or "transformers_version" not in config.raw
    if head.tied and own is False and said:
        more = f"weights with one of its own hold {head.matrix_parameters:,} more"
        return [f"tie_word_embeddings is absent, so the head is taken for the embedding's: {more}"]
    if not head.tied and own is False and left_out_by_version_4(config.raw):
        held = f"{head.matrix_parameters:,} of the parameters"
        return [f"tie_word_embeddings is absent, so the text's decides: a head of its own, {held}"]
    return []


def _tower_notes(description: Description) -> list[str]:
    """What of the count sees or hears, and when it works."""
    towers = [stack for stack in description.stacks if stack.role in TOWER_ROLES]
    if not towers or description.stack("decoder") is None or description.needs_images:
        return []
    count = sum(sets * part.parameters for tower in towers for sets, part in tower.parts())
    when = "they work in steps with images or audio alone"
    return [f"{count:,} of the parameters see or hear, projectors included; {when}"]
