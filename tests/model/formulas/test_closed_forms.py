"""The textbook formulas are derived from the operator table, and equal as expressions."""

from __future__ import annotations

import json
from typing import Any

import pytest

sympy = pytest.importorskip("sympy")

import thermoflop as tf  # noqa: E402
from kit.explained import explained  # noqa: E402
from thermoflop.base.record import replace  # noqa: E402
from thermoflop.errors import UsageError  # noqa: E402
from thermoflop.model.architecture.feedforward import Mlp  # noqa: E402
from thermoflop.model.architecture.mixers import Attention  # noqa: E402
from thermoflop.model.config.catalogue import entry, names  # noqa: E402
from thermoflop.model.formulas.explain import explain, layer_scope, step_symbols  # noqa: E402
from thermoflop.model.formulas.symbolic import symbolize  # noqa: E402
from thermoflop.model.formulas.text import written  # noqa: E402
from thermoflop.model.model import Model  # noqa: E402
from thermoflop.model.mults import DecoderShape, exact_mults, page_mults, script_mults  # noqa: E402
from thermoflop.model.operators.build import layer_operators  # noqa: E402
from thermoflop.model.operators.step import Step  # noqa: E402

h, L, V, P, n, g, d, f, a = sympy.symbols("h L V P n g d f a", positive=True, integer=True)
letters = step_symbols()
b, s, t = letters["b"], letters["s"], letters["t"]


def same(left: Any, right: Any) -> bool:
    return bool(sympy.simplify(left - right) == 0)


@pytest.fixture(scope="module")
def gpt2() -> Model:
    """GPT-2 in symbols: the same Model, its sizes replaced by letters."""
    model = tf.load_model("gpt2")
    return replace(model, description=symbolize(model).description)


def layer_flops(model: Model) -> Any:
    layer = model.description.stacks[0].runs[0].layer
    scope = layer_scope(Step(batch=b, new=s))
    return {item.name: item.flops for item in layer_operators(layer, scope)}


def test_layer_parameters_are_12h2_13h(gpt2: Model) -> None:
    layer = gpt2.description.stacks[0].runs[0].layer
    assert same(sum(part.parameters for part in layer.parts()), 12 * h**2 + 13 * h)
    groups = gpt2.params_by_group
    assert same(groups["attn"], L * (4 * h**2 + 4 * h))
    assert same(groups["mlp"], L * (8 * h**2 + 5 * h))
    assert same(groups["norm"], L * 4 * h + 2 * h)


def test_model_parameters(gpt2: Model) -> None:
    assert same(gpt2.params, L * (12 * h**2 + 13 * h) + V * h + P * h + 2 * h)


def test_layer_flops_are_24bsh2_4bs2h_by_their_parts(gpt2: Model) -> None:
    parts = layer_flops(gpt2)
    projections = parts["q_proj"] + parts["k_proj"] + parts["v_proj"]
    assert same(projections, 6 * b * s * h**2)
    assert same(parts["scores"], 2 * b * s**2 * h)
    assert same(parts["values"], 2 * b * s**2 * h)
    assert same(parts["o_proj"], 2 * b * s * h**2)
    assert same(parts["up_proj"] + parts["down_proj"], 16 * b * s * h**2)
    assert same(sum(parts.values()), 24 * b * s * h**2 + 4 * b * s**2 * h)


def test_logits_and_model_flops(gpt2: Model) -> None:
    table = gpt2.operators(b, s)
    assert same(table.by_group()["lm_head"], 2 * b * s * h * V)
    assert same(table.flops, L * (24 * b * s * h**2 + 4 * b * s**2 * h) + 2 * b * s * h * V)


def test_backward_is_twice_forward(gpt2: Model) -> None:
    training = gpt2.training(s, b)
    assert same(training.backward_flops, 2 * training.forward_flops)


def test_narayanan_with_and_without_recomputation(gpt2: Model) -> None:
    full = 96 * b * s * L * h**2 * (1 + s / (6 * h) + V / (16 * L * h))
    none = 72 * b * s * L * h**2 * (1 + s / (6 * h) + V / (12 * L * h))
    assert same(gpt2.training(s, b, recompute="full").flops, full)
    assert same(gpt2.training(s, b).flops, none)
    assert same(gpt2.training(s, b, recompute="selective").recomputed_flops, 4 * b * s**2 * h * L)


