"""What the help of ``fit`` shows for ten questions that people ask is what the commands print.

``PYTHONPATH=host python tests/cli/test_questions.py`` prints the answers as they are now.
"""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path

import pytest
from thermoflop.cli import build_parser, main
from thermoflop.cli.questions import QUESTIONS

README = Path(__file__).parents[2] / "README.md"


def printed_by(command: str) -> list[str]:
    """The lines that a command prints, without their indent."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(shlex.split(command))
    return [line.strip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(("question", "command", "answers"), QUESTIONS)
def test_the_answer_that_is_shown_is_what_is_printed(question, command, answers):
    printed = printed_by(command)
    for answer in answers:
        assert answer in printed, question


def test_the_help_shows_every_question_with_its_command_and_answer():
    parser = build_parser("fit")
    shown = parser._subparsers._group_actions[0].choices["fit"].format_help()
    shown = " ".join(shown.replace("\\\n", "").split())  # whatever the terminal's width
    assert len(QUESTIONS) == 10
    for question, command, answers in QUESTIONS:
        assert question in shown
        assert f"thermoflop {command}" in shown
        assert all(" ".join(answer.split()) in shown for answer in answers)


def test_readme_shows_one_of_them():
    text = README.read_text()
    assert sum(f"thermoflop {command}" in text for _, command, _ in QUESTIONS) == 1
    question = next(each for each in QUESTIONS if f"thermoflop {each[1]}" in text)
    assert all(answer in text for answer in question[2])


if __name__ == "__main__":
    for asked, typed, _ in QUESTIONS:
        print(asked, typed, *printed_by(typed), sep="\n  ")
