"""A second opinion: models written out weight by weight, and every product walked one by one.

Nothing here is shared with the package. A checkpoint is a dictionary of shapes, as its class would
make it; a forward step is loops over layers, tokens, heads and keys that count multiply-adds. Slow
on purpose, and only for small sizes.
"""

from __future__ import annotations

from math import prod
from typing import Any

Shapes = dict[str, tuple[int, ...]]


class Walk:
    """Weights by name, multiply-adds by what they are for."""

    def __init__(self) -> None:
        self.shapes: Shapes = {}
        self.products: dict[str, int] = {}

    def linear(
        self, name: str, inputs: int, outputs: int, bias: bool, rows: int, role: str
    ) -> None:
        """One matrix, its bias, and its work on each row."""
        self.shapes[f"{name}.weight"] = (outputs, inputs)
        if bias:
            self.shapes[f"{name}.bias"] = (outputs,)
        for _ in range(rows):
            self.add(role, inputs * outputs)

    def vector(self, name: str, *shape: int) -> None:
        """A weight without a product."""
        self.shapes[name] = shape

    def add(self, role: str, count: int) -> None:
        """Multiply-adds for something."""
        self.products[role] = self.products.get(role, 0) + count

    @property
    def parameters(self) -> int:
        """Elements of all weights."""
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def flops(self) -> dict[str, int]:
        """Two for each multiply-add."""
        return {role: 2 * count for role, count in self.products.items() if count}


def visible(query: int, new: int, cached: int, window: int | None) -> int:
    """Keys that one query is multiplied with when nothing is left out for causality."""
    kept = [key for key in range(cached) if window is None or key > cached - window]
    assert 0 <= query < new
    return len(kept) + new


def attend(walk: Walk, spec: dict[str, Any], step: dict[str, int], window: int | None) -> None:
    """Scores and values, query by query and head by head."""
    for _ in range(step["batch"]):
        for query in range(step["new"]):
            keys = visible(query, step["new"], step["cached"], window)
            for _ in range(spec["heads"]):
                walk.add("attn_score", keys * spec["key_dim"])
                walk.add("attn_value", keys * spec["value_dim"])


