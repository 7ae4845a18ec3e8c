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


@lru_cache(maxsize=64)
def senses_of(model: str, packed: str) -> tuple[bool, bool, bool]:
    """Whether a model sees, whether it hears, and whether it generates; the last alone where it is
    not understood.

    ``model`` is an entry of the page's list, ``packed`` the uploaded configuration or nothing.
    """
    if model == SHAPE or (model == UPLOAD and not packed):
        return False, False, True
    try:
        known = read_packed(packed) if model == UPLOAD else named_model(model)
    except ThermoflopError:
        return False, False, True
    image, audio = map(known.description.stack, ("image", "audio"))
    return image is not None, audio is not None, known.generates
