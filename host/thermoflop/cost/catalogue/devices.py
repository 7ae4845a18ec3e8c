"""Devices by name: the catalogue, its aliases, and data sheets of one's own in TOML."""

from __future__ import annotations

import os
import re
from functools import cache
from math import ceil

from thermoflop.base.messages import reason
from thermoflop.cost.catalogue.sheets import device_names, sheet
from thermoflop.cost.hardware.device import Device, device_from
from thermoflop.errors import InputError, UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# "2x3090", "h100 x8"
_COUNT = (
    r"\s*(\d{1,3})\s*[x×*]\s*(?=\D|\d{3})(.+)|(.*[\d\s])[x×*]\s*(\d{1,3})\s*"
    r"|(?:gpu:)?([^:]+):(\d{1,3})\s*"  # SLURM's and SkyPilot's
)
SHORTEST_START = 3  # letters that a name may be cut to, where one device begins with them


@cache
def _device(name: str) -> Device:
    return device_from(sheet(name))


def catalogue() -> dict[str, Device]:
    """Every device of the catalogue by name."""
    return {name: _device(name) for name in device_names()}


@cache
def plain_names() -> dict[str, list[str]]:
    """The devices behind every name without spaces, dashes and brackets: its own, what stands
    before a bracket, what drivers call it and what people do. Cards of several memory sizes may
    share a name; the first is the one that was there first."""
    called, names = device_names(), dict[str, list[str]]()
    pairs = [(name, name) for name in called]
    pairs += [(other, name) for name, others in called.items() for other in others]
    pairs += [(name.partition("(")[0], name) for name in called]
    # all in one text: letter by letter of each takes five times as long
    plain = _plain("\n".join(other for other, _ in pairs), keep="\n")
    for other, (_, name) in zip(plain.split("\n"), pairs, strict=True):
        devices = names.setdefault(other, [])
        if name not in devices:
            devices.append(name)
    return names


def _plain(name: str, keep: str = "") -> str:
    low = name.lower()
    return low.translate(
        {ord(each): None for each in set(low) if not each.isalnum() and each != keep}
    )


def devices_called(name: str) -> list[Device]:
    """The devices of the catalogue that have a name; none for one that nothing is called."""
    plain_name = whole = _plain(name)
    for word in ("nvidia", "geforce", "amd"):
        plain_name = plain_name.removeprefix(word)
    known = plain_names()
    chip = whole.removeprefix("apple")  # "Apple M5 Max" is the one called "M5 Max"
    for key in (chip, whole, plain_name, f"rtx{plain_name}", f"apple{plain_name}"):
        if key in known:
            return [_device(device) for device in known[key]]
    return []


def counted(name: str) -> tuple[int | None, str]:
    """How many devices a text asks for, None where it does not say, and the name of one.

    Example:
        >>> counted("2x3090"), counted("h100 x8"), counted("h100:8"), counted("MI300X")
        ((2, '3090'), (8, 'h100'), (8, 'h100'), (None, 'MI300X'))
    """
    if "+" in name or name.endswith(".toml") or not any(times in name for times in "xX×*:"):
        return None, name
    found = re.fullmatch(_COUNT, name, re.I)
    if found is None:
        return None, name
    count = int(found[1] or found[4] or found[6])
    return (count, (found[2] or found[3] or found[5]).strip()) if count else (None, name)


def find_device(name: str) -> Device:
    """The data sheet of a device, by name.

    Args:
        name: a name of the catalogue (``thermoflop gpus``) or what people call it: case, spaces,
            dashes and a maker's name do not matter; a memory (``a100 80gb pcie``) chooses among
            devices of one name, and of a Mac or a processor (``macbook pro m3 max 36gb``) is the
            one that it has; the name of a machine that ``thermoflop calibrate`` measured; or the
            path of a TOML file.

    Returns:
        The device.

    Raises:
        InputError: for a name that is not known, or a file that describes no device.

    Example:
        >>> import thermoflop as tf
        >>> tf.find_device("NVIDIA H100").name
        'H100-SXM-80GB'
        >>> tf.find_device("h100 pcie").memory_bytes  # as the driver reports it
        85520809984.0
    """
    if not isinstance(name, str) or not name:
        raise InputError(f"{name!r:.60} is no device: expected a name such as h100, or a TOML file")
    if name.endswith(".toml") or os.sep in name:
        return read_device(name)
    called = devices_called(name)
    if called:
        return called[0]
    from thermoflop.cost.catalogue.own_kernels import find_own
    from thermoflop.cost.catalogue.typed_names import find_typed

    own = find_own(name)
    if own is not None:
        return own.device
    count, one = counted(name)
    if count is not None and is_known(one):
        devices = "1 device" if count == 1 else f"{count} devices"
        raise InputError(f"{name!r:.60} names {devices}: expected {one!r} and devices={count}")
    typed = find_typed(name)
    if typed:
        return typed[0]
    if name.lower() in (*_PROCESSORS, *_KINDS):
        raise _unknown(name)
    start = _plain(name)
    begin = {names[0] for key, names in plain_names().items() if key.startswith(start)}
    begin = begin or {names[0] for key, names in plain_names().items() if key.endswith(start)}
    if len(begin) == 1 and len(start) >= SHORTEST_START:
        return device_from(sheet(begin.pop()))
    raise _unknown(name)


