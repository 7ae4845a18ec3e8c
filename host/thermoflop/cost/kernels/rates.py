"""Fitted rates of each class of kernels, and what a group of kernels adds to them.

``data/kernel_rates.json`` is made by ``python -m thermoflop.cost.fitting.kernels`` from the rows
that the package carries; ``calibrated`` moves them by kernels that a user measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Any

from thermoflop.base.record import record
from thermoflop.cost.kernels.form import Form
from thermoflop.cost.kernels.forms import FORMS


@record
class KernelRates:
    """Points of the parameters of a form, and what groups add: see ``fitting.kernels``.

    ``own`` is what kernels measured on one machine add to all of it (``""``) and to a format.
    """

    form: Form
    points: dict[str, float]
    offsets: dict[str, dict[str, float]]
    own: dict[str, dict[str, float]] | None = None

    def knows(self, group: str) -> bool:
        """Whether rows of this group were fitted."""
        return group in self.offsets

    def groups_on(self, groups: Sequence[str]) -> tuple[str, ...]:
        """The groups that hold: on an architecture that was not fitted, fewer do."""
        seen = any(self.knows(name) for name in groups if name.startswith("architecture:"))
        return tuple(
            name for name in groups if seen or name.partition(":")[0] in self.form.elsewhere
        )

    def point(self, groups: Sequence[str]) -> dict[str, float]:
        """The points for kernels of these groups."""
        points = dict(self.points)
        for group in self.groups_on(groups):
            for name, offset in self.offsets.get(group, {}).items():
                points[name] += offset
        for group in ("", *groups) if self.own else ():
            for name, offset in (self.own or {}).get(group, {}).items():
                points[name] += offset
        return points

    def values(self, groups: Sequence[str]) -> dict[str, float]:
        """The parameters for kernels of these groups."""
        return {
            name: value_of(point, self.form.parameters[name].limit)
            for name, point in self.point(groups).items()
        }


def value_of(point: float, limit: float | None) -> float:
    """A parameter from its fitted point: see ``fitting.regression.logs_of``."""
    return exp(point) if limit is None else 1 / (1 / limit + exp(-point))


_read: dict[str, KernelRates] = {}


def kernel_rates() -> dict[str, KernelRates]:
    """The rates that the package carries, by class."""
    if not _read:
        from thermoflop.cost.data import read_data

        _read.update(
            {name: rates_from(name, raw) for name, raw in read_data("kernel_rates").items()}
        )
    return dict(_read)


def rates_from(name: str, raw: dict[str, Any]) -> KernelRates:
    """Rates from their JSON object."""
    form = FORMS[name]
    names = list(form.parameters)
    points = dict(zip(names, raw["points"], strict=True))
    offsets = {
        group: {names[int(place)]: value for place, value in moved.items()}
        for group, moved in raw["offsets"].items()
    }
    return KernelRates(form, points, offsets)
