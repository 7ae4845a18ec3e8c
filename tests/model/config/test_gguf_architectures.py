"""GGUF files of the catalogue's own models, as convert_hf_to_gguf.py writes them: names by the
``gguf`` library, sizes by the published config.json; the file says the same model as that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import thermoflop as tf
from kit.gguf_layouts import Shapes, written
from thermoflop.cost.training.train import text_of
from thermoflop.errors import UnknownModel
from thermoflop.model.config import gguf_formats
from thermoflop.model.config.catalogue import entry


def config(name: str) -> dict[str, Any]:
    found = entry(name)
    assert found is not None
    whole: dict[str, Any] = found["config"]
    # what Gemma3TextConfig and Gemma3Config have where a file says nothing
    gemma = {"vocab_size": 262_208, "max_position_embeddings": 131_072}
    return {**gemma, **whole, **whole.get("text_config", {})}


def sizes(c: dict[str, Any]) -> dict[str, Any]:
    """What the converter writes of every decoder."""
    return {
        "block_count": c["num_hidden_layers"], "context_length": c["max_position_embeddings"],
        "embedding_length": c["hidden_size"], "feed_forward_length": c["intermediate_size"],
        "attention.head_count": c["num_attention_heads"],
        "attention.head_count_kv": c["num_key_value_heads"],
        **({"attention.key_length": c["head_dim"]} if "head_dim" in c else {}),
    }  # fmt: skip


def attention(c: dict[str, Any], *, bias: str = "", norms: str = "", fused: bool = False) -> Shapes:
    """Projections of attention: ``bias`` names those that have one; norms of a head, or all."""
    h, heads, kv = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
    d = c.get("head_dim") or h // heads
    rows = {"q": heads * d, "k": kv * d, "v": kv * d}
    found: Shapes = {f"attn_{name}.weight": (size, h) for name, size in rows.items()}
    if fused:
        found = {"attn_qkv.weight": (sum(rows.values()), h)}
    found |= {f"attn_{name}.bias": (rows[name],) for name in bias if name in rows}
    if norms:
        widths = rows if norms == "all" else dict.fromkeys(rows, d)
        found |= {f"attn_{name}_norm.weight": (widths[name],) for name in "qk"}
    found["attn_output.weight"] = (h, heads * d)
    return found | ({"attn_output.bias": (h,)} if "o" in bias else {})


def feed(
    c: dict[str, Any], *, gate: bool = True, fused: bool = False, bias: bool = False
) -> Shapes:
    h, f = c["hidden_size"], c["intermediate_size"]
    found: Shapes = {"ffn_down.weight": (h, f), "ffn_up.weight": (2 * f if fused else f, h)}
    found |= {"ffn_gate.weight": (f, h)} if gate else {}
    return found | ({"ffn_down.bias": (h,), "ffn_up.bias": (f,)} if bias else {})


def experts(h: int, f: int, count: int, shared: int = 0, *, bias: bool = False) -> Shapes:
    found: Shapes = {"ffn_gate_inp.weight": (count, h), "ffn_down_exps.weight": (count, h, f)}
    found |= {f"ffn_{name}_exps.weight": (count, f, h) for name in ("gate", "up")}
    if bias:
        found |= {f"ffn_{name}_exps.bias": (count, f) for name in ("gate", "up")}
        found |= {"ffn_down_exps.bias": (count, h), "ffn_gate_inp.bias": (count,)}
    if shared:
        found |= {f"ffn_{name}_shexp.weight": (shared, h) for name in ("gate", "up")}
        found["ffn_down_shexp.weight"] = (h, shared)
    return found


def norms(c: dict[str, Any], *names: str, bias: bool = False) -> Shapes:
    kinds = ("weight", "bias") if bias else ("weight",)
    return {f"{name}.{kind}": (c["hidden_size"],) for name in names for kind in kinds}


PRE = ("attn_norm", "ffn_norm")
POST = ("post_attention_norm", "post_ffw_norm")


def layers(name: str, c: dict[str, Any]) -> list[Shapes]:
    """The tensors of each layer of a model."""
    h, count = c["hidden_size"], c["num_hidden_layers"]
    if name.startswith("gemma-3"):
        one = attention(c, norms="head") | feed(c) | norms(c, *PRE, *POST)
    elif name.startswith("phi"):
        one = attention(c, fused=True) | feed(c, gate=False, fused=True) | norms(c, *PRE)
    elif name == "gpt-oss-20b":
        one = attention(c, bias="qkvo") | {"attn_sinks.weight": (c["num_attention_heads"],)}
        one |= experts(h, c["intermediate_size"], 32, bias=True)
        one |= norms(c, "attn_norm", "post_attention_norm")
    elif name == "qwen1.5-moe-a2.7b":
        one = attention(c, bias="qkv") | norms(c, *PRE) | {"ffn_gate_inp_shexp.weight": (1, h)}
        one |= experts(h, c["moe_intermediate_size"], 60, c["shared_expert_intermediate_size"])
    elif name == "command-r-v01":
        one = attention(c) | feed(c) | norms(c, "attn_norm")
    elif name == "olmo-2-7b":
        one = attention(c, norms="all") | feed(c) | norms(c, *POST)
    elif name == "olmoe-1b-7b":
        one = attention(c, norms="all") | experts(h, 1024, 64) | norms(c, *PRE)
    elif name == "glm-4-9b-0414":
        one = attention(c, bias="qkv") | feed(c, gate=False, fused=True) | norms(c, *PRE, *POST)
    elif name == "glm-4.5-air":
        shared = c["moe_intermediate_size"]
        sparse = experts(h, shared, 128, shared) | {"exp_probs_b.bias": (128,)}
        block = attention(c, bias="qkv") | norms(c, "attn_norm", "post_attention_norm")
        return [block | feed(c), *[block | sparse] * (count - 1)]
    elif name == "starcoder2-3b":
        one = attention(c, bias="qkvo") | feed(c, gate=False, bias=True) | norms(c, *PRE, bias=True)
    elif name == "llama-4-scout-text":
        one = attention(c) | experts(h, 8192, 16, 8192) | norms(c, *PRE)
    else:
        bias = {"qwen2.5-7b": "qkv"}.get(name, "")
        has_norms = name.startswith(("qwen3", "hunyuan"))
        one = attention(c, bias=bias, norms="head" if has_norms else "") | feed(c) | norms(c, *PRE)
    return [one] * count


# architecture, model of the catalogue, whether the head is its own, keys besides
MODELS: tuple[tuple[str, str, bool, dict[str, int]], ...] = (
    ("GEMMA3", "gemma-3-27b", False, {"attention.sliding_window": 1024}),
    ("GEMMA3", "gemma-3-1b", False, {"attention.sliding_window": 512}),
    ("PHI3", "phi-3-mini-4k", True, {"attention.sliding_window": 2047}),
    ("PHI3", "phi-4", True, {"attention.sliding_window": 0}),
    ("GPT_OSS", "gpt-oss-20b", True, {
        "expert_count": 32, "expert_used_count": 4, "expert_feed_forward_length": 2880,
        "attention.sliding_window": 128}),
    ("QWEN2MOE", "qwen1.5-moe-a2.7b", True, {
        "expert_count": 60, "expert_used_count": 4, "expert_feed_forward_length": 1408,
        "expert_shared_feed_forward_length": 5632}),
    ("COMMAND_R", "command-r-v01", False, {}),
    ("OLMO2", "olmo-2-7b", True, {}),
    ("OLMOE", "olmoe-1b-7b", True, {"expert_count": 64, "expert_used_count": 8}),
    ("GRANITE", "granite-3.0-8b", False, {}),
    ("GLM4", "glm-4-9b-0414", True, {}),
    ("GLM4_MOE", "glm-4.5-air", True, {
        "expert_count": 128, "expert_used_count": 8, "expert_shared_count": 1,
        "expert_feed_forward_length": 1408, "leading_dense_block_count": 1}),
    ("STARCODER2", "starcoder2-3b", False, {"attention.sliding_window": 4096}),
    ("SMOLLM3", "smollm3-3b", False, {}),
    ("HUNYUAN_DENSE", "hunyuan-7b", False, {}),
    ("LLAMA", "llama-3.1-8b", True, {}),
    ("MISTRAL3", "ministral-8b-2410", True, {}),
    ("MISTRAL3", "mistral-small-3.1-24b", True, {}),
    ("LLAMA4", "llama-4-scout-text", True, {
        "expert_count": 16, "expert_used_count": 1, "expert_feed_forward_length": 8192,
        "interleave_moe_layer_step": 1, "feed_forward_length": 16384}),
    ("QWEN2", "qwen2.5-7b", True, {}),
    ("QWEN3VL", "qwen3-vl-8b", True, {}),
)  # fmt: skip


@pytest.mark.parametrize(("arch", "name", "head", "more"), MODELS)
def test_a_file_says_the_model_of_its_configuration(
    tmp_path: Path, arch: str, name: str, head: bool, more: dict[str, int]
) -> None:
    """Parameters, and the bytes of a cache and of weights, are those of the config.json."""
    published = text_of(tf.load_model(name))
    c = config(name)
    table = (c["vocab_size"], c["hidden_size"])
    shapes: Shapes = {"token_embd.weight": table} | norms(
        c, "output_norm", bias=name == "starcoder2-3b"
    )
    shapes |= {"output.weight": table} if head else {}
    for number, layer in enumerate(layers(name, c)):
        shapes |= {f"blk.{number}.{tensor}": shape for tensor, shape in layer.items()}
    path = written(tmp_path / "m.gguf", arch, {**sizes(c), **more}, shapes)
    found = tf.load_model(path)
    assert found.params == published.params
    elements = sum(int(np.prod(shape)) for shape in shapes.values())
    assert found.stored is not None
    buffers = 128 * 45 if name == "glm-4.5-air" else 0  # a correction bias is no parameter
    assert found.stored.size_bytes == 2 * elements == 2 * (published.params + buffers)
    options: dict[str, Any] = {"prompt": 3000, "generate": 100}
    mine, theirs = (
        tf.fit(model, "h200", dtype=dtype, kv_dtype="fp16", **options).memory
        for model, dtype in ((found, None), (published, "fp16"))
    )
    assert mine.kv_bytes == theirs.kv_bytes
    assert mine.weight_bytes == pytest.approx(theirs.weight_bytes, rel=1e-6)


def test_an_architecture_that_is_not_read_is_weighed_all_the_same(tmp_path: Path) -> None:
    path = written(tmp_path / "m.gguf", "PLAMO", {"block_count": 1}, {"token_embd.weight": (7, 64)})
    with pytest.raises(UnknownModel, match=r"'plamo' is not read.*: 448 numbers in 896 B; expe"):
        tf.load_model(path)


def test_a_file_of_rwkv_7_says_its_model(tmp_path: Path) -> None:
    """rwkv7-0.1B as convert_hf_to_gguf.py writes it: of the first layer copies of its rates stand
    where others take a share of its values; the file has no heads."""
    h, f, w, a, v, g = 768, 3072, 64, 64, 32, 128
    vectors = ("w0", "a0", "v0", "k_k", "k_a", "r_k", "ln")
    layer: Shapes = {f"time_mix_{name}.weight": (h,) for name in vectors}
    layer |= {
        f"time_mix_{name}.weight": (h, h) for name in ("key", "value", "receptance", "output")
    }
    for name, rank in (("w", w), ("a", a), ("v", v), ("g", g)):
        layer |= {f"time_mix_{name}1.weight": (rank, h), f"time_mix_{name}2.weight": (h, rank)}
    layer |= {f"{name}.{kind}": (h,) for name in ("attn_norm", "attn_norm_2")
              for kind in ("weight", "bias")}  # fmt: skip
    layer |= {"time_mix_ln.bias": (h,), "time_mix_lerp_fused.weight": (6, h),
              "channel_mix_lerp_k.weight": (h,), "channel_mix_key.weight": (f, h),
              "channel_mix_value.weight": (h, f)}  # fmt: skip
    shapes: Shapes = {"token_embd.weight": (65536, h), "output.weight": (65536, h)}
    shapes |= {f"{name}.{kind}": (h,) for name in ("token_embd_norm", "output_norm")
               for kind in ("weight", "bias")}  # fmt: skip
    for number in range(12):
        shapes |= {f"blk.{number}.{tensor}": shape for tensor, shape in layer.items()}
    shapes |= {"blk.0.time_mix_v1.weight": (a, h), "blk.0.time_mix_v2.weight": (h, a)}
    keys = {
        "block_count": 12, "embedding_length": h, "feed_forward_length": f, "context_length": 2**20,
        "attention.head_count": 0, "wkv.head_size": 64, "attention.decay_lora_rank": w,
        "attention.iclr_lora_rank": a, "attention.value_residual_mix_lora_rank": v,
        "attention.gate_lora_rank": g,
    }  # fmt: skip
    found = tf.load_model(written(tmp_path / "m.gguf", "RWKV7", keys, shapes))
    assert found.params == 191_034_624
    assert not any("tensors hold" in note for note in found.notes)
    assert found.stored is not None
    assert found.stored.size_bytes == 2 * (191_034_624 + 2 * a * h + h)
    later = max(found.description.runs, key=lambda run: run.times).layer
    maps = {each for each, shape in layer.items() if len(shape) == 2 and "lerp" not in each}
    named = {gguf_formats._MATRICES[each.removesuffix(".weight")] for each in maps}
    mixing = {f"linear_attn.{each.name}" for each in later.mixer.linears()}
    assert named == {*mixing, "mlp.up_proj", "mlp.down_proj"}