def is_known(name: str) -> bool:
    """Whether the catalogue has a device of that name, or of what people type for it."""
    from thermoflop.cost.catalogue.typed_names import find_typed

    try:
        return bool(devices_called(name) or find_typed(name))
    except InputError:
        return False


# Words for any device of a kind, which are the end of some names ("Grace CPU").
_PROCESSORS, _KINDS = ("cpu", "processor"), ("gpu", "cuda", "mps", "metal")
_SIZE = r"\s*(\d{1,4})\s*gi?b(?: (?:gpu|card|vram))?\s*"


def devices_like(words: str) -> list[Device]:
    """The devices of a maker, with so much memory (``24gb``), or with all words in their names."""
    low = words.lower()
    if size := re.fullmatch(_SIZE, low):
        return [d for d in catalogue().values() if _is_sold_as(d.memory_bytes, int(size[1]))]
    return [
        device
        for device in catalogue().values()
        if device.vendor.lower() == low or all(word in device.name.lower() for word in low.split())
    ]


def _is_sold_as(memory_bytes: float, gb: int) -> bool:
    """Whether a memory is called so many GB: of 2^30 bytes, of which a driver keeps a part (an H200
    of 141 has 140.4) and ECC a sixteenth (an L4 of 24 has 22.5), or of 1e9 (288 of a B300)."""
    told = (memory_bytes / (15 * 2**26), memory_bytes / 1e9)
    is_told = any(abs(each - gb) < 0.005 * gb for each in told)
    return is_told or ceil(memory_bytes / 2**30 - 0.01) == gb


def _unknown(name: str) -> InputError:
    """The refusal of a name, with those that begin with it, or are nearest."""
    from difflib import get_close_matches

    if name.lower() in _PROCESSORS:
        return InputError(
            f"{name!r} is no device: expected a processor's name, such as epyc-9654 or i9-13900k",
            also="; `thermoflop calibrate` measures this machine's, as --gpu mine",
        )
    if name.lower() in _KINDS:
        return InputError(
            f"{name!r} is no device: expected its name, such as rtx-4090, or auto for the GPU of "
            "this machine",
            also="; `thermoflop calibrate` measures its processor",
        )
    if re.match(r"i?mac(\b|book)", name.lower()):
        return InputError(f"{name!r:.60} lacks its chip: expected such as mac studio m3 ultra 96gb")
    if (many := re.fullmatch(r"\s*(\d+)\s*[x×*]\s*(.+)", name)) and is_known(many[2]):
        return InputError(f"{name!r:.60} asks for {many[1]:.20} devices: expected 1 to 999")
    parts = [re.sub(r"^\s*\d+\s*x\s+", "", part).strip() for part in name.split("+")]
    if len(parts) > 1 and all(part and is_known(part) for part in parts):
        return InputError(
            f"{name!r:.60} names several cards: expected one here; fit, estimate, serving and "
            "train divide a model over cards that are not alike"
        )
    if re.fullmatch(_SIZE, name.lower()):
        such = [device.name for device in devices_like(name)[:6]]
        more = f", such as {', '.join(such)}" if such else ""
        return InputError(f"{name!r:.60} is how much memory a device has: expected its name{more}")
    plain_name, known = _plain(name), plain_names()
    starts = [key for key in known if plain_name and key.startswith(plain_name)]
    near = starts or get_close_matches(plain_name[:60], list(known), 3, 0.6)
    names = [known[key][0] for key in near]
    hint = f"; nearest: {', '.join(list(dict.fromkeys(names))[:5])}" if names else ""
    return InputError(
        f"{name!r:.60} is not in the catalogue of devices{hint}",
        also="; see 'thermoflop gpus', or describe it in a TOML file",
    )


def read_device(path: str) -> Device:
    """A device of one's own, from a TOML file. InputError for what it is not."""
    import tomllib

    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs more than reading it
            raw = tomllib.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{printable(path)} is no device in TOML: {reason(error)}") from error
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122
    shown = {key: printable(value) if type(value) is str else value for key, value in raw.items()}
    return device_from({"confidence": "own", "source": path, **shown}, printable(name))


def as_device(hardware: str | Device) -> Device:
    """A Device, from itself or its name."""
    return hardware if isinstance(hardware, Device) else find_device(hardware)


def as_devices(hardware: str | Device | Sequence[str | Device]) -> list[Device]:
    """One device or several, to choose from. UsageError for none, or for a number of one."""
    if isinstance(hardware, str) and not hardware.endswith(".toml"):
        hardware = [name.strip() for name in hardware.split(",") if name.strip()]
    elif not isinstance(hardware, list | tuple):
        hardware = [hardware]  # type: ignore[list-item]
    for name in hardware:
        count, one = counted(name) if isinstance(name, str) else (None, "")
        if count is not None and is_known(one):
            raise UsageError(
                f"{name!r:.60} says how many: expected {one!r} and max_devices={count}"
            )
    devices = [as_device(each) for each in hardware]
    if not devices:
        raise UsageError("no device is named: expected one such as h100, or several: h100,h200")
    return list({device.name: device for device in devices}.values())
