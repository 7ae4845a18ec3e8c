"""How far the firmware's two laws are from published R-T tables of real parts.

``python tests/firmware/test_rt_tables.py`` prints the table that wiring.md shows. Beta is the
data sheet's nominal one, or B25/85 of the table where none is given; the Steinhart-Hart points
are 0, 25 and 70 degC or the nearest rows. The series resistor equals R25. Errors in degC over the
rows from -20 to 100 degC, through the integer table, ADC steps left out.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from firmware.cpython_machine import Space
from vm import runner

TABLES = json.loads((runner.TESTS / "data" / "ntc_tables.json").read_text(encoding="utf-8"))
IDS = [table["part"].split(" (")[0] for table in TABLES]
POINTS_C = (0, 25, 70)
POINTS = ("t1_c", "r1_ohm", "t2_c", "r2_ohm", "t3_c", "r3_ohm", "model")


@cache
def firmware(name: str) -> Any:
    return Space(runner.suite_files()).load(name)


def settings_for(table: dict[str, Any], model: int) -> dict[str, int]:
    rows = dict(zip(table["temp_c"], table["r_ohm"], strict=True))
    values: dict[str, int] = firmware("settings").defaults()
    values.update(model=model, r25_ohm=table["r25_ohm"], r_series_ohm=table["r25_ohm"])
    values["beta_k"] = round(table.get("b_nominal") or table["b25_85_from_table"])
    for number, wanted_c in enumerate(POINTS_C, 1):
        temp_c = min(rows, key=lambda row_c: abs(row_c - wanted_c))
        values[f"t{number}_c"] = round(temp_c * 1000)
        values[f"r{number}_ohm"] = round(rows[temp_c])
    return values


def errors_c(table: dict[str, Any], model: int) -> dict[float, float]:
    """Row temperature -> what the firmware reads minus what the table says, degC."""
    part = firmware("thermistor").from_settings(settings_for(table, model))
    found = {}
    for temp_c, r_ohm in zip(table["temp_c"], table["r_ohm"], strict=True):
        if -20 <= temp_c <= 100:
            code_x16 = round(65520 * table["r25_ohm"] / (table["r25_ohm"] + r_ohm))
            found[temp_c] = part.temp_mc(code_x16) / 1000 - temp_c
    return found


def worst_c(table: dict[str, Any], model: int, low_c: float = -20, high_c: float = 100) -> float:
    errors = errors_c(table, model).items()
    return max(abs(error) for temp_c, error in errors if low_c <= temp_c <= high_c)


@pytest.mark.parametrize("table", TABLES, ids=IDS)
def test_three_points_stay_within_1_1_degrees_and_0_15_between_20_and_60(
    table: dict[str, Any],
) -> None:
    assert worst_c(table, 1) <= 1.1
    assert worst_c(table, 1, 20, 60) <= 0.15


@pytest.mark.parametrize("table", TABLES, ids=IDS)
def test_one_beta_stays_within_3_1_degrees_and_0_6_between_20_and_60(table: dict[str, Any]) -> None:
    assert worst_c(table, 0) <= 3.1
    assert worst_c(table, 0, 20, 60) <= 0.6


def test_three_points_are_better_than_one_beta_on_every_measured_part() -> None:
    measured = [table for table in TABLES if "B3974" not in table["part"]]
    assert all(worst_c(table, 1) < worst_c(table, 0) for table in measured)


def test_the_commands_of_wiring_md_are_taken_one_by_one_and_set_its_first_part() -> None:
    text = (runner.ROOT / "wiring.md").read_text(encoding="utf-8")
    block = next(each for each in text.split("```")[1::2] if "model sh" in each)
    settings = firmware("settings")
    values = settings.defaults()
    for line in block.splitlines():
        if line.startswith("thermoflop pico set "):
            values = settings.changed(values, *line.split()[3:])
    wanted = settings_for(TABLES[0], 1)
    assert {key: values[key] for key in POINTS} == {key: wanted[key] for key in POINTS}


@pytest.mark.parametrize("table", TABLES, ids=IDS)
def test_the_points_of_a_part_are_taken_before_the_model_in_the_order_of_wiring_md(
    table: dict[str, Any],
) -> None:
    settings, wanted = firmware("settings"), settings_for(table, 1)
    values = settings.defaults()
    for key in POINTS:
        values = settings.changed(values, key, settings.show(key, wanted[key]))


def test_wiring_md_shows_the_table_that_this_file_prints() -> None:
    text = (runner.ROOT / "wiring.md").read_text(encoding="utf-8")
    assert all(row in text for row in rows())


def rows() -> list[str]:
    """The errors of every part as rows of a table in Markdown."""
    made = []
    for table in TABLES:
        cells = [table["part"]]
        for low_c, high_c in ((-20, 100), (20, 60)):
            for model in (0, 1):
                cells.append(f"{worst_c(table, model, low_c, high_c):.2f} °C")
        made.append("| " + " | ".join(cells) + " |")
    return made


if __name__ == "__main__":
    print("| part | beta, worst over -20..100 | three points | beta, 20..60 | three points |")
    print("|---|---|---|---|---|")
    print(*rows(), sep="\n")
