"""Growing batches: which are estimated, what each row says, and from where computing binds."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import thermoflop as tf
from thermoflop.cost.reports import saturation as batches
from thermoflop.cost.reports.saturation import Saturation, saturation, saturation_text


@pytest.fixture
def summed_up(monkeypatch):
    """Estimates of an engine whose rule is not known."""
    monkeypatch.setattr(batches, "counted_bytes", lambda estimate: estimate.memory.total_bytes)


def at(generate):
    """An estimate of a batch: memory of 1 GB a sequence, 60 GB of it there."""
    return lambda batch: SimpleNamespace(
        generate=generate, binds=f"at {batch}",
        memory=SimpleNamespace(total_bytes=batch * 1e9), fits=batch <= 60,
        per_token=SimpleNamespace(expected_s=batch * 1e-3),
        first_token=SimpleNamespace(expected_s=batch * 1e-1),
        decode_tokens_per_s=1e3, prefill_tokens_per_s=2e3,
    )  # fmt: skip


@pytest.mark.parametrize(("generate", "second", "rate"), [(2, 1e-3, 1e3), (1, 1e-1, 2e3)])
@pytest.mark.parametrize(("dp", "least"), [(1, 1), (4, 4)])
@pytest.mark.usefixtures("summed_up")
def test_batches_double_until_two_do_not_fit(monkeypatch, generate, second, rate, dp, least):
    """Those that replicas do not divide are left out; without a later token prompts are timed."""
    monkeypatch.setattr(batches, "_binding", lambda estimate: estimate.binds)
    wanted = [2**n for n in range(8) if 2**n >= least]  # 64 and 128 do not fit
    assert saturation(at(generate), dp) == [
        Saturation(batch, pytest.approx(batch * second), rate, batch * 1e9, batch <= 60,
                   f"at {batch}") for batch in wanted
    ]  # fmt: skip


@pytest.mark.usefixtures("summed_up")
def test_batches_end_at_2048(monkeypatch):
    monkeypatch.setattr(batches, "_binding", lambda _: "memory")
    rows = saturation(lambda batch: SimpleNamespace(**{**vars(at(2)(batch)), "fits": True}))
    assert [row.batch for row in rows] == [2**n for n in range(12)]


def test_what_binds_takes_most_of_the_last_step(monkeypatch):
    reasons = [SimpleNamespace(binds=binds, time_s=time)
               for binds, time in (("memory", 2.0), ("compute", 3.0), ("memory", 2.0))]  # fmt: skip
    for overhead, binds in ((3.5, "memory"), (4.5, "step")):
        steps = {"prompt": ([], 99.0), "token": (reasons, overhead)}
        monkeypatch.setattr(batches, "steps_of", lambda _, steps=steps: steps)
        assert batches._binding(None) == binds


def test_the_table_says_where_computing_begins_to_bind():
    rows = [Saturation(1, 0.01, 100.0, 5e9, True, "memory"),
            Saturation(2, 0.02, 250.0, 7e9, False, "compute"),
            Saturation(4, 0.04, 300.0, 9e9, False, "compute")]  # fmt: skip
    text = [" ".join(line.split()) for line in saturation_text(rows).splitlines()]
    assert text[0] == "batch a token tokens/s memory bound by"
    assert text[1] == "1 10.0 ms 100 5.00 GB memory"
    assert text[2] == "2 20.0 ms 250 7.00 GB does not fit compute"
    assert text[-1] == "computing binds from batch 2 on"
    assert saturation_text(rows[:1]).endswith("computing binds at none of these batches")


def test_a_row_has_the_memory_that_fit_counts_and_its_verdict(monkeypatch):
    """vLLM holds 90 of these sequences on an H100 (``fit``); the plain sum would hold 256."""
    monkeypatch.setattr(batches, "BATCHES", (64, 128))
    sizes = {"prompt": 1024, "generate": 256, "profile": "vllm"}
    rows = saturation(lambda batch: tf.estimate("gpt-oss-120b", "h100", batch=batch, **sizes))
    fits = [tf.fit("gpt-oss-120b", "h100", batch=batch, **sizes) for batch in (64, 128)]
    assert [row.fits for row in rows] == [each.fits for each in fits] == [True, False]
    assert [row.memory_bytes for row in rows] == [each.memory.total_bytes for each in fits]
