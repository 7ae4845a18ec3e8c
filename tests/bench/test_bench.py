"""The benchmark runs what the table says, marks it, and holds it against bound and expectation."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from kit.bench import BEST, numpy_pool, small
from thermoflop.bench import backend as clocks
from thermoflop.bench import limits, measure
from thermoflop.bench import run as running
from thermoflop.bench.backends import open_backend
from thermoflop.bench.check import SMALL
from thermoflop.bench.kernels import kernel
from thermoflop.bench.measure import Bench, Case, layers_that_fit
from thermoflop.bench.numpy_backend import NumpyBackend
from thermoflop.bench.suite import SUITES, BenchOptions, BenchResult, Selection, cases_of, run_suite
from thermoflop.cli import main
from thermoflop.errors import UsageError
from thermoflop.model.load import load_model


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few repetitions as there are."""
    monkeypatch.setattr(clocks, "LEAST_S", 0.0)


def bench_of(name: str = "gpt2", **sizes: int) -> Bench:
    """A benchmark of a small model on numpy."""
    case = Case(name, **{"batch": 2, "prompt": 8, "generate": 3, **sizes})
    pool = numpy_pool()
    return Bench(case, small(name), pool.backend, pool, BEST)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("phase", measure.PHASES)
def test_every_operator_of_a_decoder_is_run_in_both_phases(name: str, phase: str) -> None:
    """None is left out, each has a bound and a time, bytes are told apart by kind."""
    rows = list(bench_of(name).operators(phase))
    works = bench_of(name).works(phase)
    assert [row.name for row in rows] == [work.name for work in works]
    assert all(row.measured_s and row.bound_s > 0 and row.runs >= 5 for row in rows)
    kinds = {row.name: row for row in rows}
    assert kinds["q_proj"].weight_bytes >= 4 * 64 * 64
    assert kinds["scores"].kv_bytes > 0
    assert kinds["scores"].weight_bytes == 0
    assert kinds["residual"].activation_bytes > 0
    json.dumps([row.to_json() for row in rows])


