"""A GGUF file by its header: metadata and tensors, of versions 2 and 3; no tensor is read.

The layout is that of ggml's docs/gguf.md and ggml/src/gguf.cpp; types, elements of a block and
bytes of a block are those of ggml/include/ggml.h and ggml/src/ggml-common.h. Arrays of the
tokenizer are passed over: of them only the length is kept.
"""

from __future__ import annotations

import mmap
import os
import re
import struct

from thermoflop.base.files import open_reading
from thermoflop.base.record import record
from thermoflop.errors import InputError
from thermoflop.model.config.stored_files import StoredTensor, beside, first_twice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# number of the type -> name, elements of a block, bytes of a block
GGML_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2),
    26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
}  # fmt: skip
# Q4_2, Q4_3, and forms of Q4_0 and IQ4_NL for one kind of processor
REMOVED = frozenset((4, 5, 31, 32, 33, 36, 37, 38))
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q",
            11: "<q", 12: "<d"}  # fmt: skip
_STRING, _ARRAY = 8, 9
MOST_KEYS, MOST_TENSORS, MOST_ELEMENTS, MOST_KEPT = 10_000, 50_000, 3_000_000, 4096
LONGEST_KEY, LONGEST_TEXT, MOST_SIDES, MOST_PARTS = 65_535, 16 * 2**20, 4, 1000
_PART = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\.gguf$")


@record
class Gguf:
    """The header of a GGUF file, or of all parts of a split one.

    ``metadata`` holds numbers, short texts and short arrays of numbers; of any other array, and of
    what the tokenizer has, ``lengths`` says how long it is.
    """

    metadata: dict[str, Any]
    lengths: dict[str, int]
    tensors: tuple[StoredTensor, ...]
    files: int = 1


def read_gguf(path: str) -> Gguf:
    """The header of a file and of the other parts of a split one. InputError, in one sentence."""
    first = _read(path)
    parts = first.metadata.get("split.count", 0)
    if type(parts) is not int or parts <= 1:
        return first
    named = _PART.match(os.path.basename(path))  # noqa: PTH119
    if named is None or int(named[3]) != parts or parts > MOST_PARTS:
        raise InputError(
            f"{path} is one of {parts:,} parts: expected a name such as x-00001-of-{parts:05}.gguf"
        )
    paths = [beside(path, f"{named[1]}-{n:05}-of-{parts:05}.gguf") for n in range(1, parts + 1)]
    missing = [each for each in paths if not os.path.isfile(each)]  # noqa: PTH113
    if missing:
        raise InputError(f"{missing[0]} does not exist: expected all {parts} parts of {named[1]}")
    read = [_read(each) for each in paths]
    tensors = tuple(tensor for each in read for tensor in each.tensors)
    _check_unique(path, tensors)
    lengths = {key: size for each in reversed(read) for key, size in each.lengths.items()}
    return Gguf({**read[-1].metadata, **read[0].metadata}, lengths, tensors, parts)


def _read(path: str) -> Gguf:
    try:
        with open_reading(path, "a GGUF file") as file:
            if os.fstat(file.fileno()).st_size < 24:
                raise InputError(f"{path} is too short to be a GGUF file")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                return _Reader(path, view).header()
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {said}") from None


