"""Speculative decoding while many users are served: who drafts, and how large the model then is."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.inference.arguments import as_model, checked_whole
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.inference.speculative import (
    DRAFTED,
    MTP,
    NGRAM,
    apart,
    check_draft,
    is_own,
    own_share,
    plan_of_draft,
    vocabularies_of,
)
from thermoflop.cost.work.share import Layout, Share
from thermoflop.errors import UsageError
from thermoflop.model.architecture.description import draft_of, without_ahead
from thermoflop.model.load import load_model
from thermoflop.model.model import Model


def drafting_of(
    model: Model, draft: str | Model | None, drafted: int, device: Device, precision: Precision,
    profile: Profile, layout: Layout,
) -> tuple[Model, Setting | None]:  # fmt: skip
    """The model that checks, and the setting of what drafts; None where drafting costs nothing.

    A draft model is spread over each device group as ``plan_of_draft`` says; ``mtp`` is the large
    model's own layer that predicts further.
    """
    if draft is None:
        return model, None
    if not drafted:
        raise UsageError("draft (--draft) needs draft_tokens (--draft-tokens): expected at least 1")
    if draft == NGRAM:
        return model, None
    if draft != "mtp":
        small = as_model(draft)
        check_draft(model, small)
        plan = plan_of_draft(layout, small.description)
        return model, Setting(small, device, plan, precision, profile)
    ahead = draft_of(model.description) or draft_of(load_model(model.name, mtp=True).description)
    if ahead is None:
        raise UsageError(f"{model.name} has no layers that predict further")
    own = replace(model, name=model.name + MTP, description=ahead)
    large = replace(model, description=without_ahead(model.description))
    whole = plan_of_draft(layout, ahead, whole=True)
    return large, Setting(own, device, whole, precision, profile)


def drafted_tokens(draft: str | Model | None, drafted: int | None) -> int:
    """Tokens that are drafted for a step: 4 where a draft is named and nothing is said. UsageError
    for what makes no sense."""
    if drafted is None:
        return DRAFTED if draft is not None else 0
    return checked_whole("draft_tokens", drafted, 0, 64)


def notes_on(small: Model, setting: Setting) -> list[str]:
    """A sentence each, or "", where a draft has another vocabulary than the model of a setting, or
    memory that is not counted."""
    unlike = "what the draft holds is not counted: the cards are not alike"
    return [apart(vocabularies_of(setting.model, small)), unlike if setting.cards else ""]


def reads_again(drafting: Setting) -> bool:
    """Whether the engine runs what was checked through the draft as well (``Engine.mirrors``)."""
    return drafting.engine.mirrors and not is_own(drafting.model)


def held_beside(drafting: Setting | None) -> Share | None:
    """What a device holds of what drafts."""
    if drafting is None:
        return None
    return own_share(drafting) if is_own(drafting.model) else drafting.share
