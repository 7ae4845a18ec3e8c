"""The header of a GGUF file byte by byte: types, kinds of values, and each limit from both sides.

Blocks as in ggml-common.h of llama.cpp, which the ``gguf`` library repeats.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import pytest
from thermoflop.errors import InputError
from thermoflop.model.config.gguf_header import GGML_TYPES, read_gguf

U8, U32, TEXT, ARRAY, U64 = 0, 4, 8, 9, 10


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def said(kind: int, value: bytes, key: bytes = b"a") -> bytes:
    """One key with a value of that kind."""
    return text(key) + struct.pack("<I", kind) + value


def tensor(kind: int, shape: tuple[int, ...], place: int = 0, name: bytes = b"t") -> bytes:
    sides = struct.pack(f"<{len(shape)}Q", *shape)
    return text(name) + struct.pack("<I", len(shape)) + sides + struct.pack("<IQ", kind, place)


def file(path: Path, *parts: bytes, tensors: int = 0, keys: int = 0, data: int = 4096) -> str:
    """A file of such a header, and so many bytes of tensors."""
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, keys)
    (path / "m.gguf").write_bytes(head + b"".join(parts) + b"\0" * data)
    return str(path / "m.gguf")


@pytest.mark.parametrize("kind", [each for each in gguf.GGMLQuantizationType if each != 9])
def test_a_tensor_of_a_type_takes_the_bytes_of_its_blocks(tmp_path: Path, kind: Any) -> None:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    read = read_gguf(file(tmp_path, tensor(int(kind), (block, 3)), tensors=1)).tensors[0]
    assert (read.elements, read.size_bytes, read.shape) == (3 * block, 3 * size, (block, 3))
    assert (read.name, read.dtype) == ("t", kind.name)
    if block > 1:
        with pytest.raises(InputError, match="no whole number"):
            read_gguf(file(tmp_path, tensor(int(kind), (block // 2, 3)), tensors=1))


def test_the_type_that_no_file_has_is_as_large_as_its_struct() -> None:
    """block_q8_1: 32 elements of a byte, and two numbers of 16 bits."""
    assert GGML_TYPES[9] == ("Q8_1", 32, 32 + 2 * 2)
    assert sorted(GGML_TYPES) == sorted(map(int, gguf.GGMLQuantizationType))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        # Q4_2, Q4_3; Q4_0_4_4, 4_8, 8_8; IQ4_NL_4_4, 4_8, 8_8 (ggml.h: support removed)
        *((kind, "taken out") for kind in (4, 5, 31, 32, 33, 36, 37, 38)),
        *((kind, "a fork's") for kind in (42, 62, 64, 66, 72, 74, 76)),
    ],
)
def test_a_type_that_is_not_there_says_why(tmp_path: Path, kind: int, said: str) -> None:
    with pytest.raises(InputError, match=f"has type {kind}, which .*{said}"):
        read_gguf(file(tmp_path, tensor(kind, (32,)), tensors=1))


@pytest.mark.parametrize(
    ("kind", "form", "value"),
    [(0, "B", 200), (1, "b", -100), (2, "H", 60_000), (3, "h", -30_000), (4, "I", 4_000_000_000),
     (5, "i", -2_000_000_000), (6, "f", 0.5), (7, "?", True), (10, "Q", 2**63), (11, "q", -(2**62)),
     (12, "d", 1e300)],
)  # fmt: skip
def test_a_value_of_each_kind_is_read_alone_and_in_an_array(
    tmp_path: Path, kind: int, form: str, value: Any
) -> None:
    """The kinds as gguf.GGUFValueType numbers them."""
    one, three = struct.pack(f"<{form}", value), struct.pack(f"<{form * 3}", *[value] * 3)
    listed = said(ARRAY, struct.pack("<IQ", kind, 3) + three, b"b")
    read = read_gguf(file(tmp_path, said(kind, one), listed, keys=2))
    assert read.metadata == {"a": value, "b": [value] * 3}
    assert read.lengths == {"b": 3}
    names = {"B": "UINT8", "b": "INT8", "H": "UINT16", "h": "INT16", "I": "UINT32", "i": "INT32",
             "f": "FLOAT32", "?": "BOOL", "Q": "UINT64", "q": "INT64", "d": "FLOAT64"}  # fmt: skip
    assert int(gguf.GGUFValueType[names[form]]) == kind


@pytest.mark.parametrize("length", [4096, 4097])
def test_short_texts_are_kept_and_long_ones_passed(tmp_path: Path, length: int) -> None:
    read = read_gguf(file(tmp_path, said(TEXT, text(b"x" * length)), keys=1))
    assert read.metadata == {"a": "x" * length if length == 4096 else ""}


@pytest.mark.parametrize(("length", "kept"), [(16_384, True), (16_385, False)])
def test_numbers_are_kept_where_they_are_few(tmp_path: Path, length: int, kept: bool) -> None:
    """4 x 4096 of all arrays together; a tokenizer's never."""
    half = [said(ARRAY, struct.pack("<IQ", U8, each) + b"\1" * each, name)
            for name, each in ((b"a", 384), (b"b", length - 384))]  # fmt: skip
    own = said(ARRAY, struct.pack("<IQ", U8, 2) + b"\1\2", b"tokenizer.x")
    read = read_gguf(file(tmp_path, *half, own, keys=3))
    assert read.lengths == {"a": 384, "b": length - 384, "tokenizer.x": 2}
    assert {key: len(value) for key, value in read.metadata.items()} == (
        {"a": 384, "b": length - 384} if kept else {"a": 384}
    )


