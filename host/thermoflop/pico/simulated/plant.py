"""The heat behind the pins: a warm body, a thermistor bead on it, a fan and a finger.

Two heat capacities. The body takes the heat source's power and gives it to the air, better when the
fan blows; the bead hangs on the body, loses a little to the air, and warms quickly when a finger
presses it::

    body   C_body dT_body/dt = P - (T_body - T_air) / R(fan) - G_body (T_body - T_bead)
    bead   C_bead dT_bead/dt = G_body (T_body - T_bead) + G_air (T_air - T_bead)
                               + G_finger (T_finger - T_bead)

The inputs are constant within a step, so each step is solved exactly with the exponential of the
2 x 2 system: a step of ten seconds gives what a hundred of a tenth give, and none is unstable.
Temperatures are degrees Celsius, powers watts, times seconds, G watts per kelvin, C joules per
kelvin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlantConstants:
    """The board, the fan and the air round them.

    The body is 14 g of aluminium (0.9 J/gK) with the thermal resistance of a small heat sink:
    2 K/W in still air (time constant 25 s), 0.32 K/W in the fan's wind (4 s). The bead has the heat
    capacity of a common epoxy thermistor (15 mJ/K, from 2 mW/K and 7 s in its data sheets), hangs
    on the body with a drop of glue (2.3 s), and shows the air the quarter of itself that the glue
    leaves free. A finger tip is at 33.5 degC and, pressed on, conducts better than the glue.
    """

    ambient_c: float = 24.0
    body_j_per_k: float = 12.5
    still_k_per_w: float = 2.0
    fan_k_per_w: float = 0.32
    bead_j_per_k: float = 0.015
    body_w_per_k: float = 0.006
    air_w_per_k: float = 0.0005
    finger_w_per_k: float = 0.015
    finger_c: float = 33.5


@dataclass(frozen=True, slots=True)
class _Step:
    """One step with fixed inputs: the matrix exponential, row by row."""

    bb: float
    bt: float
    tb: float
    tt: float


class Plant:
    """The state of the two capacities; ``step`` moves it through time."""

    def __init__(self, constants: PlantConstants) -> None:
        """Everything starts at the temperature of the air."""
        self.constants = constants
        self.body_c = constants.ambient_c
        self.bead_c = constants.ambient_c
        self._steps: dict[tuple[float, bool, bool], _Step] = {}

    def step(self, dt_s: float, heat_w: float, fan: bool, finger: bool) -> None:
        """Let ``dt_s`` pass with these inputs."""
        if dt_s <= 0:
            return
        key = (dt_s, fan, finger)
        step = self._steps.get(key)
        if step is None:
            if len(self._steps) >= 64:  # steps are nearly always 100 ms; do not grow otherwise
                self._steps.clear()
            step = self._steps[key] = self._solve(dt_s, fan, finger)
        body_end_c, bead_end_c = self.steady(heat_w, fan, finger)
        body_k = self.body_c - body_end_c
        bead_k = self.bead_c - bead_end_c
        self.body_c = body_end_c + step.bb * body_k + step.bt * bead_k
        self.bead_c = bead_end_c + step.tb * body_k + step.tt * bead_k

    def steady(self, heat_w: float, fan: bool, finger: bool) -> tuple[float, float]:
        """(body, bead) temperatures at which these inputs come to rest."""
        a_bb, a_bt, a_tb, a_tt = self._rates(fan, finger)
        c = self.constants
        touch = c.finger_w_per_k if finger else 0.0
        drive_b = (heat_w + c.ambient_c / self.resistance_k_per_w(fan)) / c.body_j_per_k
        drive_t = (c.air_w_per_k * c.ambient_c + touch * c.finger_c) / c.bead_j_per_k
        determinant = a_bb * a_tt - a_bt * a_tb
        return (
            (a_bt * drive_t - a_tt * drive_b) / determinant,
            (a_tb * drive_b - a_bb * drive_t) / determinant,
        )

    def resistance_k_per_w(self, fan: bool) -> float:
        """From the body to the air."""
        return self.constants.fan_k_per_w if fan else self.constants.still_k_per_w

    def _rates(self, fan: bool, finger: bool) -> tuple[float, float, float, float]:
        """The system matrix in 1/s: how each temperature pulls on each."""
        c = self.constants
        touch = c.finger_w_per_k if finger else 0.0
        return (
            -(1.0 / self.resistance_k_per_w(fan) + c.body_w_per_k) / c.body_j_per_k,
            c.body_w_per_k / c.body_j_per_k,
            c.body_w_per_k / c.bead_j_per_k,
            -(c.body_w_per_k + c.air_w_per_k + touch) / c.bead_j_per_k,
        )

    def _solve(self, dt_s: float, fan: bool, finger: bool) -> _Step:
        """exp(A t) by its two eigenvalues, which heat flow makes real, negative and different."""
        a_bb, a_bt, a_tb, a_tt = self._rates(fan, finger)
        middle = (a_bb + a_tt) / 2
        half = math.sqrt(((a_bb - a_tt) / 2) ** 2 + a_bt * a_tb)
        slow, fast = middle + half, middle - half
        e_slow, e_fast = math.exp(slow * dt_s), math.exp(fast * dt_s)
        # exp(A t) = (e_slow (A - fast) - e_fast (A - slow)) / (slow - fast)
        slope = (e_slow - e_fast) / (slow - fast)
        level = (e_fast * slow - e_slow * fast) / (slow - fast)
        return _Step(
            bb=slope * a_bb + level, bt=slope * a_bt, tb=slope * a_tb, tt=slope * a_tt + level
        )
