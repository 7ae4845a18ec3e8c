"""The frontier of a plan for the page's question: tokens/s a GPU against tokens/s a user."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from thermoflop.base.record import replace
from thermoflop.errors import ThermoflopError
from thermoflop.web.estimator.computed import compute, served
from thermoflop.web.estimator.fields import FieldError

if TYPE_CHECKING:
    from thermoflop.cost.plan.result import Point
    from thermoflop.web.estimator.inputs import Inputs

MOST_DEVICES = 8  # those of one server


def frontier(inputs: Inputs) -> dict[str, Any]:
    """Plain numbers: the points, the band of their interval, and where these inputs stand.

    Raises FieldError where nothing is generated, or the inputs make no sense.
    """
    estimate = compute(inputs).estimate
    if estimate.generate < 2:
        raise FieldError("output", "nothing is generated, so no user waits for tokens")
    alone = replace(inputs, users=1, tp=1, pp=1, dp=1, ep=1, price=0.0)
    most = max(MOST_DEVICES, estimate.plan.devices)
    try:
        points = _points(alone, most)
    except ThermoflopError as error:
        raise FieldError("device", str(error)) from None
    here = (1 / estimate.per_token.expected_s, estimate.decode_tokens_per_s / estimate.plan.devices)
    if (server := served(inputs)) is not None:  # as the points are
        here = (1 / server.token_s[1], server.tokens_per_s_device)
    return {
        "devices": most,
        "points": [
            [point.tokens_per_s_user, point.tokens_per_s_device, point.label, point.users]
            for point in points
        ],
        "band": band_of(points),
        "here": [float(each) for each in here],
    }


@lru_cache(maxsize=16)
def _points(inputs: Inputs, most: int) -> tuple[Point, ...]:
    """The frontier of all layouts, whatever layout and users the inputs have themselves."""
    from thermoflop.cost.plan.plan import plan

    computed = compute(inputs)
    estimate, options = computed.estimate, computed.options
    return plan(
        computed.model, estimate.device, prompt=int(estimate.prompt),
        generate=int(estimate.generate), max_devices=most, top=1,
        dtypes=None if options["dtype"] is None else [options["dtype"]],
        kv_dtype=options["kv_dtype"], profile=options["profile"] or estimate.setting.profile,
    ).frontier  # fmt: skip


def band_of(points: tuple[Point, ...]) -> list[list[float]]:
    """The outline of the interval: the curve where tokens come as late as it allows, and back along
    that where they come as soon; a wrong time moves both speeds, so each point moves along both."""
    late, soon = (
        [[p.tokens_per_s_user * p.interval[end], p.tokens_per_s_device * p.interval[end]]
         for p in points]
        for end in (0, 1)
    )  # fmt: skip
    return late + soon[::-1]
