"""What ``thermoflop estimate`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.cost.estimate import Estimate, Setting, estimate
from thermoflop.cost.profile import find_profile
from thermoflop.cost.render import estimate_json, estimate_text, plain

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.profile import Profile
    from thermoflop.model.model import Model


_made: dict[int, tuple[Estimate, Model, Profile]] = {}


def setting_of(found: Estimate) -> Setting:
    """The setting that an estimate of this module was made with."""
    _, model, profile = _made[id(found)]
    return Setting(model, found.device, found.plan, found.precision, profile)


def ask_one(model: Model, hardware: str, options: dict[str, Any]) -> Estimate:
    """One estimate whose reasons can be asked for."""
    profile = find_profile(options.get("profile"))
    found = estimate(model, hardware, **{**options, "profile": profile})
    _made[id(found)] = (found, model, profile)
    return found


def estimate_report(
    model: Model,
    hardware: str,
    options: dict[str, Any],
    why: bool = False,
    saturate: bool = False,
    svg: str | None = None,
    *,
    as_json: bool = False,
) -> str:
    """The estimate, with its reasons and its saturation where asked for."""
    from thermoflop.cost.saturation import saturation, saturation_text
    from thermoflop.cost.why import steps_of, why_text

    found = ask_one(model, hardware, options)
    rows = []
    if saturate or svg is not None:
        rows = saturation(
            lambda batch: ask_one(model, hardware, {**options, "batch": batch}), found.plan.dp
        )
    if svg is not None:
        from thermoflop.cost.picture import saturation_picture, write_picture

        write_picture(svg, saturation_picture(rows, found))
    if as_json:
        import json

        shown = estimate_json(found)
        if why:
            steps = steps_of(found, setting_of(found))
            shown["why"] = {title: plain(reason) for title, (reason, _) in steps.items()}
        if saturate:
            shown["saturation"] = plain(rows)
        return json.dumps(shown, ensure_ascii=False, indent=1)
    blocks = [estimate_text(found)]
    if why:
        blocks.append(why_text(found, setting_of(found)))
    if saturate:
        blocks.append(saturation_text(rows))
    return "\n\n".join(blocks)
