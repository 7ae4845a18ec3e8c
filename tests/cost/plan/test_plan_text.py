"""What a plan prints: every number of its choices, each in its place. The numbers are made up."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.base import chart
from thermoflop.base.paper import paper
from thermoflop.base.record import replace
from thermoflop.cost.plan.result import Choice, PlanResult, Point, plan_csv, plan_picture, plan_text
from thermoflop.cost.serving.targets import Targets
from thermoflop.cost.work.share import Layout

ANY = Targets()
CHOICE = Choice(
    "m", "D", "fp8", 6, 3, Layout(tp=2), "", 41.0, 7.25, (0.011, 0.012, 0.013),
    (0.21, 0.22, 0.23), 3417.0, (510.0, 569.5, 620.0), "memory", 0.5, 2500.0, "vllm serve m",
)  # fmt: skip


def plan(*choices: Choice, nearest: str = "", targets: Targets = ANY) -> PlanResult:
    return PlanResult("m on D", choices, (), nearest, 1234, ("a note",), targets)


def test_a_row_holds_the_choice_in_the_units_of_its_head() -> None:
    """12 ms a token, 220 ms to the first, 569.5 tokens/s a device, 2.5 kJ and half a dollar."""
    lines = plan_text(plan(CHOICE)).splitlines()
    (row,) = [line for line in lines if line.startswith("1  ")]
    cells = [cell.strip() for cell in row.split("  ") if cell.strip()]
    assert cells[:4] == ["1", "6 x D", "fp8", "3 x tp=2"]
    assert cells[4:7] == ["41", "12.0", "220 ms"]
    low, middle, high = (float(text) for text in cells[7].replace("(", "-").rstrip(")").split("-"))
    assert (low, middle, high) == pytest.approx((569.5, 510, 620), rel=0.005)
    assert [float(text) for text in cells[8:]] == [0.5, 2.5]
    said = "1,234 configurations evaluated; $/M is dollars per million tokens; kJ/M is kJ per"
    assert lines[-1].startswith(said)
    assert "a note" in lines


def test_a_narrow_page_says_once_what_all_rows_share_and_goes_without_energy_first() -> None:
    """Two rows of one device and layout; 54 columns hold most others, 26 the format and price."""
    other = replace(CHOICE, dtype="bf16", users=33.0)
    with paper(54):
        lines = plan_text(plan(CHOICE, other)).splitlines()
    assert lines[2] == "all rows: device 6 x D, layout 3 x tp=2"
    assert lines[4].split() == ["format", "users", "ms/token", "first", "tok/s/device", "$/M"]
    assert lines[6].split()[:3] == ["2", "bf16", "33"]
    assert lines[-1].split()[-2:] == ["million", "tokens"]
    with paper(26):
        lines = plan_text(plan(CHOICE, other)).splitlines()
    assert ["format", "$/M"] in [line.split() for line in lines]


@pytest.mark.parametrize("columns", [33, 34, 50])
def test_a_narrow_page_keeps_the_layout_and_goes_without_intervals_first(columns: int) -> None:
    """A number, format, layout and ``570 (510-620)`` are 1 + 6 + 8 + 13 columns and three gaps."""
    first = replace(CHOICE, dollars_per_million=None)
    other = replace(first, dtype="bf16", plan=Layout(pp=2))
    with paper(columns):
        table = plan_text(plan(first, other)).split("\n\n")[2].splitlines()
    assert {"layout", "format", "tok/s/device"} <= set(table[0].split())
    assert ["3 x tp=2" in table[1], "3 x pp=2" in table[2]] == [True, True]
    assert ("(510-620)" in table[1]) == (columns >= 34)


WIDE = replace(CHOICE, device="H100-SXM-80GB", plan=Layout(4, 1, 4, 16))
OTHER = replace(WIDE, device="H200-SXM-141GB", plan=Layout(8, 1, 2, 16), dtype="bf16", users=40.0)


@pytest.mark.parametrize(
    ("targets", "asked"),
    [(Targets(1.0, None), "first"), (Targets(None, 0.05), "ms/token"), (ANY, "$/M")],
)
@pytest.mark.parametrize("page", [64, 72, 80])
def test_a_narrow_page_keeps_the_columns_of_the_targets_and_of_the_price(page, targets, asked):
    """Rates lose their intervals before, and devices what follows their number."""
    with paper(page):
        text = plan_text(plan(WIDE, OTHER, targets=targets))
    (heads,) = (line.split() for line in text.splitlines() if "layout" in line)
    assert {asked, "$/M", "device", "format", "layout"} <= set(heads)
    rows = [line for line in text.splitlines() if line[:1] in "12" and " x " in line]
    assert ["6 x H100" in rows[0], "6 x H200" in rows[1]] == [True, True]
    assert page > 64 or "(510-620)" not in text
    like = replace(OTHER, device="H100-PCIe-80GB")
    with paper(page):
        assert "6 x H100 " not in plan_text(plan(WIDE, like, targets=targets))


def test_one_replica_starts_once_and_three_say_so() -> None:
    alone = replace(CHOICE, replicas=1, devices=2)
    assert "start (each of 3 replicas):" in plan_text(plan(CHOICE)).splitlines()
    assert "start:" in plan_text(plan(alone)).splitlines()


def test_what_is_not_known_is_a_dash_and_what_is_known_of_no_choice_has_no_column() -> None:
    unknown = replace(CHOICE, dollars_per_million=None, joules_per_million=None)
    for others, last in (([CHOICE], "-"), ([unknown], "(510-620)")):
        text = plan_text(plan(unknown, *others))
        assert ("$/M" in text, "kJ" in text) == (False, others == [CHOICE])
        (row,) = [line for line in text.splitlines() if line.startswith("1  ")]
        assert row.split()[-1] == last


def test_the_pools_of_every_row_are_said_with_how_often_they_stand() -> None:
    first = replace(CHOICE, disaggregated="2 that read, 1 that writes; a prompt takes 9 ms")
    other = replace(first, replicas=1, disaggregated="1 that reads, 5 that write; a prompt 7 ms")
    lines = plan_text(plan(first, CHOICE, other)).splitlines()
    assert sum("pools, 6 devices" in line for line in lines) == 2
    assert "row 1: 3 x (2 that read, 1 that writes); a prompt takes 9 ms" in lines
    assert "row 3: 1 x (1 that reads, 5 that write); a prompt 7 ms" in lines
    assert "start (one of each pool):" in lines


def test_where_nothing_meets_the_target_the_nearest_stands() -> None:
    text = plan_text(plan(nearest="tokens 40 ms apart"))
    assert "nothing meets that" in text
    assert "tokens 40 ms apart" in text
    assert "start" not in text


def test_a_line_of_csv_has_each_figure_under_its_head() -> None:
    heads, row = (line.split(",") for line in plan_csv([plan(CHOICE)]).splitlines())
    found = dict(zip(heads, row, strict=True))
    assert (found["devices"], found["replicas"], found["users"]) == ("6", "3", "41.0")
    numbers = {
        "token_ms": 12, "token_low_ms": 11, "token_high_ms": 13, "first_s": 0.22,
        "requests_per_s": 7.25, "tokens_per_s": 3417, "tokens_per_s_device": 569.5,
        "device_low": 510, "device_high": 620, "dollars_per_million": 0.5,
        "joules_per_million": 2500,
    }  # fmt: skip
    assert {name: float(found[name]) for name in numbers} == pytest.approx(numbers)


def test_a_point_of_the_frontier_has_the_units_of_its_choice() -> None:
    """At one user of one device, both speeds are the same."""
    found = tf.plan("llama-3-8b", "h100", max_devices=1, dtypes=["bf16"])
    for point in found.frontier:
        assert point.tokens_per_s_device == pytest.approx(
            point.users * point.tokens_per_s_user, rel=0.05
        )


def test_the_picture_has_a_line_a_device_of_what_a_user_sees_and_a_device_gives(monkeypatch):
    """Of several models each by name."""
    drawn = []
    monkeypatch.setattr(chart, "log_log", lambda *given: drawn.append(given) or "svg")
    points = tuple(Point(gpu, "tp=1", user, device, 4.0)
                   for gpu, user, device in (("A", 10.0, 300.0), ("B", 20.0, 500.0),
                                             ("A", 40.0, 100.0)))  # fmt: skip
    assert {point.interval for point in points} == {(1, 1)}  # nothing said: known exactly
    one = PlanResult("m on A or B", (), points, "", 3, ())
    assert plan_picture([one]) == "svg"
    assert plan_picture([one, replace(one, question="n on A", frontier=points[:1])]) == "svg"
    (title, across, up, alone), (*_, both) = drawn
    assert (title, across, up) == (
        "What a device gives at a user's speed", "tokens/s a user", "tokens/s a device",
    )  # fmt: skip
    assert {curve.name: curve.points for curve in alone} == {
        "A": ((10, 300), (40, 100)), "B": ((20, 500),),
    }  # fmt: skip
    assert {curve.name: curve.points for curve in both} == {
        "m A": ((10, 300), (40, 100)), "m B": ((20, 500),), "n A": ((10, 300),),
    }  # fmt: skip
