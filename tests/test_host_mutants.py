"""The mutants of the host: what they change, and what they leave alone since no result shows it."""

from __future__ import annotations

import ast

import pytest
from kit.host_mutants import changes_of, siblings_in


def made(text: str) -> set[str]:
    """What each change of a text says before and after."""
    return {f"{each.before} -> {each.after}" for each in changes_of(ast.parse(text), {})}


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("a = 3", {"3 -> 6"}),
        ("a = b + c", {"b + c -> b - c", "b + c -> b", "b + c -> c"}),
        ("a = b - c", {"b - c -> b + c", "b - c -> b"}),
        ("a = b * c", {"b * c -> b / c"}),
        ("a = b < c", {"b < c -> b > c"}),
        ("a = max(b, c)", {"max(b, c) -> min(b, c)"}),
        ("a = max(b, 1e-3)", {"max(b, 0.001) -> min(b, 0.001)", "0.001 -> 0.002"}),
        ("a += b", {"a += b -> a -= b"}),
    ],
)
def test_an_expression_is_changed_by_rule(text, changes):
    assert made(text) == changes


@pytest.mark.parametrize(
    "text",
    [
        "a = 'b' + c",
        "def a(b: x[3]) -> y[4]: pass",
        "@lru_cache(maxsize=3)\ndef a(): pass",
        "raise E(3 + b)",
        "a = wrapped(b, 3)",
        "a = shortened(b, 40)",
        "a = f'{b:.3f}'",
        "if TYPE_CHECKING:\n    a = 3",
        "a = b(1e-300)",
        "chart.text(b + 3, 4 * c, d)",
        "chart.legend(b, c - 12, sample_px=10)",
        "a = table(b, 2, least=c)",
        "BLOCK = 16384",
        "ROUNDS = 80",
        "with part(0.5, 1.0 - 0.2): pass",
    ],
)
def test_what_cannot_change_a_result_is_left_alone(text):
    assert not made(text)


def test_a_floor_in_place_of_zero_is_left_alone_and_what_it_is_of_is_not():
    assert made("a = np.maximum(b / c, 1e-9)") == {"b / c -> b * c"}
    assert made("a = max(b, 1e-9)") == {"max(b, 1e-09) -> min(b, 1e-09)"}
    assert "1e-09 -> 2e-09" in made("a = b + 1e-9")
    assert "3 -> 6" in made("a = chart.box(3, b, c, d)")
    assert "80 -> 160" in made("STEPS = 80")
    assert "3 -> 6" in made("with part(0.5): a = 3")


def test_a_field_is_taken_for_another_of_its_type_in_every_record(tmp_path):
    file = tmp_path / "records.py"
    file.write_text("class A:\n    b: int\n    c: int\n    d: str\n", encoding="utf-8")
    siblings = siblings_in([file])
    assert siblings == {"b": "c", "c": "b"}
    found = list(changes_of(ast.parse("e = f.b"), siblings))
    assert [each.after for each in found] == ["f.c"]
