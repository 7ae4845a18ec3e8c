"""The header of a safetensors file: every dtype, and each limit from both sides.

Bits as ``Dtype::bitsize`` of safetensors/src/tensor.rs has them.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from thermoflop.errors import InputError
from thermoflop.model.config import safetensors_header
from thermoflop.model.config.safetensors_header import LARGEST_HEADER, read_folder, read_header
from thermoflop.model.config.stored_files import StoredWeights, summed

BITS = {
    4: "F4", 6: "F6_E2M3 F6_E3M2", 8: "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ",
    16: "I16 U16 F16 BF16", 32: "I32 U32 F32", 64: "C64 F64 I64 U64",
}  # fmt: skip


def file(path: Path, header: dict[str, Any] | bytes, data: int, length: int | None = None) -> str:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    path.write_bytes(struct.pack("<Q", size) + text + b"\0" * data)
    return str(path)


def tensor(dtype: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("dtype", "bits"), [(name, bits) for bits, names in BITS.items() for name in names.split()]
)
def test_a_tensor_takes_the_bits_of_its_type_in_whole_bytes(
    tmp_path: Path, dtype: str, bits: int
) -> None:
    for shape, elements in (([3, 5], 15), ([], 1), ([0, 5], 0)):
        size = (elements * bits + 7) // 8
        path = file(tmp_path / "a", {"t": tensor(dtype, shape, 0, size)}, size)
        assert read_header(path) == {"t": (dtype, elements, size)}
        path = file(tmp_path / "a", {"t": tensor(dtype, shape, 0, size + 1)}, size + 1)
        with pytest.raises(InputError, match=f"are {size} bytes, not the {size + 1}"):
            read_header(path)


def test_every_type_is_tried() -> None:
    tried = {name for names in BITS.values() for name in names.split()}
    assert tried == set(safetensors_header._BITS)


def test_a_tensor_has_sixteen_sides_at_most(tmp_path: Path) -> None:
    path = file(tmp_path / "a", {"t": tensor("U8", [1] * 16, 0, 1)}, 1)
    assert read_header(path) == {"t": ("U8", 1, 1)}
    with pytest.raises(InputError, match="is none"):
        read_header(file(tmp_path / "a", {"t": tensor("U8", [1] * 17, 0, 1)}, 1))


def test_a_header_is_two_bytes_at_least_and_ends_in_the_file(tmp_path: Path) -> None:
    assert read_header(file(tmp_path / "a", b"{}", 0)) == {}
    for text, length, data in ((b"{}", 3, 0), (b"1", 1, 4), (b"", 0, 9)):
        with pytest.raises(InputError, match="is not a safetensors file: a header of"):
            read_header(file(tmp_path / "a", text, data, length))


def test_a_header_of_five_mebibytes_is_the_largest(tmp_path: Path) -> None:
    """Padded with spaces, as writers do; one byte more is refused before it is read."""
    assert LARGEST_HEADER == 5 * 1024 * 1024
    assert read_header(file(tmp_path / "a", b"{}".ljust(LARGEST_HEADER), 0)) == {}
    with pytest.raises(InputError, match="at most 5,242,880 are read"):
        read_header(file(tmp_path / "a", b"{}".ljust(LARGEST_HEADER + 1), 0))


def test_tensors_follow_one_another_to_the_end(tmp_path: Path) -> None:
    whole = {"b": tensor("U8", [3], 2, 5), "a": tensor("U8", [2], 0, 2), "__metadata__": {"x": "y"}}
    assert read_header(file(tmp_path / "a", whole, 5)) == {"a": ("U8", 2, 2), "b": ("U8", 3, 3)}
    for start, data, words in (
        (1, 4, "overlap at byte 1 of"), (3, 6, "leave a hole at byte 2 of"),
        (2, 6, "has 6 bytes of data where its header says 5"),
        (2, 4, "has 4 bytes of data where its header says 5"),
    ):  # fmt: skip
        moved = {"a": whole["a"], "b": tensor("U8", [3], start, start + 3)}
        with pytest.raises(InputError, match=words):
            read_header(file(tmp_path / "a", moved, data))


def test_sizes_are_whole_numbers_below_two_to_the_63(tmp_path: Path) -> None:
    for shape in ([2**63, 0], [-1, 0], [True, 0], [1.0, 0]):
        with pytest.raises(InputError, match="is none"):
            read_header(file(tmp_path / "a", {"t": tensor("U8", shape, 0, 0)}, 0))
    large = {"t": tensor("U8", [2**63 - 1, 0], 0, 0)}
    assert read_header(file(tmp_path / "a", large, 0)) == {"t": ("U8", 0, 0)}
    for places in ([0], [0, 0, 0], "00"):
        stated = {"t": {"dtype": "U8", "shape": [0], "data_offsets": places}}
        path = file(tmp_path / "a", stated, 0)
        with pytest.raises(InputError, match="data_offsets"):
            read_header(path)


def test_an_index_names_two_thousand_files_at_most_and_names_of_200_letters(tmp_path: Path) -> None:
    def index(names: list[str]) -> None:
        found = {"weight_map": {str(n): name for n, name in enumerate(names)}}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(found))

    (tmp_path / "0.safetensors").touch()
    index([f"{n}.safetensors" for n in range(2000)])
    found, why = read_folder(str(tmp_path), lambda _path: None)
    assert (found, why[:29]) == (None, "1999 of the 2000 files that m")
    index([f"{n}.safetensors" for n in range(2001)])
    with pytest.raises(InputError, match="names 2,001 files: at most 2,000"):
        read_folder(str(tmp_path), lambda _path: None)
    for stem, allowed in ((188, True), (189, False)):  # and 12 of .safetensors
        index(["x" * stem + ".safetensors"])
        if allowed:
            assert read_folder(str(tmp_path), lambda _path: None)[1][:6] == "1 of t"
        else:
            with pytest.raises(InputError, match="expected a file beside it"):
                read_folder(str(tmp_path), lambda _path: None)


def test_tensors_are_added_up_by_their_format() -> None:
    tensors = [("BF16", 3, 6), ("U8", 5, 5), ("BF16", 7, 14)]
    assert summed(tensors, 2) == StoredWeights(25, 2, {"BF16": 10, "U8": 5}, {"BF16": 20, "U8": 5})
    line = "weights as stored: 25 B from 2 files, 80.0% in bf16, 20.0% in u8"
    assert summed(tensors, 2).line == line
    # the four largest, and how many more there are
    many = [(name, size, size) for size, name in enumerate("ABCDEF", 1)]
    assert summed(many, 1).line == (
        "weights as stored: 21 B from 1 file, 28.6% in f, 23.8% in e, 19.0% in d, 14.3% in c"
        " and 2 more"
    )
    assert summed(many[:4], 1).line.endswith("10.0% in a")
    assert summed([], 1).size_bytes == 0
