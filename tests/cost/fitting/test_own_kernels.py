"""Kernels of one's own in the place of an engine's rates: what is measured is what is expected."""

from __future__ import annotations

import json

import pytest
import thermoflop as tf
from kit.machine import raw_profile
from thermoflop.bench.calibrate.kernels import CACHES, PRODUCTS, kernels_of_machine
from thermoflop.cli import main
from thermoflop.cost.catalogue.own_kernels import own_from
from thermoflop.cost.catalogue.profiles import find_profile, profile_of
from thermoflop.cost.fitting.own import own_profile
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.errors import InputError, UsageError
from thermoflop.web.estimator.address import from_query
from thermoflop.web.estimator.computed import device_of
from thermoflop.web.estimator.computed import profile_of as profile_on_page

# A device that nobody makes, and what its kernels reach of it.
PEAK, BANDWIDTH, LINK, GAP_S = 400e12, 2e12, 100e9, 4e-6
MATMUL, WEIGHTS, CACHE, ATTENTION, OF_LINK, HOP_S = 0.5, 0.6, 0.55, 0.4, 0.8, 6e-6
SHEET = {
    "name": "Made up", "memory_gb": 80, "bandwidth_gb_s": BANDWIDTH / 1e9, "link_gb_s": LINK / 1e9,
    "dense_tflops": {"bf16": PEAK / 1e12, "fp8": PEAK / 5e11}, "cores": 100, "boost_mhz": 1500,
}  # fmt: skip
ON = {"gpu_key": "Made up", "backend": "torch", "version": "2", "dtype": "bfloat16"}


def product(m, n, k):
    """Multiplying at half of the peak, or streaming weights at 0.6 of the bandwidth."""
    return GAP_S + max(2 * m * n * k / (PEAK * MATMUL), 2 * n * k / (BANDWIDTH * WEIGHTS))


def decoding(batch, context, heads, kv_heads):
    """Reading the cache, two numbers of 16 bits for each of 128 dimensions."""
    del heads
    return GAP_S + 4 * batch * context * kv_heads * 128 / (BANDWIDTH * CACHE)


def prompt(batch, new, heads):
    """2 x 2 x 128 FLOPs for each of a causal mask's pairs."""
    return GAP_S + 512 * batch * heads * new * (new + 1) / 2 / (PEAK * ATTENTION)


def all_reduce(devices, elements):
    """A ring's bytes at 0.8 of the link, and 6 us for each of log2 steps."""
    sent = 2 * (devices - 1) / devices * 2 * elements
    return {2: 1, 4: 2, 8: 3}[devices] * HOP_S + sent / (LINK * OF_LINK)


def table(rows):
    columns = list(rows[0])
    return {"columns": columns, "rows": [[row[name] for name in columns] for row in rows]}


def kernels(*names):
    """A file of these classes."""
    big = [(m, n, k) for m, n, k in PRODUCTS if n * k >= 2**24]
    rows = {
        "gemm": [{"m": m, "n": n, "k": k, "us": 1e6 * product(m, n, k)} for m, n, k in big],
        "attention_decode": [
            {"batch": b, "new": 1, "context": s, "heads": h, "kv_heads": kv,
             "us": 1e6 * decoding(b, s, h, kv)}
            for b, s, h, kv in CACHES
        ],
        "attention_context": [
            {"batch": 4, "new": new, "context": new, "heads": 32, "kv_heads": 32,
             "us": 1e6 * prompt(4, new, 32)}
            for new in (1024, 2048, 4096, 8192, 16384)
        ],
        "all_reduce": [
            {"gpus": devices, "elements": 2**power, "us": 1e6 * all_reduce(devices, 2**power)}
            for devices in (2, 4, 8) for power in (10, 16, 20, 24, 27)
        ],
    }  # fmt: skip
    head = {"kv_dtype": "bfloat16", "head_dim": 128, "kernel": "mine"}
    tables = {name: table([{**ON, **head, **row} for row in rows[name]]) for name in names}
    return {"made": {"utc": "2026-11-28T10:00:00Z", "libraries": {"torch": "2.9"}},
            "devices": {"Made up": SHEET}, "tables": tables}  # fmt: skip


def profile(*names, engine="vllm"):
    raw = own_profile(kernels(*names), "kernels.json", engine, "mine")
    return profile_of(own_from(json.loads(json.dumps(raw)), "mine.json"))


EVERY = ("gemm", "attention_decode", "attention_context", "all_reduce")
BF16 = choose_precision("bf16")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("gemm", {"matmul": MATMUL, "weights": WEIGHTS}),
        ("attention_decode", {"cache": CACHE}),
        ("attention_context", {"attention": ATTENTION}),
        ("all_reduce", {"link": OF_LINK, "collective_s": HOP_S}),
    ],
)
def test_a_class_that_was_measured_has_its_own_efficiencies_and_others_stay(name, known):
    """Within the 4 % by which a dozen kernels leave the engine's rates at most."""
    mine, shipped = profile(name), find_profile("vllm")
    device = mine.own.device
    rates, fitted = mine.efficiency(device, BF16), shipped.efficiency(device, BF16)
    for rate, value in known.items():
        assert getattr(rates, rate) == pytest.approx(value, rel=0.04), rate
    others = {"expert_weights", "step_s", "sequence_s", "kernel_gap_s", "activations"}
    for rate in others | ({"matmul", "weights", "cache", "attention", "link"} - {*known}):
        assert getattr(rates, rate) == getattr(fitted, rate), rate


