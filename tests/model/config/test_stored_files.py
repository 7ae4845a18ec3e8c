"""Weights in safetensors and GGUF by their headers: written with the formats' own libraries, read
without them; hostile headers get one sentence."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import thermoflop as tf
from safetensors.numpy import save_file
from thermoflop.errors import InputError, ThermoflopError, UnknownModel
from thermoflop.model.config.gguf_header import GGML_TYPES
from thermoflop.model.config.safetensors_header import read_header

TYPES = gguf.GGMLQuantizationType
LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96,
}  # fmt: skip


def tensors(dtype: Any = np.float16) -> dict[str, Any]:
    """The tensors of ``LLAMA`` as transformers names them."""
    shapes = {"model.embed_tokens": (96, 64), "lm_head": (96, 64), "model.norm": (64,)}
    for layer in range(2):
        at = f"model.layers.{layer}"
        shapes |= {
            f"{at}.{name}": (64,) for name in ("input_layernorm", "post_attention_layernorm")
        }
        shapes |= {f"{at}.self_attn.{name}_proj": (64, 64) for name in "qo"}
        shapes |= {f"{at}.self_attn.{name}_proj": (32, 64) for name in "kv"}
        shapes |= {f"{at}.mlp.{name}_proj": (128, 64) for name in ("gate", "up")}
        shapes[f"{at}.mlp.down_proj"] = (64, 128)
    return {f"{name}.weight": np.zeros(shape, dtype) for name, shape in shapes.items()}


def folder(path: Path, parts: list[dict[str, Any]], config: dict[str, Any]) -> Path:
    """A published folder: config.json, an index where there are several files, the files."""
    (path / "config.json").write_text(json.dumps(config))
    names = ["model.safetensors"]
    if len(parts) > 1:
        names = [f"model-{n + 1:05}-of-{len(parts):05}.safetensors" for n in range(len(parts))]
        where = {key: name for name, part in zip(names, parts, strict=True) for key in part}
        index = {"metadata": {}, "weight_map": where}
        (path / "model.safetensors.index.json").write_text(json.dumps(index))
    for name, part in zip(names, parts, strict=True):
        save_file(part, path / name)
    return path


@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize(("dtype", "width"), [(np.float16, 2), (np.float32, 4)])
def test_safetensors_are_weighed_by_their_headers(
    tmp_path: Path, files: int, dtype: Any, width: int
) -> None:
    whole = tensors(dtype)
    keys = sorted(whole)
    parts = [{key: whole[key] for key in keys[n::files]} for n in range(files)]
    model = tf.load_model(folder(tmp_path, parts, LLAMA))
    elements = sum(array.size for array in whole.values())
    assert model.params == elements
    assert tf.fit(model, "h100").memory.weight_bytes == elements * width
    assert any(f"{elements * width:,} B from {files} file" in note for note in model.notes)
    assert tf.fit(model, "h100", dtype="bf16").memory.weight_bytes == elements * 2


def test_a_quantized_folder_is_as_large_as_its_files(tmp_path: Path) -> None:
    """The config says in what format each matrix is; the files how many bytes it all takes."""
    whole = {
        name: array.astype(np.int8) if "_proj" in name else array
        for name, array in tensors().items()
    }
    whole["model.layers.0.self_attn.q_proj.scales"] = np.zeros((8, 3), np.float32)
    config = {**LLAMA, "quantization_config": {"quant_method": "eetq"}}
    model = tf.load_model(folder(tmp_path, [whole], config))
    size = sum(array.nbytes for array in whole.values())
    capacity = tf.fit(model, "h100")
    assert capacity.memory.weight_bytes == pytest.approx(size)
    assert capacity.precision.label == "int8-wo as stored"


def test_files_that_are_not_all_there_do_not_count(tmp_path: Path) -> None:
    parts = [{key: value} for key, value in tensors().items()][:2]
    folder(tmp_path, parts, LLAMA)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    model = tf.load_model(tmp_path)
    assert model.stored is None
    assert any("1 of the 2 files" in note for note in model.notes)


def test_files_of_another_model_do_not_count(tmp_path: Path) -> None:
    """A configuration of two layers beside the weights of one tensor: counted as configured."""
    model = tf.load_model(folder(tmp_path, [{"x": np.zeros(8, np.float32)}], LLAMA))
    capacity = tf.fit(model, "h100")
    assert capacity.memory.weight_bytes == 4 * model.params
    assert "the files hold 32 B, which are not those of this model" in str(capacity)


def header(text: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text + data


ONE = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
SAFETENSORS = {
    "empty": b"",
    "no length": b"\0" * 7,
    "2**63 bytes of header": header(b"{}", length=2**63),
    "a header beyond the file": header(b"{}", length=3),
    "no JSON": header(b"{]"),
    "a list": header(b"[]"),
    "not UTF-8": header(b'{"\xff":1}'),
    "nested": header(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "no tensor": header(b'{"a":1}'),
    "unknown dtype": header(ONE.replace(b"F32", b"F31") + b"}", b"\0" * 8),
    "negative shape": header(ONE.replace(b"[2]", b"[-2]") + b"}", b"\0" * 8),
    "huge shape": header(ONE.replace(b"[2]", b"[9223372036854775807,4]") + b"}", b"\0" * 8),
    "2**63 offsets": header(ONE.replace(b"[0,8]", b"[9223372036854775808,9]") + b"}", b"\0" * 8),
    "wrong size": header(ONE.replace(b"[0,8]", b"[0,7]") + b"}", b"\0" * 7),
    "twice": header(ONE + b"," + ONE[1:] + b"}", b"\0" * 8),
    "overlap": header(ONE + b',"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', b"\0" * 8),
    "hole": header(ONE.replace(b"[0,8]", b"[4,12]") + b"}", b"\0" * 12),
    "truncated": header(ONE + b"}", b"\0" * 4),
    "more data": header(ONE + b"}", b"\0" * 9),
}


@pytest.mark.parametrize("case", SAFETENSORS)
def test_a_hostile_safetensors_gets_one_sentence(tmp_path: Path, case: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(SAFETENSORS[case])
    with pytest.raises(InputError) as caught:
        read_header(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    folder(tmp_path, [tensors(), {"x": np.zeros(2)}], LLAMA)
    save_file(tensors(), tmp_path / "model-00002-of-00002.safetensors")
    with pytest.raises(InputError, match="as another file does"):
        tf.load_model(tmp_path)


def test_an_index_leads_nowhere_else(tmp_path: Path) -> None:
    folder(tmp_path, [tensors()], LLAMA)
    for name in ("../x.safetensors", "/etc/x.safetensors", "x", 3):
        index = {"weight_map": {"a": name}}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(InputError, match="expected a file beside it"):
            tf.load_model(tmp_path)


# --- GGUF ---------------------------------------------------------------------------------------


def write(
    path: Path,
    arch: str,
    shapes: dict[str, tuple[int, ...]],
    keys: dict[str, Any],
    kind: Any = TYPES.Q4_K,
    outside: Any = TYPES.Q6_K,
) -> Path:
    """A GGUF file by the ``gguf`` library, matrices in ``kind``, vectors in fp32."""
    writer = gguf.GGUFWriter(path, arch)
    for key, value in keys.items():
        add = writer.add_float32 if isinstance(value, float) else writer.add_uint32
        (add if not isinstance(value, list) else writer.add_array)(f"{arch}.{key}", value)
    writer.add_token_list([f"token {n}" for n in range(300)])
    for name, shape in shapes.items():
        form = TYPES.F32 if len(shape) == 1 or "gate_inp" in name else kind
        form = outside if name in ("token_embd.weight", "output.weight") else form
        block, size = gguf.GGML_QUANT_SIZES[form]
        sides = (*shape[:-1], shape[-1] // block * size)
        plain = form == TYPES.F32
        array = np.zeros(shape if plain else sides, np.float32 if plain else np.uint8)
        writer.add_tensor(name, array, raw_dtype=None if plain else form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


H, F, V = 512, 1024, 300
SIZES: dict[str, Any] = {
    "block_count": 2, "context_length": 4096, "embedding_length": H, "feed_forward_length": F,
    "attention.head_count": 8, "attention.head_count_kv": 2, "rope.freq_base": 10000.0,
}  # fmt: skip


def dense(more: dict[str, tuple[int, ...]] | None = None) -> dict[str, tuple[int, ...]]:
    """The tensors of a llama of two layers; ``more`` are those of each layer besides."""
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (V, H), "output.weight": (V, H), "output_norm.weight": (H,),
    }  # fmt: skip
    layer = {
        "attn_q.weight": (H, H), "attn_k.weight": (H // 4, H), "attn_v.weight": (H // 4, H),
        "attn_output.weight": (H, H), "attn_norm.weight": (H,), "ffn_norm.weight": (H,),
        "ffn_gate.weight": (F, H), "ffn_up.weight": (F, H), "ffn_down.weight": (H, F),
        **(more or {}),
    }  # fmt: skip
    return shapes | {f"blk.{n}.{name}": shape for n in range(2) for name, shape in layer.items()}


def without(shapes: dict[str, tuple[int, ...]], *parts: str) -> dict[str, tuple[int, ...]]:
    return {
        name: shape for name, shape in shapes.items() if not any(part in name for part in parts)
    }


EXPERTS = {
    "ffn_gate_inp.weight": (4, H), "ffn_gate_exps.weight": (4, 256, H),
    "ffn_up_exps.weight": (4, 256, H), "ffn_down_exps.weight": (4, H, 256),
}  # fmt: skip
QK = {"attn_q_norm.weight": (64,), "attn_k_norm.weight": (64,)}
BIASES = {"attn_q.bias": (H,), "attn_k.bias": (H // 4,), "attn_v.bias": (H // 4,)}
ROUTED = {"expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 256}
MIXTRAL = {name: (4, *shape[1:]) for name, shape in EXPERTS.items() if "inp" in name} | {
    "ffn_gate_exps.weight": (4, F, H), "ffn_up_exps.weight": (4, F, H),
    "ffn_down_exps.weight": (4, H, F),
}  # fmt: skip
MLA = {
    "attn_q_a.weight": (256, H), "attn_q_a_norm.weight": (256,), "attn_q_b.weight": (8 * 96, 256),
    "attn_kv_a_mqa.weight": (256 + 32, H), "attn_kv_a_norm.weight": (256,),
    "attn_kv_b.weight": (8 * 128, 256), "attn_output.weight": (H, 8 * 64),
}  # fmt: skip
DEEPSEEK = {
    "attention.q_lora_rank": 256, "attention.kv_lora_rank": 256, "attention.key_length": 96,
    "attention.value_length": 64, "rope.dimension_count": 32, "leading_dense_block_count": 1,
    "expert_shared_count": 1, **ROUTED,
}  # fmt: skip
_FEEDS = ("ffn_gate.", "ffn_up.", "ffn_down.")


def deepseek() -> dict[str, tuple[int, ...]]:
    """A dense layer and one of experts, attention by a latent."""
    shapes = without(dense(MLA), "attn_q.", "attn_k.", "attn_v.")
    shapes = {name: shape for name, shape in shapes.items()
              if not name.startswith(tuple(f"blk.1.{feed}" for feed in _FEEDS))}  # fmt: skip
    shared = {"ffn_gate_shexp.weight": (256, H), "ffn_up_shexp.weight": (256, H),
              "ffn_down_shexp.weight": (H, 256)}  # fmt: skip
    return shapes | {f"blk.1.{name}": shape for name, shape in (EXPERTS | shared).items()}


CASES: dict[str, tuple[str, dict[str, tuple[int, ...]], dict[str, Any], str]] = {
    "llama": ("llama", dense(), {}, "llama"),
    "llama, tied": ("llama", without(dense(), "output.w") | {f"blk.{n}.attn_output.weight": (H, H)
                    for n in range(2)}, {}, "llama"),
    "mixtral": ("llama", without(dense(MIXTRAL), *_FEEDS),
                {"expert_count": 4, "expert_used_count": 2}, "mixtral"),
    "qwen2": ("qwen2", dense(BIASES), {}, "qwen2"),
    "qwen3": ("qwen3", dense(QK), {"attention.key_length": 64}, "qwen3"),
    "qwen3moe": ("qwen3moe", without(dense(EXPERTS | QK), *_FEEDS),
                 {"attention.key_length": 64, **ROUTED}, "qwen3_moe"),
    "gemma2": ("gemma2", without(dense({"post_attention_norm.weight": (H,),
               "post_ffw_norm.weight": (H,)}), "output.w") | {f"blk.{n}.attn_output.weight": (H, H)
               for n in range(2)}, {"attention.key_length": 64, "attention.sliding_window": 4096},
               "gemma2"),
    "deepseek2": ("deepseek2", deepseek(), DEEPSEEK, "deepseek_v2"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_gguf_is_the_model_of_its_metadata_to_the_byte(tmp_path: Path, case: str) -> None:
    """Parameters are the tensors' elements, and each matrix has the bytes that its type takes."""
    arch, shapes, keys, family = CASES[case]
    path = write(tmp_path / "m.gguf", arch, shapes, {**SIZES, **keys})
    model = tf.load_model(path)
    elements = sum(int(np.prod(shape)) for shape in shapes.values())
    assert (model.family, model.params, model.max_positions) == (family, elements, 4096)
    assert model.stored is not None
    expected = 0
    for name, shape in shapes.items():
        wide = len(shape) == 1 or "gate_inp" in name
        outside = name in ("token_embd.weight", "output.weight")
        block, size = (1, 4) if wide else (256, 210) if outside else (256, 144)
        expected += int(np.prod(shape)) // block * size
    assert model.stored.size_bytes == expected
    from thermoflop.cost.work.weights import stored_checkpoint

    assert stored_checkpoint(model, model.quantization).factor == pytest.approx(1, rel=1e-9)
    assert tf.estimate(model, "rtx-4090").memory.weight_bytes == pytest.approx(expected, rel=1e-9)


