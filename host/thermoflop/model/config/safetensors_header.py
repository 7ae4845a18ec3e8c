"""Weights in safetensors by their headers alone: 8 bytes of length, a JSON object, no tensor read.

The format and its rules (sorted offsets without holes or overlaps, a header of at most 100 MB) are
those of huggingface/safetensors, README.md and ``safetensors/src/tensor.rs``. Headers are read up
to ``LARGEST_HEADER``: what publishers split into files has some 0.1 to 2 MB in each.
"""

from __future__ import annotations

import os
import re
from math import prod

from thermoflop.base.files import load_json, open_reading, read_json
from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.config.stored_files import StoredWeights, first_twice, summed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

LARGEST_HEADER = 5 * 2**20
MOST_FILES, MOST_TENSORS, MOST_SIDES = 2000, 400_000, 16
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
# Bits of an element (safetensors/src/tensor.rs, Dtype::bitsize).
_BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
    "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip


_PART = re.compile(r"-\d{5}-of-(\d{5})\.safetensors$")


def read_folder(folder: str, check: Callable[[str], None]) -> tuple[StoredWeights | None, str]:
    """The weights in a folder, or None with a sentence where some of their files are not there.

    ``check`` is asked of every path before it is opened. InputError for a file that is not what it
    should be.
    """
    names, why = _files_of(folder, check)
    if not names:
        return None, why
    found: dict[str, tuple[str, int, int]] = {}
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118
        check(path)
        tensors = read_header(path)
        twice = found.keys() & tensors.keys()
        if twice:
            raise InputError(f"{path} holds {min(twice)[:60]!r}, as another file does")
        found |= tensors
        if len(found) > MOST_TENSORS:
            raise InputError(f"{folder} holds over {MOST_TENSORS:,} tensors: no more are read")
    return summed(found.values(), len(names)), ""


def _files_of(folder: str, check: Callable[[str], None]) -> tuple[list[str], str]:
    """The names of the files that hold the weights, and why there are none where some miss."""
    there = {name for name in os.listdir(folder) if name.endswith(".safetensors")}  # noqa: PTH208
    index = os.path.join(folder, INDEX)  # noqa: PTH118
    if not there:
        return [], ""
    if os.path.isfile(index):  # noqa: PTH113
        check(index)
        names = _of_index(index)
        missing = [name for name in names if name not in there]
        if missing:
            return [], (
                f"{len(missing)} of the {len(names)} files that {INDEX} names are not there: "
                "weights are counted from the configuration"
            )
        return names, ""
    if SINGLE in there:
        return [SINGLE], ""
    plain = sorted(name for name in there if not name.startswith(("adapter", "consolidated")))
    whole = plain or sorted(name for name in there if name.startswith("consolidated"))
    counts = [int(match[1]) for name in whole if (match := _PART.search(name))]
    if counts and len(counts) == len(whole) != max(counts):
        return [], (
            f"{len(whole)} of the {max(counts):,} files that their names count are there: weights "
            "are counted from the configuration"
        )
    if len(whole) > MOST_FILES:
        raise InputError(
            f"{folder} has {len(whole):,} safetensors: at most {MOST_FILES:,} are read"
        )
    return whole, ""


def _of_index(path: str) -> list[str]:
    """The files that an index names."""
    found = read_json(path, f"a {INDEX}", LARGEST_HEADER)
    names = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(names, dict) or not names:
        raise InputError(f"{path} has no object named weight_map")
    files: dict[str, None] = {}
    for name in names.values():
        plain = isinstance(name, str) and name.endswith(".safetensors") and len(name) <= 200
        if not plain or os.path.basename(name) != name or "\0" in name:  # noqa: PTH119
            raise InputError(f"{path} names {quote_value(name)}: expected a file beside it")
        files[name] = None
    if len(files) > MOST_FILES:
        raise InputError(f"{path} names {len(files):,} files: at most {MOST_FILES:,} are read")
    return sorted(files)


def read_header(path: str) -> dict[str, tuple[str, int, int]]:
    """Format, elements and bytes of each tensor of one file. InputError, in one sentence, for what
    is no such file."""
    expected = "a safetensors file"
    try:
        with open_reading(path, expected) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or not 2 <= length <= size - 8:
                raise InputError(f"{path} is not {expected}: a header of {length:,} bytes in "
                                 f"a file of {size:,}")  # fmt: skip
            if length > LARGEST_HEADER:
                raise InputError(f"{path} has a header of {length:,} bytes: at most "
                                 f"{LARGEST_HEADER:,} are read")  # fmt: skip
            text = file.read(length)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None

    header = load_json(text, path, expected, object_pairs_hook=lambda pairs: _unique(path, pairs))
    if not isinstance(header, dict):
        raise InputError(f"{path} is not {expected}: its header is no object")
    header.pop("__metadata__", None)
    places: list[tuple[int, int]] = []
    tensors = {name: _tensor(path, name, said, places) for name, said in header.items()}
    _check_places(path, places, size - 8 - length)
    return tensors


def _unique(path: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; InputError where it has a key twice, of which one would be lost."""
    twice = first_twice(name for name, _ in pairs)
    if twice is not None:
        raise InputError(f"{path} holds {twice[:60]!r} twice")
    return dict(pairs)


def _tensor(path: str, name: str, said: Any, places: list[tuple[int, int]]) -> tuple[str, int, int]:
    """Format, elements and bytes of a tensor, whose place is added to ``places``."""
    fault = f"{path}, tensor {name[:60]!r}: "
    if not isinstance(said, dict):
        raise InputError(f"{fault}{quote_value(said)} is no description of a tensor")
    dtype, shape, place = said.get("dtype"), said.get("shape"), said.get("data_offsets")
    bits = _BITS.get(dtype) if isinstance(dtype, str) else None
    if not isinstance(dtype, str) or bits is None:
        raise InputError(f"{fault}dtype {quote_value(dtype)} is not known")
    if not isinstance(shape, list) or len(shape) > MOST_SIDES or not all(map(_count, shape)):
        raise InputError(f"{fault}shape {quote_value(shape)} is none")
    if not isinstance(place, list) or len(place) != 2 or not all(map(_count, place)):
        raise InputError(f"{fault}data_offsets {quote_value(place)} are none")
    elements = prod(shape)
    size = -(-elements * bits // 8)
    if place[1] - place[0] != size:
        raise InputError(
            f"{fault}{quote_value(shape)} in {dtype} are {quote_value(size)} bytes, not the "
            f"{place[1] - place[0]:,} between its data_offsets"
        )
    places.append((place[0], place[1]))
    return dtype, elements, size


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _check_places(path: str, places: Iterable[tuple[int, int]], size: int) -> None:
    """InputError unless tensors follow one another without holes or overlaps to the file's end."""
    at = 0
    for start, end in sorted(places):
        if start != at:
            kind = "overlap" if start < at else "leave a hole"
            raise InputError(f"{path}: tensors {kind} at byte {min(start, at):,} of the data")
        at = end
    if at != size:
        raise InputError(f"{path} has {size:,} bytes of data where its header says {at:,}")
