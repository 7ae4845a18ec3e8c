"""What files of weights say of themselves in their headers: tensors, formats, bytes."""

from __future__ import annotations

import os

from thermoflop.base.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


@record
class StoredTensor:
    """A tensor in a file: its name, its format, its elements and the bytes that they take."""

    name: str
    dtype: str
    elements: int
    size_bytes: int
    shape: tuple[int, ...] = ()


@record
class StoredWeights:
    """The weights of a model as files hold them, by their headers alone.

    Attributes:
        size_bytes: bytes of all tensors.
        files: files that hold them.
        elements: numbers of elements by format; packed ones count as what they are packed in.
        bytes_by_format: bytes by format.

    Example:
        >>> from thermoflop.model.config.stored_files import StoredWeights
        >>> StoredWeights(16, 2, {"BF16": 8}, {"BF16": 16}).line
        'weights as stored: 16 B from 2 files, all in bf16'
    """

    size_bytes: int
    files: int
    elements: dict[str, int]
    bytes_by_format: dict[str, int]

    @property
    def line(self) -> str:
        """A sentence without its full stop."""
        order = sorted(self.bytes_by_format.items(), key=lambda each: -each[1])
        shares = [f"{size / max(self.size_bytes, 1):.1%} in {name.lower()}" for name, size in order]
        listed = f"all in {order[0][0].lower()}" if len(order) == 1 else ", ".join(shares[:4])
        more = f" and {len(shares) - 4} more" if len(shares) > 4 else ""
        files = "1 file" if self.files == 1 else f"{self.files:,} files"
        return f"weights as stored: {self.size_bytes:,} B from {files}, {listed}{more}"


def summed(tensors: Iterable[tuple[str, int, int]], files: int) -> StoredWeights:
    """The tensors of some files together: format, elements and bytes of each."""
    elements: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for dtype, count, size in tensors:
        elements[dtype] = elements.get(dtype, 0) + count
        sizes[dtype] = sizes.get(dtype, 0) + size
    return StoredWeights(sum(sizes.values()), files, elements, sizes)


def first_twice(names: Iterable[str]) -> str | None:
    """The first name that stands there a second time; None where each stands once."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def beside(path: str, name: str) -> str:
    """The path of a file in the same folder."""
    return os.path.join(os.path.dirname(path), name)  # noqa: PTH118, PTH120
