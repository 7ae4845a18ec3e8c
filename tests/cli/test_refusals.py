"""What the command line says of a value that makes no sense, and of what does not fit."""

from __future__ import annotations

import pytest
from thermoflop.cli import main


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "fit gpt2 --batch many",
            "argument --batch: 'many' makes no sense: expected a whole number",
        ),
        ("pick --context 4.5", "argument --context: '4.5' makes no sense: expected a whole number"),
        ("pick --context inf", "argument --context: 'inf' makes no sense: expected a whole number"),
        ("pick --at-least fast", "argument --at-least: 'fast' makes no sense: expected a number"),
        ("plan gpt2 --ttft 0", "argument --ttft: '0' is no duration: expected a number above 0"),
    ],
)
def test_a_refused_number_comes_with_what_was_expected(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(typed.split())
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_whole_number_may_be_written_with_an_exponent(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["fit", "gpt2", "--gpu", "h100", "--prompt", "8", "--generate", "8", "--batch", "1e3"])
        == 0
    )
    assert "batch 1000, 8 + 8 tokens" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ("--generate 1000000", "a prompt and generate=1000000 pass the 1024 positions of gpt2"),
        ("--prompt 9 --generate 1016", "prompt=9 + generate=1016 passes the 1024 positions"),
    ],
)
def test_sizes_that_pass_the_positions_are_named_as_they_were_asked_for(
    sizes: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", "gpt2", "--gpu", "h100", *sizes.split()]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("estimate llama-3-8b --gpu h100", 0),
        ("estimate llama-3-70b --gpu rtx-4090", 1),  # 141 GB into 24
        ("estimate llama-3-70b --gpu rtx-4090 --json", 1),
        ("fit llama-3-70b --gpu rtx-4090", 1),
        ("train gpt2 --gpu h100", 0),
        ("train llama-3-8b --gpu h100", 1),  # 16 bytes of states each of 8 G parameters
    ],
)
def test_what_does_not_fit_is_printed_and_ends_with_1(
    typed: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed.split()) == code
    printed = capsys.readouterr()
    assert len(printed.out) > 300
    assert printed.err == ""


def test_pick_tries_the_formats_that_the_engine_runs() -> None:
    from thermoflop.cost.plan.pick import FORMATS, SERVED, formats_of

    assert {formats_of(name) for name in ("vllm", "vllm@0.11", "SGLang", "tensorrt-llm")} == {
        SERVED
    }
    assert {formats_of(name) for name in ("llama.cpp", "ollama", "mine")} == {FORMATS}
    assert not [name for name in SERVED if name.startswith("q")]