def test_weights_and_cache_come_from_all_over_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a decoder that is larger than a cache; nothing is met again before the pool's end."""
    pool = numpy_pool()
    work = next(work for work in bench_of().works("decode") if work.name == "up_proj")
    met: list[int] = []
    matmul = NumpyBackend.matmul

    def seen(self: Any, rows: Any, weights: Any, bias: Any = None) -> Any:
        met.append(weights.__array_interface__["data"][0])
        return matmul(self, rows, weights, bias)

    monkeypatch.setattr(NumpyBackend, "matmul", seen)
    call = kernel(work, pool)
    assert call is not None
    n_bytes = 4 * 64 * 256
    for _ in range(pool.elements * 4 // n_bytes):
        call()
    assert len(set(met)) == len(met) >= 50


def test_a_product_larger_than_the_pool_gets_memory_of_its_own() -> None:
    """And one larger than memory is not run."""
    pool = numpy_pool(1e5)
    assert pool.cut(300, 300).shape == (300, 300)
    with pytest.raises(ValueError, match="larger than memory"):
        pool.cut(10**7, 10**7)


def test_operators_and_steps_are_marked_with_bound_and_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that the page of a recording shows them."""
    said: list[Any] = []
    monkeypatch.setattr(measure, "mark", lambda name, **values: said.append((name, values)))
    monkeypatch.setattr(measure, "note", lambda **values: said.append(("note", values)))
    bench = bench_of()
    rows = list(bench.operators("decode"))
    steps = list(bench.steps())
    names = [name for name, _ in said if name not in (None, "note")]
    assert names == [f"decode {row.name}" for row in rows] + [
        "gpt2 batch 2 prefill 8",
        "gpt2 batch 2 decode 8",
    ]
    marked = {name: values for name, values in said if name not in (None, "note")}
    product = next(row for row in rows if row.name == "q_proj")
    assert marked["decode q_proj"]["bound_s"] == product.bound_s
    assert all(values["bound_s"] > 0 for values in marked.values())
    noted = [values for name, values in said if name == "note"]
    assert noted[-1]["tokens"] == 2 * 3
    assert noted[-1]["measured_s"] == steps[-1].measured_s


def test_steps_are_the_whole_decoder_in_both_phases() -> None:
    """Every generated token is timed, behind a prompt that is in the cache."""
    prefill, decode = bench_of(generate=4).steps()
    assert (prefill.phase, prefill.tokens, decode.phase, decode.tokens) == (
        "prefill", 16, "decode", 2,
    )  # fmt: skip
    assert decode.runs == 4
    assert prefill.bound_s > decode.bound_s > 0
    assert decode.fastest_s <= decode.measured_s <= decode.slowest_s


def test_the_bound_takes_bytes_by_the_level_that_holds_them() -> None:
    """Weights and cache from memory, activations from the nearest level that is large enough."""
    works = {work.name: work for work in bench_of().works("decode")}
    residual, product = works["residual"], works["up_proj"]
    assert BEST.bound_s(residual) == pytest.approx(float(residual.activation_bytes) / 1e12)
    assert BEST.bound_s(product) == pytest.approx(float(product.weight_bytes) / 1e11)
    assert BEST.moving_s(1e9) == pytest.approx(1e9 / 1e11)


@pytest.mark.parametrize("name", ["up_proj", "residual", "scores", "lm_head", "softmax"])
def test_rates_rise_until_no_call_that_was_seen_beats_its_bound(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With headroom; a call that was slower changes nothing."""
    monkeypatch.setattr(limits, "_RESOLUTION_S", 1e-15)
    work = next(work for work in bench_of().works("prefill") if work.name == name)
    assert BEST.raised(work, 1.0) == BEST
    raised = BEST.raised(work, BEST.bound_s(work) / 3)
    assert raised.bound_s(work) == pytest.approx(BEST.bound_s(work) / 3 / limits.HEADROOM)
    rates = [level.bytes_s for level in raised.levels]
    assert rates == sorted(rates, reverse=True)


def test_the_best_rates_never_rise_with_the_working_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller set is taken to move at least as fast as any larger one."""
    monkeypatch.setattr(limits, "PEAK_S", 0.0)
    monkeypatch.setattr(limits, "_SETS", (4096, 16384, 65536))
    monkeypatch.setattr(limits, "_sizes", lambda backend: (32, 64))
    pool = numpy_pool()
    best = limits.find_best(pool.backend, pool)
    rates = [level.bytes_s for level in best.levels]
    assert rates == sorted(rates, reverse=True)
    assert [level.bytes for level in best.levels] == sorted(level.bytes for level in best.levels)
    assert best.device("here", "fp32").peak("fp32") == pytest.approx(best.flops_per_s)


def test_layers_are_cut_to_what_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """And where not one fits, a sentence says so."""
    backend, model = NumpyBackend("fp32"), load_model("llama-3-8b")
    case = Case("llama-3-8b", 1, 128, 16)
    monkeypatch.setattr(NumpyBackend, "memory_bytes", lambda self: 12e9)
    layers = layers_that_fit(model, backend, case)
    assert 1 <= layers < 32
    room = 0.85 * 12e9
    assert 4 * (layers * 218e6 + 2 * 525e6) < room < 4 * ((layers + 1) * 218e6 + 2 * 526e6)
    monkeypatch.setattr(NumpyBackend, "memory_bytes", lambda self: 1e9)
    with pytest.raises(UsageError, match="not one layer of llama-3-8b"):
        layers_that_fit(model, backend, case)


def test_a_suite_goes_on_past_a_case_that_does_not_fit() -> None:
    """It is named among what was absent; alone it is an error."""
    pool = numpy_pool()
    told: list[Any] = []
    small_case = Case("pythia-70m", 1, 4, 2, 1)
    cases = (Case("gpt2", 1, 2000, 16), small_case)
    only_steps = Selection(cases, operators=False)
    found = run_suite(only_steps, pool.backend, pool, BEST, None, told.append)
    assert len(found.steps) == 2
    assert "pass the 1024 positions of gpt2" in found.absent[0]
    with pytest.raises(UsageError, match="pass the 1024 positions"):
        run_suite(Selection(cases[:1]), pool.backend, pool, BEST, None, told.append)


def test_memory_that_runs_out_ends_a_case_and_not_the_suite(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was not run is named; any other error is raised."""
    pool = numpy_pool()
    wanted = Selection((Case("pythia-70m", 1, 4, 2, 1),), operators=False)

    def fails(error: Exception) -> Any:
        def steps(self: Bench) -> Any:
            raise error

        return steps

    monkeypatch.setattr(Bench, "steps", fails(MemoryError("Unable to allocate")))
    found = run_suite(wanted, pool.backend, pool, BEST, None, lambda _: None)
    assert "memory ran out" in found.absent[0]
    monkeypatch.setattr(Bench, "steps", fails(RuntimeError("something else")))
    with pytest.raises(RuntimeError, match="something else"):
        run_suite(wanted, pool.backend, pool, BEST, None, lambda _: None)


def test_what_is_faster_than_its_bound_is_named() -> None:
    """By its fastest run, not by its median."""
    found = BenchResult(operators=list(bench_of().operators("decode")))
    assert found.faster_than_bound == []
    slow = limits.Best(1.0, BEST.levels, 1e6, 8e9)
    pool = numpy_pool()
    bench = Bench(Case("gpt2", 1, 4, 2), small("gpt2"), pool.backend, pool, slow)
    beaten = BenchResult(operators=list(bench.operators("decode"))).faster_than_bound
    assert "gpt2 decode q_proj" in beaten


def test_sizes_multiply_and_a_suite_takes_changes() -> None:
    """Every batch with every prompt, nothing twice."""
    cases = cases_of(BenchOptions(["gpt2"], [1, 8, 1], [16, 32], 4))
    assert [(case.batch, case.prompt) for case in cases] == [(1, 16), (1, 32), (8, 16), (8, 32)]
    gpu = cases_of(BenchOptions(suite="gpu"))
    assert {(case.model, case.batch) for case in gpu} == {
        (model, batch)
        for model in ("gpt2-xl", "llama-3-8b", "mixtral-8x7b")
        for batch in (1, 8, 64)
    }
    assert (SUITES["gpu"].backend, SUITES["gpu"].device, SUITES["gpu"].dtype) == (
        "torch", "cuda", "bf16",
    )  # fmt: skip
    cut = cases_of(BenchOptions([], [1], [8], 2, 1, "gpu"))
    assert [case.layers for case in cut] == [1, 1, 1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["bench"], "nothing to run"),
        (["bench", "gpt2", "--suite", "cpu"], "names its own models"),
        (["bench", "gpt2", "--dtype", "bf16"], "numpy computes in fp32"),
        (["bench", "gpt2", "--device", "cuda"], "numpy runs on the cpu"),
        (["bench", "gpt2", "--profile", "vllm"], "rests on published rows"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2, before anything runs."""
    assert main(words) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence", "code"),
    [
        (["no-such-model"], "no-such-model", 3),
        (["gpt2", "--batch", "0"], "--batch 0 makes no sense", 2),
        (["gpt2", "--prompt", "-1"], "--prompt -1 makes no sense", 2),
        (["gpt2", "--generate", "99999999999"], "--generate 99999999999 makes no sense", 2),
        (["gpt2", "--prompt", "1024"], "pass the 1024 positions", 2),
        (["gpt2", "--layers", "99"], "99", 2),
        (["--suite", "cpu", "--batch", "0"], "--batch 0 makes no sense", 2),
    ],
)
def test_a_case_that_makes_no_sense_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    words: list[str], sentence: str, code: int,
) -> None:  # fmt: skip
    def measure(*_: object) -> None:
        raise AssertionError("something was measured")

    for name in ("open_backend", "check", "find_best", "open_pool"):
        monkeypatch.setattr(running, name, measure)
    assert main(["bench", *words]) == code
    assert sentence in capsys.readouterr().err


def test_the_command_prints_rows_as_text_and_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bounds, times, and what was faster than its bound."""
    monkeypatch.setattr(running, "find_best", lambda backend, pool: BEST)
    monkeypatch.setattr(running, "open_pool", lambda backend: numpy_pool())
    words = ["bench", "pythia-70m", "--layers", "1", "--prompt", "4", "--generate", "2"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "1 of 6 layers" in text
    assert "whole decoder, token after 4: bound" in text
    assert max(map(len, text.splitlines())) <= 100
    assert main([*words, "--json", "--only", "decoder"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [row["phase"] for row in data["steps"]] == ["prefill", "decode"]
    assert data["operators"] == []
    assert data["float64_error"] < 1e-4


def test_the_clock_lets_the_caches_be_used_by_others_in_between() -> None:
    """What runs before each call on a CPU is not timed, and runs as often."""
    order: list[str] = []
    backend = open_backend("numpy")
    found = backend.timed(lambda: order.append("call"), 3, lambda: order.append("before"))
    assert order == ["before", "call"] * 3
    assert len(found) == 3


def test_random_weights_keep_numbers_finite_through_many_layers() -> None:
    """A decoder of 24 layers, in float32."""
    config = {**SMALL["llama"], "num_hidden_layers": 24}
    decoder = measure.Decoder(load_model(config), NumpyBackend("fp32"), 1, 8)
    logits = decoder.forward(np.arange(8), 0)
    assert np.isfinite(logits).all()
    assert float(np.std(logits)) > 0
