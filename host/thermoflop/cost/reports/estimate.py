"""What ``thermoflop estimate`` prints."""

from __future__ import annotations

from thermoflop.base.plain import checked_between
from thermoflop.base.record import plain, record
from thermoflop.cost.inference.arguments import default_sizes
from thermoflop.cost.inference.estimate import estimate
from thermoflop.cost.inference.result import Estimate, estimate_json, estimate_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.inference.speculative import Speculation
    from thermoflop.cost.reports.saturation import Saturation
    from thermoflop.model.model import Model


@record
class ReportOptions:
    """What to print or draw besides the estimate itself.

    ``why`` adds every operator, ``saturation`` throughput against the batch; ``svg`` and
    ``roofline`` are files to draw to; ``drafting`` is a draft model (None: none), the tokens of a
    draft, and its acceptance; ``price`` is that of a device hour (None: not
    known); ``as_json`` prints one object.
    """

    why: bool = False
    saturation: bool = False
    svg: str | None = None
    roofline: str | None = None
    drafting: tuple[str | None, int, float] = (None, 4, 0.7)
    price: float | None = None
    as_json: bool = False


def estimate_report(
    model: Model, hardware: str, options: dict[str, Any], extras: ReportOptions | None = None
) -> tuple[str, bool]:
    """The text or JSON of an estimate with what ``extras`` add, and whether it fits in memory;
    pictures go to their files."""
    extras = extras or ReportOptions()
    checked_between("price", extras.price, 0, 1e30, "above 0, below 10^30")
    draft: Any = extras.drafting[0]
    if draft == "mtp":  # its own layer drafts, and is no part of a step without a draft
        from thermoflop.cost.inference.speculative import halves

        model, draft = halves(model)
    estimated = estimate(model, hardware, **options)
    rows = []
    if extras.saturation or extras.svg is not None:
        from thermoflop.cost.reports.saturation import saturation

        rows = saturation(
            lambda batch: estimate(model, hardware, **{**options, "batch": batch}),
            estimated.plan.dp,
        )
    if extras.svg is not None or extras.roofline is not None:
        _draw(extras, estimated, rows)
    drafted, held = None, estimated
    if draft is not None:
        from thermoflop.cost.inference.speculative import drafted_run

        formats = options.get("dtype"), options.get("kv_dtype")
        drafted, held = drafted_run(estimated, draft, *extras.drafting[1:], *formats)
    write = _as_json if extras.as_json else _as_text
    return write(extras, (estimated, held), rows, drafted), bool(held.fits)


def explain_step(model: Model, hardware: str | Device, batch: int, tokens: int | None) -> str:
    """Why reading ``tokens`` tokens and adding one takes what it takes on a device."""
    from thermoflop.cost.why.table import why_text

    prompt = tokens or default_sizes(model, None, 2)[0]
    generate = 2 if model.generates else 0
    estimated = estimate(model, hardware, batch=batch, prompt=prompt, generate=generate)
    return why_text(estimated)


def _draw(extras: ReportOptions, estimated: Estimate, rows: list[Saturation]) -> None:
    """Write the pictures that have a file."""
    from thermoflop.base.files import write_text
    from thermoflop.cost.reports.pictures import roofline_picture, saturation_picture

    if extras.svg is not None:
        write_text(extras.svg, saturation_picture(rows, estimated))
    if extras.roofline is not None:
        write_text(extras.roofline, roofline_picture(estimated))


def _as_json(
    extras: ReportOptions, runs: tuple[Estimate, Estimate], rows: list[Saturation],
    drafted: Speculation | None,
) -> str:  # fmt: skip
    """One object; of ``runs`` the first has no draft in its memory: that is explained."""
    import json

    estimated, held = runs
    contents = estimate_json(held)
    if extras.why:
        from thermoflop.cost.why.table import steps_of

        steps = steps_of(estimated)
        contents["why"] = {title: plain(reason) for title, (reason, _) in steps.items()}
    if extras.saturation:
        contents["saturation"] = plain(rows)
    if drafted is not None:
        names = ("per_token_s", "interval_s", "speed_up")
        more = {name: plain(getattr(drafted, name)) for name in names}
        contents["speculation"] = {**plain(drafted), **more}
    if extras.price is not None:
        from thermoflop.cost.reports.price import million_cost

        cost = million_cost(estimated, extras.price)
        contents["price_per_million"] = {"expected": cost.value, "low": cost.low, "high": cost.high}
    return json.dumps(contents, ensure_ascii=False, indent=1)


def _as_text(
    extras: ReportOptions, runs: tuple[Estimate, Estimate], rows: list[Saturation],
    drafted: Speculation | None,
) -> str:  # fmt: skip
    estimated, held = runs
    counted = "" if extras.why else "\nhow operators are counted, and what binds each: --why"
    blocks = [estimate_text(held) + counted]
    if extras.price is not None:
        from thermoflop.cost.reports.price import price_text

        blocks.append(price_text(estimated, extras.price))
    if drafted is not None:
        above = ", counted above" if any(drafted.draft_bytes) else ""
        unlike = "\n  what the draft holds is not counted: the cards are not alike"
        said = str(drafted) + unlike * bool(estimated.setting.cards)
        blocks.append(said.replace(" of cache", f" of cache{above}"))
    if extras.why:
        from thermoflop.cost.why.table import why_text

        blocks.append(why_text(estimated))
    if extras.saturation:
        from thermoflop.cost.reports.saturation import saturation_text

        blocks.append(saturation_text(rows))
    return "\n\n".join(blocks)