class _Reader:
    """A place in a file that only moves forward, and never past its end."""

    def __init__(self, path: str, view: mmap.mmap) -> None:
        self.path, self.view, self.size, self.at = path, view, len(view), 4
        self.visited = self.kept = 0

    def fault(self, said: str) -> InputError:
        return InputError(f"{self.path} is no GGUF file that can be read: {said}")

    def take(self, count: int) -> int:
        """The place of ``count`` bytes, which are passed."""
        start = self.at
        if count > self.size - start:
            raise self.fault(f"it ends at byte {self.size:,}, within its header")
        self.at = start + count
        return start

    def number(self, form: str) -> Any:
        return struct.unpack_from(form, self.view, self.take(struct.calcsize(form)))[0]

    def text(self, longest: int, what: str) -> str:
        length = self.number("<Q")
        if length > longest:
            raise self.fault(f"{what} of {length:,} bytes")
        start = self.take(length)
        try:
            return self.view[start : start + length].decode("utf-8")
        except UnicodeDecodeError:
            raise self.fault(f"{what} that is not text in UTF-8") from None

    def header(self) -> Gguf:
        if self.view[:4] != b"GGUF":
            raise self.fault("it does not begin with GGUF")
        version = self.number("<I")
        if version not in (2, 3):
            if version in (2 << 24, 3 << 24):
                raise self.fault("its numbers are big-endian, where little-endian is expected")
            raise self.fault(f"version {version:,}, where version 2 or 3 is expected")
        tensors, keys = self.number("<Q"), self.number("<Q")
        for count, most, what in ((tensors, MOST_TENSORS, "tensors"), (keys, MOST_KEYS, "keys")):
            if count > most:
                raise self.fault(f"it says that it has {count:,} {what}, where at most {most:,} "
                                 "are read")  # fmt: skip
        metadata, lengths = self.metadata(keys)
        alignment = metadata.get("general.alignment", 32)
        if type(alignment) is not int or not 1 <= alignment <= 2**20:
            raise self.fault(f"general.alignment is {alignment!r:.40}")
        placed = [self.tensor() for _ in range(tensors)]
        self.check_places(placed, -(-self.at // alignment) * alignment)
        found = tuple(tensor for tensor, _ in placed)
        _check_unique(self.path, found)
        return Gguf(metadata, lengths, found)

    def metadata(self, count: int) -> tuple[dict[str, Any], dict[str, int]]:
        metadata: dict[str, Any] = {}
        lengths: dict[str, int] = {}
        for _ in range(count):
            key = self.text(LONGEST_KEY, "a key")
            if key in metadata or key in lengths:
                raise self.fault(f"it has {key[:60]!r} twice")
            kind = self.number("<I")
            if kind == _ARRAY:
                lengths[key], kept = self.array(key)
                if kept is not None:
                    metadata[key] = kept
            elif kind == _STRING:
                text = self.text(LONGEST_TEXT, f"a text {key[:60]!r}")
                metadata[key] = text if len(text) <= MOST_KEPT else ""
            elif kind in _SCALARS:
                metadata[key] = self.number(_SCALARS[kind])
            else:
                raise self.fault(f"{key[:60]!r} has type {kind:,}, which is none")
        return metadata, lengths

    def array(self, key: str) -> tuple[int, list[Any] | None]:
        """The length of an array, which is passed, and its numbers where they are few."""
        kind, length = self.number("<I"), self.number("<Q")
        if kind == _ARRAY:
            raise self.fault(f"{key[:60]!r} is an array of arrays")
        if kind in _SCALARS:
            form = _SCALARS[kind]
            width = struct.calcsize(form)
            if length > (self.size - self.at) // width:
                raise self.fault(f"{key[:60]!r} has {length:,} elements, which the file has not")
            start = self.take(width * length)
            few = length + self.kept <= 4 * MOST_KEPT and not key.startswith("tokenizer.")
            self.kept += length if few else 0
            numbers = f"<{length}{form[1]}"
            return length, list(struct.unpack_from(numbers, self.view, start)) if few else None
        if kind != _STRING:
            raise self.fault(f"{key[:60]!r} is an array of type {kind:,}, which is none")
        self.visited += length
        if length > (self.size - self.at) // 8 or self.visited > MOST_ELEMENTS:
            raise self.fault(f"{key[:60]!r} has {length:,} texts")
        self.pass_texts(length)
        return length, None

    def pass_texts(self, count: int) -> None:
        """Pass texts, of which a tokenizer has hundreds of thousands: no more than their lengths
        is read."""
        unpack, view, at, last = struct.Struct("<Q").unpack_from, self.view, self.at, self.size - 8
        for _ in range(count):
            if at > last:
                break
            at += 8 + unpack(view, at)[0]
        else:
            if at <= self.size:
                self.at = at
                return
        raise self.fault("a text passes its end")

    def tensor(self) -> tuple[StoredTensor, int]:
        """A tensor and where it begins in the data."""
        name = self.text(LONGEST_KEY, "a name of a tensor")
        sides = self.number("<I")
        if sides > MOST_SIDES:
            raise self.fault(f"tensor {name[:60]!r} has {sides:,} dimensions")
        shape = tuple(self.number("<Q") for _ in range(sides))
        kind, place = self.number("<I"), self.number("<Q")
        if kind not in GGML_TYPES:
            whose = "llama.cpp has taken out" if kind in REMOVED else "is a fork's, or later"
            raise self.fault(f"tensor {name[:60]!r} has type {kind:,}, which {whose}")
        dtype, block, block_bytes = GGML_TYPES[kind]
        elements = 1
        for side in shape:
            elements *= side
        if elements >= 2**63 or (shape and shape[0] % block):
            raise self.fault(
                f"tensor {name[:60]!r} of {shape} is no whole number of {dtype} blocks"
            )
        size = elements // block * block_bytes
        return StoredTensor(name, dtype, elements, size, shape), place

    def check_places(self, placed: list[tuple[StoredTensor, int]], start: int) -> None:
        """InputError for tensors that overlap or pass the end of the file."""
        at = 0
        for tensor, place in sorted(placed, key=lambda each: each[1]):
            if place < at:
                raise self.fault(f"tensor {tensor.name[:60]!r} overlaps another")
            at = place + tensor.size_bytes
            if at > self.size - start:
                raise self.fault(
                    f"it is cut off: tensor {tensor.name[:60]!r} ends at byte {start + at:,} of "
                    f"{self.size:,}"
                )


def _check_unique(path: str, tensors: tuple[StoredTensor, ...]) -> None:
    twice = first_twice(tensor.name for tensor in tensors)
    if twice is not None:
        raise InputError(f"{path} has tensor {twice[:60]!r} twice")
