"""The format of each matrix of a GGUF file: that of its tensor, and of the rest the commonest."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.model.config.gguf_formats import FILE_TYPES, formats_of
from thermoflop.model.config.gguf_header import GGML_TYPES, Gguf
from thermoflop.model.config.stored_files import StoredTensor


def file(tensors: list[tuple[str, str, int]], **keys: Any) -> Gguf:
    """Names, formats and bytes of tensors."""
    stored = tuple(StoredTensor(name, kind, 1, size) for name, kind, size in tensors)
    return Gguf({f"general.{key}": value for key, value in keys.items()}, {}, stored)


MIXED = [
    ("token_embd.weight", "Q6_K", 150), ("blk.0.attn_q.weight", "Q4_K", 100),
    ("blk.1.attn_q.weight", "Q4_K", 100), ("blk.0.ffn_down.weight", "Q6_K", 40),
    ("enc.blk.0.attn_k.weight", "Q8_0", 9), ("rope_freqs.weight", "F32", 10**6),
]  # fmt: skip


def test_a_matrix_has_its_tensors_format_and_the_rest_the_one_of_most_bytes() -> None:
    """200 bytes of Q4_K, 190 of Q6_K; what is no matrix has no say."""
    found = formats_of(file(MIXED))
    assert found.default is not None
    assert (found.method, found.default.name) == ("q4_k", "q4_k")
    names = {
        ("embed_tokens", "embed_tokens", None): "q6_k", ("attn", "q_proj", 0): "q4_k",
        ("mlp", "down_proj", 0): "q6_k", ("mlp", "down_proj", 1): "q4_k",
    }  # fmt: skip
    for (group, matrix, layer), name in names.items():
        stored = found.format_of(group, matrix, layer)
        assert stored is not None
        assert stored.name == name


@pytest.mark.parametrize(
    "kind", GGML_TYPES.values(), ids=[name for name, _, _ in GGML_TYPES.values()]
)
def test_bits_of_a_format_are_those_of_its_block(kind: tuple[str, int, int]) -> None:
    name, elements, size = kind
    found = formats_of(file([("blk.0.attn_q.weight", name, 1)])).default
    assert found is not None
    assert (found.name, found.bits) == (name.lower(), 8 * size / elements)


def test_a_file_is_called_by_its_type_where_it_states_one() -> None:
    for number, name in FILE_TYPES.items():
        assert formats_of(file(MIXED, file_type=number)).method == name
    assert formats_of(file(MIXED, file_type=10**6)).method == "q4_k"
    assert formats_of(file([])).method == "gguf"


@pytest.mark.parametrize("gated", [True, False])
def test_without_a_gate_the_first_map_is_called_as_one(gated: bool) -> None:
    """Of a file without gates the description may call its first map a gate."""
    gate = [("blk.0.ffn_gate.weight", "Q8_0", 1)] if gated else []
    found = formats_of(file([("blk.0.ffn_up.weight", "Q4_K", 9), *gate]))
    stored = found.format_of("mlp", "gate_proj", 0)
    assert stored is not None
    assert stored.name == ("q8_0" if gated else "q4_k")