def llama_like(config: dict[str, Any], step: dict[str, int], spec: dict[str, Any]) -> Walk:
    """Llama and its kin; ``spec`` says what the kin does differently."""
    walk, rows = Walk(), step["batch"] * step["new"]
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    groups, dim = config["num_key_value_heads"], config["head_dim"]
    walk.vector("embed_tokens", config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        name = f"layers.{layer}"
        for index in range(spec.get("norms", 2)):
            walk.vector(f"{name}.norm{index}", hidden)
        if spec.get("qk_norm"):
            walk.vector(f"{name}.q_norm", dim)
            walk.vector(f"{name}.k_norm", dim)
        bias, out = spec.get("qkv_bias", False), spec.get("o_bias", False)
        for head in range(heads):
            walk.linear(f"{name}.q.{head}", hidden, dim, bias, rows, "attn_proj")
        for group in range(groups):
            walk.linear(f"{name}.k.{group}", hidden, dim, bias, rows, "attn_proj")
            walk.linear(f"{name}.v.{group}", hidden, dim, bias, rows, "attn_proj")
        walk.linear(f"{name}.o", heads * dim, hidden, out, rows, "attn_proj")
        shape = {"heads": heads, "key_dim": dim, "value_dim": dim}
        attend(walk, shape, step, spec["window"](layer) if "window" in spec else None)
        feed(walk, name, config, rows, spec, layer)
    walk.vector("norm", hidden)
    head_of(walk, config, rows)
    return walk


def feed(
    walk: Walk, name: str, config: dict[str, Any], rows: int, spec: dict[str, Any], layer: int
) -> None:
    """A gated MLP, or experts, of which each token runs through a few."""
    hidden, bias = config["hidden_size"], spec.get("mlp_bias", False)
    sparse = spec.get("sparse", lambda _layer: False)(layer)
    if not sparse:
        for part in ("gate", "up"):
            walk.linear(f"{name}.{part}", hidden, config["intermediate_size"], bias, rows, "mlp")
        walk.linear(f"{name}.down", config["intermediate_size"], hidden, bias, rows, "mlp")
        return
    experts, top_k, inner = spec["experts"], spec["top_k"], spec["expert_inner"]
    walk.linear(f"{name}.router", hidden, experts, False, rows, "router")
    for expert in range(experts):
        for part in ("gate", "up"):
            walk.linear(f"{name}.e{expert}.{part}", hidden, inner, False, 0, "experts")
        walk.linear(f"{name}.e{expert}.down", inner, hidden, False, 0, "experts")
    for _ in range(rows):
        for _ in range(top_k):
            walk.add("experts", 3 * hidden * inner)
    shared = spec.get("shared", 0)
    if shared:
        for part in ("gate", "up"):
            walk.linear(f"{name}.s.{part}", hidden, shared, False, rows, "shared_experts")
        walk.linear(f"{name}.s.down", shared, hidden, False, rows, "shared_experts")
    if spec.get("shared_gate"):
        walk.linear(f"{name}.sg", hidden, 1, False, rows, "shared_expert_gate")


def head_of(walk: Walk, config: dict[str, Any], rows: int) -> None:
    """The map to the vocabulary, its own or the embedding's."""
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    walk.linear("lm_head", hidden, vocab, False, rows, "lm_head")
    if config["tie_word_embeddings"]:
        del walk.shapes["lm_head.weight"]


def gpt2(config: dict[str, Any], step: dict[str, int]) -> Walk:
    """GPT-2, with its fused projection."""
    walk, rows = Walk(), step["batch"] * step["new"]
    width, inner = config["n_embd"], config["n_inner"] or 4 * config["n_embd"]
    walk.vector("wte", config["vocab_size"], width)
    walk.vector("wpe", config["n_positions"], width)
    for layer in range(config["n_layer"]):
        name = f"h.{layer}"
        for norm in ("ln_1", "ln_2"):
            walk.vector(f"{name}.{norm}.weight", width)
            walk.vector(f"{name}.{norm}.bias", width)
        walk.linear(f"{name}.c_attn", width, 3 * width, True, rows, "attn_proj")
        walk.linear(f"{name}.c_proj", width, width, True, rows, "attn_proj")
        dim = width // config["n_head"]
        shape = {"heads": config["n_head"], "key_dim": dim, "value_dim": dim}
        attend(walk, shape, step, None)
        walk.linear(f"{name}.c_fc", width, inner, True, rows, "mlp")
        walk.linear(f"{name}.mlp.c_proj", inner, width, True, rows, "mlp")
    walk.vector("ln_f.weight", width)
    walk.vector("ln_f.bias", width)
    for _ in range(rows):
        walk.add("lm_head", width * config["vocab_size"])
    return walk


def deepseek(config: dict[str, Any], step: dict[str, int], form: str) -> Walk:
    """Latent attention, its latent cached (``latent``) or its keys and values (``expanded``)."""
    walk, batch, new = Walk(), step["batch"], step["new"]
    rows, hidden, heads = batch * new, config["hidden_size"], config["num_attention_heads"]
    nope, rope, value = (
        config[key] for key in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    )
    rank, q_rank, bias = config["kv_lora_rank"], config["q_lora_rank"], config["attention_bias"]
    walk.vector("embed_tokens", config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        name = f"layers.{layer}"
        for norm in ("input", "post", "kv"):
            walk.vector(f"{name}.{norm}", rank if norm == "kv" else hidden)
        if q_rank is None:
            walk.linear(f"{name}.q", hidden, heads * (nope + rope), False, rows, "attn_proj")
        else:
            walk.vector(f"{name}.qn", q_rank)
            walk.linear(f"{name}.qa", hidden, q_rank, bias, rows, "attn_proj")
            walk.linear(f"{name}.qb", q_rank, heads * (nope + rope), False, rows, "attn_proj")
        walk.linear(f"{name}.kva", hidden, rank + rope, bias, rows, "attn_proj")
        expanded = rows if form == "expanded" else batch * (new + step["cached"])
        walk.linear(f"{name}.kvb", rank, heads * (nope + value), False, expanded, "attn_proj")
        walk.linear(f"{name}.o", heads * value, hidden, bias, rows, "attn_proj")
        attend(walk, {"heads": heads, "key_dim": nope + rope, "value_dim": value}, step, None)
        spec = {
            "sparse": lambda index: index >= config["first_k_dense_replace"],
            "experts": config["n_routed_experts"],
            "top_k": config["num_experts_per_tok"],
            "expert_inner": config["moe_intermediate_size"],
            "shared": config["n_shared_experts"] * config["moe_intermediate_size"],
        }
        feed(walk, name, config, rows, spec, layer)
    walk.vector("norm", hidden)
    head_of(walk, config, rows)
    return walk


def causal_pairs(new: int, cached: int, window: int | None, chunk: int | None) -> int:
    """(query, key) pairs under the causal mask, one by one."""
    count = 0
    for query in range(cached, cached + new):
        for key in range(query + 1):
            near = window is None or key > query - window
            same = chunk is None or key // chunk == query // chunk
            count += near and same
    return count
