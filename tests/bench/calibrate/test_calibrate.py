"""A calibration measures, fits, holds decoders out, and keeps the profile; interrupted, nothing."""

from __future__ import annotations

import json
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.bench import numpy_pool
from thermoflop.bench import backend as clocks
from thermoflop.bench import limits
from thermoflop.bench import run as benching
from thermoflop.bench.calibrate import run as calibrating
from thermoflop.bench.calibrate.busy import Others, Patience
from thermoflop.bench.calibrate.fit import LEAST_DEVIATION, agreed, spread, tables
from thermoflop.bench.calibrate.grid import CPU, GPU, QUICK, Grid, Node, nodes
from thermoflop.bench.kernels import kernel
from thermoflop.bench.numpy_backend import NumpyBackend
from thermoflop.cli import main
from thermoflop.cost.catalogue.machine import path_of
from thermoflop.cost.catalogue.own_kernels import find_own, read_own
from thermoflop.cost.hardware.precision import choose_precision

TINY = Grid((1, 8), (256, 1024), (1, 4), (8, 32), (64, 512), 1e6, 1e4)


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything small, and a configuration folder of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(clocks, "LEAST_S", 0.0)
    monkeypatch.setattr(calibrating, "LEAST_S", 0.0)
    monkeypatch.setattr(limits, "PEAK_S", 0.0)
    monkeypatch.setattr(limits, "_SETS", (4096, 65536))
    monkeypatch.setattr(limits, "_sizes", lambda backend: (32, 64))
    for module in (calibrating, benching):
        monkeypatch.setattr(module, "open_pool", lambda backend: numpy_pool(2e6))
    for name in ("CPU", "QUICK"):
        monkeypatch.setattr(calibrating, name, TINY)
    held = calibrating._gpt2(32, 2, 1), calibrating._llama(32, 4, 2, 48, 1)
    decoders = {f"held{n}": (config, ((2, 6), (1, 12))) for n, config in enumerate(held)}
    monkeypatch.setattr(calibrating, "HELD_OUT", decoders)
    monkeypatch.setattr(calibrating, "GENERATE", 3)


