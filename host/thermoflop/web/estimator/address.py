"""The inputs of the estimator page as the query of its URL: written by the page, or by people."""

from __future__ import annotations

from collections.abc import Iterable

from thermoflop.base.record import fields_of, replace
from thermoflop.errors import ThermoflopError
from thermoflop.web.estimator.changes import changed, with_room
from thermoflop.web.estimator.computed import positions_of
from thermoflop.web.estimator.fields import FIELDS, SHAPE, UPLOAD, FieldError, quote_value
from thermoflop.web.estimator.inputs import DEFAULTS, Inputs
from thermoflop.web.estimator.upload import LONGEST_PACKED, read_packed

PACKED = "config"
MOST_SHOWN = 3
# What people write who know the command line: its options, for the page's inputs.
BY_HAND = {"gpu": "device", "batch": "users", "generate": "output", "devices": "tp",
           "engine": "profile"}  # fmt: skip


def to_query(inputs: Inputs) -> dict[str, str]:
    """The tab and the inputs that differ from the defaults, as query parameters.

    An uploaded configuration goes along where it is short enough for one.
    """
    query = {
        name: str(value)
        for name, value in fields_of(inputs).items()
        if name != PACKED and (name == "mode" or value != getattr(DEFAULTS, name))
    }
    if inputs.model == UPLOAD and len(inputs.config) <= LONGEST_PACKED:
        query[PACKED] = inputs.config
    return query


def fits_address(inputs: Inputs) -> bool:
    """Whether the query holds all inputs."""
    return inputs.model != UPLOAD or len(inputs.config) <= LONGEST_PACKED


def from_query(pairs: Iterable[tuple[str, str]]) -> tuple[Inputs, list[str]]:
    """The inputs of a query, and a sentence for each parameter that makes no sense.

    What makes no sense is left at its default; nothing of it is looked up as a file.
    """
    last = _under_our_names(dict(pairs))
    inputs, wrong, unknown = DEFAULTS, [], []
    # the GPUs first, since they bring a degree that may be said besides
    for name, raw in sorted(last.items(), key=lambda pair: pair[0] != "device"):
        if name == PACKED:
            continue
        if name not in FIELDS:
            unknown.append(quote_value(name))
            continue
        try:
            if name == "device":  # of which there may be several
                inputs = changed(inputs, name, raw)
            else:
                inputs = replace(inputs, **{name: FIELDS[name].read(raw)})
        except FieldError as error:
            wrong.append(f"the address: {error}")
    if unknown:
        more = f" and {len(unknown) - MOST_SHOWN} more" if len(unknown) > MOST_SHOWN else ""
        names = ", ".join(unknown[:MOST_SHOWN])
        wrong.append(f"the address has no inputs of this page: {names}{more}, ignored")
    if inputs.model == UPLOAD:
        inputs, refusals = _unpacked(inputs, last.get(PACKED, ""))
        wrong += refusals
    if "mode" not in last:  # by hand: sizes that are not said are ours to choose
        inputs = _with_room(inputs, {"prompt", "output"} & set(last))
    return inputs, wrong


def _under_our_names(query: dict[str, str]) -> dict[str, str]:
    """The query with the names of the page's inputs where people have written other ones."""
    pages, renamed = FIELDS["gpu"].listed(), {}
    for name, raw in query.items():
        plain = name.lower().replace("-", "_")
        ours = BY_HAND.get(plain, plain)
        # the page writes its own names together with its mode; of the original's GPUs it has two
        others = "mode" not in query or (plain == "gpu" and raw not in pages)
        renamed[ours if others and ours in FIELDS and ours not in query else name] = raw
    return renamed


def _with_room(inputs: Inputs, said: set[str]) -> Inputs:
    """No more tokens than the model has positions for, as if it had been chosen on the page;
    ``said`` are the sizes that stay."""
    try:
        most, generates = positions_of(inputs)
    except ThermoflopError:  # a model that cannot be read: its answer says why
        return inputs
    if most is None or not said:
        return with_room(inputs)
    if "prompt" not in said:
        output = inputs.output if generates else 0
        return replace(inputs, prompt=max(1, min(inputs.prompt, most - output)))
    if "output" not in said and inputs.prompt < most:
        return replace(inputs, output=min(inputs.output, most - inputs.prompt))
    return inputs


def _unpacked(inputs: Inputs, packed: str) -> tuple[Inputs, list[str]]:
    if not packed:
        missing = "the address names an uploaded config.json that is not in it: upload it again"
        return replace(inputs, model=SHAPE), [missing]
    try:
        if len(packed) > LONGEST_PACKED:
            raise FieldError("model", f"a config of {len(packed):,} letters is too long")
        read_packed(packed)
    except FieldError as error:
        return replace(inputs, model=SHAPE), [f"the address: {error}"]
    return replace(inputs, config=packed), []
