"""The tables of GGUF's readers beside the format's own library, and files that are no models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import thermoflop as tf
from kit.gguf_layouts import laid_out
from kit.gguf_models import LAYOUTS
from thermoflop.base.record import replace
from thermoflop.errors import ThermoflopError, UnknownModel
from thermoflop.model.config import gguf_architectures, gguf_formats
from thermoflop.model.config.catalogue import entry
from thermoflop.model.config.families import FAMILY_NAMES, find_family
from thermoflop.model.config.gguf_header import GGML_TYPES, Gguf
from thermoflop.model.config.gguf_metadata import Metadata
from thermoflop.model.config.gguf_model import config_of
from thermoflop.model.config.stored_files import StoredTensor
from thermoflop.model.load import load_model

# Keys that the library has not yet: llama.cpp's src/llama-arch.cpp, LLM_KV_NAMES.
LATER = {
    "attention.compress_ratios", "attention.output_group_count", "attention.output_lora_rank",
    "hyper_connection.count",
}  # fmt: skip


def keys_of(kind: Any) -> set[str]:
    """All keys behind an architecture's name that the library knows."""
    found = set()
    for value in vars(kind).values():
        found |= keys_of(value) if isinstance(value, type) else {value}
    return {key.removeprefix("{arch}.") for key in found if isinstance(key, str)}


@pytest.mark.parametrize("name", gguf_architectures.NAMES)
def test_every_key_and_tensor_of_the_table_is_one_of_the_library_and_of_the_family(
    name: str,
) -> None:
    found = gguf_architectures.find_architecture(name)
    assert found is not None
    family, keys, present = found
    read = find_family(family)
    assert read is not None
    assert family in FAMILY_NAMES
    assert {*keys.values()} <= keys_of(gguf.Keys) | LATER
    assert {*keys, *present} - {*read.keys, *read.aliases, *read.overriding} <= {
        "shared_intermediate_size",  # of Granite's mixture with a shared expert, another family
        *(("intermediate_size",) if family == "jamba" else ()),
        "first_k_dense_replace",  # becomes words, one a layer
    }
    tensors = set(gguf.TENSOR_NAMES.values())
    for tensor in present.values():
        part = tensor.rpartition(".")[0]
        assert {part, f"blk.{{bid}}.{part}"} & tensors


def test_common_keys_are_those_of_the_library() -> None:
    assert set(gguf_architectures.COMMON.values()) <= keys_of(gguf.Keys)
    common = {
        "hidden_size": gguf.Keys.LLM.EMBEDDING_LENGTH,
        "num_hidden_layers": gguf.Keys.LLM.BLOCK_COUNT,
        "intermediate_size": gguf.Keys.LLM.FEED_FORWARD_LENGTH,
        "num_attention_heads": gguf.Keys.Attention.HEAD_COUNT,
        "num_key_value_heads": gguf.Keys.Attention.HEAD_COUNT_KV,
        "max_position_embeddings": gguf.Keys.LLM.CONTEXT_LENGTH,
        "sliding_window": gguf.Keys.Attention.SLIDING_WINDOW,
        "num_experts_per_tok": gguf.Keys.LLM.EXPERT_USED_COUNT,
    }
    assert {
        key: behind.removeprefix("{arch}.") for key, behind in common.items()
    } == gguf_architectures.COMMON


def test_names_of_architectures_are_the_librarys_or_known_beside_it() -> None:
    beside = {"mistral", "gptoss", "qwen25vl", "glm4moelite"}  # older, and Ollama's own
    later = {"deepseek32", "deepseek4"}
    known = set(gguf.MODEL_ARCH_NAMES.values())
    assert set(gguf_architectures.NAMES) - known == beside | later


def test_types_of_files_are_numbered_as_in_the_library() -> None:
    words = {"ALL_F32": "fp32", "MOSTLY_F16": "fp16", "MOSTLY_MXFP4_MOE": "mxfp4"}
    theirs = {
        int(kind): words.get(kind.name, kind.name.removeprefix("MOSTLY_").lower())
        for kind in gguf.LlamaFileType
        if kind.name not in ("GUESSED", "MOSTLY_Q1_0")  # the last is no format with rates here
    }
    assert theirs == gguf_formats.FILE_TYPES


def test_every_matrix_of_a_file_has_the_format_of_its_tensor() -> None:
    """With one tensor at a time in another format, some matrix has that: none is passed over."""
    gguf_names = {
        name.removeprefix("enc.").removeprefix("dec.").removeprefix("blk.{bid}.")
        for name in gguf.TENSOR_NAMES.values()
    }
    matrices = {**gguf_formats._MATRICES, **gguf_formats._OUTSIDE}
    assert set(matrices) - gguf_names <= {"attn_out"}  # Ollama's gpt-oss
    described = set()
    for layout in LAYOUTS:
        described |= _matrices(layout)
    for tensor, modules in matrices.items():
        if "_mix_" in tensor:
            continue  # RWKV's, which test_gguf_architectures.py holds to its layer
        wanted = {module.rpartition(".")[2] for module in modules.split()}
        assert wanted & described or tensor in ("attn_k_b", "attn_out"), tensor


def _matrices(layout: str) -> set[str]:
    """What modules a model's matrices are called, without where they lie."""
    from thermoflop.model.architecture.module_names import names_of
    from thermoflop.model.architecture.parts import Linear, Table

    described = load_model(layout.split()[1]).description
    found: set[str] = set()
    for inside in (True, False):
        for _, part in described.parts():
            if isinstance(part, Linear | Table):
                names = names_of("decoder", part.group, part.name, inside)
                found |= {name.rpartition(".")[2] for name in names}
    return found


