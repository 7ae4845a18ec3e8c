"""Profiles of one's own machine: read, checked, kept whole, and what estimates make of them."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import thermoflop as tf
from hypothesis import given
from hypothesis import strategies as st
from kit.decode_loop import loop_decode_s
from kit.machine import FLOPS_PER_S, LAUNCH_S, raw_profile
from thermoflop.cli import main
from thermoflop.cost.catalogue.machine import (
    folder,
    machine_profile_from,
    machine_profile_names,
    path_of,
)
from thermoflop.cost.catalogue.own_kernels import find_own, write_own
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.roofline.curves import Table, shape_of
from thermoflop.cost.roofline.decode import decode_s
from thermoflop.cost.work.share import Layout
from thermoflop.errors import InputError, StorageError, UsageError

TABLE = Table((1.0, 8.0, 64.0), (16.0, 256.0), ((1e-6, 4e-6), (2e-6, 8e-6), (16e-6, 64e-6)))


@pytest.fixture(autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def keep(**changes: Any) -> str:
    """Keep the made-up profile; its path."""
    return write_own({**raw_profile(), **changes})


def test_a_table_gives_its_nodes_and_lines_in_the_logarithms_between() -> None:
    """Half-way in both logarithms is the geometric mean of four nodes."""
    assert TABLE.at(8, 256) == pytest.approx(8e-6)
    assert TABLE.at(8**0.5, 64) == pytest.approx((1e-6 * 4e-6 * 2e-6 * 8e-6) ** 0.25)


def test_beyond_the_largest_node_the_rate_holds_and_below_the_smallest_the_time() -> None:
    """Twice the rows of the last take twice its time; less than the first takes no less."""
    assert TABLE.at(128, 256) == pytest.approx(2 * 64e-6)
    assert TABLE.at(64, 1024) == pytest.approx(4 * 64e-6)
    assert TABLE.at(0.5, 1) == pytest.approx(1e-6)


@given(st.floats(0.1, 1e5), st.floats(1, 1e6))
def test_a_table_of_a_constant_rate_is_that_rate_everywhere_above_its_first_node(
    rows: float, size: float
) -> None:
    """Which is why logarithms are used."""
    table = Table((1.0, 30.0, 700.0), (10.0, 5000.0), tuple(
        (row * 10.0 * 1e-9, row * 5000.0 * 1e-9) for row in (1.0, 30.0, 700.0)
    ))  # fmt: skip
    assert table.at(rows, size) == pytest.approx(max(rows, 1) * max(size, 10) * 1e-9)


def test_arrays_give_what_their_elements_give() -> None:
    """For grids of sizes."""
    rows = np.array([1.0, 5.0, 100.0])
    assert TABLE.at(rows, 100.0) == pytest.approx([TABLE.at(float(row), 100.0) for row in rows])


@pytest.mark.parametrize(
    ("rows", "sizes", "seconds"),
    [((), (1.0,), ()), ((2.0, 1.0), (1.0,), ((1.0,), (1.0,))), ((1.0,), (1.0, 2.0), ((1.0,),)),
     ((1.0,), (1.0,), ((0.0,),)), ((1.0,), (1.0,), ((float("nan"),),)),
     ((0.0,), (1.0,), ((1.0,),))],
)  # fmt: skip
def test_a_grid_that_is_none_is_refused(rows: Any, sizes: Any, seconds: Any) -> None:
    """Nodes grow from above 0, seconds are positive and finite."""
    with pytest.raises(ValueError, match="table"):
        Table(rows, sizes, seconds)


def setting() -> Setting:
    """GPT-2 under the made-up profile."""
    keep()
    profile = find_profile("mine")
    assert profile.machine is not None
    precision = choose_precision("fp32")
    return Setting(tf.load_model("gpt2"), profile.machine.device, Layout(), precision, profile)


def test_an_operator_takes_what_its_table_says() -> None:
    """Scores: their fixed part, and each head's share; products: their rate."""
    made = setting()
    works = {work.name: work for work in made.works(made.whole_prompt(64, 2))}
    product = works["up_proj"]
    expected = 12 * (LAUNCH_S + 2 * 128 * 768 * 3072 / FLOPS_PER_S)
    assert made.rates.operator_s(product) == pytest.approx(expected, rel=0.01)
    scores = works["scores"]
    expected = 12 * (1e-5 + 24 * 2 * 64 * 64 * 64 / FLOPS_PER_S)
    assert made.rates.operator_s(scores) == pytest.approx(expected)
    shape = shape_of(works["softmax"])
    assert shape is not None
    assert (shape.key, shape.rows, shape.columns) == ("masked softmax", 2 * 12 * 64, 64)
    residual = shape_of(works["residual"])
    assert residual is not None
    assert (residual.loops, residual.size) == (2, 2 * 64 * 768)


def test_the_closed_form_over_a_generation_equals_the_loop_to_a_percent() -> None:
    """Measured times bend, so between powers of two they are taken to grow evenly."""
    made = setting()
    works_at = made.decoding(2)
    closed = decode_s(works_at, 100, 500, 2, made.rates, made.ends)
    assert closed == pytest.approx(loop_decode_s(works_at, 100, 500, 2, made.rates), rel=0.01)


