"""Devices by name: the catalogue, its aliases, and data sheets of one's own in TOML."""

from __future__ import annotations

import os

from thermoflop.cost.hardware.device import Device, device_from
from thermoflop.errors import InputError, printable

_catalogue: dict[str, Device] = {}


def catalogue() -> dict[str, Device]:
    """Every device of the catalogue by name."""
    if not _catalogue:
        from thermoflop.cost.data import read_data

        data = read_data("devices")
        for raw in data["devices"]:
            device = device_from({**raw, "source": data["sources"][raw["source"]]})
            _catalogue[device.name] = device
    return dict(_catalogue)


# What people call them, in lower case without spaces, dashes and brackets.
ALIASES = {
    "a100": "A100-SXM-80GB",
    "a10080gb": "A100-SXM-80GB",
    "a100sxm": "A100-SXM-80GB",
    "a10040gb": "A100-SXM-40GB",
    "a100pcie": "A100-PCIe-80GB",
    "a10g": "A10G (AWS)",
    "v100": "V100-SXM2-32GB",
    "h100": "H100-SXM-80GB",
    "h100sxm": "H100-SXM-80GB",
    "h100pcie": "H100-PCIe-80GB",
    "h100nvl": "H100-NVL-94GB",
    "h200": "H200-SXM-141GB",
    "h20": "H20-96GB",
    "h800": "H800-SXM-80GB",
    "b100": "B100-SXM",
    "b200": "B200-SXM",
    "b300": "B300-SXM",
    "gb200": "GB200 (per GPU)",
    "gb300": "GB300 (per GPU)",
    "gh200": "GH200-96GB",
    "a6000": "RTX A6000",
    "30708gb": "RTX 3070",
    "308010gb": "RTX 3080",
    "3080ti12gb": "RTX 3080 Ti",
    "rtx4000ada20gb": "RTX 4000 Ada",
    "7900xtx": "RX 7900 XTX",
    "jetsonorin": "Jetson AGX Orin 64GB",
    "m2ultra": "Apple M2 Ultra (76c)",
    "tpuv6e": "TPU v6e (Trillium)",
}


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def find_device(name: str) -> Device:
    """The data sheet of a device, by name.

    Args:
        name: a name of the catalogue (``thermoflop gpus``) or what people call it: case, spaces,
            dashes and a leading NVIDIA or GeForce do not matter; the name of a machine that
            ``thermoflop calibrate`` measured; or the path of a TOML file.

    Returns:
        The device.

    Raises:
        InputError: for a name that is not known, or a file that describes no device.

    Example:
        >>> import thermoflop as tf
        >>> tf.find_device("NVIDIA H100").name
        'H100-SXM-80GB'
        >>> tf.find_device("h100 pcie").memory_bytes
        80000000000.0
    """
    if not isinstance(name, str) or not name:
        raise InputError(f"{name!r:.60} is no device: expected a name such as h100, or a TOML file")
    if name.endswith(".toml") or os.sep in name:
        return read_device(name)
    devices = catalogue()
    plain_name = whole = _plain(name)
    for word in ("nvidia", "geforce", "amd"):
        plain_name = plain_name.removeprefix(word)
    alias = ALIASES.get(plain_name)
    if alias is not None:
        return devices[alias]
    plain = {_plain(known): device for known, device in devices.items()}
    for key in (whole, plain_name, f"rtx{plain_name}", f"apple{plain_name}"):
        if key in plain:
            return plain[key]
    from thermoflop.cost.catalogue.machine import find_machine_profile

    machine = find_machine_profile(name)
    if machine is not None:
        return machine.device
    starts = [device for key, device in plain.items() if plain_name and key.startswith(plain_name)]
    if len(starts) == 1:
        return starts[0]
    raise _unknown(name, plain_name, plain)


def is_known(name: str) -> bool:
    """Whether the catalogue has a device of that name or alias."""
    plain_name = _plain(name)
    return plain_name in ALIASES or plain_name in {_plain(known) for known in catalogue()}


def _unknown(name: str, plain_name: str, plain: dict[str, Device]) -> InputError:
    from difflib import get_close_matches

    near = get_close_matches(plain_name, [*plain, *ALIASES], 3, 0.5)
    names = [plain[key].name if key in plain else ALIASES[key] for key in near]
    hint = f"nearest: {', '.join(dict.fromkeys(names))}; " if names else ""
    return InputError(
        f"{name!r:.60} is not in the catalogue of devices; {hint}"
        "see 'thermoflop gpus', or describe it in a TOML file"
    )


def read_device(path: str) -> Device:
    """A device of one's own, from a TOML file. InputError for what it is not."""
    import tomllib

    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs more than reading it
            raw = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no device in TOML: {error}") from error
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122
    shown = {key: printable(value) if type(value) is str else value for key, value in raw.items()}
    return device_from({"confidence": "own", "source": path, **shown}, printable(name))


def as_device(hardware: str | Device) -> Device:
    """A Device, from itself or its name."""
    return hardware if isinstance(hardware, Device) else find_device(hardware)
