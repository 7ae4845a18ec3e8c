"""The torch backend, on the CPU: it computes what float64 does and runs every operator.

torch is no dependency of the package; where it is missing these are skipped, and CI installs it.
"""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from kit.bench import BEST, small
from thermoflop.bench import backend as clocks
from thermoflop.bench.backends import open_backend
from thermoflop.bench.check import ALLOWED, SMALL, decoder_error
from thermoflop.bench.kernels import Pool
from thermoflop.bench.measure import PHASES, Bench, Case
from thermoflop.errors import UsageError


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_torch_computes_what_float64_does(name: str, dtype: str) -> None:
    """Prompt and cached tokens, grouped queries and experts, within each format's rounding."""
    assert decoder_error(open_backend("torch", "cpu", dtype), name) < ALLOWED[dtype]


@pytest.mark.parametrize("name", SMALL)
def test_torch_runs_every_operator_and_the_whole_decoder(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attention is one operator there, whose scores are nobody's bytes."""
    monkeypatch.setattr(clocks, "LEAST_S", 0.0)
    pool = Pool(open_backend("torch", "cpu", "bf16"), 4e6)
    bench = Bench(Case(name, 2, 8, 3), small(name), pool.backend, pool, BEST)
    for phase in PHASES:
        rows = list(bench.operators(phase))
        assert all(row.measured_s for row in rows)
        assert "attention" in {row.name for row in rows}
        assert {"scores", "softmax", "values"}.isdisjoint(row.name for row in rows)
    assert [step.phase for step in bench.steps()] == list(PHASES)


def test_a_device_that_is_not_there_is_refused() -> None:
    """By its name."""
    with pytest.raises(UsageError, match=r"no CUDA device|is not one of the"):
        open_backend("torch", "cuda:99", "fp32")
    with pytest.raises(UsageError, match="'tpu' is not one of"):
        open_backend("torch", "tpu", "fp32")
