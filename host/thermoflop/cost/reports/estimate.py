"""What ``thermoflop estimate`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import plain, record
from thermoflop.cost.inference.estimate import estimate
from thermoflop.cost.inference.result import Estimate, estimate_json, estimate_text

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.inference.speculative import Speculation
    from thermoflop.cost.reports.saturation import Saturation
    from thermoflop.model.model import Model


@record
class Wanted:
    """What is asked for besides the estimate: reasons, saturation, pictures, a draft, JSON."""

    why: bool = False
    saturation: bool = False
    svg: str | None = None
    roofline: str | None = None
    drafting: tuple[str | None, int, float] = (None, 4, 0.7)
    as_json: bool = False


def estimate_report(
    model: Model, hardware: str, options: dict[str, Any], wanted: Wanted | None = None
) -> str:
    """The estimate, with its reasons and its saturation where asked for."""
    from thermoflop.cost.reports.saturation import saturation

    wanted = wanted or Wanted()
    found = estimate(model, hardware, **options)
    rows = []
    if wanted.saturation or wanted.svg is not None:
        rows = saturation(
            lambda batch: estimate(model, hardware, **{**options, "batch": batch}), found.plan.dp
        )
    _draw(wanted, found, rows)
    drafted = _drafted(model, hardware, options, wanted)
    if wanted.as_json:
        return _as_json(wanted, found, rows, drafted)
    return _as_text(wanted, found, rows, drafted)


def explained(model: Model, hardware: str, batch: int, tokens: int | None) -> str:
    """Why reading ``tokens`` tokens and adding one takes what it takes on a device."""
    from thermoflop.cost.why.table import why_text

    most = (model.max_positions or 1026) - 2
    prompt = tokens or max(1, min(1024, most))
    generate = 0 if model.is_encoder else 2
    found = estimate(model, hardware, batch=batch, prompt=prompt, generate=generate)
    return why_text(found)


def _draw(wanted: Wanted, found: Estimate, rows: list[Saturation]) -> None:
    """The pictures that are asked for."""
    from thermoflop.base.files import write_picture
    from thermoflop.cost.reports.pictures import roofline_picture, saturation_picture

    if wanted.svg is not None:
        write_picture(wanted.svg, saturation_picture(rows, found))
    if wanted.roofline is not None:
        write_picture(wanted.roofline, roofline_picture(found))


def _drafted(
    model: Model, hardware: str, options: dict[str, Any], wanted: Wanted
) -> Speculation | None:
    from thermoflop.cost.inference.speculative import speculate

    draft, drafted, acceptance = wanted.drafting
    if draft is None:
        return None
    names = ("batch", "prompt", "generate", "dtype", "devices", "profile")
    chosen = {name: options[name] for name in names if options.get(name) is not None}
    return speculate(model, draft, hardware, drafted=drafted, acceptance=acceptance, **chosen)


def _as_json(
    wanted: Wanted, found: Estimate, rows: list[Saturation], drafted: Speculation | None
) -> str:
    import json

    from thermoflop.cost.why.table import steps_of

    shown = estimate_json(found)
    if wanted.why:
        steps = steps_of(found)
        shown["why"] = {title: plain(reason) for title, (reason, _) in steps.items()}
    if wanted.saturation:
        shown["saturation"] = plain(rows)
    if drafted is not None:
        more = {"per_token_s": drafted.per_token_s, "speed_up": drafted.speed_up}
        shown["speculation"] = {**plain(drafted), **more}
    return json.dumps(shown, ensure_ascii=False, indent=1)


def _as_text(
    wanted: Wanted, found: Estimate, rows: list[Saturation], drafted: Speculation | None
) -> str:
    from thermoflop.cost.reports.saturation import saturation_text
    from thermoflop.cost.why.table import why_text

    blocks = [estimate_text(found)]
    if drafted is not None:
        blocks.append(str(drafted))
    if wanted.why:
        blocks.append(why_text(found))
    if wanted.saturation:
        blocks.append(saturation_text(rows))
    return "\n\n".join(blocks)