@pytest.mark.parametrize(
    ("most", "more", "said"),
    [
        # a header that says as many as are read ends too early; one more is refused as such
        ({"keys": 10_000}, {"keys": 10_001}, "10,001 keys, where at most 10,000"),
        ({"tensors": 50_000}, {"tensors": 50_001}, "50,001 tensors, where at most 50,000"),
    ],
)
def test_a_header_has_so_many_keys_and_tensors_at_most(
    tmp_path: Path, most: dict[str, int], more: dict[str, int], said: str
) -> None:
    with pytest.raises(InputError, match="it ends at byte"):
        read_gguf(file(tmp_path, text(b"x" * 65_535), data=0, **most))
    with pytest.raises(InputError, match=said):
        read_gguf(file(tmp_path, **more))


@pytest.mark.parametrize(
    ("good", "bad", "why"),
    [
        (65_535, 65_536, "a key of 65,536 bytes"),
        (16 * 2**20, 16 * 2**20 + 1, "a text 'a' of 16,777,217 bytes"),
    ],
)
def test_a_key_and_a_text_are_so_long_at_most(
    tmp_path: Path, good: int, bad: int, why: str
) -> None:
    """Where the length is allowed, the file just ends too early."""
    for length, words in ((good, "it ends at byte"), (bad, why)):
        size = struct.pack("<Q", length)
        head = size if good < 10**6 else text(b"a") + struct.pack("<I", TEXT) + size
        with pytest.raises(InputError, match=words):
            read_gguf(file(tmp_path, head, keys=1, data=64))


def test_texts_of_a_tokenizer_are_three_million_at_most(tmp_path: Path) -> None:
    many = said(ARRAY, struct.pack("<IQ", TEXT, 3_000_001))
    path = Path(file(tmp_path, many, keys=1))
    with path.open("r+b") as opened:
        opened.truncate(200 + 8 * 3_000_001)  # sparse
    with pytest.raises(InputError, match="'a' has 3,000,001 texts"):
        read_gguf(str(path))


def test_texts_in_an_array_are_passed_and_counted(tmp_path: Path) -> None:
    listed = said(ARRAY, struct.pack("<IQ", TEXT, 3) + text(b"x") + text(b"") + text(b"yz"))
    read = read_gguf(file(tmp_path, listed, said(U32, struct.pack("<I", 7), b"b"), keys=2))
    assert (read.metadata, read.lengths) == ({"b": 7}, {"a": 3})
    with pytest.raises(InputError, match="a text passes its end"):
        read_gguf(file(tmp_path, listed[:-1], keys=1, data=0))
    assert read_gguf(file(tmp_path, listed, keys=1, data=0)).lengths == {"a": 3}


def test_a_tensor_has_four_sides_at_most(tmp_path: Path) -> None:
    four = tensor(0, (2, 3, 4, 5))
    assert read_gguf(file(tmp_path, four, tensors=1)).tensors[0].elements == 120
    with pytest.raises(InputError, match="has 5 dimensions"):
        read_gguf(file(tmp_path, tensor(0, (1, 1, 1, 1, 1)), tensors=1))
    assert read_gguf(file(tmp_path, tensor(0, ()), tensors=1)).tensors[0].elements == 1


@pytest.mark.parametrize(("alignment", "fits"), [(None, 32), (1, 1), (64, 64), (2**20, 2**20)])
def test_data_begin_at_the_alignment_and_tensors_end_in_the_file(
    tmp_path: Path, alignment: int | None, fits: int
) -> None:
    """Two tensors of 8 bytes one behind the other: the file is just long enough, or not."""
    stated = said(U32, struct.pack("<I", alignment or 0), b"general.alignment")
    parts = [*([stated] if alignment else []), tensor(0, (2,)), tensor(0, (2,), 8, b"u")]
    keys, size = int(alignment is not None), 24 + sum(map(len, parts))
    whole = -(-size // fits) * fits - size + 16
    found = read_gguf(file(tmp_path, *parts, tensors=2, keys=keys, data=whole))
    assert [each.size_bytes for each in found.tensors] == [8, 8]
    with pytest.raises(InputError, match="cut off"):
        read_gguf(file(tmp_path, *parts, tensors=2, keys=keys, data=whole - 1))


def test_an_alignment_beyond_a_mebibyte_is_none(tmp_path: Path) -> None:
    stated = said(U32, struct.pack("<I", 2**20 + 1), b"general.alignment")
    with pytest.raises(InputError, match="alignment is 1048577"):
        read_gguf(file(tmp_path, stated, keys=1))


def test_a_file_of_24_bytes_is_the_shortest_and_versions_are_two_and_three(tmp_path: Path) -> None:
    assert read_gguf(file(tmp_path, data=0)).tensors == ()
    path = tmp_path / "m.gguf"
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + struct.pack("<I", 2) + whole[8:])
    assert read_gguf(str(path)).metadata == {}
    for version, words in ((1, "version 1"), (4, "version 4"), (6, "version 6"),
                           (2 << 24, "big-endian"), (3 << 24, "big-endian")):  # fmt: skip
        path.write_bytes(whole[:4] + struct.pack("<I", version) + whole[8:])
        with pytest.raises(InputError, match=words):
            read_gguf(str(path))
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="too short"):
        read_gguf(str(path))


def test_a_thousand_parts_are_the_most(tmp_path: Path) -> None:
    """Of a thousand the second is missed; of one more its own name is refused."""
    for parts, words in ((1000, "x-00002-of-01000.gguf does not exist"), (1001, "expected a name")):
        stated = said(U32, struct.pack("<I", parts), b"split.count")
        path = Path(file(tmp_path, stated, keys=1))
        named = path.rename(tmp_path / f"x-00001-of-{parts:05}.gguf")
        with pytest.raises(InputError, match=words):
            read_gguf(str(named))
    assert read_gguf(file(tmp_path, said(U64, struct.pack("<Q", 1), b"split.count"), keys=1)).files
