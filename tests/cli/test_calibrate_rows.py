"""``calibrate --rows``: a profile fitted to rows of one's own, and the old way to say it."""

from __future__ import annotations

import json
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from thermoflop.cli import main
from thermoflop.cli.calibrate import rests_on

# milliseconds a token that one might measure on an H100, at 128 tokens in and out
ROWS = [
    {"engine": "mine", "gpu": "h100", "model": model, "precision": "bf16", "batch": batch,
     "metric": "decode_ms_per_token", "value": value, "input_len": 128, "output_len": 128}
    for model, batch, value in (
        ("llama-3-8b", 1, 9.0), ("llama-3-8b", 8, 9.5), ("llama-3-8b", 64, 14.0),
        ("qwen3-14b", 1, 16.0), ("qwen3-14b", 8, 16.5), ("mistral-7b-v0.3", 4, 8.0),
    )
]  # fmt: skip


def put(folder: Path) -> Path:
    """A file of rows in a folder."""
    path = folder / "rows.json"
    path.write_text(json.dumps(ROWS), encoding="utf-8")
    return path


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of rows, in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    return put(tmp_path)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a profile fitted to the rows, which takes seconds, and what was printed."""
    folder = tmp_path_factory.mktemp("fitted")
    put(folder)
    with chdir(folder), redirect_stdout(StringIO()) as printed:
        assert main(["calibrate", "--rows", "rows.json", "--name", "mine", "--json"]) == 0
    return folder / "mine.json", printed.getvalue()


def test_without_a_place_the_name_is_the_place(fitted: tuple[Path, str]) -> None:
    written = json.loads(fitted[0].read_text(encoding="utf-8"))
    assert json.loads(fitted[1]) == written
    assert (written["name"], written["rows"]) == ("mine", 6)
    low, high = (f"{end:g}" for end in written["spread"]["all"][:2])
    said = rests_on(str(fitted[0]))
    assert said.endswith(
        "mine.json: fitted to 6 rows of 3 models on H100-SXM-80GB; "
        f"80 % interval {low} .. {high} times what is expected"
    )


def test_the_profile_estimates_as_measured(
    fitted: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["estimate", "llama-3-8b", "--batch", "8", "--prompt", "128", "--json"]
    assert main([*words, "--profile", str(fitted[0])]) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert estimate["per_token"]["expected_s"] == pytest.approx(9.5e-3, rel=0.15)
    assert "mine" in estimate["provenance"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--rows", "rows.json", "--quick"], 2, "--quick is for measuring this machine"),
        (["--rows", "rows.json", "--device", "cuda"], 2, "--device is for measuring"),
        (["--rows", "rows.json", "fast"], 2, "fast does not end in .json"),
        (["fast.json"], 2, "expected --rows FILE"),
        (["--rows", "nothing.json"], 3, "nothing.json is not a file: expected a JSON array"),
        (["--rows", "rows.json", "none/fast.json"], 6, "cannot write none/fast.json"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(
    rows: Path, words: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", *words]) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
