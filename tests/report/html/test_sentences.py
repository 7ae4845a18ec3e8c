"""Three sentences say what a run should have cost, what it cost, and what heat took; a dash with
its reason where that is not known."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from kit.run_folder import START_S, board_sample, mark, trial, write
from thermoflop.cli import main
from thermoflop.report.html.page import page
from thermoflop.report.html.sentences import sentences
from thermoflop.report.markdown import markdown, plain
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.gpu.sample import GpuSample

PREDICTED = {
    "model": "tiny", "hardware": "h100", "devices": 1, "dtype": "bf16",
    "batch": 1, "prompt": 10, "generate": 41, "reads_gpus": True,
    "quantities": {
        "total_s": {"bound": 3.0, "expected": 8.0, "low": 7.0, "high": 10.0},
        "decode_tokens_per_s": {"bound": 20.0, "expected": 8.0, "low": 6.0, "high": 9.0},
        "joules_per_token": {"bound": None, "expected": 40.0, "low": 30.0, "high": 60.0},
    },
}  # fmt: skip


def made(out: Path, reasons: int | None, **run: Any) -> Path:
    """10 s at 200 W: a prompt in 2 s, then 40 tokens, 10 a second; from 6 s on, while it throttles,
    5 a second."""
    records: list[Any] = [*trial(0, 10), mark(0.5, "prefill", tokens=10), mark(2.5, "decode")]
    records += [mark(2.5 + n / 2, tokens=5) for n in range(1, 8)]
    records += [mark(6 + n, tokens=5) for n in range(1, 4)]
    records += [
        GpuSample(START_S + n / 10, 0.0, 0, temp_c=60 + n / 5, power_w=200.0, energy_j=20.0 * n,
                  reasons=None if reasons is None else reasons if n >= 60 else 0)
        for n in range(101)
    ]  # fmt: skip
    return write(out, records, **run)


def said(folder: Path) -> list[str]:
    """The sentences, whole."""
    return [" ".join(each) for each in sentences(analyze(folder))]


def test_each_sentence_has_its_figures(tmp_path: Path) -> None:
    """Free it makes 10 tokens/s for 3.5 s, too hot 5/s for 3 s: of the 65 that 6.5 s are worth 15
    are lost, 23.1 %."""
    should, did, heat = said(made(tmp_path, 0x40, predictions=PREDICTED))
    assert should.startswith("It should have cost 8 s for prompt and all tokens (7 s to 10 s), ")
    assert "8 tokens/s (6 to 9) and 40 J per token (30 to 60)" in should
    assert should.endswith("as predicted for tiny in bf16 on 1 x h100 (80 % intervals).")
    assert did.startswith("It cost 10 s of time, ")
    assert "J per token (" in did
    assert heat.startswith("Heat took 23.1")
    assert "% of the throughput of decode: too hot (hardware) for 4 s; hottest was" in heat
    assert heat.endswith("GPU 0 with 80.0 °C.")


def test_two_commands_are_named_and_what_throttling_took_is_of_one_of_them(tmp_path: Path) -> None:
    """A makes 20 tokens/s and never throttles; B 10, and 5 in the 4 s from 15 s on, of its 10:
    20 of its 100 tokens. Against A's rate it would seem to be more."""
    records: list[Any] = [*trial(0, 5, 0, "A"), mark(0, "decode"), *trial(9, 19, 1, "B")]
    records += [*(mark(n, tokens=20) for n in range(1, 6)), mark(9, "decode")]
    records += [mark(9 + n, tokens=10 if n <= 6 else 5) for n in range(1, 11)]
    records += [
        GpuSample(START_S + n / 10, 0.0, 0, temp_c=60.0, reasons=0x40 if n >= 150 else 0)
        for n in range(191)
    ]
    _, did, heat = said(write(tmp_path, records))
    assert did.startswith("It cost 5 s of time")
    assert did.endswith("; B took 10 s, +100.0 % against A.")
    found = re.match(r"Heat took ([0-9.]+) ± [0-9.]+ % of the throughput of decode \(B\):", heat)
    assert found
    assert float(found[1]) == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize(
    ("reasons", "begin"),
    [
        (0, "Heat took nothing: no GPU throttled; "),
        (0x04, "Heat took nothing; other limits took 23.1"),
        (0x44, "Heat and other limits took 23.1"),
        (None, "Heat took – (no GPU said whether it throttled); hottest was GPU 0"),
    ],
)
def test_what_is_no_heat_is_not_called_heat(
    tmp_path: Path, reasons: int | None, begin: str
) -> None:
    """A power limit is none; where the driver gives no reasons nobody knows."""
    assert said(made(tmp_path, reasons))[2].startswith(begin)