def test_six_n_per_token_where_attention_and_logits_are_small(gpt2: Model) -> None:
    """C = 6N: the training FLOPs per token, short sequences, matrices of the layers alone."""
    per_token = sympy.expand(gpt2.training(s, b).flops / (b * s)).coeff(s, 0).coeff(V, 0)
    matrices = L * 12 * h**2
    assert same(per_token, 6 * matrices)


def test_context_term_is_halved_by_the_causal_average(gpt2: Model) -> None:
    """Kaplan's 2 L s h per token is half of PaLM's 4 L s h."""
    full = sympy.expand(gpt2.operators(b, s).flops / (b * s)).coeff(s, 1)
    causal = sympy.expand(gpt2.operators(b, s, attention="causal").flops / (b * s)).coeff(s, 1)
    assert same(full, 4 * L * h)
    assert same(causal, 2 * L * h)


def attention_layer(kv_heads: Any) -> Any:
    attention = Attention(h, n, kv_heads, h / n)
    mlp = Mlp(h, 4 * h, gated=False)
    return sum(part.parameters for part in (*attention.parts(), *mlp.parts()))


def test_multi_query_layer_is_10_plus_2_over_n() -> None:
    assert same(attention_layer(1), (10 + 2 / n) * h**2)


def test_grouped_query_layer_is_10_plus_2g_over_n() -> None:
    assert same(attention_layer(g), (10 + 2 * g / n) * h**2)
    assert same(attention_layer(n), 12 * h**2)


def test_sharing_key_heads_saves_no_score_flops() -> None:
    scores = []
    for kv_heads in (n, g, 1):
        model = tf.load_model("llama-2-7b")
        symbolic = symbolize(model).description
        run = symbolic.stacks[0].runs[0]
        mixer = replace(run.layer.mixer, kv_heads=kv_heads)
        layer = replace(run.layer, mixer=mixer)
        operators = layer_operators(layer, layer_scope(Step(batch=b, new=1, cached=t)))
        scores.append(sum(item.flops for item in operators if item.group == "attn_score"))
    assert same(scores[0], scores[1])
    assert same(scores[0], scores[2])


def test_cache_is_2_layers_kv_heads_head_dim_per_token() -> None:
    model = tf.load_model("llama-3-8b")
    described = replace(model, description=symbolize(model).description)
    assert same(described.kv_bytes(t, b), 2 * 2 * L * g * d * t * b)


def test_page_script_and_exact_forms_follow_from_a_plain_decoder(gpt2: Model) -> None:
    """The exact form is the table's; the published forms differ from it as they say."""
    shape = DecoderShape(L, n, h, h / n, s, 4 * h, V)
    table = gpt2.operators(1, 1, s - 1)
    assert same(exact_mults(shape), table.multiplications)
    over = L * n * s * (h - h / n)
    assert same(script_mults(shape), table.multiplications + over)
    projections = L * n * (h * h - 2 * h * h / n)
    assert same(page_mults(shape), table.multiplications + over + projections - h * V)


@pytest.mark.parametrize(
    ("name", "context", "vocab", "page", "script", "exact"),
    [
        ("gpt-2", None, None, 278_396_928, 246_215_424, 142_406_400),
        ("gpt-3", None, None, 1_770_868_703_232, 408_907_886_592, 179_395_571_712),
        ("llama-3.1-70b", 8192, 128_000, 740_881_858_560, 409_070_469_120, 70_841_794_560),
    ],
)
def test_seed_counts_to_the_digit(
    name: str, context: int | None, vocab: int | None, page: int, script: int, exact: int
) -> None:
    from thermoflop.model.mults import mults_record

    found = mults_record(tf.load_model(name), context, vocab)
    assert (found["page"], found["script"], found["exact_plain"]) == (page, script, exact)
    parameters = {"gpt-2": 123_532_032, "gpt-3": 174_563_733_504, "llama-3.1-70b": 60_104_376_320}
    assert found["script_parameters"] == parameters[name]
    if name == "llama-3.1-70b":
        assert found["exact_model"] == 80_239_132_672
        assert found["parameters"] == 70_553_706_496


