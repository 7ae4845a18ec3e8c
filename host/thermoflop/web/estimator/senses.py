"""What the chosen model perceives and makes, which decides about inputs of the page."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from thermoflop.errors import ThermoflopError
from thermoflop.web.estimator.fields import SHAPE, UPLOAD
from thermoflop.web.estimator.upload import read_packed

if TYPE_CHECKING:
    from thermoflop.model.model import Model


@lru_cache(maxsize=32)
def named_model(name: str) -> Model:
    """A model by its name; a path is never read."""
    from thermoflop.model.config.source import named_source
    from thermoflop.model.load import read_model

    source = named_source(name)
    return read_model(source.raw, source.name, source.origin, found=source)


def known_model(model: str, packed: str) -> Model | None:
    """The model that is named or was uploaded; None of a shape, and where nothing was uploaded."""
    if model == UPLOAD:
        return read_packed(packed) if packed else None
    return None if model == SHAPE else named_model(model)


@lru_cache(maxsize=64)
def senses_of(model: str, packed: str) -> tuple[bool, bool, bool]:
    """Whether a model sees, whether it hears, and whether it generates; the last alone where it is
    not understood.

    ``model`` is an entry of the page's list, ``packed`` the uploaded configuration or nothing.
    """
    try:
        known = known_model(model, packed)
    except ThermoflopError:
        known = None
    if known is None:
        return False, False, True
    image, audio = map(known.description.stack, ("image", "audio"))
    return image is not None, audio is not None, known.generates
