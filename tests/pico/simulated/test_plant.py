"""The plant obeys physics, whatever the step size."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermoflop.pico.simulated.plant import Plant, PlantConstants

CONSTANTS = PlantConstants()
watts = st.floats(0, 100)
steps_s = st.floats(1e-4, 1e5)
switches = st.booleans()


def test_rest_is_ambient() -> None:
    plant = Plant(CONSTANTS)
    for _ in range(100):
        plant.step(1.0, 0.0, False, False)
    assert plant.body_c == pytest.approx(CONSTANTS.ambient_c, abs=1e-9)
    assert plant.bead_c == pytest.approx(CONSTANTS.ambient_c, abs=1e-9)


@given(heat_w=watts, fan=switches, finger=switches)
def test_at_rest_heat_in_is_heat_out(heat_w: float, fan: bool, finger: bool) -> None:
    c = CONSTANTS
    plant = Plant(c)
    plant.step(1e6, heat_w, fan, finger)
    to_air_w = (plant.body_c - c.ambient_c) / plant.resistance_k_per_w(fan)
    to_bead_w = c.body_w_per_k * (plant.body_c - plant.bead_c)
    bead_to_air_w = c.air_w_per_k * (plant.bead_c - c.ambient_c)
    from_finger_w = c.finger_w_per_k * (c.finger_c - plant.bead_c) if finger else 0.0
    assert to_air_w + to_bead_w == pytest.approx(heat_w, abs=1e-8)
    assert to_bead_w + from_finger_w == pytest.approx(bead_to_air_w, abs=1e-8)


@given(
    heat_w=watts,
    fan=switches,
    finger=switches,
    n_steps=st.integers(2, 50),
    total_s=st.floats(0.01, 300),
)
def test_many_small_steps_are_one_large_one(
    heat_w: float, fan: bool, finger: bool, n_steps: int, total_s: float
) -> None:
    large, small = Plant(CONSTANTS), Plant(CONSTANTS)
    large.step(total_s, heat_w, fan, finger)
    for _ in range(n_steps):
        small.step(total_s / n_steps, heat_w, fan, finger)
    assert small.body_c == pytest.approx(large.body_c, abs=1e-6)
    assert small.bead_c == pytest.approx(large.bead_c, abs=1e-6)


@given(script=st.lists(st.tuples(steps_s, watts, switches, switches), max_size=20))
def test_never_hotter_than_its_hottest_rest_nor_colder_than_air(
    script: list[tuple[float, float, bool, bool]],
) -> None:
    plant = Plant(CONSTANTS)
    hottest_c = CONSTANTS.finger_c + 100 * CONSTANTS.still_k_per_w
    for dt_s, heat_w, fan, finger in script:
        plant.step(dt_s, heat_w, fan, finger)
        for temp_c in (plant.body_c, plant.bead_c):
            assert math.isfinite(temp_c)
            assert CONSTANTS.ambient_c - 1e-6 <= temp_c <= hottest_c


@given(before_s=steps_s, dt_s=steps_s, before_w=watts, heat_w=watts, finger=switches)
def test_the_fan_always_cools(
    before_s: float, dt_s: float, before_w: float, heat_w: float, finger: bool
) -> None:
    windy, still = Plant(CONSTANTS), Plant(CONSTANTS)
    for plant, fan in ((windy, True), (still, False)):
        plant.step(before_s, before_w, False, False)
        plant.step(dt_s, heat_w, fan, finger)
    assert windy.body_c <= still.body_c + 1e-9
    assert windy.bead_c <= still.bead_c + 1e-9


@given(dt_s=st.floats(0.1, 1000))
def test_a_finger_warms_a_cool_bead_towards_itself(dt_s: float) -> None:
    plant = Plant(CONSTANTS)
    plant.step(dt_s, 0.0, False, True)
    assert CONSTANTS.ambient_c < plant.bead_c < CONSTANTS.finger_c


def test_a_finger_alone_brings_the_bead_above_where_the_fan_starts() -> None:
    plant = Plant(CONSTANTS)
    plant.step(10.0, 0.0, False, True)
    assert plant.bead_c > 29.5


def test_no_time_changes_nothing() -> None:
    plant = Plant(CONSTANTS)
    plant.step(0.0, 100.0, False, True)
    assert (plant.body_c, plant.bead_c) == (CONSTANTS.ambient_c, CONSTANTS.ambient_c)
