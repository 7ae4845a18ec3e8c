"""Reading files within bounds and writing them whole."""

from __future__ import annotations

import errno
import os
import stat

from thermoflop.errors import InputError, StorageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, BinaryIO, TypeVar

    T = TypeVar("T")

# The largest published config.json is below 200 kB; checkpoints begin well above this.
LARGEST_FILE_BYTES = 8 * 2**20
_KINDS = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
BINARY = getattr(os, "O_BINARY", 0)  # without it Windows writes two bytes for each line's end


def open_plain(path: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a plain file that somebody else may have laid there; OSError for all else.

    No link is followed, no pipe waited for, no device touched: in a folder that several people
    write to, each of them leads out of it or holds up whoever reads.
    """
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise OSError(errno.EINVAL, "it is a link, a pipe or a device, and not a plain file")
    safe = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | BINARY
    descriptor = os.open(path, flags | safe)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # it was changed since we looked
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a plain file")
    return descriptor


def create(path: str, flags: int, mode: int = 0o644) -> int:
    """A descriptor of a new file; StorageError where there is one, or none can be made."""
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL | BINARY, mode)
    except OSError as error:
        raise StorageError(f"cannot create {path}: {error.strerror}") from error


def read_bytes(
    path: str, expected: str, most_bytes: int = LARGEST_FILE_BYTES, links: bool = True
) -> bytes:
    """The bytes of a file that anybody may have given us: no pipe is waited for, no device read.

    ``expected`` says what it should be, as in "a config.json"; InputError, in one sentence, for
    what is no file, cannot be read, or has more than ``most_bytes`` bytes; without ``links`` for a
    link, too.
    """
    try:
        with open_reading(path, expected, links) as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(data) > most_bytes:
        raise InputError(f"{path} has more than {most_bytes:,} bytes: expected {expected}")
    return data


def open_reading(path: str, expected: str, links: bool = True) -> BinaryIO:
    """A plain file opened for reading; InputError, in one sentence, for what is none or cannot be
    opened. ``expected`` and ``links`` as in ``read_bytes``."""
    if not os.path.isfile(path):  # noqa: PTH113 - pathlib costs more than reading the file
        raise InputError(f"{path} is not a file: expected {expected}")
    try:
        return open(path, "rb", opener=_without_waiting if links else open_plain)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def _without_waiting(path: str, flags: int) -> int:
    """A pipe that took the file's place since it was looked at must not be waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def load_json(data: bytes | str, name: str, expected: str, **hooks: Any) -> Any:
    """The value in a JSON text; InputError, calling it ``name``, for what is none."""
    import json

    try:
        return json.loads(data if isinstance(data, str) else data.decode("utf-8-sig"), **hooks)
    except UnicodeDecodeError:
        raise InputError(f"{name} is not text in UTF-8: expected {expected}") from None
    except RecursionError:
        raise InputError(f"{name} is nested too deeply to be {expected}") from None
    except ValueError as error:
        fault = str(error) if data.strip() else "it is empty"
        raise InputError(f"{name} is not valid JSON: {fault}") from None


def read_json(
    path: str,
    expected: str = "a config.json",
    most_bytes: int = LARGEST_FILE_BYTES,
    links: bool = True,
) -> dict[str, Any]:
    """The JSON object in a file; InputError, in one sentence, for anything else."""
    return parse_json(read_bytes(path, expected, most_bytes, links), path, expected)


def parse_json(data: bytes | str, name: str, expected: str = "a config.json") -> dict[str, Any]:
    """The JSON object in a text; InputError, calling it ``name``, for anything else."""
    content = load_json(data, name, expected, object_pairs_hook=_without_contradiction)
    if not isinstance(content, dict):
        kind = _KINDS.get(type(content), "a number")
        raise InputError(f"{name} holds {kind}: expected an object with keys")
    return content


def _without_contradiction(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key that is there twice with different values is refused."""
    merged: dict[str, Any] = {}
    for key, value in pairs:
        if key in merged and merged[key] != value:
            raise ValueError(f"{key[:60]!r} is there twice, with different values")
        merged[key] = value
    return merged


def replace_file(path: str, fill: Callable[[BinaryIO], T]) -> T:
    """Make a file whole or not at all: temporary file, sync, rename, sync of its folder.

    ``fill`` writes to the open temporary file, and what it returns is returned. What has that name
    is replaced, a link too: its target is not touched. OSError when it cannot be done.
    """
    part = f"{path}.{os.urandom(4).hex()}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY
    try:
        with os.fdopen(os.open(part, flags, 0o666), "wb") as file:
            done = fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)  # noqa: PTH105
    except BaseException:
        if os.path.lexists(part):
            os.unlink(part)  # noqa: PTH108
        raise
    sync_folder(os.path.dirname(path) or ".")  # noqa: PTH120
    return done


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says, of 1 MiB at most. InputError in one sentence."""
    import tomllib

    name = printable(str(path))
    try:
        with path.open("rb") as file:
            return tomllib.loads(file.read(1 << 20).decode())
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are such
        raise InputError(f"{name} is not TOML: {printable(str(error))}") from error


def check_folder(path: str) -> None:
    """StorageError where no file of that name could be made: before minutes of work, not after."""
    folder = os.path.dirname(path) or "."  # noqa: PTH120
    if path.startswith("/dev/"):
        return
    if not os.path.isdir(folder):  # noqa: PTH112
        raise StorageError(f"cannot write {path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise StorageError(f"cannot write {path}: no permission")


def write_file(path: str, fill: Callable[[BinaryIO], T]) -> T:
    """What ``fill`` writes, whole or not at all. StorageError if it cannot be done.

    A device or a pipe, as /dev/stdout, is written to as it is.
    """
    try:
        if path.startswith("/dev/"):
            with open(path, "wb") as file:  # noqa: PTH123
                return fill(file)
        return replace_file(path, fill)
    except OSError as error:
        why = str(error.strerror or error)
        folder = os.path.dirname(path) or "."  # noqa: PTH120
        if isinstance(error, FileNotFoundError) and not os.path.isdir(folder):  # noqa: PTH112
            why = f"there is no folder {folder}"
        raise StorageError(f"cannot write {path}: {why}") from error


def write_text(path: str, text: str) -> None:
    """A text as a file in UTF-8, whole or not at all. StorageError if it cannot be done."""
    write_file(path, lambda file: file.write(text.encode()))


def sync_folder(path: str) -> None:
    """Make a new or renamed entry of a folder survive a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # network file systems refuse; the file's own data is synced
        pass
    finally:
        os.close(handle)
