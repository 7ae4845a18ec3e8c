"""The matrices of a layer as a model's own class makes them, beside which PEFT puts adapters.

Operators count queries, keys and values as a matrix each, and the inputs of a gated delta rule as
two. GPT-2's class makes one matrix of the first three (``c_attn``), Phi-3's one of gate and up too,
Qwen3.5's two of each of the last (modeling files of transformers 5.24.0; the repositories' own of
ChatGLM, InternLM2 and Qwen). An adapter beside one matrix has one A where those beside three have
three: beside Phi-3 mini 16 % fewer parameters.
"""

from __future__ import annotations

from collections.abc import Iterable

from thermoflop.base.record import replace
from thermoflop.model.architecture.description import Layer
from thermoflop.model.architecture.parts import Linear

_QKV = ("qkv_proj", ("q_proj", "k_proj", "v_proj"))
_GATED = ("gate_up_proj", ("gate_proj", "up_proj"))
# By family, what its class makes one of.
_MERGED = {
    **dict.fromkeys(("phi3", "phi4_multimodal", "chatglm", "modernbert"), (_QKV, _GATED)),
    **dict.fromkeys(("glm", "glm4"), (_GATED,)),
    **dict.fromkeys(
        ("gpt2", "gpt_bigcode", "gpt_neox", "falcon", "bloom", "mpt", "dbrx", "codegen",
         "persimmon", "qwen", "internlm2"),
        (_QKV,),
    ),
}  # fmt: skip
# Families whose class makes several of what is counted as one.
_DIVIDED = ("qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text")
# What people call those that are made of several.
GROUPS = {
    **dict.fromkeys(("qkv_proj", "qkv", "c_attn", "query_key_value", "wqkv"), "q,k,v"),
    **dict.fromkeys(("gate_up_proj", "gate_up"), "gate,up"),
}


def apart(family: str, layer: Layer) -> list[Linear]:
    """The matrices of a layer but routers, each that the class makes alone by itself."""
    linears = [part for part in layer.parts() if isinstance(part, Linear) and not part.unquantized]
    if family not in _DIVIDED:
        return linears
    inner = next((part.inputs for part in linears if part.name == "out_proj"), 0)
    return [each for part in linears for each in _divided(part, inner)]


def _divided(part: Linear, inner: float) -> tuple[Linear, ...]:
    """Queries, keys and values apart from their gate, and one rate from the other."""
    if part.name == "in_proj_qkvz":
        return (
            replace(part, name="in_proj_qkv", outputs=part.outputs - inner),
            replace(part, name="in_proj_z", outputs=inner),
        )
    if part.name == "in_proj_ba":
        half = part.outputs // 2
        return tuple(replace(part, name=name, outputs=half) for name in ("in_proj_b", "in_proj_a"))
    return (part,)


def together(family: str, linears: Iterable[Linear]) -> list[Linear]:
    """The same, where the class makes one of several and all of these are among them."""
    made = list(linears)
    for name, alone in _MERGED.get(family, ()):
        of = [part for part in made if part.name in alone]
        if len(of) == len(alone):
            one = replace(of[0], name=name, outputs=sum(part.outputs for part in of))
            at = made.index(of[0])
            made = [part for part in made if part.name not in alone]
            made.insert(at, one)
    return made
