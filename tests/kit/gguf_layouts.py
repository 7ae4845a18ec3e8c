"""What files of GGUF hold, by architecture, as llama.cpp's src/models/NAME.cpp asks for it
 (``load_arch_tensors``) and conversion/*.py writes it: the sides of each tensor, rows first.

A layout is an architecture of the ``gguf`` library, a model of the catalogue, and lines: ``let``,
numbers that stand for keys of its config.json or a class's default; ``keys``, metadata behind the
architecture's name; ``outside``, tensors in no layer; ``kinds``, the kind of each layer; and the
tensors of each kind, ``all`` being those of every layer. h is the width, L layers, n and kv heads
and key heads of width d, q and k their sums, f the feed-forward, V the words, m and e the width and
the number of experts, s the width of a shared one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np

Shapes = dict[str, tuple[int, ...]]
PARTS = {
    "$attn": "attn_q q,h; attn_k k,h; attn_v k,h; attn_output h,q",
    "$qk": "attn_q_norm d; attn_k_norm d",
    "$norms": "attn_norm h; ffn_norm h",
    "$ffn": "ffn_gate f,h; ffn_up f,h; ffn_down h,f",
    "$exps": "ffn_gate_inp e,h; ffn_gate_exps e,m,h; ffn_up_exps e,m,h; ffn_down_exps e,h,m",
    "$shexp": "ffn_gate_shexp s,h; ffn_up_shexp s,h; ffn_down_shexp h,s",
    "$mla": "attn_kv_a_mqa c+r,h; attn_kv_a_norm c; attn_k_b n,c,p; attn_v_b n,v,c;"
    " attn_output h,n*v",
    "$q_a": "attn_q_a a,h; attn_q_a_norm a; attn_q_b n*(p+r),a",
    "$indexer": "indexer.proj i,h; indexer.attn_k 128,h; indexer.attn_q_b i*128,a;"
    " indexer.k_norm 128; indexer.k_norm.bias 128",
    "$both": "attn_norm h; attn_norm.bias h; ffn_norm h; ffn_norm.bias h",
    "$fused": "attn_qkv q+2*k,h; attn_qkv.bias q+2*k; attn_output h,q; attn_output.bias h",
    "$plain": "ffn_up f,h; ffn_up.bias f; ffn_down h,f; ffn_down.bias h",
    "$delta": "attn_qkv 8192,h; attn_gate 4096,h; ssm_conv1d 8192,4; ssm_dt.bias 32; ssm_a. 32;"
    " ssm_norm 128; ssm_out h,4096",
    "$mamba2": "ssm_in 2*x+2*g*t+w,h; ssm_conv1d x+2*g*t,4; ssm_conv1d.bias x+2*g*t;"
    " ssm_dt.bias w; ssm_a. w; ssm_d. w; ssm_norm x; ssm_out h,x",
    "$ssm": "ssm_in 2*x,h; ssm_conv1d x,4; ssm_conv1d.bias x; ssm_x 2*t+w,x; ssm_dt x,w;"
    " ssm_dt.bias x; ssm_a. x,t; ssm_d. x; ssm_out h,x",
    "$encoder": "$fours; attn_output h,h; attn_output.bias h; $after",
    "$after": "attn_output_norm h; attn_output_norm.bias h; layer_output_norm h;"
    " layer_output_norm.bias h",
    "$fours": "attn_q h,h; attn_q.bias h; attn_k h,h; attn_k.bias h; attn_v h,h; attn_v.bias h",
    "$embed": "token_embd_norm h; token_embd_norm.bias h",
    "$pool1": "attn_compressor_kv d,h; attn_compressor_gate d,h; attn_compressor_ape 128,d;"
    " attn_compressor_norm d",
    "$pool2": "attn_compressor_kv 2*d,h; attn_compressor_gate 2*d,h; attn_compressor_ape 4,2*d;"
    " attn_compressor_norm d",
    "$latents": "attention.kv_lora_rank=c rope.dimension_count=r attention.key_length=c+r"
    " attention.value_length=c attention.key_length_mla=p+r attention.value_length_mla=v"
    " attention.head_count_kv=1",
    "$routed": "expert_count=e expert_used_count=top expert_feed_forward_length=m"
    " leading_dense_block_count=first_k_dense_replace",
    "$deltas": "ssm.conv_kernel=4 ssm.state_size=128 ssm.group_count=16 ssm.time_step_rank=32"
    " ssm.inner_size=4096 full_attention_interval=4",
    "$ssms": "ssm.conv_kernel=4 ssm.state_size=t ssm.inner_size=x ssm.time_step_rank=w",
}
NAMES = {
    "h": "hidden_size n_embd n_embed d_model", "L": "num_hidden_layers n_layer n_layers num_layers",
    "n": "num_attention_heads n_head n_heads num_heads", "kv": "num_key_value_heads",
    "d": "head_dim attention_head_dim d_kv", "V": "vocab_size padded_vocab_size",
    "f": "intermediate_size ffn_hidden_size d_ff n_inner block_ff_dim",
    "m": "moe_intermediate_size", "e": "num_experts n_routed_experts num_local_experts",
    "c": "kv_lora_rank", "r": "qk_rope_head_dim", "p": "qk_nope_head_dim", "v": "v_head_dim",
    "a": "q_lora_rank", "i": "index_n_heads", "top": "num_experts_per_tok",
}  # fmt: skip


def numbers(config: dict[str, Any], let: str) -> dict[str, Any]:
    """The numbers of a layout: what ``let`` says, the configuration's under short names."""
    found = dict(config)
    for short, names in NAMES.items():
        given = [config[name] for name in names.split() if config.get(name) is not None]
        found.update(dict.fromkeys([short] if given else [], given[-1] if given else None))
    for word in let.split():
        name, _, rule = word.partition("=")
        found[name] = eval(rule, {}, found)  # noqa: S307 - the table below
    found.setdefault("kv", found.get("n"))
    if found.get("n") and "d" not in found:
        found["d"] = found["h"] // found["n"]
    found.setdefault("f", 4 * found["h"])
    if found.get("n"):
        found["q"], found["k"] = found["n"] * found["d"], found["kv"] * found["d"]
    return found


