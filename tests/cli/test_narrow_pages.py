"""What a command prints keeps to the columns of the terminal, whatever they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit.run_folder import decoding, mark, trial, write
from thermoflop.base.paper import command, filled, fitted, paper
from thermoflop.base.units import table
from thermoflop.bench.measure import OperatorRow, StepRow
from thermoflop.bench.text import Lines
from thermoflop.cli import COMMANDS, build_parser, main
from thermoflop.report.html import predicted
from thermoflop.runs.analysis.analyze import analyze

HOSTED = (
    "fit gpt2 --gpu rtx-4090 --profile llama.cpp --batch 999999 --host-bandwidth 1.23457 "
    "--engine-option n_gpu_layers=0"
)
BEFORE = Path(__file__).parents[1] / "data" / "before" / "run"

# what is typed, and the words that the narrowest page must have
ASKED = {
    "ops gpt2": ("operator", "mults", "FLOPs", "share"),
    "ops mixtral-8x7b --decode 1000": ("operator", "mults", "FLOPs", "share"),
    "explain llama-3-8b --gpu h100": ("ridge",),
    "mults gpt2": ("parameters",),
    "explain deepseek-v3": ("parameters of the model",),
    "models llama": ("name", "parameters", "active"),
    "gpus": ("device", "GB", "GB/s", "bf16"),
    "gpus H100-SXM-80GB": ("source",),
    "profiles": ("rows", "token, 80 %"),
    "estimate llama-3-8b --gpu h100": ("expected", "80 % interval", "first token"),
    "estimate llama-3-8b --gpu h100 --why": ("operator", "time", "binds", "counted: attention"),
    "estimate llama-3-8b --gpu h100 --saturation": ("batch", "tokens/s", "bound by"),
    "fit llama-3-8b --gpu h100": ("it fits",),
    "fit llama-3-8b --gpu h100 --why": ("group", "bytes"),
    "train llama-3-8b --gpu h100": ("an iteration", "optimizer"),
    "train llama-3-70b --gpu h100 --devices 16 --why": ("time", "binds"),
    "compare llama-3-8b --gpu h100": ("MHA", "GQA(8)", "MQA", "MLA(512)"),
    "serving llama-3-8b --gpu h100 --users 8": ("limit",),
    "plan llama-3-8b --gpu h100 --rate 5": ("device", "format", "tok/s/device"),
    "plan llama-3-8b --gpu h100 --train --tokens 1e12": ("layout", "devices", "days"),
    "pick --gpu rtx-4090": ("model", "format", "tokens/s"),
    "validate counts": ("family", "differ"),
    f"runs show {BEFORE}": ("predicted", "measured", "against expected"),
}


@pytest.mark.parametrize("typed", ASKED)
def test_no_line_is_longer_than_the_page_and_what_matters_stays(
    typed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns in (80, 60):
        monkeypatch.setenv("COLUMNS", str(columns))
        main(typed.split())
        printed = capsys.readouterr().out
        too_long = [
            line
            for line in printed.splitlines()
            if len(line) > columns and len(line.split()) > 1  # a path can be copied
        ]
        assert not too_long
        for words in ASKED[typed]:
            assert words in printed, columns


def test_runs_are_listed_with_their_figures_in_the_columns_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """320 tokens in 21 s, the last second of which is idle; 61 degrees; of throttling
    nothing is known."""
    folder = decoding(tmp_path, 60.0, command=["echo", "x" * 99], labels={"model": "gpt2"})
    heads = {
        160: {"decode/s", "all tokens/s", "peak °C", "J/token", "command"},
        80: {"decode/s", "all tokens/s", "peak °C", "ended"},
        60: {"decode/s", "peak °C"},
    }
    explained = ("decode/s", "all tokens/s", "J/token")
    for columns, least in heads.items():
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main(["runs", "--in", str(tmp_path)]) == 0
        head, line, _, *said = capsys.readouterr().out.splitlines()
        below = " ".join(" ".join(said).split())
        assert [f"{name}: " in below for name in explained] == [name in head for name in explained]
        assert max(len(head), len(line)) <= columns
        assert line.startswith(folder.name)
        assert {name for name in least if name not in head} == set()
        assert "throttled" not in head
        assert {"16", "61.0"} <= set(line.split())  # 320 in the 20 s of decode
    monkeypatch.delenv("COLUMNS")
    assert main(["runs", "--in", str(tmp_path)]) == 0
    assert "gpt2" in capsys.readouterr().out


def test_a_list_of_runs_has_no_column_that_nothing_stands_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decoding(tmp_path, 60.0, command=["echo"])
    heads = []
    for typed in (["runs"], ["runs", "note", "last", "new paste"], ["runs"]):
        assert main([*typed, "--in", str(tmp_path)]) == 0
        heads.append(capsys.readouterr().out.splitlines()[0].split("  "))
    without, _, noted = heads
    assert {"label", "note", "model"}.isdisjoint(name.strip() for name in without)
    assert "note" in [name.strip() for name in noted]


def test_a_run_is_called_the_same_wherever_one_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, there = write(tmp_path, [*trial(0, 2)]), ["--in", str(tmp_path)]
    for typed in (["runs"], ["runs", "show"], ["report", "--json"]):
        said = []
        for word in ("last", made.name, made.name[-6:], str(made)):
            assert main([*typed, word, *there]) == 0
            said.append(capsys.readouterr().out)
        assert said == [said[0]] * 4
    with pytest.raises(SystemExit):  # a word that is nearly one of what can be done with runs
        main(["runs", "--shwo"])
    assert main(["runs", "shwo", "last", *there]) == 2
    assert "did you mean show?" in capsys.readouterr().err


def test_tokens_of_prompts_and_those_made_are_not_told_as_one_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """100 read in 4 s and 40 made in 20 s are 140 in the trial's 25 s."""
    marks = [mark(1, "prefill", tokens=100), mark(5, "decode", tokens=40)]
    folder = write(tmp_path, [*trial(0, 25), *marks])
    assert main(["runs", "show", str(folder)]) == 0
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert said["trial"].endswith("5.6 tokens/s with prompts")
    assert said["prefill"].endswith("25 tokens/s")
    assert said["decode"].endswith("2 tokens/s")