def test_a_token_takes_as_long_as_its_weights_at_the_measured_bandwidth():
    """llama-3-8b of one sequence reads 16.06 GB of weights without its table of tokens' 1.05 GB:
    15.01 GB at 0.6 of 2 TB/s; what vllm is expected to take besides stays as it is."""
    mine, shipped = profile("gemm"), find_profile("vllm")
    device = mine.own.device
    sizes = {"prompt": 8, "generate": 2, "batch": 1}
    own, fitted = (tf.estimate("llama-3-8b", device, profile=each, **sizes).per_token.expected_s
                   for each in (mine, shipped))  # fmt: skip
    before = shipped.efficiency(device, BF16)
    bytes_read = 15.01e9
    stream = 1 / (before.weight_bytes_per_core_cycle * device.core_hz)
    less = bytes_read * (1 / (BANDWIDTH * WEIGHTS) - 1 / (BANDWIDTH * before.weights) - stream)
    assert own == pytest.approx(fitted + less, rel=0.02)


def test_provenance_names_what_was_measured_and_what_was_not():
    mine = profile("gemm", "attention_decode")
    text = tf.estimate("gpt2", mine.own.device, profile=mine).provenance
    assert "products in bfloat16 (14 kernels)" in text
    assert "2026-11-28, torch 2.9" in text
    assert "as fitted: experts, attention, prompts" in text


def test_other_devices_and_formats_are_as_shipped():
    mine, shipped = profile(*EVERY), find_profile("vllm")
    h100 = tf.find_device("h100")
    assert mine.efficiency(h100, BF16) == shipped.efficiency(h100, BF16)
    assert "none of their rates is used" in mine.provenance(h100, BF16)
    fp8 = choose_precision("fp8", "fp8")
    rates, fitted = (each.efficiency(mine.own.device, fp8) for each in (mine, shipped))
    assert (rates.matmul, rates.cache) == (fitted.matmul, fitted.cache)
    assert rates.attention == pytest.approx(ATTENTION, rel=0.04)  # activations have 16 bits


def test_kept_under_a_name_it_speaks_in_every_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "kernels.json"
    path.write_text(json.dumps(kernels(*EVERY)))
    assert main(["calibrate", "--rows", str(path), "--engine", "vllm", "--name", "here"]) == 0
    said = capsys.readouterr().out
    assert "matmul" in said
    for each in json.loads((tmp_path / "thermoflop/profiles/here.json").read_text())["classes"]:
        assert f"{100 * each['missed']:.1f} %" in said
    for command in (
        ["estimate", "gpt2", "--profile", "here"],
        ["plan", "gpt2", "--gpu", "here", "--profile", "here", "--rate", "1"],
        ["fit", "gpt2", "--profile", "here"],
    ):
        assert main(command) == 0, command
        assert "Made up" in capsys.readouterr().out
    asked = {"mode": "estimate", "model": "gpt2", "device": "here", "profile": "here"}
    inputs, wrong = from_query(asked.items())
    assert not wrong
    own = find_profile(profile_on_page(inputs)).own
    assert own.device.name == device_of(inputs).name == "Made up"


def test_a_calibrated_machine_gives_the_kernels_that_it_timed():
    """The made-up machine multiplies and streams at its peak and its bandwidth; a launch costs
    what it does in every table."""
    raw = raw_profile()
    given = kernels_of_machine(raw)
    nodes = raw["tables"]["matmul"]
    rows = [dict(zip(given["tables"]["gemm"]["columns"], row, strict=True))
            for row in given["tables"]["gemm"]["rows"]]  # fmt: skip
    assert len(rows) == len(nodes["rows"]) * len(nodes["sizes"])
    for row in rows:
        at = nodes["rows"].index(row["m"])
        size = min(nodes["sizes"], key=lambda each, row=row: abs(each - row["n"] * row["k"]))
        seconds = nodes["seconds"][at][nodes["sizes"].index(size)]
        assert row["us"] == pytest.approx(1e6 * seconds)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda raw: raw["tables"]["gemm"]["rows"].__delitem__(slice(4, None)), "fewer than 5"),
        (lambda raw: raw["tables"]["gemm"]["rows"][0].__setitem__(0, "H100"), "those of one"),
    ],
)
def test_kernels_that_say_too_little_are_refused(change, sentence):
    raw = kernels("gemm")
    change(raw)
    with pytest.raises(UsageError, match=sentence):
        own_profile(raw, "kernels.json", "vllm", "mine")


def test_an_engine_that_is_none_is_refused():
    with pytest.raises(InputError, match="is no profile"):
        own_profile(kernels("gemm"), "kernels.json", "nobody", "mine")


@pytest.mark.parametrize("value", [0, -1, 1.5, "fast", None])
def test_a_profile_with_a_rate_that_makes_no_sense_is_refused(value):
    raw = own_profile(kernels("gemm"), "kernels.json", "vllm", "mine")
    raw["classes"][0]["rates"]["weights"] = value
    with pytest.raises(InputError, match=r"mine\.json is damaged"):
        own_from(raw, "mine.json")
