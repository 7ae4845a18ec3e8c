"""The formats that matrices have where a name says one: a published form's, or a publication's."""

from __future__ import annotations

from thermoflop.cost.hardware.precision import asked_for, is_precision, precision_names
from thermoflop.errors import UsageError
from thermoflop.model.architecture.quantization import Quantization

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.model import Model

# What a format means of models with gated delta rules, which no checkpoint narrows throughout:
# nvidia/Qwen3.5-397B-A17B-NVFP4 leaves linear_attn, the vision tower and the draft layers wide, so
# do those of llm-compressor (Sehyo/Qwen3.5-122B-A10B-NVFP4 loads 70.47 GiB, 75.17 with its drafts).
WITH_DELTA_RULES = {"nvfp4": "nvfp4-delta"}


def published_formats(model: Model, name: str) -> Quantization | None:
    """The formats of a name that is not the model's own; None where it means one for all."""
    if not is_precision(name):
        return published_form(name)
    if form := usual_form(model, name):
        return published_form(form)
    return _published_sibling(model, name)


def usual_form(model: Model, name: str) -> str:
    """The published form that a format means of a model of which no publication in it is known; ""
    where one is, and where it means one for all."""
    form = WITH_DELTA_RULES.get(name, "")
    if not form or not _has_delta_rules(model) or _published_sibling(model, name) is not None:
        return ""
    return form


def _has_delta_rules(model: Model) -> bool:
    from thermoflop.model.architecture.linear import GatedDelta

    runs = (run for stack in model.description.stacks for run in stack.runs)
    return any(isinstance(mixer, GatedDelta) for run in runs for mixer in run.layer.mixers)


def published_form(name: str) -> Quantization:
    """The formats of a published form. UsageError for a name that is none."""
    from thermoflop.model.config import published_forms

    try:
        return published_forms.published_form(name)
    except UsageError:
        known = (*precision_names(), "int4-g64", "exl2-4.0", *published_forms.FORM_NAMES)
        raise UsageError(f"{name!r:.40} is not a number format: {asked_for(name, known)}") from None


def _published_sibling(model: Model, dtype: str) -> Quantization | None:
    """The formats of the catalogue's model of that name with this format behind it."""
    from thermoflop.model.config.catalogue import entry, names

    name = f"{model.name}-{dtype}"
    if name not in names() or entry(model.name) is None:
        return None
    from thermoflop.model.load import load_model

    sibling = load_model(name)
    return sibling.quantization if sibling.description == model.description else None
