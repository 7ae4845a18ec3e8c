"""The inputs of any model on any GPU run through ``estimate``, ``fit`` and ``compare``."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from thermoflop.base.record import record, replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.catalogue.profiles import custom_profile
from thermoflop.cost.inference.capacity import fit
from thermoflop.cost.inference.compare import Variant, forms_of, variant_of
from thermoflop.cost.inference.estimate import estimate
from thermoflop.cost.inference.what_fits import Fit
from thermoflop.cost.mqa_page.page import Page
from thermoflop.cost.reports.saturation import BATCHES
from thermoflop.errors import ThermoflopError
from thermoflop.web.estimator.fields import (
    ATTENTION,
    CUSTOM_RATES,
    PUBLISHED,
    SAME,
    SHAPE,
    FieldError,
    quote_value,
)
from thermoflop.web.estimator.senses import known_model, senses_of

if TYPE_CHECKING:
    from thermoflop.base.explanation import Explanation
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.serving.result import Serving
    from thermoflop.model.model import Model
    from thermoflop.web.estimator.inputs import Inputs

# The input that a message of the estimator speaks of, by the word that it begins with.
_OWNERS = {
    "batch": "users", "prompt": "prompt", "generate": "output", "dtype": "dtype",
    "kv_dtype": "kv_dtype", "tp": "tp", "pp": "pp", "dp": "dp", "ep": "ep", "devices": "tp",
    "efficiency": "efficiency", "launch_s": "overhead_ms", "gqa": "groups", "mla": "rank",
    "images": "images", "audio": "audio_s",
}  # fmt: skip
# And by words within it.
_WITHIN = {
    "does not compute in": "dtype", "number format": "dtype", "reads no weights in": "dtype",
    "does not run on": "device", "no attention with heads": "attention",
}  # fmt: skip


@record
class Computed:
    """The model of some inputs, its estimate, what fits, the options of both, and the price of a
    GPU hour, 0 for none."""

    model: Model
    estimate: Estimate
    capacity: Fit
    options: dict[str, Any]
    price: float = 0.0


@lru_cache(maxsize=64)
def compute(inputs: Inputs) -> Computed:
    """Estimate these inputs. Raises FieldError naming the input that makes no sense."""
    try:
        return _compute(inputs)
    except FieldError:
        raise
    except ThermoflopError as error:
        raise FieldError(owner(error.sentence), error.sentence) from None


def owner(message: str) -> str:
    """The input that an error message of the estimator is about."""
    first = message.split("=", 1)[0]
    if first in _OWNERS:
        return _OWNERS[first]
    within = (field for words, field in _WITHIN.items() if words in message)
    return next(within, "model")


def model_of(inputs: Inputs) -> Model:
    """The model that is named, shaped or uploaded, with the form of attention that was chosen."""
    model = known_model(inputs.model, inputs.config)
    if inputs.model == SHAPE:
        if inputs.width % inputs.heads:
            raise FieldError(
                "heads",
                f"heads {inputs.heads} do not divide the dimension {inputs.width:,}",
            )
        room = inputs.prompt + inputs.output
        model = _shape(inputs.heads, inputs.width, inputs.layers, room)
    if model is None:
        raise FieldError("model", "no config.json was uploaded yet")
    if inputs.attention == "own":
        return model
    asked = ATTENTION[inputs.attention]
    for name, form in forms_of(model, inputs.groups or None, inputs.rank).items():
        if name.startswith(asked):
            return form
    raise FieldError("attention", f"{asked}: nothing but 1 and all divides the model's heads")


def _perceived(inputs: Inputs) -> dict[str, str | float]:
    """What each prompt brings for a model that sees or hears."""
    sees, hears, _ = senses_of(inputs.model, inputs.config)
    brought: dict[str, str | float] = {}
    if sees and inputs.images:
        brought["images"] = f"{inputs.images}x{inputs.image_width}x{inputs.image_height}"
    if hears and inputs.audio_s:
        brought["audio"] = inputs.audio_s
    return brought


def positions_of(inputs: Inputs) -> tuple[int | None, bool]:
    """The positions of the chosen model, None where nothing bounds them; whether it generates."""
    model = known_model(inputs.model, inputs.config)
    return (None, True) if model is None else (model.max_positions, model.generates)


@lru_cache(maxsize=32)
def _shape(heads: int, width: int, layers: int, end: int) -> Model:
    from thermoflop.model.load import read_model

    page = Page(heads=heads, width=width, layers=layers, end=end)
    return read_model(page.config(), f"{layers} layers of {width:,}", "shape")


def profile_of(inputs: Inputs) -> str | Profile | None:
    """The profile that was chosen, as it is asked for on the command line: None where none was."""
    if inputs.profile == CUSTOM_RATES:
        return custom_profile(inputs.efficiency, inputs.overhead_ms / 1000)
    return None if inputs.profile == "default" else inputs.profile


def _dtype(inputs: Inputs) -> str | None:
    """The format of the weights that is asked for; None: as they are published."""
    return None if inputs.dtype == PUBLISHED else inputs.dtype


def device_of(inputs: Inputs) -> Device:
    """The device; the field has seen to it that no file is read."""
    return find_device(inputs.device)


def _compute(inputs: Inputs) -> Computed:
    model, device, profile = model_of(inputs), device_of(inputs), profile_of(inputs)
    generate = inputs.output if model.generates else 0  # what only reads
    _check_positions(model, inputs.prompt, generate)
    placed: dict[str, Any] = {
        "tp": inputs.tp, "pp": inputs.pp, "dp": inputs.dp, "ep": inputs.ep, "batch": inputs.users,
        "prompt": inputs.prompt, "generate": generate,
        "dtype": _dtype(inputs),
        "kv_dtype": None if inputs.kv_dtype == SAME else inputs.kv_dtype, **_perceived(inputs),
    }  # fmt: skip
    options = {**placed, "profile": profile}
    return Computed(
        model, estimate(model, device, **options), fit(model, device, **options), options,
        inputs.price,
    )  # fmt: skip


@lru_cache(maxsize=64)
def served(inputs: Inputs) -> Serving | None:
    """What the same users get of a server, which reads their prompts in between; None for users who
    do not wait for each other's prompts, for what does not fit, and where that is not told."""
    from thermoflop.cost.serving.serving import serving

    known = compute(inputs)
    options = {name: value for name, value in known.options.items() if name != "batch"}
    alone = known.estimate.batch <= known.estimate.plan.dp
    if alone or known.estimate.generate < 2 or not known.capacity.fits or _perceived(inputs):
        return None
    try:
        return serving(known.model, known.estimate.device, users=inputs.users, **options)
    except ThermoflopError:
        return None


