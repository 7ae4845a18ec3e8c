"""What a person meets who has nothing yet: no run, no board, no idea of the words."""

from __future__ import annotations

import contextlib
import gc
import sys
from pathlib import Path

import pytest
from kit.run_folder import trial, write
from thermoflop.cli import main


def test_where_nothing_was_recorded_the_way_to_a_run_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 0
    assert "no run in runs yet: `thermoflop demo` makes one" in capsys.readouterr().err
    assert main(["runs", "--json"]) == 0
    assert capsys.readouterr().out == "[]\n"
    (tmp_path / "runs").mkdir()
    assert main(["runs", "--failed"]) == 0
    assert "no run is like that" in capsys.readouterr().err
    assert main(["runs", "--in", "nowhere"]) == 3
    assert main(["runs", "show", ""]) == 3
    assert "there is no run ''" in capsys.readouterr().err


def test_the_folder_of_runs_is_told_as_record_tells_it_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--out of runs is where runs go; of export and report it is a file."""
    folder = write(tmp_path, [*trial(0, 1)], name="one")
    for words in (["runs"], ["runs", "show", "one"], ["runs", "one"]):
        assert main([*words, "--out", str(tmp_path)]) == 0
        assert folder.name in capsys.readouterr().out
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["runs", "--out", str(empty)]) == 0
    assert f"no run in {empty} yet" in capsys.readouterr().err
    assert main(["report", "one", "--out", str(tmp_path)]) == 2
    assert "--in says where runs are" in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["help", "--help", "-h", "help help", ""])
def test_every_way_to_ask_for_help_lists_the_commands(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) if typed else contextlib.nullcontext():
        assert main(typed.split()) == 0
    out = capsys.readouterr().out
    assert "estimate  time, memory and energy" in out
    assert "thermoflop pick --gpu 4090" in out  # where to begin
    assert "None" not in out.split()
    assert "3 bad input: a model, device, profile, engine or run" in " ".join(out.split())


@pytest.mark.parametrize("command", ["estimate", "serving", "compare", "fit"])
def test_a_name_that_means_a_format_says_so_in_every_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "mistral", "--gpu", "h100"]) == 0
    assert "mistral is a name of Ollama's library, whose" in capsys.readouterr().out
    assert main([command, "mistral", "--gpu", "h100", "--dtype", "bf16"]) == 0
    assert "Ollama" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "estimate gpt2 --prompt 9 --generate 1016",
            "expected no more than that together, such as --prompt 8, or --b",
        ),
        ("estimate gpt2 --tp 5", "--tp 5 does not divide the attention heads (12)"),
        ("train llama-3-8b --devices 8 --pp 3", ": --pp 3 does not divide --devices 8: expected"),
        ("estimate llama-3-8b --devices 8 --pp 3", ": --pp 3 does not divide --devices 8: expect"),
        ("fit llama-3-8b --tp 4 --devices 6", "--tp 4 x --pp 1 x --dp 1 x --cp 1 is not --devices"),
    ],
)
def test_no_refusal_speaks_of_arguments_that_nobody_typed(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*typed.split(), "--gpu", "h100"]) == 2
    assert said in capsys.readouterr().err


def test_ollamas_format_is_said_where_its_profile_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["serving", "phi-4", "--gpu", "h100", "--users", "1", "--profile", "ollama"]
    assert main(asked) == 0
    assert "Ollama's downloads are q4_k_m" in capsys.readouterr().out
    assert main([*asked, "--dtype", "q8_0"]) == 0
    assert "Ollama" not in capsys.readouterr().out


def test_garbage_is_seldom_looked_for_in_a_process_of_its_own_and_as_before_in_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looking for it in what is imported took a seventh of a short command."""
    before = gc.get_threshold()
    monkeypatch.setattr(sys, "argv", ["thermoflop", "profiles"])
    try:
        assert main(["profiles"]) == 0
        assert gc.get_threshold() == before
        assert main() == 0
        assert gc.get_threshold() == (50_000, *before[1:])
    finally:
        gc.set_threshold(*before)
