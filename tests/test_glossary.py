"""The words that users see are those of the glossary in CONTRIBUTING.md, on page and terminal."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from thermoflop.cli import build_parser
from thermoflop.report.words import MEANINGS, explained, meaning, titled

ROOT = Path(__file__).parents[1]
HOST = ROOT / "host" / "thermoflop"
SECTION = re.compile(r"^### Words$(.*?)^##", re.MULTILINE | re.DOTALL)
JS_TEXT = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')


def rows() -> list[list[str]]:
    """The glossary: the word, what it means, and the words that are not used for it."""
    section = SECTION.search((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert section is not None
    lines = [line for line in section[1].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def words(cell: str) -> list[str]:
    """The words of a cell of the table, which stand between commas."""
    return [word.strip() for word in cell.split(",") if word.strip()]


@cache
def help_text() -> str:
    """What all commands say of themselves, as one line."""
    parser = build_parser(everything=True)
    commands = dict(parser._actions[-1].choices or ())
    text = " ".join(each.format_help() for each in (parser, *commands.values()))
    return " ".join(text.split())


@cache
def page_text() -> str:
    """What the page, the report and the summaries can say: their strings, without docstrings."""
    texts = []
    for folder in ("web", "report", "runs/analysis", "cost/inference", "cost/reports"):
        for path in sorted((HOST / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                body = getattr(node, "body", None)
                if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
                    body[0].value = ast.Constant(None)  # a docstring
            texts += [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
    for path in sorted(HOST.rglob("assets/*.js")):
        texts += [a or b for a, b in JS_TEXT.findall(path.read_text(encoding="utf-8"))]
    return "\n".join(texts)


def is_said(word: str, text: str) -> bool:
    """Whether a word or its plural stands in a text, alone."""
    return re.search(rf"(?<![\w/.-]){re.escape(word)}s?(?![\w-])", text, re.IGNORECASE) is not None


def test_the_glossary_is_in_order_and_says_nothing_twice() -> None:
    table = rows()
    assert len(table) > 30
    names = [row[0] for row in table]
    assert names == sorted(names, key=str.lower)
    assert all(len(row) == 3 and row[1] for row in table)
    others = [word for row in table for word in words(row[2])]
    assert len({*names, *others}) == len(names) + len(others)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_users_see_the_word_and_none_of_those_that_mean_the_same(row: list[str]) -> None:
    name, _, others = row
    said = name.split(" (")[0]
    assert is_said(said, help_text()) or is_said(said, page_text()), "nobody says it"
    for word in words(others):
        assert not is_said(word, help_text()), f"help says {word}, not {name}"
        assert not is_said(word, page_text()), f"the page says {word}, not {name}"


def test_what_a_word_means_on_the_page_is_what_the_glossary_says() -> None:
    """Letter by letter, for each that the page explains."""
    table = {row[0].split(" (")[0]: row[1] for row in rows()}
    assert {word: table.get(word) for word in MEANINGS} == MEANINGS


def test_a_label_is_explained_by_its_word_and_a_text_by_all_of_its_words() -> None:
    assert meaning("Tensor parallel") == "tp: tensor parallel: devices that share each matrix"
    assert meaning("colour") == titled("colour") == ""
    said = explained("the first token: expected")  # and not tp, which `output` has, too
    assert [text.split(":")[0] for text in said] == ["expected", "first token"]
    assert explained("output") == []
    assert titled("Bound").startswith(' title="bound: the least time that the data sheet')
