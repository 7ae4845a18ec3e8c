"""How formulas are written: letters, powers and numbers in the order of textbooks."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from kit.explained import explained
from thermoflop.errors import UsageError

sympy = pytest.importorskip("sympy")

from thermoflop.model.formulas.explain import explain  # noqa: E402
from thermoflop.model.formulas.text import (  # noqa: E402
    explain_record,
    explain_text,
    written,
)

L, b, s, t, h, V, P, d, S_e = sympy.symbols("L b s t h V P d S_e", positive=True, integer=True)
VALUES = {L: 11, b: 2, s: 3, t: 4, h: 5, V: 7, P: 17, d: 19, S_e: 13}
# layers, batch and tokens first, hidden size and vocabulary last; higher powers first
CASES: list[tuple[Any, str, str]] = [
    (13 * h + 12 * h**2, "12h² + 13h", "12·5² + 13·5"),
    (24 * b * s * h**2 + 4 * b * s**2 * h, "24bsh² + 4bs²h", "24·2·3·5² + 4·2·3²·5"),
    (2 * h**2 - h, "2h² - 1h", "2·5² - 1·5"),
    (P * V * h * d * S_e * t * s * b * L, "L·b·s·t·S_e·d·h·V·P", "11·2·3·4·13·19·5·7·17"),
    (h * s**2 + s * h**2 + h**3, "h³ + sh² + s²h", "5³ + 3·5² + 3²·5"),
    (d**2 + d * h + b * d, "dh + bd + d²", "19·5 + 2·19 + 19²"),
    (b / h, "b/h", "2/5"),
    (3 * b / (2 * h**2), "3/2b/h²", "3/2·2/5²"),
    (sympy.Integer(7), "7", "7"),
    (sympy.ceiling(h / 2), "ceiling(h/2)", "ceiling(5/2)"),
    (4 * b * h**2 * sympy.Min(t, P - 1), "4·b·min(t, P-1)·h²", "4·2·min(4, 17-1)·5²"),
    (b * (1 - s / h) ** t, "b*(1 - s/h)**t", "b*(1 - s/h)**t"),
    (sympy.Max(h, 2 * s) ** 2, "max(h, 2s)²", "max(5, 2·3)²"),
]


@pytest.mark.parametrize(("expression", "letters", "numbers"), CASES)
def test_a_formula_is_written_as_in_a_textbook(expression: Any, letters: str, numbers: str) -> None:
    assert (written(expression), written(expression, VALUES)) == (letters, numbers)


def test_no_formula_of_a_model_is_written_as_code() -> None:
    """Windows, chosen keys and shared experts: smaller of two, powers, products."""
    for name in ("gemma-3-4b", "gpt-oss-20b", "deepseek-v3.2"):
        texts = [written(each.expression) for each in explain(tf.load_model(name)).formulas]
        assert any("min(" in text for text in texts)
        assert not any("*" in text or "Min" in text for text in texts)


@pytest.mark.parametrize(
    ("name", "role", "length", "hidden"),
    [
        ("clip-vit-large-patch14", "image", 257, 1024),  # (224 / 14)^2 patches and their class
        ("clip-vit-large-patch14", "encoder", 77, 768),
        ("whisper-tiny", "encoder", 1500, 384),
    ],
)
def test_a_layer_works_on_the_positions_of_its_own_tower(
    name: str, role: str, length: int, hidden: int
) -> None:
    """24sh² + 4s²h of a layer of attention and an MLP four times as wide."""
    found = explain(tf.load_model(name))
    title = f"forward FLOPs of an {role} layer (attention + MLP)"
    (formula,) = [each for each in found.formulas if each.title == title]
    assert found.value_of(formula) == 24 * length * hidden**2 + 4 * length**2 * hidden


def test_windows_are_said_to_count_in_a_decode_step_alone() -> None:
    assert "A window counts in a decode step" in explained(tf.load_model("gpt-oss-20b"))
    assert "A window counts" not in explained(tf.load_model("gpt2"))


TOKENS = 123_456
LLAMA = {"model_type": "llama", "hidden_size": 22, "num_attention_heads": 6, "head_dim": 5,
         "num_key_value_heads": 2, "num_hidden_layers": 3, "intermediate_size": 7,
         "vocab_size": 17}  # fmt: skip


def test_the_report_fills_in_numbers_where_they_fit_a_line() -> None:
    """Each formula, its letters' values, and what it comes to: as by whole numbers."""
    model = tf.load_model(LLAMA)
    explanation = explain(model, 2, TOKENS)
    lines = explained(model, 2, TOKENS).splitlines()
    assert max(map(len, lines)) <= 100
    for symbol, value in explanation.values.items():
        stated = f"  {symbol!s:<4} = {value:>12,}  {explanation.meaning(symbol)}"
        assert (stated in lines) == (str(symbol) != "S")  # no source: no formula has it
    lengths = set()
    for formula in explanation.formulas:
        filled = written(formula.expression, explanation.values)
        lengths.add(len(filled) <= 94)
        assert any(line.startswith(f"  = {filled[:60]}") for line in lines) == (len(filled) <= 94)
        assert f"  = {int(explanation.value_of(formula)):,} {formula.unit}" in lines
    assert lengths == {True, False}
    values = {each.title: int(explanation.value_of(each)) for each in explanation.formulas}
    assert values["parameters of the model"] == model.params
    assert values["forward FLOPs of the model"] == model.prefill(TOKENS, 2).flops
    assert values["FLOPs of a decode step"] == model.decode(TOKENS, 2).flops
    assert values["training FLOPs, nothing recomputed"] == 3 * model.prefill(TOKENS, 2).flops
    head = 2 * 2 * TOKENS * 22 * 17
    assert values["forward FLOPs of the logits"] == head
    again = 4 * model.prefill(TOKENS, 2).flops - head  # layers once more
    assert values["training FLOPs, layers recomputed"] == again
    assert values["cache elements for each token"] == 3 * 2 * 2 * 5


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"tokens": 0}])
def test_a_size_below_one_makes_no_sense(wrong: dict[str, int]) -> None:
    model = tf.load_model(LLAMA)
    assert explained(model, 1, 1)
    with pytest.raises(UsageError, match=f"--{next(iter(wrong))} 0 makes no sense"):
        explained(model, **wrong)


