"""What a client waits for besides the prefill, fitted to first tokens that clients saw.

The time is a sum of parts that the steps give (``inference.steady.waiting_parts``), each times a
number of the engine's, and of reading a lone prompt. Like rates, the numbers are positive, their
logarithms have a normal prior, and the fit is the mode of the posterior under a Huber loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thermoflop.base.number import Array
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.engines.generation import profile_name
from thermoflop.cost.fitting.regression import HUBER
from thermoflop.cost.fitting.rows import asked
from thermoflop.cost.inference.steady import UNMEASURED, WAITING, waiting_parts
from thermoflop.cost.published.row import Row

# Of widths from 0.15 to 0.5 this one misses least both where a model is left out (24 % at the
# median, 57 % at p90, for 25 and 67) and where rows after 2026-03 are (25 and 48 for 26 and 66).
WIDTH, NOISE, STEPS = 0.2, 0.25, 40


def fitted_waiting(profiles: dict[str, Profile], rows: Sequence[Row]) -> dict[str, Profile]:
    """The profiles with what each engine's clients wait for; ``UNMEASURED`` where none was seen."""
    seen: dict[str, list[tuple[float, ...]]] = {name: [] for name in profiles}
    for row in rows:
        question = asked(row)
        name = profile_name(question.engine, question.date)
        setting = question.setting(profiles[name])
        values, own = waiting_parts(setting, question.in_flight)
        seen[name].append((row.measured_s, float(own), *map(float, values)))
    made = {}
    for name, profile in profiles.items():
        seconds, held, *parts = np.array(seen[name]).reshape(-1, 2 + len(WAITING)).T
        made[name] = replace(profile, waiting=_fit(np.array(parts).T, seconds, held))
    return made


def _fit(parts: Array, seconds: Array, held: Array) -> dict[str, float]:
    """The numbers of one engine, by the names of ``WAITING``; ``held`` seconds come on top."""
    prior = np.log(UNMEASURED)
    point = prior.copy()
    for _ in range(STEPS if len(parts) else 0):
        shares = parts * np.exp(point)
        total = shares.sum(axis=1) + held
        residual = np.log(seconds / total) / NOISE
        huber = np.sqrt(HUBER / np.maximum(np.abs(residual), HUBER))
        jacobian = shares / total[:, None] / NOISE * huber[:, None]
        normal = jacobian.T @ jacobian + np.eye(len(prior)) / WIDTH**2
        pull = jacobian.T @ (residual * huber) + (prior - point) / WIDTH**2
        point = point + np.clip(np.linalg.solve(normal, pull), -0.5, 0.5)
    return dict(zip(WAITING, (round(float(value), 9) for value in np.exp(point)), strict=True))
