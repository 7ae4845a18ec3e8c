"""Rates of kernels: what the package carries is what its rows give, and what a few more add."""

from __future__ import annotations

import json

import numpy as np
import pytest
from thermoflop.cost.catalogue.devices import catalogue, find_device
from thermoflop.cost.data import read_data
from thermoflop.cost.fitting.kernels import (
    calibrated,
    first_to_measure,
    fit_kernels,
    posed,
    predicted_s,
)
from thermoflop.cost.kernels.forms import FORMS
from thermoflop.cost.kernels.rates import kernel_rates
from thermoflop.cost.kernels.rows import carried_kernels
from thermoflop.cost.kernels.sheet import architecture_of
from thermoflop.cost.validate.kernels import validate_kernels
from thermoflop.errors import InputError


@pytest.fixture(scope="module")
def kernels():
    return carried_kernels(catalogue())


@pytest.mark.parametrize("name", ["all-reduce", "NCCL all-gather", "latent decode attention"])
def test_carried_rates_are_the_fit_to_the_carried_rows(kernels, name):
    fitted, carried = fit_kernels(kernels[name]), kernel_rates()[name]
    assert carried.points == pytest.approx(fitted.points, abs=2e-3)
    assert set(carried.offsets) == set(fitted.offsets)
    for group, moved in fitted.offsets.items():
        for parameter, offset in moved.items():
            written = carried.offsets[group].get(parameter, 0.0)
            assert written == pytest.approx(offset, abs=0.022), (group, parameter)


@pytest.mark.parametrize("name", FORMS)
def test_a_step_of_the_fit_from_the_carried_rates_leads_nowhere(kernels, name):
    """They are the mode of the posterior, as far as they are written out: moves to a thousandth,
    none below two hundredths."""
    problem, groups = posed(kernels[name])
    carried, parameters = kernel_rates()[name], list(FORMS[name].parameters)
    moves = [carried.offsets.get(group, {}).get(each, 0.0)
             for group in groups for each in parameters]  # fmt: skip
    _, jacobian, residual = problem.at(np.array([*carried.points.values(), *moves]))
    step = np.abs(np.linalg.solve(jacobian.T @ jacobian, jacobian.T @ residual))
    assert max(step[: len(parameters)]) < 0.15
    assert max(step[len(parameters) :]) < 0.055
    assert set(carried.offsets) == set(groups)


def test_every_row_is_judged_or_left_out_by_a_rule(kernels):
    rows = sum(len(each) + sum(each.left_out.values()) for each in kernels.values())
    assert rows == 5530
    assert kernels["gemm"].left_out == {"operands on the chip": 19, "time of the host": 199}


def test_the_rows_carry_their_source_and_license():
    data = read_data("kernels")
    assert "aiconfigurator-core 0.12.0" in data["source"]
    assert "Apache License 2.0" in data["license"]


def test_own_kernels_bring_an_unknown_architecture_nearer(kernels):
    """Rates without Hopper, moved by 20 kernels of one engine on it, on that engine's others."""
    prompts = kernels["prompt attention"]
    hopper = prompts.labels["architecture"] == "hopper"
    rates = fit_kernels(prompts.pick(~hopper))
    mine = prompts.pick(hopper & (prompts.labels["engine"] == "vllm"))
    chosen = first_to_measure(rates, mine, 20)
    assert len(set(chosen)) == 20
    others = mine.pick(np.setdiff1d(np.arange(len(mine)), chosen))

    def off(known):
        return np.median(np.abs(np.log(predicted_s(known, others) / others.measured_s)))

    assert off(calibrated(rates, mine.pick(np.array(chosen)))) < 0.9 * off(rates)


def test_the_shortest_and_the_longest_of_each_format_are_measured_first(kernels):
    mine = kernels["all-reduce"]
    rates = kernel_rates()["all-reduce"]
    expected = predicted_s(rates, mine)
    chosen = first_to_measure(rates, mine, 2)
    assert sorted(expected[chosen]) == [expected.min(), expected.max()]


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("h200", "hopper"), ("gb300", "blackwell"), ("rtx 4090", "ada"), ("a10g", "ampere"),
     ("RTX PRO 6000 Blackwell Workstation", "blackwell-rtx"), ("mi300x", "")],
)  # fmt: skip
def test_architectures_are_known_by_name(name, architecture):
    device = find_device(name)
    assert architecture_of(device) == (architecture or device.name)


def test_kernels_of_a_file_are_judged_by_the_carried_rates(tmp_path):
    """A product twice the bound of its 100 us of weights on an H200 is near the expectation; one
    that beats the bound is named."""
    columns = ["gpu_key", "backend", "version", "dtype", "m", "n", "k", "us", "kernel"]
    big = [16, 32768, 16384]  # 1.07 GB over 4.8 TB/s: 224 us
    rows = [["H200", "vllm", "1", "bfloat16", *big, us, "linear"] for us in (260.0, 100.0)]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"tables": {"gemm": {"columns": columns, "rows": rows}}}))
    report = validate_kernels([str(path)])
    (line,) = report.lines()
    assert line["rows"] == 2
    assert "unexplained" in report.beaten[0]
    assert abs(report.judged[0].errors[0]) < 0.25
    assert "H200-SXM-141GB" in report.text(each=True)
    assert json.loads(report.json_text())["lines"]


@pytest.mark.parametrize(
    "text",
    [
        '{"tables": []}',
        '{"tables": {}}',
        "{}",
        '{"tables": {"gemm": {"columns": ["us"], "rows": [[1]]}}}',
    ],
)
def test_a_file_without_kernels_is_refused_in_a_sentence(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InputError, match="holds no measured kernels"):
        validate_kernels([str(path)])


@pytest.mark.parametrize(
    ("column", "value"), [("us", 0), ("us", -1.0), ("us", None), ("us", "4"), ("dtype", "fp7")]
)
def test_a_row_that_makes_no_sense_is_refused_in_a_sentence(tmp_path, column, value):
    row = {
        "gpu_key": "h100", "backend": "vllm", "version": "1", "dtype": "bfloat16", "m": 1, "n": 64,
        "k": 64, "us": 9.0, "kernel": "linear",
    }  # fmt: skip
    row[column] = value
    path = tmp_path / "bad.json"
    table = {"columns": list(row), "rows": [list(row.values())]}
    path.write_text(json.dumps({"tables": {"gemm": table}}))
    with pytest.raises(InputError, match="holds no measured kernels"):
        validate_kernels([str(path)])