def test_a_profile_brings_its_device_and_its_format() -> None:
    """The device by name too, and grids of sizes."""
    keep()
    device = tf.find_device("mine")
    assert device.name == "made-up (mine)"
    one = tf.estimate("gpt2", device, dtype="fp32", prompt=64, generate=8, profile="mine")
    assert one.per_token.high_s == pytest.approx(1.2 * one.per_token.expected_s)
    assert one.first_token.high_s == pytest.approx(1.1 * one.first_token.expected_s)
    assert "123 measurements of numpy 9.9 in fp32" in one.provenance
    assert "2030-01-02" in one.provenance
    assert one.first_token.bound_s < one.first_token.expected_s
    grid = tf.estimate(
        "gpt2", device, dtype="fp32", batch=np.array([1, 4]), prompt=64, generate=8, profile="mine"
    )
    assert grid.per_token.expected_s[0] == pytest.approx(one.per_token.expected_s)


def test_the_bound_counts_no_pair_behind_the_mask_although_the_engine_computes_it() -> None:
    """No engine has to do what this one does."""
    keep()
    found = tf.estimate("gpt2", "mine", dtype="fp32", prompt=1000, generate=1, profile="mine")
    plain = tf.estimate("gpt2", "mine", dtype="fp32", prompt=1000, generate=1)
    assert found.first_token.bound_s == plain.first_token.bound_s


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"hardware": "h200", "dtype": "fp32"}, "measured on made-up"),
        ({"hardware": "mine", "dtype": "bf16"}, "does not compute in bf16|measured in fp32"),
        ({"hardware": "mine", "dtype": "fp32", "kv_dtype": "fp8"}, "measured in fp32"),
    ],
)
def test_what_was_not_measured_is_refused(options: Any, sentence: str) -> None:
    """Another device, another format, another cache."""
    keep()
    with pytest.raises(UsageError, match=sentence):
        tf.estimate("gpt2", profile="mine", prompt=64, generate=8, **options)


def test_the_command_takes_device_and_format_from_the_profile(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And says how operators' times come about."""
    keep()
    words = ["estimate", "gpt2", "--profile", "mine", "--prompt", "64", "--generate", "8", "--why"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "made-up (mine)" in text
    assert "best rates it showed" in text
    assert "measured time at its size" in text
    assert main(["compare", "gpt2", "--profile", "mine", "--prompt", "64"]) == 0
    assert main(["fit", "gpt2", "--gpu", "mine", "--dtype", "fp32", "--prompt", "64"]) == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not valid JSON"),
        ('{"format": 1, "kind": "machine pro', "not valid JSON"),
        ("[]", "expected an object with keys"),
        ('{"kind": "recipe"}', "is no machine profile"),
        ('{"kind": "machine profile", "format": 99}', "has format 99, this version reads 1"),
        ('{"kind": "machine profile", "format": 1}', "is damaged"),
        ("\x00\xff", "not text in UTF-8"),
    ],
)
def test_a_file_that_is_no_profile_is_one_clear_sentence(
    text: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, the file named, the remedy named, no traceback."""
    Path(folder()).mkdir(parents=True)
    Path(path_of("mine")).write_text(text, encoding="latin-1")
    assert main(["estimate", "gpt2", "--profile", "mine", "--prompt", "64"]) == 3
    said = capsys.readouterr().err
    assert sentence in said
    assert "thermoflop calibrate" in said
    assert path_of("mine") in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("path", [
    ("tables", "matmul", "seconds"), ("device", "memory_gb"), ("spread", "all"), ("levels",),
    ("made", "machine"), ("launch_s",), ("dtype",), ("fixed",), ("scale",), ("kernels",),
])  # fmt: skip
@pytest.mark.parametrize("value", [None, -1, "x", [], {}, float("inf"), float("nan")])
def test_a_damaged_value_anywhere_is_an_input_error(path: tuple[str, ...], value: Any) -> None:
    """Never another exception; what is harmless may pass."""
    raw = json.loads(json.dumps(raw_profile()))
    inside = raw
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    harmless = path == ("kernels",) or (path == ("fixed",) and value == {})
    with nullcontext() if harmless else pytest.raises(InputError, match="damaged"):
        machine_profile_from(raw, "somewhere")


def test_a_profile_is_kept_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves the old one, and nothing beside it."""
    path = keep()
    before = Path(path).read_bytes()

    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(StorageError, match="No space left"):
        keep(scale=2.0)
    assert Path(path).read_bytes() == before
    assert [each.name for each in Path(folder()).iterdir()] == ["mine.json"]
    with pytest.raises(InputError):
        keep(scale="large")


def test_profiles_are_found_by_name_and_listed_when_there_is_none() -> None:
    """Names are those of the folder; nothing outside of it is read."""
    write_own(raw_profile("work-station"))
    assert machine_profile_names() == ["work-station"]
    assert find_own("Work-Station") is not None
    assert find_own("../mine") is None
    assert find_own("mine") is None
    with pytest.raises(InputError, match="work-station"):
        find_profile("mine")
    with pytest.raises(UsageError, match="no name of a profile"):
        path_of("a/b")


def test_a_relative_configuration_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG convention says."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert not folder().startswith("relative")


def test_a_profile_of_another_machine_says_so_and_bench_refuses_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It may still be estimated with: that is what a copied profile is for."""
    raw = raw_profile()
    raw["made"]["machine"]["node"] = "elsewhere"
    write_own(raw)
    assert main(["estimate", "gpt2", "--profile", "mine", "--prompt", "64"]) == 0
    assert "not this machine" in capsys.readouterr().out
    assert main(["bench", "gpt2", "--profile", "mine"]) == 3
    said = capsys.readouterr().err
    assert "of another machine (node 'elsewhere'" in said
    assert said.count("\n") == 1