def test_a_calibration_is_a_profile_that_bench_and_estimate_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the command to the table of predicted and measured."""
    assert main(["calibrate"]) == 0
    shown = capsys.readouterr()
    assert "80 % intervals" in shown.out
    assert "calibrating:" not in shown.err  # a pipe
    own = read_own(path_of("mine"))
    assert own.is_of_this_machine
    classes = ("matmul", "scores", "values", "softmax", "masked softmax", "layer norm", "gather")
    assert {*classes, "rms norm", "gelu", "silu x up", "residual", "rotary"} <= {*own.curves.tables}
    assert set(own.spread) == {"all", "prefill", "token", "operator"}
    assert 4 <= own.spread["token"][2] <= 8
    words = ["pythia-70m", "--layers", "1", "--prompt", "4", "--generate", "2"]
    assert main(["bench", *words, "--profile", "mine", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["steps_with_interval"] == 2
    assert data["median_operator_error"] is not None
    assert all(row["expected_s"] >= row["bound_s"] for row in data["operators"])
    assert main(["estimate", "pythia-70m", "--profile", "mine", "--prompt", "8"]) == 0
    assert main(["bench", *words, "--calibrate", "--only", "decoder"]) == 0
    assert "inside their 80 % interval" in capsys.readouterr().out


def test_an_interrupted_calibration_leaves_the_old_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 130, the file as it was."""
    assert main(["calibrate", "--quick"]) == 0
    before = Path(path_of("mine")).read_bytes()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(calibrating, "_held_out", interrupted)
    assert main(["calibrate"]) == 130
    assert Path(path_of("mine")).read_bytes() == before
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("vllm", "an engine or a device already"), ("h100", "an engine or a device already"),
     ("default", "an engine or a device already"), ("../x", "no name of a profile"),
     ("", "no name of a profile")],
)  # fmt: skip
def test_a_name_that_means_something_else_is_refused(
    name: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is measured."""
    assert main(["calibrate", "--name", name]) == 2
    assert sentence in capsys.readouterr().err
    assert find_own("mine") is None


@pytest.mark.parametrize("grid", [CPU, QUICK, GPU])
@pytest.mark.parametrize("kernels", ["eager", "attention"])
def test_every_node_lies_where_its_shape_is_looked_up(grid: Grid, kernels: str) -> None:
    """What is measured for a node is what an operator of that size finds there."""
    from thermoflop.cost.roofline.curves import shape_of

    class Habits:
        """As much of a backend as the grid asks about."""

    habits: Any = Habits()
    habits.kernels = kernels
    found = list(nodes(grid, habits, choose_precision("fp32"), False))
    assert len(found) > 50
    for node in found:
        for work in node.works:
            shape = shape_of(work)
            assert shape is not None
            assert shape.key == node.key
            assert shape.rows == node.rows
            assert abs(shape.size / node.size - 1) < 0.01
            assert shape.loops == node.loops


def test_every_node_of_the_small_grid_can_be_run() -> None:
    """On numpy, with finite results."""
    pool = numpy_pool()
    for node in nodes(TINY, pool.backend, choose_precision("fp32"), False):
        for work in node.works:
            call = kernel(work, pool)
            assert call is not None, node.key
            call()


def test_tables_take_the_fixed_part_off_and_share_the_rest_among_loops() -> None:
    """And what was too long to measure runs at the rate of the largest that was."""
    node = {
        (row, size): Node("scores", row, size, (), 12) for row in (1.0, 4.0) for size in (8.0, 64.0)
    }
    seconds = {(1.0, 8.0): 3e-6 + 12e-6, (4.0, 8.0): 3e-6 + 48e-6, (1.0, 64.0): 3e-6 + 96e-6}
    found = tables([(node[at], took) for at, took in seconds.items()], {"scores": 3e-6})
    table = found["scores"]["seconds"]
    assert table[0] == pytest.approx([1e-6, 8e-6])
    assert table[1] == pytest.approx([4e-6, 32e-6])


def test_the_interval_holds_four_of_five_new_ratios() -> None:
    """Of lognormal ratios, whatever their middle, from few of them."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(2000):
        logs = rng.normal(0.1, 0.2, 7)
        low, high, rows = spread([exp(value) for value in logs[:6]])
        assert rows == 6
        held += low <= exp(logs[6]) <= high
    assert 0.77 < held / 2000 < 0.83


def test_two_times_that_differ_ask_for_a_third() -> None:
    """What was disturbed once does not count; what agrees is not measured again."""
    assert agreed(1.0, 1.1, lambda: 99.0) == pytest.approx(1.1**0.5)
    assert agreed(1.0, 40.0, lambda: 1.2) == 1.2


def test_one_disturbed_decoder_does_not_widen_the_interval() -> None:
    """It is left out, and not counted."""
    quiet = [0.95, 1.0, 1.05, 1.02, 0.98, 1.0, 1.01]
    assert spread([*quiet, 6.0]) == spread(quiet)


def test_a_deviation_too_small_to_be_true_is_not_believed() -> None:
    """Ratios that are all alike still get an interval."""
    low, high, _ = spread([1.0] * 8)
    assert log(high) > LEAST_DEVIATION
    assert low * high == pytest.approx(1.0)


def test_what_others_took_is_a_share_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy time of all processors less one's own, over what there is."""
    from thermoflop.bench.calibrate import busy

    readings = iter([(0.0, 100.0, 5.0), (10.0, 114.0, 13.0)])
    monkeypatch.setattr(busy, "_counters", lambda: next(readings))
    monkeypatch.setattr(busy.os, "cpu_count", lambda: 2)
    assert Others().share() == pytest.approx((14 - 8) / 20)


def test_what_was_disturbed_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it was not, or the least disturbed of three."""
    shares = iter([0.4, 0.0, 0.5, 0.2, 0.3, 0.5, 0.4, 0.4, 0.9])
    monkeypatch.setattr(Others, "share", lambda self: next(shares))
    results, patience = iter(range(9)), Patience(4)
    assert patience.undisturbed(lambda: next(results)) == 1
    assert patience.undisturbed(lambda: next(results)) == 3
    assert patience.undisturbed(lambda: next(results)) == 6
    assert patience.undisturbed(lambda: next(results)) == 7  # no patience is left


def test_random_numbers_of_the_backend_do_not_depend_on_the_hour() -> None:
    """Two backends draw the same."""
    assert np.array_equal(NumpyBackend().normal(5), NumpyBackend().normal(5))