def test_a_rate_of_a_run_is_never_a_power_of_ten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """46,803 tokens in 4 s, and 40 in 20.5 s."""
    marks = [mark(1, "prefill", tokens=46_803), mark(5, "decode", tokens=40)]
    assert main(["runs", "show", str(write(tmp_path, [*trial(0, 25.5), *marks]))]) == 0
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert said["prefill"].endswith(" 11,701 tokens/s")
    assert said["decode"].endswith(" 1.951 tokens/s")


def test_rows_of_a_benchmark_are_told_in_the_columns_that_there_are() -> None:
    row = OperatorRow("gpt2", 1, "prefill", "q_proj", "contraction", 12, 1e9, 1e6, 1e6, 1e6,
                      1e-3, 2e-3, 2.5e-3, 2e-3, 3e-3, 7)  # fmt: skip
    step = StepRow("gpt2", 1, "prefill", 128, 12, 12, 128, 0.1, 0.2, 0.15, 0.3, 0.25, 0.2, 0.3, 5)
    for columns in (80, 60):
        with paper(columns):
            text = Lines().of(row) + "\n" + fitted(Lines().of(step))
        assert max(map(len, text.splitlines())) <= columns
        head = text.splitlines()[1].split()
        assert {"operator", "expected", "measured", "against"} <= set(head)
        assert "+25.0 %" in text  # 2.5 ms of 2 ms


def test_an_option_stays_with_its_value_where_a_command_is_broken() -> None:
    with paper(40):
        lines = command("serve m --tp 2 --max-num-batched-tokens 8192 --fast 'a b'").split("\n")
    assert lines == ["serve m --tp 2 \\", "  --max-num-batched-tokens 8192 \\", "  --fast 'a b'"]


def test_a_recorded_prediction_keeps_its_verdict_at_60_columns() -> None:
    with paper(60):
        head, *rows = predicted.lines(analyze(BEFORE))
    assert head.split()[0] == "predicted"
    assert head.endswith("against expected")
    assert all(len(row) <= 60 for row in rows)