def test_every_type_of_ggml_has_the_block_of_its_library() -> None:
    """But Q8_1, which no file has: ggml-common.h says 36 bytes, the library 40."""
    theirs = {int(kind): gguf.GGML_QUANT_SIZES[kind] for kind in TYPES if kind != TYPES.Q8_1}
    assert {kind: each[1:] for kind, each in GGML_TYPES.items() if kind != TYPES.Q8_1} == theirs


def test_a_split_gguf_is_read_as_one(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", "llama", dense(), SIZES)
    whole = tf.load_model(path)
    reader = gguf.GGUFReader(path)
    assert len(reader.tensors) == len(dense())
    shapes = dense()
    names = list(shapes)
    for part in range(2):
        these = {name: shapes[name] for name in names[part::2]}
        split = tmp_path / f"s-{part + 1:05}-of-00002.gguf"
        written = write(split, "llama", these, SIZES if part == 0 else {})
        _with_key(written, "split.count", 2)
    model = tf.load_model(tmp_path / "s-00001-of-00002.gguf")
    assert (model.params, model.stored.size_bytes, model.stored.files) == (  # type: ignore[union-attr]
        whole.params, whole.stored.size_bytes, 2,  # type: ignore[union-attr]
    )  # fmt: skip
    (tmp_path / "s-00002-of-00002.gguf").unlink()
    with pytest.raises(InputError, match=r"s-00002-of-00002\.gguf does not exist"):
        tf.load_model(tmp_path / "s-00001-of-00002.gguf")


def _with_key(path: Path, key: str, value: int) -> None:
    """One more key of metadata, first of all; the data stays where the alignment puts it."""
    data = path.read_bytes()
    (keys,) = struct.unpack_from("<Q", data, 16)
    more = struct.pack("<Q", len(key)) + key.encode() + struct.pack("<IH", 2, value)
    padded = b""
    while (len(more) + len(padded)) % 32:
        name = b"p" * ((32 - (len(more) + 13 + 1) % 32) % 32)
        padded = struct.pack("<Q", len(name)) + name + struct.pack("<IB", 0, 0)
        name = b"p" * (len(name) + 1)
        padded = struct.pack("<Q", len(name)) + name + struct.pack("<IB", 0, 0)
    count = keys + 1 + bool(padded)
    path.write_bytes(data[:16] + struct.pack("<Q", count) + more + padded + data[24:])


def test_other_architectures_are_refused_by_name(tmp_path: Path) -> None:
    for arch, said in (("clip", "is what sees or hears .*: 4 numbers in 16 B"),
                       ("rwkv6", "'rwkv6' is not read")):  # fmt: skip
        path = write(tmp_path / f"{arch}.gguf", arch, {"a": (4,)}, {})
        with pytest.raises(UnknownModel, match=said):
            tf.load_model(path)


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def gguf_bytes(tensors: int, keys: int, rest: bytes, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + rest


def array(kind: int, length: int, rest: bytes = b"") -> bytes:
    return text(b"a") + struct.pack("<IIQ", 9, kind, length) + rest


def placed(kind: int, side: int, offset: int, name: bytes = b"t") -> bytes:
    return text(name) + struct.pack("<IQIQ", 1, side, kind, offset)


HOSTILE = {
    "empty": b"",
    "magic alone": b"GGUF",
    "not GGUF": b"GGML" + b"\0" * 40,
    "version 1": gguf_bytes(0, 0, b"", 1),
    "big-endian": gguf_bytes(0, 0, b"", 3 << 24),
    "2**63 tensors": gguf_bytes(2**63, 0, b""),
    "2**64 - 1 keys": gguf_bytes(0, 2**64 - 1, b""),
    "keys that are not there": gguf_bytes(0, 3, b"\0" * 8),
    "a key of 2**63 bytes": gguf_bytes(0, 1, struct.pack("<Q", 2**63)),
    "a key that is not UTF-8": gguf_bytes(0, 1, text(b"\xff\xfe") + struct.pack("<IB", 0, 0)),
    "a text beyond the end": gguf_bytes(
        0, 1, text(b"a") + struct.pack("<IQ", 8, 2**40) + b"\0" * 8
    ),
    "an unknown type": gguf_bytes(0, 1, text(b"a") + struct.pack("<IQ", 13, 0)),
    "an array of arrays": gguf_bytes(0, 1, array(9, 2**40)),
    "an array of 2**63 numbers": gguf_bytes(0, 1, array(4, 2**63)),
    "an array of 2**63 texts": gguf_bytes(0, 1, array(8, 2**63)),
    "a text in an array beyond the end": gguf_bytes(
        0, 1, array(8, 2, struct.pack("<QQ", 2**63, 0))
    ),
    "an array of an unknown type": gguf_bytes(0, 1, array(77, 1, b"\0" * 8)),
    "a key twice": gguf_bytes(0, 2, 2 * (text(b"a") + struct.pack("<IB", 0, 0))),
    "no alignment": gguf_bytes(
        0, 1, text(b"general.alignment") + struct.pack("<II", 4, 0) + b"\0" * 64
    ),
    "2**32 dimensions": gguf_bytes(1, 0, text(b"t") + struct.pack("<I", 2**32 - 1)),
    "an unknown type of tensor": gguf_bytes(1, 0, placed(99, 32, 0)),
    "half a block": gguf_bytes(1, 0, placed(12, 128, 0) + b"\0" * 400),
    "2**63 elements": gguf_bytes(1, 0, placed(0, 2**63, 0)),
    "an offset of 2**63": gguf_bytes(1, 0, placed(0, 8, 2**63) + b"\0" * 64),
    "a tensor twice": gguf_bytes(2, 0, placed(0, 8, 0) + placed(0, 8, 32) + b"\0" * 128),
    "an overlap": gguf_bytes(2, 0, placed(0, 8, 0) + placed(0, 8, 16, b"u") + b"\0" * 128),
    "truncated": gguf_bytes(1, 0, placed(0, 800, 0) + b"\0" * 64),
    "no architecture": gguf_bytes(0, 0, b"\0" * 8),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_gguf_gets_one_sentence(tmp_path: Path, case: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(HOSTILE[case])
    with pytest.raises(ThermoflopError) as caught:
        tf.load_model(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_no_prefix_of_a_gguf_and_no_flipped_byte_is_a_traceback(tmp_path: Path) -> None:
    """Prefixes of a header, and headers with a byte of all ones or of none."""
    path = write(tmp_path / "m.gguf", "llama", dense(), SIZES)
    whole = path.read_bytes()
    prefix = tmp_path / "x.gguf"
    for at in range(0, whole.index(b"blk.1.ffn_down") + 60, 113):
        prefix.write_bytes(whole[:at])
        refused(prefix)
        for byte in (b"\xff", b"\0"):
            with path.open("r+b") as file:
                file.seek(at)
                file.write(byte)
            refused(path)
        with path.open("r+b") as file:
            file.seek(at)
            file.write(whole[at : at + 1])


def refused(path: Path) -> None:
    """One sentence, where a header is refused: some bytes change nothing that is read."""
    try:
        tf.load_model(path)
    except ThermoflopError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_files_that_their_names_count_and_that_are_not_there_are_said(tmp_path):
    """Two of three parts, without an index: 12,800 B are no weights of the model."""
    config = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
              "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 100}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    for part in (1, 3):
        name = f"model-{part:05}-of-00003.safetensors"
        save_file({f"a{part}": np.zeros((100, 64), np.float16)}, tmp_path / name)
    model = tf.load_model(str(tmp_path))
    found = tf.fit(model, "h100")
    assert model.stored is None
    assert found.memory.weight_bytes == 2 * model.params
    assert "2 of the 3 files that their names count are there" in str(found)
    (tmp_path / "model-00002-of-00003.safetensors").write_bytes(
        (tmp_path / "model-00001-of-00003.safetensors").read_bytes().replace(b"a1", b"a2")
    )
    assert tf.load_model(str(tmp_path)).stored.files == 3