def file_of(path: Path, arch: str, kind: str = "", **keys: Any) -> Path:
    writer = gguf.GGUFWriter(path, arch)
    if kind:
        writer.add_type(kind)
    for key, value in keys.items():
        writer.add_string(key, value)
    writer.add_tensor("a.weight", np.zeros((4, 8), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("arch", "kind", "said"),
    [
        ("llama", "adapter", r"an adapter \(LoRA\), which is added to a model"),
        ("clip", "mmproj", "what sees or hears for a model"),
        ("clip", "", "what sees or hears for a model"),
        ("none", "imatrix", "an importance matrix, by which a model is quantized"),
        ("eagle3", "", "a draft that works with its model alone"),
    ],
)
def test_a_file_that_is_no_model_is_named(tmp_path: Path, arch: str, kind: str, said: str) -> None:
    path = file_of(tmp_path / "x.gguf", arch, kind)
    with pytest.raises(UnknownModel, match=rf"{said}.*: 32 numbers in 64 B; expected the model's"):
        tf.load_model(path)


def test_a_projector_beside_a_model_does_not_hide_it(tmp_path: Path) -> None:
    """The folder that Hugging Face's downloads make: the model, and what sees for it."""
    file_of(tmp_path / "mmproj-F16.gguf", "clip")
    file_of(tmp_path / "tiny.gguf", "plamo")
    with pytest.raises(UnknownModel, match="'plamo' is not read"):
        tf.load_model(tmp_path)


@pytest.mark.parametrize(("kind", "said"), [(36, "llama.cpp has taken out"), (139, "is a fork's")])
def test_a_type_of_tensors_that_is_not_read_says_whose_it_is(
    tmp_path: Path, kind: int, said: str
) -> None:
    path = file_of(tmp_path / "x.gguf", "llama")
    data = path.read_bytes()
    at = data.index(b"a.weight") + len(b"a.weight") + 4 + 2 * 8
    path.write_bytes(data[:at] + kind.to_bytes(4, "little") + data[at + 4 :])
    assert kind not in GGML_TYPES
    with pytest.raises(ThermoflopError, match=f"tensor 'a.weight' has type {kind}, which {said}"):
        tf.load_model(path)


WRONG = ("x", [], 2**63, 0, 1.5, [0, 1], True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_wrong_value_of_any_key_is_a_sentence_or_another_model(layout: str) -> None:
    found = entry(layout.split()[1])
    assert found is not None
    config = {**found["config"], **found["config"].get("text_config", {}), "list_of": list}
    keys, _ = laid_out(config, LAYOUTS[layout])
    kind = getattr(gguf.MODEL_ARCH, layout.split()[0], None)
    name = layout.split()[0] if kind is None else gguf.MODEL_ARCH_NAMES[kind]
    for number, key in enumerate([*keys, "block_count"]):
        changed = {**keys, key: WRONG[number % len(WRONG)], "vocab_size": 96}
        stated = {f"{name}.{each}": value for each, value in changed.items()}
        try:
            config_of(Metadata(Gguf(stated, {}, ()), "x.gguf", name))
        except ThermoflopError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_general_keys_of_another_kind_are_passed_over(tmp_path: Path) -> None:
    """A list where a word or a number is expected is neither a type of file nor a format."""
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "plamo")
    writer.add_array("general.type", [1, 2])
    writer.add_tensor("token_embd.weight", np.zeros((4, 8), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnknownModel, match="'plamo' is not read"):
        tf.load_model(tmp_path / "x.gguf")
    assert gguf_formats.formats_of(Gguf({"general.file_type": [1, 2]}, {}, ())).method == "gguf"


def test_experts_that_lie_one_by_one_have_the_format_of_the_first() -> None:
    """Mixtral's files of early 2024: ``blk.0.ffn_gate.0.weight`` to ``.7``."""
    tensors = tuple(
        StoredTensor(f"blk.0.{name}.{expert}.weight", "Q4_K", 256, 144, (256, 1))
        for name in ("ffn_gate", "ffn_up", "ffn_down")
        for expert in range(8)
    )
    found = gguf_formats.formats_of(Gguf({}, {}, tensors))
    for matrix in ("expert gate", "expert up", "expert down"):
        stored = replace(found, default=None).format_of("experts", matrix, 0)
        assert stored is not None
        assert (stored.name, stored.bits) == ("q4_k", 8 * 144 / 256)


def test_the_width_of_experts_may_be_that_of_the_feed_forward() -> None:
    """As Ollama writes gpt-oss."""
    keys = {
        "gptoss.block_count": 1, "gptoss.embedding_length": 64, "gptoss.attention.head_count": 2,
        "gptoss.feed_forward_length": 96, "gptoss.vocab_size": 10, "gptoss.expert_count": 4,
    }  # fmt: skip
    data = Metadata(Gguf(keys, {}, ()), "x.gguf", "gptoss")
    assert config_of(data)["intermediate_size"] == 96
    stated = {**keys, "gptoss.expert_feed_forward_length": 32}
    data = Metadata(Gguf(stated, {}, ()), "x.gguf", "gptoss")
    assert config_of(data)["intermediate_size"] == 32