def test_data_for_programs_is_the_same_on_every_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for typed in ("estimate gpt2 --gpu h100 --json", "ops gpt2 --csv", "models gpt2 --json"):
        printed = []
        for columns in ("40", "400"):
            monkeypatch.setenv("COLUMNS", columns)
            assert main(typed.split()) == 0
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1]
        assert "--csv" in typed or json.loads(printed[0])


def test_columns_go_in_the_order_of_their_importance_and_cells_stay_whole() -> None:
    rows = [["name", "a", "b", "c"], ["first", "1111", "2222", "3333"]]
    whole = ["name      a     b     c", "first  1111  2222  3333"]  # 5 + 3 x (2 + 4) = 23
    assert table(rows, least=("b", "a")).splitlines() == whole
    pages = {23: whole, 22: ["name      a     c", "first  1111  3333"], 16: ["name      c",
             "first  3333"], 10: ["name", "first"]}  # fmt: skip
    for columns, lines in pages.items():
        with paper(columns):
            assert table(rows, least=("b", "a")).splitlines() == lines


def test_a_command_for_a_shell_is_broken_between_its_words() -> None:
    line = """  serve 'a model' --config '{"b c": 1, "d": 2}' --more words"""
    with paper(40):
        lines = command(line).splitlines()
    assert all(len(each) <= 40 for each in lines)
    assert all(each.endswith(" \\") for each in lines[:-1])
    joined = " ".join(each.removesuffix(" \\").strip() for each in lines)
    assert joined == line.strip()


def test_a_line_of_a_command_whose_quote_the_next_one_closes_loses_nothing() -> None:
    with paper(30):
        said = command("  record -- sh -c 'serve model --port 80 && \\")
    assert said == "  record -- sh -c 'serve \\\n    model --port 80 && \\"


def test_the_help_of_every_command_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A usage that argparse itself writes, and an example that must be whole, may pass 60."""
    parser = build_parser(everything=True)
    commands = dict(parser._actions[-1].choices or ())
    assert commands.keys() == COMMANDS.keys()
    for columns in (80, 60):
        monkeypatch.setenv("COLUMNS", str(columns))
        for each in (parser, *commands.values()):
            for line in each.format_help().splitlines():
                whole = columns == 60 and ("{" in line or "--prefill" in line or ".filter(" in line)
                assert len(line) <= columns or whole, (each.prog, line)


def test_every_exit_code_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (60, 80, 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        listed = build_parser().format_help().partition("exit codes:\n")[2].partition("\n\n")[0]
        codes = [line.split()[0] for line in listed.splitlines() if line[2] != " "]
        assert codes == ["0", "1", "2", "3", "4", "5", "6", "7", "130"]
        assert all(line.startswith(" " * 7) for line in listed.splitlines() if line[2] == " ")


@pytest.mark.parametrize(
    "typed",
    [HOSTED, "estimate qwen2.5-7b --gpu mi300x --why",
     "train mixtral-8x7b --gpu h100 --devices 16 --why", "pick --gpu rtx-4090 --at-least 1e9"],
)  # fmt: skip
def test_sentences_have_100_columns_where_the_page_is_not_known(
    typed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only rows of tables, whose columns are two blanks apart, are longer."""
    monkeypatch.delenv("COLUMNS", raising=False)
    main(typed.split())
    printed = capsys.readouterr().out.splitlines()
    assert printed
    assert [line for line in printed if len(line) > 100 and "  " not in line.strip()] == []


def test_what_a_group_of_options_is_stands_below_its_name_two_columns_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["plan", "--help"])
    assert "\ntargets:\n  seconds, or 500ms\n" in capsys.readouterr().out


def test_paragraphs_of_help_are_filled_and_what_is_indented_stays() -> None:
    text = "One\nparagraph of words.\n\nTwo:\n  a   b c d e f g\n  thermoflop x --y z\n"
    with paper(14):
        filled_text = filled(text)
    assert filled_text.split("\n") == [
        "One paragraph", "of words.", "", "Two:", "  a   b c d e", "      f g", "  thermoflop \\",
        "    x --y z", "",
    ]  # fmt: skip
