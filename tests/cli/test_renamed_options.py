"""Options that had another name: the old one does what the new one does, and no text says it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from thermoflop.cli import build_parser, main

README = Path(__file__).parents[2] / "README.md"
RENAMED = [
    ("watch", "--for", "--duration", "1m", 60.0),
    ("log", "--for", "--duration", "5s", 5.0),
    ("demo", "--for", "--duration", "3", 3.0),
    ("simulate", "--for", "--duration", "1h", 3600.0),
    ("estimate gpt2", "--drafted", "--draft-tokens", "3", 3),
    ("estimate gpt2", "--overlap", "--comm-overlap", "0.5", 0.5),
    ("train gpt2", "--virtual", "--interleave", "2", 2),
    ("compare", "--page", "--mqa-page", "V100", "V100"),
]


@pytest.mark.parametrize(("command", "old", "new", "typed", "value"), RENAMED)
def test_the_old_name_does_what_the_new_one_does(
    command: str, old: str, new: str, typed: str, value: object
) -> None:
    words = command.split()
    parser = build_parser(words[0])
    by_old = vars(parser.parse_args([*words, old, typed]))
    by_new = vars(parser.parse_args([*words, new, typed]))
    unset = vars(parser.parse_args(words))
    assert by_old == by_new
    assert [by_new[name] for name in unset if by_new[name] != unset[name]] == [value]


@pytest.mark.parametrize(("command", "old", "new", "typed", "value"), RENAMED)
def test_help_and_readme_have_the_new_name_alone(
    command: str, old: str, new: str, typed: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    name = command.split()[0]
    with pytest.raises(SystemExit):
        main([name, "--help"])
    texts = [capsys.readouterr().out]
    assert re.search(rf"(?<![\w-]){new}(?![\w-])", texts[0])
    # of the README, the lines that name the command
    texts += [line for line in README.read_text(encoding="utf-8").splitlines() if name in line]
    assert not [text for text in texts if re.search(rf"(?<![\w-]){old}(?![\w-])", text)]


def test_the_old_name_runs_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """From the command line to what is printed."""
    assert main(["train", "gpt2", "--devices", "4", "--pp", "2", "--virtual", "2"]) == 0
    by_old = capsys.readouterr().out
    assert main(["train", "gpt2", "--devices", "4", "--pp", "2", "--interleave", "2"]) == 0
    assert capsys.readouterr().out == by_old


def test_an_option_that_begins_others_is_meant_where_it_is_cut_short() -> None:
    """``--optim``, as transformers calls it, is not ``--optimizer-in-backward``."""
    found = build_parser("train").parse_args(["train", "gpt2", "--optim", "sgd"])
    assert (found.optimizer, found.in_backward) == ("sgd", False)
