"""The share of a device that an engine takes, raised where its default alone stands in the way."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cli import main
from thermoflop.cost.engines.footprint import visible_bytes

TWO = {"devices": 2, "batch": 10}
ASKED = {
    "vllm": ("llama-3-70b", TWO, "--gpu-memory-utilization 0.93 in place of 0.92"),
    "vllm 0.19": ("llama-3-70b", TWO, "--gpu-memory-utilization 0.91 in place of 0.9"),
    "sglang": ("llama-3-70b", TWO, "--mem-fraction-static 0.89 in place of 0.834"),
    "tensorrt-llm": (
        "llama-3-8b",
        {"batch": 400},
        "--free_gpu_memory_fraction 0.91 in place of 0.9",
    ),
}


@pytest.mark.parametrize("profile", ASKED)
def test_the_value_that_is_named_fits_and_a_hundredth_less_does_not(profile: str) -> None:
    model, sizes, said = ASKED[profile]
    found = tf.fit(model, "h100", profile=profile, **sizes)
    assert not found.fits
    first = found.remedies[0]
    assert first.kind == "engine option"
    assert first.text.startswith(said)
    option, _, value = str(first.value).partition("=")
    for less, fits in ((0.0, True), (0.01, False)):
        options = {option: float(value) - less}
        asked = tf.fit(model, "h100", profile=profile, engine_options=options, **sizes)
        assert asked.fits is fits


@pytest.mark.parametrize(("batch", "raised"), [(37, True), (60, False)])
def test_no_value_is_named_that_takes_what_lies_outside_of_it(batch: int, raised: bool) -> None:
    """23.64 GiB of an RTX 4090 less a context of 0.51: 0.978 of it is free as vLLM starts."""
    kinds = [r.kind for r in tf.fit("llama-3-8b", "4090", profile="vllm", batch=batch + 3).remedies]
    assert ("engine option" in kinds) is raised
    device = tf.find_device("4090")
    assert 1 - 0.51 * 2**30 / visible_bytes(device) == pytest.approx(0.978, abs=1e-3)


def test_an_engine_without_such_an_option_names_none() -> None:
    kinds = [r.kind for r in tf.fit("llama-3-70b", "h100", profile="llama.cpp").remedies]
    assert kinds
    assert "engine option" not in kinds


@pytest.mark.parametrize(
    ("typed", "engine", "code"),
    [
        ("", "vllm", 1),
        ("--gpu-memory-utilization 0.93", "vllm", 0),
        ("--gpu_memory_utilization=0.93", "vllm", 0),
        ("--mem-fraction-static 0.89", "sglang", 0),
        ("--gpu-memory-utilization 1.5", "vllm", 2),
        ("--mem-fraction-static 0.9", "vllm", 2),
    ],
)
def test_fit_takes_the_engines_own_option(
    typed: str, engine: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = f"fit llama-3-70b --gpu h100 --devices 2 --batch 10 --profile {engine} {typed}"
    assert main(asked.split()) == code
    assert len(capsys.readouterr().err.splitlines()) == (code == 2)


def test_an_estimate_that_the_engine_refuses_names_the_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(
        [
            "estimate",
            "llama-3-70b",
            "--gpu",
            "h100",
            "--devices",
            "2",
            "--profile",
            "vllm",
            "--batch",
            "12",
        ]
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "`fit --profile vllm` says why; it would fit with --gpu-memory-utilization 0.94" in said
