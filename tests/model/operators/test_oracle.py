"""The builder agrees with a literal walk over weights and products, on random configurations."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from kit import oracle
from thermoflop.model.load import read_model
from thermoflop.model.operators.step import causal_pairs

SIZES = st.integers(1, 6)
STEPS = st.fixed_dictionaries(
    {"batch": st.integers(1, 3), "new": st.integers(1, 7), "cached": st.integers(0, 12)}
)
quick = settings(max_examples=40, deadline=None)


@st.composite
def llamas(draw: st.DrawFn) -> dict[str, Any]:
    groups = draw(st.integers(1, 3))
    return {
        "vocab_size": draw(st.integers(2, 40)),
        "hidden_size": draw(st.integers(2, 24)),
        "intermediate_size": draw(st.integers(1, 30)),
        "num_hidden_layers": draw(st.integers(1, 5)),
        "num_attention_heads": groups * draw(st.integers(1, 3)),
        "num_key_value_heads": groups,
        "head_dim": draw(st.integers(1, 9)),
        "tie_word_embeddings": draw(st.booleans()),
    }


def agree(config: dict[str, Any], step: dict[str, int], walk: oracle.Walk, **options: Any) -> None:
    model = read_model(config)
    table = model.operators(**step, **options)
    assert model.params == walk.parameters
    assert table.by_group() == walk.flops
    assert table.flops == sum(walk.flops.values())


@quick
@given(llamas(), STEPS, st.booleans(), st.booleans())
def test_llama_with_any_biases_and_head_dim(
    config: dict[str, Any], step: dict[str, int], attention_bias: bool, mlp_bias: bool
) -> None:
    stated = {"model_type": "llama", "attention_bias": attention_bias, "mlp_bias": mlp_bias}
    spec = {"qkv_bias": attention_bias, "o_bias": attention_bias, "mlp_bias": mlp_bias}
    agree({**config, **stated}, step, oracle.llama_like(config, step, spec))


@quick
@given(llamas(), STEPS, st.integers(1, 9), st.integers(2, 4))
def test_gemma3_with_any_window_and_pattern(
    config: dict[str, Any], step: dict[str, int], window: int, pattern: int
) -> None:
    stated = {
        "model_type": "gemma3_text",
        "sliding_window": window,
        "sliding_window_pattern": pattern,
    }
    spec = {
        "norms": 4,
        "qk_norm": True,
        "window": lambda layer: None if (layer + 1) % pattern == 0 else window,
    }
    agree({**config, **stated}, step, oracle.llama_like(config, step, spec))


@quick
@given(llamas(), STEPS, st.integers(1, 5), st.data())
def test_qwen_moe_with_any_sparse_layers(
    config: dict[str, Any], step: dict[str, int], experts: int, data: st.DataObject
) -> None:
    top_k = data.draw(st.integers(1, experts))
    every = data.draw(st.integers(1, 3))
    layers = config["num_hidden_layers"]
    dense = data.draw(st.lists(st.integers(0, layers - 1), unique=True, max_size=2))
    moe = {
        "num_experts": experts,
        "num_experts_per_tok": top_k,
        "moe_intermediate_size": data.draw(SIZES),
        "decoder_sparse_step": every,
        "mlp_only_layers": dense,
    }
    shared = data.draw(SIZES)
    spec = {
        "sparse": lambda layer: layer not in dense and (layer + 1) % every == 0,
        "experts": experts,
        "top_k": top_k,
        "expert_inner": moe["moe_intermediate_size"],
    }
    stated = {**config, **moe, "model_type": "qwen3_moe"}
    agree(stated, step, oracle.llama_like(config, step, {**spec, "qk_norm": True}))
    heads = config["num_attention_heads"]
    config = {**config, "hidden_size": heads * config["head_dim"]}
    stated = {**config, **moe, "model_type": "qwen2_moe", "shared_expert_intermediate_size": shared}
    spec.update(shared=shared, shared_gate=True, qkv_bias=True)
    agree(stated, step, oracle.llama_like(config, step, spec))


@quick
@given(STEPS, st.integers(1, 4), st.integers(1, 4), st.sampled_from([None, 1, 17]), st.data())
def test_gpt2_with_any_width(
    step: dict[str, int], layers: int, heads: int, inner: int | None, data: st.DataObject
) -> None:
    config = {
        "model_type": "gpt2",
        "vocab_size": data.draw(st.integers(2, 40)),
        "n_embd": heads * data.draw(SIZES),
        "n_layer": layers,
        "n_head": heads,
        "n_inner": inner,
        "n_positions": data.draw(st.integers(1, 30)),
    }
    agree(config, step, oracle.gpt2(config, step))


@quick
@given(STEPS, st.sampled_from(["latent", "expanded"]), st.booleans(), st.data())
def test_deepseek_in_both_forms(
    step: dict[str, int], form: str, bias: bool, data: st.DataObject
) -> None:
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    names += ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "kv_lora_rank")
    names += ("moe_intermediate_size", "vocab_size")
    config: dict[str, Any] = {name: data.draw(SIZES, name) for name in names}
    experts = data.draw(st.integers(1, 5))
    config.update(
        model_type="deepseek_v3",
        attention_bias=bias,
        q_lora_rank=data.draw(st.one_of(st.none(), SIZES)),
        n_routed_experts=experts,
        num_experts_per_tok=data.draw(st.integers(1, experts)),
        n_shared_experts=data.draw(st.integers(0, 2)),
        first_k_dense_replace=data.draw(st.integers(0, 3)),
        tie_word_embeddings=data.draw(st.booleans()),
    )
    agree(config, step, oracle.deepseek(config, step, form), mla=form)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 25), st.integers(0, 30), st.one_of(st.none(), st.integers(1, 12)))
def test_causal_pairs_under_a_window_and_in_chunks(new: int, cached: int, size: int | None) -> None:
    assert causal_pairs(cached, new, size, None) == oracle.causal_pairs(new, cached, size, None)
    assert causal_pairs(cached, new, None, size) == oracle.causal_pairs(new, cached, None, size)