def tensors(text: str, found: dict[str, Any], block: str = "") -> Shapes:
    """The sides of the tensors that a line names; ``x.`` is one without an ending."""
    while "$" in text:
        for name in sorted(PARTS, key=len, reverse=True):
            text = text.replace(name, PARTS[name])
    shapes: Shapes = {}
    for word in filter(None, map(str.strip, text.split(";"))):
        name, _, sides = word.partition(" ")
        ends = name.endswith((".bias", ".scale", "."))
        whole = f"{block}{name.removesuffix('.') if ends else f'{name}.weight'}"
        shapes[whole] = tuple(eval(side, {}, found) for side in sides.split(","))  # noqa: S307
    return shapes


def laid_out(config: dict[str, Any], lines: dict[str, Any]) -> tuple[dict[str, Any], Shapes]:
    """The metadata and the tensors of a layout."""
    found = numbers(config, lines.get("let", ""))
    keys: dict[str, Any] = {
        "block_count": found["L"], "embedding_length": found["h"],
        "feed_forward_length": found["f"],
        "context_length": config.get("max_position_embeddings", 4096),
        "attention.head_count": found.get("n") or 0, "attention.head_count_kv": found["kv"],
        "attention.key_length": config.get("head_dim"),
    }  # fmt: skip
    text = lines.get("keys", "")
    for name, part in PARTS.items():
        text = text.replace(name, part) if "=" in part else text
    for word in re.split(r"\s+(?=[\w.]+=(?!=))", text) if text else ():
        name, _, rule = word.partition("=")
        keys[name] = eval(rule, {**found, "min": min, "range": range, "int": int})  # noqa: S307
    shapes = tensors(lines.get("outside", "token_embd V,h; output V,h; output_norm h"), found)
    rule = lines.get("kinds", "['all'] * L")
    kinds = eval(rule, {**found, "range": range, "int": int})  # noqa: S307
    for layer, kind in enumerate(kinds):
        for name in {"all", *kind.split()}:
            shapes |= tensors(lines.get(name, ""), found, f"blk.{layer}.")
    return {key: value for key, value in keys.items() if value is not None}, shapes


def written(
    path: Path, arch: str, keys: dict[str, Any], shapes: Shapes, known: bool = True
) -> Path:
    """The file's header in fp16, and no data behind it but a hole; ``known``: with tensors that the
    library has for the architecture alone."""
    kind = getattr(gguf.MODEL_ARCH, arch, None)
    name = arch if kind is None else gguf.MODEL_ARCH_NAMES[kind]
    known = known and kind is not None
    allowed = {gguf.TENSOR_NAMES[each] for each in (gguf.MODEL_TENSORS[kind] if kind else ())}
    writer = gguf.GGUFWriter(path, name)
    for key, value in keys.items():
        add: Any = writer.add_array if isinstance(value, list) else writer.add_uint32
        add = writer.add_bool if isinstance(value, bool) else add
        add(key if "." in key and key.startswith("xielu") else f"{name}.{key}", value)
    sizes = []
    for tensor, shape in shapes.items():
        generic = tensor.removesuffix(".weight").removesuffix(".bias").removesuffix(".scale")
        if ".blk." in f".{generic}":
            before, _, rest = generic.partition("blk.")
            generic = f"{before}blk.{{bid}}.{rest.partition('.')[2]}"
        assert generic in allowed or not known, tensor
        sizes.append(2 * int(np.prod(shape)))
        writer.add_tensor_info(tensor, shape, np.dtype(np.float16), sizes[-1])  # type: ignore[arg-type]
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    ends = [-(-size // 32) * 32 for size in sizes]
    os.truncate(path, -(-path.stat().st_size // 32) * 32 + sum(ends))
    return path