@pytest.mark.parametrize(
    ("name", "meanings"),
    [
        ("gpt2", {"L": "layers"}),
        ("deepseek-v3", {"L": "layers: latent attention + MLP",
                         "L_2": "layers: latent attention + MoE"}),
        ("gpt-oss-20b", {"L": "layers of each kind: sliding attention + MoE; attention + MoE"}),
        ("t5-small", {"L": "layers of each kind: encoder attention + MLP; "
                           "decoder attention + cross + MLP"}),
        ("clip-vit-base-patch32", {"L": "layers of each kind: encoder attention + MLP; "
                                        "image attention + MLP"}),
    ],
)  # fmt: skip
def test_numbers_of_layers_say_of_which(name: str, meanings: dict[str, str]) -> None:
    """DeepSeek-V3 has 3 dense layers and 58 of experts; gpt-oss as many of each kind."""
    symbols = explain_record(explain(tf.load_model(name), 1, 8))["symbols"]
    assert {key: said["meaning"] for key, said in symbols.items() if key[0] == "L"} == meanings


def test_further_lines_of_a_sentence_stand_less_deep_than_those_of_a_formula() -> None:
    text = explained(tf.load_model("deepseek-v3"))
    _, _, sentence = text.rpartition("\n\n")
    assert [len(line) - len(line.lstrip()) for line in sentence.splitlines()] == [0, 2, 2, 0]
    formula = text.partition("parameters of the model\n")[2].partition("\n\n")[0]
    assert {len(line) - len(line.lstrip()) for line in formula.splitlines()[1:-1]} == {6}


def test_the_output_projection_of_attention_stands_with_the_others_of_it() -> None:
    """8 of the 24 b s h² are attention's four matrices, in BERT as in GPT-2."""
    for name in ("bert-base-uncased", "gpt2"):
        text = explained(tf.load_model(name), 1, 64)
        assert "    8bsh²: q_proj, k_proj, v_proj, o_proj (" in text
        assert "    16bsh²: up_proj, down_proj (" in text


def test_what_has_no_letters_is_one_number() -> None:
    """Mamba keeps a state and no cache."""
    text = explained(tf.load_model("mamba-130m"), 1, 8)
    assert "cache elements for each token\n  = 0 elements\n\n" in text


@pytest.mark.parametrize("name", ["t5-small", "clip-vit-base-patch16", "zamba2-2.7b"])
def test_no_letter_of_a_formula_means_a_size_and_no_more(name: str) -> None:
    symbols = explain_record(explain(tf.load_model(name), 1, 8))["symbols"]
    assert "size" not in {said["meaning"] for said in symbols.values()}


def test_a_decoded_token_has_the_last_position_unless_more_are_asked_for() -> None:
    """The 142,406,400 multiplications of GPT-2's last token that the board counts too, each two
    FLOPs; beyond its 1,024 positions a sentence says so."""
    model = tf.load_model("gpt2")
    assert "  = 284,812,800 FLOP\n" in explained(model)
    text = explained(model, 1, 2048)
    said = "2,048 tokens are more than the 1,024 that the configuration states."
    assert text.endswith(f"\nNote: {said}")
    assert "Note: " not in explained(model, 1, 1024)


def test_the_text_has_the_plain_letters_and_totals_say_whether_images_are_in_them() -> None:
    """Qwen3.5 27B: 5,120 wide, 48 layers with a state and 16 with attention, 27 for images."""
    model = tf.load_model("qwen3.5-27b")
    explanation = explain(model)
    named = {str(symbol): symbol for symbol in explanation.values}
    sizes = {name: explanation.values[named[name]] for name in ("h", "L", "L_2", "h_2", "L_3")}
    assert sizes == {"h": 5120, "L": 48, "L_2": 16, "h_2": 1152, "L_3": 27}
    assert explanation.meaning(named["h_2"]) == "hidden size: image"
    lines = explain_text(explanation, model).splitlines()
    assert lines[2].split() == ["h", "=", "5,120", "hidden", "size:", "decoder"]
    assert "parameters of the model (with its image layers)" in lines
    assert "forward FLOPs of the model (without its image layers: of text alone)" in lines
    plain = explain_text(explain(tf.load_model("gpt2")), tf.load_model("gpt2")).splitlines()
    assert "parameters of the model" in plain
    assert "forward FLOPs of the model" in plain