def test_what_was_not_predicted_or_measured_is_a_dash_with_its_reason(tmp_path: Path) -> None:
    """A board alone; and a prediction of which the run said nothing."""
    board = [board_sample(n / 5, n, temp_c=25.0) for n in range(50)]
    should, did, heat = said(write(tmp_path / "a", [*trial(0, 9), *board]))
    assert should == "It should have cost – (nothing was predicted before it started)."
    assert did == "It cost 9 s of time and energy – (no GPU was read)."
    assert (
        heat
        == "Heat took – (no GPU said whether it throttled); hottest was the board with 25.0 °C."
    )
    away = {**PREDICTED, "reads_gpus": False}
    _, did, _ = said(write(tmp_path / "b", [*trial(0, 9), *board], predictions=away))
    assert "tokens/s – (not measured)" in did
    assert "J per token – (no such GPU here)" in did


def test_markdown_shows_hostile_words_and_obeys_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No link, mention, heading, row or HTML is made by a name, a command or a phase."""
    evil = "<b>|x|\n# a\n[l](http://e.x) www.e.x @team `c` ![i](y) \x1b[31m **s** &lt; $m$"
    folder = made(tmp_path, 0x40, name=evil, command=["echo", evil], predictions=PREDICTED)
    assert main(["report", str(folder), "--markdown"]) == 0
    text = capsys.readouterr().out
    assert not (folder / "report.html").exists()
    assert "\x1b" not in text
    assert "@team" not in text
    shown = plain(evil)
    typed = plain(shlex.join(["echo", evil]))
    assert text.startswith(f"### {shown}\n\n{typed}, ")
    for sign in "<>|[]`*&$!":
        assert shown.count(sign) == shown.count("\\" + sign)
    assert "http://" not in shown.lower()
    assert "www." not in shown.lower()
    assert "\n" not in shown


def test_markdown_holds_the_sentences_and_both_tables(tmp_path: Path) -> None:
    """Every row of a table has the columns of its head."""
    analysis = analyze(made(tmp_path, 0x40, predictions=PREDICTED))
    text = markdown(analysis)
    for begins, _ in sentences(analysis):
        assert f"\n- **{begins}** " in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    heads = [line for line in rows if line.startswith(("| predicted", "| phase"))]
    assert len(heads) == 2
    assert {line.count(" | ") for line in rows if "---" not in line} == {5}
    assert "| prefill | 2 s | 5 |" in text


HUGE = 10**400  # a whole number that JSON may state and no float holds


def test_a_run_with_whole_numbers_beyond_any_float_is_reported_without_them(tmp_path: Path) -> None:
    """In marks, in what they predict, and in what was predicted of the run."""
    records: list[Any] = [
        *trial(0, 10), mark(1, "decode", bound_s=HUGE, expected_s=HUGE, peak=HUGE, tokens=HUGE),
        mark(3, tokens=7),
    ]  # fmt: skip
    predicted = {"shortfall_bytes": HUGE, "quantities": {}}
    folder = write(tmp_path / "run", records, predictions={**PREDICTED, **predicted})
    found = analyze(folder)
    assert [phase.window.name for phase in found.phases] == ["decode"]
    assert "decode" in page([found])
