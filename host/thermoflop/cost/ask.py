"""Checking what is asked of an estimate, before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.cost.hardware import Device, as_device
from thermoflop.errors import UsageError
from thermoflop.model.algebra import kind_of
from thermoflop.model.record import record

if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

    from thermoflop.model.algebra import Number
    from thermoflop.model.model import Model

LARGEST = 10**12


@record
class Asked:
    """The sizes of a question: sequences, prompt, generated and already cached tokens."""

    batch: Number
    prompt: Number
    generate: Number
    prefix: Number
    page: int | None = None


def ask(
    model: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device,
    batch: Number,
    prompt: Number,
    generate: Number,
    prefix: Number = 0,
    page: int | None = None,
) -> tuple[Model, Device, Asked]:
    """The model, the device and the sizes, or UsageError naming the value that makes no sense."""
    known = as_model(model)
    device = as_device(hardware)
    sizes = {"batch": batch, "prompt": prompt, "generate": generate, "prefix": prefix}
    least = {"batch": 1, "prompt": 1, "generate": 0, "prefix": 0}
    carried = {name: checked_size(name, value, least[name]) for name, value in sizes.items()}
    if page is not None and (type(page) is not int or page < 1):
        raise UsageError(f"page={page!r:.40} makes no sense: expected a whole number of tokens")
    if known.is_encoder and _any(carried["generate"]):
        raise UsageError(f"{known.name} encodes in one step: it generates nothing, say generate=0")
    _check_positions(known, carried["prompt"], carried["generate"])
    if _any(carried["prefix"] >= carried["prompt"]) and _any(carried["prefix"]):
        raise UsageError(f"prefix={prefix!r:.40} is not shorter than prompt={prompt!r:.40}")
    return known, device, Asked(**carried, page=page)


def as_model(model: Model | str | PathLike[str] | dict[str, Any]) -> Model:
    """A Model, from itself or from what ``load_model`` takes."""
    from thermoflop.model.model import Model as Known

    if isinstance(model, Known):
        return model
    from thermoflop.model.load import load_model

    return load_model(model)


def checked_size(name: str, value: Number, least: int) -> Number:
    """The size, arrays as float64. UsageError for what is no whole number of at least ``least``."""
    if kind_of(value) == "numpy":
        import numpy as np

        array = np.asarray(value, dtype=np.float64)
        whole = array.size and np.isfinite(array).all() and (array == np.floor(array)).all()
        if not (whole and (array >= least).all() and (array <= LARGEST).all()):
            raise UsageError(f"{name} must be whole numbers of at least {least} throughout")
        return array
    if type(value) is not int or not least <= value <= LARGEST:
        raise UsageError(f"{name}={value!r:.40} makes no sense: expected a whole number >= {least}")
    return value


def _any(condition: Number) -> bool:
    found = getattr(condition, "any", None)
    return bool(condition if found is None else found())


def _check_positions(model: Model, prompt: Number, generate: Number) -> None:
    """UsageError where prompt and generation pass the positions that the model has."""
    most = model.max_positions
    if most is not None and _any(prompt + generate > most):
        raise UsageError(
            f"prompt={prompt!r:.40} + generate={generate!r:.40} passes the {most} positions "
            f"of {model.name}"
        )