def of_one_shape() -> list[str]:
    """The names of the catalogue, one for all that differ in how their numbers are stored."""
    shapes: dict[str, str] = {}
    for name in names():
        found = entry(name)
        assert found is not None
        shape = {key: value for key, value in found["config"].items() if "quant" not in key}
        shapes.setdefault(json.dumps(shape, sort_keys=True), name)
    return list(shapes.values())


@pytest.mark.parametrize("name", of_one_shape())
def test_every_formula_gives_the_count_when_filled_in(name: str) -> None:
    model = tf.load_model(name)
    tokens = max(17, model.description.stacks[0].shortest)  # samples, of a model that hears
    found = explain(model, batch=3, tokens=tokens)
    numbers = {item.title: int(found.value_of(item)) for item in found.formulas}
    for item in found.formulas:
        if item.parts:
            assert sympy.expand(sum(flops for _, flops in item.parts) - item.expression) == 0
    source = tokens if model.is_encoder_decoder else 0
    table = model.operators(3, tokens, 0, source)
    if model.description.stack("image") is None and model.family != "whisper":
        assert numbers["forward FLOPs of the model"] == table.flops
    assert numbers["parameters of the model"] == model.params
    if not model.is_encoder:
        per_token = numbers["cache elements for each token"]
        assert per_token * 2 == model.kv_bytes(1, windowed=False)


@pytest.mark.parametrize("option", ["batch", "tokens"])
def test_formulas_are_filled_in_for_one_or_more_and_never_for_none(option: str) -> None:
    model = tf.load_model("gpt2")
    assert explained(model, **{option: 3}) != explained(model, **{option: 1})
    with pytest.raises(UsageError, match=f"--{option} 0 makes no sense: expected a whole number"):
        explained(model, **{option: 0})


def test_formulas_are_written_as_in_a_textbook() -> None:
    assert written(12 * h**2 + 13 * h) == "12h² + 13h"
    assert written(24 * b * s * h**2 + 4 * b * s**2 * h) == "24bsh² + 4bs²h"
    text = explained(tf.load_model("gpt2"))
    assert "12h² + 13h" in text
    assert "24bsh² + 4bs²h" in text
    derived = (
        "    8bsh²: q_proj, k_proj, v_proj, o_proj (27%)",  # of 24h + 4s: 8h of 22,528
        "    2bs²h: scores (9%)",
        "    2bs²h: values (9%)",
        "    16bsh²: up_proj, down_proj (55%)",
    )
    assert "\n  = 24bsh² + 4bs²h\n" + "\n".join(derived) + "\n" in text
    assert "2Ldg" in explained(tf.load_model("llama-3-8b"))
    assert max(len(line) for line in explained(tf.load_model("deepseek-v3")).split("\n")) <= 100


@pytest.mark.parametrize(
    ("name", "said"),
    [("gpt2", "beyond s = 6h = 4,608 tokens"),  # 4bs²h = 24bsh²
     # 4bs²dn = 4bsdgh + 4bsdnh + 6bsfh: (4 * 128 * 8 + 4 * 128 * 32 + 6 * 14336) * 4096 / 16384
     ("llama-3-8b", "beyond s = (2dgh + 2dnh + 3fh) / (2dn) = 26,624 tokens")],
)  # fmt: skip
def test_the_length_from_which_attention_is_most_of_a_layer_is_derived(
    name: str, said: str
) -> None:
    assert f"what grows with s² is more than the rest {said}" in explained(tf.load_model(name))


def test_a_layer_that_attends_to_a_window_is_never_most_of_its_attention() -> None:
    layers = explained(tf.load_model("gemma-3-1b")).split("forward FLOPs of a decoder layer ")[1:]
    assert ["what grows with s²" in each for each in layers] == [False, True]


def test_an_encoders_layers_are_called_so_and_its_heads_bias_is_as_long_as_the_vocabulary() -> None:
    """BERT: V of them, beside the table of V rows."""
    formulas = {
        each.title: each.expression for each in explain(tf.load_model("bert-base")).formulas
    }
    assert "parameters of an encoder layer (attention + MLP)" in formulas
    terms = {str(term) for term in formulas["parameters of the model"].args}
    assert {"V", "V*h"} <= terms
