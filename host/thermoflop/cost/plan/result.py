"""The result of ``tf.plan``: choices, the frontier, and their text, CSV and picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from thermoflop.base.paper import command
from thermoflop.base.record import record
from thermoflop.base.units import digits, seconds, table, wrapped
from thermoflop.cost.serving.result import LIMITS
from thermoflop.cost.serving.targets import Targets
from thermoflop.cost.work.share import Layout

COLUMNS = (
    "model", "device", "dtype", "devices", "replicas", "layout", "disaggregated", "users",
    "requests_per_s", "token_ms", "token_low_ms", "token_high_ms", "first_s", "tokens_per_s",
    "tokens_per_s_device", "device_low", "device_high", "limit", "dollars_per_million",
    "joules_per_million", "launch",
)  # fmt: skip


@record
class Choice:
    """One way to serve the load.

    Attributes:
        model_name: the model's name.
        device: the device's name.
        dtype: number format of the weights.
        devices: devices in all.
        replicas: replicas of the layout.
        plan: how one replica is spread over its devices.
        disaggregated: prefill and decode pools as a phrase; "" where one replica does both.
        users: users at once, in all.
        requests_per_s: requests answered in a second, in all.
        token_s: seconds between a user's tokens: low end, expectation, high end (80 %).
        first_s: mean seconds to a first token, low end, expectation, high end.
        tokens_per_s: output tokens a second, in all.
        per_device: output tokens a second and device at these users: where tokens come as late as
            the interval allows, expected, and as soon.
        limit: what keeps it from more: users, rate, memory, batch, prompts, target or first.
        dollars_per_million: dollars for a million output tokens; None without a price.
        joules_per_million: joules for a million output tokens; None without a power.
        launch: the command that starts one replica, "" where none is known of the engine; of pools
            one of each, a line each, to which the
            engine's own settings for sending the cache are to be added.

    Example:
        >>> import thermoflop as tf
        >>> best = tf.plan("llama-3-8b", "h100", max_devices=2, tpot_s=0.02).choices[0]
        >>> best.token_s[1] <= 0.02 and best.launch.startswith("vllm serve")
        True
    """

    model_name: str
    device: str
    dtype: str
    devices: int
    replicas: int
    plan: Layout
    disaggregated: str
    users: float
    requests_per_s: float
    token_s: tuple[float, float, float]
    first_s: tuple[float, float, float]
    tokens_per_s: float
    per_device: tuple[float, float, float]
    limit: str
    dollars_per_million: float | None
    joules_per_million: float | None
    launch: str

    def cells(self) -> tuple[Any, ...]:
        """What a CSV file says of it, under ``COLUMNS``."""
        return (
            self.model_name, self.device, self.dtype, self.devices, self.replicas, self.plan.label,
            self.disaggregated, self.users, self.requests_per_s, self.token_s[1] * 1e3,
            self.token_s[0] * 1e3, self.token_s[2] * 1e3, self.first_s[1], self.tokens_per_s,
            self.per_device[1], self.per_device[0], self.per_device[2], self.limit,
            self.dollars_per_million, self.joules_per_million, self.launch,
        )  # fmt: skip


@record
class Point:
    """A point of the frontier: no other configuration gives users faster tokens at as many tokens
    a second and device.

    Attributes:
        device: the device's name.
        label: format and layout.
        tokens_per_s_user: tokens a second that a user sees.
        tokens_per_s_device: output tokens a second and device.
        users: users of one replica.
        interval: what both speeds are to be multiplied by where tokens come as late, and as soon,
            as the 80 % interval of a token's time allows.

    Example:
        >>> import thermoflop as tf
        >>> slow, *_, fast = tf.plan("llama-3-8b", "h100").frontier
        >>> slow.tokens_per_s_user < fast.tokens_per_s_user
        True
    """

    device: str
    label: str
    tokens_per_s_user: float
    tokens_per_s_device: float
    users: float
    interval: tuple[float, float] = (1.0, 1.0)


@record
class PlanResult:
    """The best ways to serve a load, made by ``plan``. Print it for a report.

    Attributes:
        question: what was asked, as a sentence.
        choices: the best few, best first, those in formats that the engine makes of the model's own
            weights before others, unless formats were named; none where nothing meets the targets.
        frontier: tokens/s a device against tokens/s a user, by device.
        nearest: what comes nearest where nothing meets the targets, and what blocks it; "".
        candidates: configurations that were evaluated, each load of a layout one.
        notes: what to know of the answer.
        targets: what was asked for of the tokens of a user; by default nothing.

    Example:
        >>> import thermoflop as tf
        >>> found = tf.plan("llama-3-8b", "h100", max_devices=4, users=100, tpot_s=0.03)
        >>> found.choices[0].devices <= 4 and found.candidates > 100
        True
    """

    question: str
    choices: tuple[Choice, ...]
    frontier: tuple[Point, ...]
    nearest: str
    candidates: int
    notes: tuple[str, ...]
    targets: Targets = Targets()

    def __str__(self) -> str:
        return plan_text(self)


LEAST = (
    "kJ/M",
    "first",
    "ms/token",
    "device",
    "users",
)  # what a narrow page goes without, in order
ALIKE = ("device", "layout", "format", "users")  # what is said once where all rows say the same
UNITS = (("$/M", "dollars"), ("kJ/M", "kJ"))


def plan_text(found: PlanResult) -> str:
    """A report, at most 100 columns wide but for the commands."""
    lines = [wrapped(found.question), ""]
    tried = [f"{found.candidates:,} configurations evaluated"] if found.candidates else []
    if not found.choices:
        lines += ["nothing meets that", wrapped(found.nearest)]
    else:
        choices = _choices(found)
        lines += [choices, ""]
        shown = choices.split()
        tried += [f"{head} is {what} per million tokens" for head, what in UNITS if head in shown]
        best = found.choices[0]
        lines.append(wrapped(f"limit: {LIMITS[best.limit]}"))
        for number, choice in enumerate(found.choices, 1):
            pools, _, times = choice.disaggregated.partition("; ")
            said = f"row {number}: {choice.replicas} x ({pools}); {times}"
            lines += [wrapped(said)] if pools else []
        each = "" if best.replicas == 1 else f" (each of {best.replicas} replicas)"
        each = " (one of each pool)" if best.disaggregated else each
        commands = [command(f"  {line}") for line in best.launch.splitlines()]
        lines += [f"start{each}:", *commands] if commands else []
    lines += [wrapped(note) for note in found.notes]
    return "\n".join([*lines, *([wrapped("; ".join(tried))] if tried else [])])


def _choices(found: PlanResult) -> str:
    """The choices as a table: on a narrow page without intervals of rates, and then with short
    names of the devices, before a column goes that was asked for."""
    shown = [(True, False), (False, False), (False, True)]
    tables = [_table(found, *each) for each in shown]
    asked = _asked(found)
    return next((one for one in tables if all(head in one for head in asked)), tables[-1])


def _asked(found: PlanResult) -> list[str]:
    """The columns of what was asked for, the least important first."""
    targets, choices = found.targets, found.choices
    asked = ["first"] * (targets.first_s is not None) + ["ms/token"] * (targets.token_s is not None)
    asked += ["$/M"] * (choices[0].dollars_per_million is not None)
    return [*asked, *["device"] * (len({each.device for each in choices}) > 1), "format", "layout"]


def _short(found: PlanResult) -> dict[str, str]:
    """Names of devices up to their number, where that tells them apart: H200 of H200-SXM-141GB."""
    names = {choice.device for choice in found.choices}
    short = {name: (re.match(r".*?\d\w*", name) or [name])[0] for name in names}
    return short if len({*short.values()}) == len(names) else {name: name for name in names}


def _table(found: PlanResult, interval: bool, is_short: bool) -> str:
    """The choices as a table; those within a tenth of the best are as good."""
    priced = found.choices[0].dollars_per_million is not None
    powered = any(choice.joules_per_million is not None for choice in found.choices)
    heads = ["", "device", "format", "layout", "users", "ms/token", "first", "tok/s/device"]
    rows = [[*heads, *["$/M"] * priced, *["kJ/M"] * powered]]
    short = _short(found) if is_short else {}
    for number, choice in enumerate(found.choices, 1):
        low, expected, high = choice.per_device
        how = f"{choice.replicas} x {choice.plan.label}"
        if choice.disaggregated:
            how = f"pools, {choice.devices} devices"
        joules, device = choice.joules_per_million, short.get(choice.device, choice.device)
        rows.append([
            str(number), f"{choice.devices} x {device}", choice.dtype, how,
            f"{choice.users:,.0f}", digits(choice.token_s[1] * 1e3), seconds(choice.first_s[1]),
            digits(expected) + f" ({digits(low)}-{digits(high)})" * interval,
            *[digits(choice.dollars_per_million or 0)] * priced,
            *["-" if joules is None else digits(joules / 1e3)] * powered,
        ])  # fmt: skip
    asked = _asked(found)
    least = [head for head in LEAST if head not in asked] + ["tok/s/device"] * priced + asked
    return table(rows, 4, least=least, alike=ALIKE)


def plan_csv(plans: Sequence[PlanResult]) -> str:
    """The choices of one or more models as CSV."""
    import csv
    import io

    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(choice.cells() for found in plans for choice in found.choices)
    return file.getvalue()


def plan_picture(plans: Sequence[PlanResult]) -> str:
    """The frontiers as a chart: one line a device and model."""
    from thermoflop.base import chart

    lines: dict[str, list[tuple[float, float]]] = {}
    for found in plans:
        model = found.question.split()[0] if len(plans) > 1 else ""
        for point in found.frontier:
            spot = (point.tokens_per_s_user, point.tokens_per_s_device)
            lines.setdefault(f"{model} {point.device}".strip(), []).append(spot)
    curves = [chart.Curve(name, tuple(spots)) for name, spots in lines.items()]
    title = "What a device gives at a user's speed"
    return chart.log_log(title, "tokens/s a user", "tokens/s a device", curves)
