"""Why nothing meets what was asked of a plan, what comes nearest, and how many devices would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from thermoflop.base.record import record
from thermoflop.base.units import seconds
from thermoflop.cost.hardware.precision import format_name
from thermoflop.cost.plan.choice import Found, Question, nearest
from thermoflop.cost.plan.result import Choice
from thermoflop.cost.plan.unit import Unit
from thermoflop.cost.serving.targets import Targets

REPLICA = 64  # devices of one replica at most where more devices than asked for are tried
MOST = 4096  # devices in all, as ``plan`` takes at most


@record
class Tried:
    """What so many devices gave: units that hold a sequence, their highest loads within the
    targets, the choices that do what was asked, best first, and sentences where another would cost
    less than the first."""

    units: list[Unit]
    found: list[Found]
    choices: list[Choice]
    cheaper: tuple[str, ...] = ()


def blocked(
    question: Question, tried: Tried, solve: Callable[[int], Tried], formats: Sequence[str]
) -> str:
    """One sentence or two; ``solve`` tries a number of devices in the ``formats``."""
    least, choice = _enough(question.most, solve)
    would = "" if choice is None else f"{_named(choice)} would do"
    many = f"{question.most:,} devices" if question.most > 1 else "one device"
    if not tried.units:
        tried_in = f", in {' or '.join(formats)} (--dtype tries others)" if formats else ""
        said = f"not one sequence fits on {many} in any layout{tried_in}"
        holds = "" if least is None else (
            f"{least.devices:,} x {least.setting.device.name} would hold the model "
            f"({least.layout.label}, {format_name(least.setting.precision)})"
        )  # fmt: skip
        return "; ".join(filter(None, (said, would or holds or f"nor on {REPLICA}")))
    if tried.found:
        return "blocked by the number of devices: " + (would or f"more than {MOST:,} are needed")
    missed = nearest(tried.units, question.targets)
    assert missed is not None  # noqa: S101 - there are units
    return "; ".join(filter(None, (_missed(*missed, question.targets), would)))


def _named(choice: Choice) -> str:
    """Devices, format and layout of a choice."""
    how = f"{choice.replicas:,} x {choice.plan.label}" if choice.replicas > 1 else choice.plan.label
    how = "pools of prefill and decode" if choice.disaggregated else how
    return f"{choice.devices:,} x {choice.device} ({how}, {choice.dtype})"


def _enough(most: int, solve: Callable[[int], Tried]) -> tuple[Unit | None, Choice | None]:
    """The smallest unit that holds a sequence, and the best choice on the fewest devices that do
    what was asked, of more than ``most``; None for what there is not."""
    least: Unit | None = None
    for count in _more(most):
        tried = solve(count)
        if least is None and tried.units:
            least = min(tried.units, key=lambda unit: unit.devices)
        if tried.choices:
            return least, min(tried.choices, key=lambda each: each.devices)
        if count >= REPLICA and not tried.found:
            break  # more replicas hold no more and are no faster
    return least, None


def _more(most: int) -> Iterator[int]:
    """Powers of two above ``most``."""
    count = 2 ** most.bit_length()
    while count <= MOST:
        yield count
        count *= 2


def _missed(unit: Unit, loads: Any, targets: Targets) -> str:
    token_s, first_s = float(loads.token_s[0]), float(loads.first_s[0])
    slow = targets.token_s is not None and token_s > targets.token_s
    return (
        f"nearest: {unit.devices} x {unit.setting.device.name} ({unit.layout.label}, "
        f"{format_name(unit.setting.precision)}) with one user: tokens {seconds(token_s)} "
        f"apart, the first after {seconds(first_s)}; blocked by the "
        + ("time between tokens" if slow else "time to first token")
    )
