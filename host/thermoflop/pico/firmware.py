"""The firmware as files of this package: where they are, what they hold, which version they make.

The list and the version are those of ``package.json``, which `mpremote mip install` reads too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from thermoflop.errors import InputError

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "_firmware"  # inside the wheel
_CHECKOUT = _PACKAGE.parents[1] / "firmware"


@dataclass(frozen=True, slots=True)
class FirmwareFile:
    """One file of the firmware; ``sha256`` is in hex digits."""

    name: str
    path: Path
    n_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Firmware:
    """All files that make one version of the firmware, main.py among them."""

    version: str
    files: tuple[FirmwareFile, ...]

    @property
    def names(self) -> list[str]:
        """The names on the board, in the order of package.json."""
        return [file.name for file in self.files]


def folder() -> Path:
    """The folder with the firmware's files; InputError when this installation lacks it."""
    for place in (_INSTALLED, _CHECKOUT):
        if (place / "package.json").is_file():
            return place
    raise InputError(f"the firmware's files are missing: there is no {_INSTALLED} in this package")


def load(place: Path | None = None) -> Firmware:
    """The firmware in a folder, or else this package's own; InputError when it is incomplete."""
    place = folder() if place is None else place
    try:
        package = json.loads((place / "package.json").read_text(encoding="utf-8"))
        version = str(package["version"])
        pairs = [(str(name), place / str(source)) for name, source in package["urls"]]
        files = tuple(_file(name, path) for name, path in pairs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the firmware in {place} is not complete: {error}") from error
    if "main.py" not in [file.name for file in files]:
        raise InputError(f"the firmware in {place} has no main.py: the board would not start it")
    return Firmware(version, files)


def _file(name: str, path: Path) -> FirmwareFile:
    data = path.read_bytes()
    return FirmwareFile(name, path, len(data), hashlib.sha256(data).hexdigest())
