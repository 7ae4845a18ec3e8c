"""The roof of a device with its operators, and the bar of its memory, by the numbers they show."""

from __future__ import annotations

import json
import re

import pytest
import thermoflop as tf
from kit.made_up import BANDWIDTH, DEVICE, PEAK, decoder, rates
from thermoflop.base import chart
from thermoflop.base.record import replace
from thermoflop.cost.memory import Memory
from thermoflop.cost.reports.estimate import ReportOptions, estimate_report
from thermoflop.cost.reports.pictures import (
    memory_picture,
    roofline,
    roofline_picture,
    saturation_picture,
)
from thermoflop.cost.reports.saturation import Saturation
from thermoflop.cost.why.table import steps_of

# what the device has: the one line that is dashed
LINE = rf'M{chart.LEFT} ([\d.]+)H{chart.RIGHT}"[^>]*dasharray="6 4"'


@pytest.fixture(scope="module")
def estimate() -> tf.Estimate:
    return tf.estimate(decoder(), DEVICE, batch=4, prompt=100, generate=5, profile=rates())


def test_a_roof_rises_to_the_ridge_and_is_flat_from_there(estimate):
    """100 TFLOP/s over 1 TB/s: 100 FLOP a byte; from a hundredth of it, or the lowest dot, to ten
    times as much, or the highest."""
    roof = roofline(estimate)
    (low, at_low), ridge, (high, at_high) = roof.corners
    assert ridge == (PEAK / BANDWIDTH, PEAK / 1e12) == (100, 100)
    every = [dot.intensity for dots in roof.dots.values() for dot in dots]
    assert (low, high) == (min(1.0, *every), max(1000.0, *every))
    assert (at_low, at_high) == (low * BANDWIDTH / 1e12, 100)
    assert roof.name.startswith("roof: data sheet, 100 TFLOP/s bf16")


def test_a_dot_is_an_operators_flops_over_its_bytes_and_its_time(estimate):
    roof = roofline(estimate)
    assert list(roof.dots) == list(steps_of(estimate))
    for title, (reasons, _) in steps_of(estimate).items():
        made = {dot.name: dot for dot in roof.dots[title]}
        assert set(made) == {each.name for each in reasons if each.flops and each.time_s}
        for each in (one for one in reasons if one.name in ("gate_proj", "lm_head")):
            dot = made[each.name]
            assert dot.intensity == pytest.approx(each.flops / each.bytes)
            assert dot.tflops_s == pytest.approx(each.flops / each.time_s / 1e12)
            assert dot.tflops_s <= min(dot.intensity * BANDWIDTH, PEAK) / 1e12 * (1 + 1e-9)
            assert dot.binds == each.binds
    text = roofline_picture(estimate)
    assert "FLOP/byte" in text
    assert "on made-up, bf16" in text


def test_a_bar_of_memory_is_stacked_to_scale_under_the_line_of_what_the_device_has():
    memory = Memory(4e9, 2e9, 1e9, 0.5e9, 10e9)
    text = memory_picture("a title", "m", memory)
    assert "m: 7.50 GB together" in text
    assert "the device has 10.0 GB" in text
    for part in ("weights 4.00 GB", "cache 2.00 GB", "activations 1.00 GB", "reserve 0.5 GB"):
        assert part in text
    boxes = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" '
                       r'fill="(#\w+)"', text)  # fmt: skip
    bars = [tuple(map(float, each[:4])) for each in boxes if each[4] in chart.COLOURS[:4]][:4]
    scale = (chart.BASE - chart.TOP) / (1.08 * 10)
    below = chart.BASE
    for (x, y, wide, high), size in zip(bars, (4, 2, 1, 0.5), strict=True):
        assert high == pytest.approx(size * scale, abs=0.11)
        assert y + high == pytest.approx(below, abs=0.11)
        below = y
        assert wide == pytest.approx(0.5 * (chart.RIGHT - chart.LEFT), abs=0.11)
        assert x == pytest.approx(chart.LEFT + 0.1 * (chart.RIGHT - chart.LEFT), abs=0.11)
    (line,) = re.findall(LINE, text)
    assert float(line) == pytest.approx(chart.BASE - 10 * scale, abs=0.11)
    crowded = memory_picture("a title", "m", replace(memory, weight_bytes=20e9))
    (line,) = re.findall(LINE, crowded)
    scale = (chart.BASE - chart.TOP) / (1.08 * 23.5)
    assert float(line) == pytest.approx(chart.BASE - 10 * scale, abs=0.11)


def test_a_report_holds_what_was_asked_for_besides(tmp_path):
    options = {"batch": 4, "prompt": 100, "generate": 5}
    files = {"svg": str(tmp_path / "s.svg"), "roofline": str(tmp_path / "r.svg")}
    asked = ReportOptions(why=True, saturation=True, as_json=True, drafting=(decoder(), 3, 0.5),
                          **files)  # fmt: skip
    text, fits = estimate_report(decoder(), DEVICE, options, asked)
    shown = json.loads(text)
    plain = tf.estimate(decoder(), DEVICE, **options)
    assert fits is True
    assert shown["per_token"]["expected_s"] == plain.per_token.expected_s
    drafted = tf.speculate(decoder(), decoder(), DEVICE, drafted=3, acceptance=0.5, **options)
    assert shown["speculation"]["per_token_s"] == drafted.per_token_s
    assert shown["speculation"]["speed_up"] == drafted.speed_up
    assert [row["batch"] for row in shown["saturation"]] == [2**n for n in range(12)]
    assert shown["saturation"][2]["per_token_s"] == plain.per_token.expected_s
    assert list(shown["why"]) == list(steps_of(plain))
    assert (tmp_path / "s.svg").read_text().count("tokens/s of all sequences") >= 1
    assert "roof: data sheet" in (tmp_path / "r.svg").read_text()
    said, _ = estimate_report(decoder(), DEVICE, options, replace(asked, as_json=False))
    assert f"{drafted.tokens_per_check:.3g} tokens a check of" in said
    bare, _ = estimate_report(decoder(), DEVICE, options)
    assert "what binds each: --why" in bare
    assert "what binds each: --why" not in said


def test_only_the_pictures_that_have_a_file_are_drawn(tmp_path):
    options = {"batch": 1, "prompt": 10, "generate": 2}
    for name in ("svg", "roofline"):
        file = tmp_path / f"{name}.svg"
        said, _ = estimate_report(decoder(), DEVICE, options, ReportOptions(**{name: str(file)}))
        assert [each.name for each in tmp_path.iterdir()] == [file.name]
        assert "computing binds" not in said
        file.unlink()


def test_a_picture_of_batches_has_milliseconds_and_tokens(estimate):
    rows = [Saturation(1, 0.5, 2.0, "memory", 1e9, True), Saturation(8, 1.0, 8.0, "compute", 1e9,
            True)]  # fmt: skip
    text = saturation_picture(rows, estimate)
    assert "time of a token" in text
    assert "time of the prompt" in saturation_picture(rows, replace(estimate, generate=1))


def test_a_saturation_is_drawn_in_milliseconds_and_tokens_a_second(estimate, monkeypatch):
    drawn = []
    monkeypatch.setattr(chart, "log_panels", lambda title, axis, panels: drawn.extend(panels))
    rows = [Saturation(4, 0.002, 2000.0, 1e9, True, "memory")]
    saturation_picture(rows, estimate)
    (token, (first,)), (rate, (second,)) = drawn
    assert (token, first.points) == ("ms", ((4.0, 2.0),))
    assert (rate, second.points) == ("tokens/s", ((4.0, 2000.0),))