def _check_positions(model: Model, prompt: int, output: int) -> None:
    """The estimator's own check, in the words of the page's fields."""
    most = model.max_positions
    if most is not None and prompt + output > most:
        if not model.generates:
            sentence = f"{prompt:,} tokens of prompt pass the {most:,} positions of {model.name}"
            raise FieldError("prompt", sentence)
        room = f": at most {most - output:,} of prompt with this output" if output < most else ""
        raise FieldError(
            "prompt",
            f"{prompt:,} tokens of prompt and {output:,} of output pass the {most:,} positions "
            f"that {model.name} has for both together{room}",
        )


def growing_batches(computed: Computed) -> Estimate:
    """The estimate of growing batches, as arrays."""
    import numpy as np

    known = computed.estimate
    batches = [batch for batch in BATCHES if batch % known.plan.dp == 0]
    options = {**computed.options, "batch": np.array(batches or [known.plan.dp])}
    return estimate(computed.model, known.device, **options)


def variants_of(inputs: Inputs, computed: Computed) -> list[Variant]:
    """The attention variants of the model; none if it has no heads to change."""
    known = computed.estimate
    try:
        own = model_of(replace(inputs, attention="own"))
        return [
            variant_of(name, form, known.device, computed.options,
                       known if form.description == computed.model.description else None)
            for name, form in forms_of(own, inputs.groups or None, inputs.rank).items()
        ]  # fmt: skip
    except ThermoflopError as error:
        if owner(str(error)) in ("groups", "rank"):
            raise FieldError(owner(str(error)), str(error)) from None
        return []


def estimate_why(inputs: Inputs, key: str) -> Explanation:
    """Explain a figure; ``form.MQA.token.expected`` is that of one attention variant."""
    from thermoflop.cost.why.number import why_number

    if key.startswith("form."):
        form, _, key = key.removeprefix("form.").partition(".")
        attention = form.partition("(")[0].lower()
        if attention not in ATTENTION or attention == "own":
            raise FieldError("attention", f"{quote_value(form)} is no form of attention")
        inputs = replace(inputs, attention=attention)
    computed = compute(inputs)
    return why_number(computed.estimate, key, computed.capacity)
