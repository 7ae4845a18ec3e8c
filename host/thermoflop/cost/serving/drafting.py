"""Speculative decoding while many users are served: who drafts, and how large the model then is."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profiles import Profile
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.inference.arguments import as_model, checked_whole
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError
from thermoflop.model.architecture.description import draft_of, without_ahead
from thermoflop.model.load import load_model
from thermoflop.model.model import Model


def drafting_of(
    model: Model, draft: str | Model | None, drafted: int, device: Device, precision: Precision,
    profile: Profile, layout: Layout,
) -> tuple[Model, Setting | None]:  # fmt: skip
    """The model that checks, and the setting of what drafts; None where drafting costs nothing.

    A draft model runs on each device group as the large one does; ``mtp`` is the large model's own
    layer that predicts further.
    """
    checked_whole("draft_tokens", drafted, 0, 64)
    if draft is None:
        return model, None
    if not drafted:
        raise UsageError("draft (--draft) needs draft_tokens (--draft-tokens): expected at least 1")
    if draft != "mtp":
        return model, Setting(as_model(draft), device, Layout(), precision, profile)
    ahead = draft_of(model.description) or draft_of(load_model(model.name, mtp=True).description)
    if ahead is None:
        raise UsageError(f"{model.name} has no layers that predict further")
    own = replace(model, name=f"{model.name}'s mtp", description=ahead)
    large = replace(model, description=without_ahead(model.description))
    return large, Setting(own, device, layout, precision, profile)
