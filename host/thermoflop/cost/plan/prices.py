"""What a device costs by the hour: one price, or the user's own list with dates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from thermoflop.base.files import read_toml
from thermoflop.base.plain import checked_between, is_between
from thermoflop.base.record import record
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.hardware.device import Device
from thermoflop.errors import InputError, UsageError

ENTRIES = (
    "[[price]] with device, dollars_per_hour, date and source, as `thermoflop plan --help` shows"
)


@record
class Price:
    """Dollars for a device and hour, from when and where."""

    dollars: float
    date: str = ""
    source: str = ""


def prices_of(
    price: float | str | Mapping[str, float] | None, devices: list[Device]
) -> dict[str, Price]:
    """The price of each device by its name; empty for None. UsageError for a number that is no
    price, InputError for a file that is no list, or has none of a device."""
    if price is None:
        return {}
    if isinstance(price, Mapping):
        named = {find_device(name).name: dollars for name, dollars in price.items()}
        if missing := [each.name for each in devices if named.get(each.name) is None]:
            raise UsageError(f"price has none of {missing[0]}: expected one of each device")
        return {device.name: _price_of(named[device.name]) for device in devices}
    if isinstance(price, str):
        listed = read_prices(price)
        missing = [device.name for device in devices if device.name not in listed]
        if missing:
            raise InputError(f"{price} has no price of {missing[0]}: expected {ENTRIES}")
        return {device.name: listed[device.name] for device in devices}
    return {device.name: _price_of(price, ", or a file") for device in devices}


def _price_of(dollars: float, instead: str = "") -> Price:
    checked_between("price", dollars, 0, 1e6, f"dollars above 0, below 1,000,000{instead}")
    return Price(float(dollars))


def read_prices(path: str) -> dict[str, Price]:
    """A list in TOML by the catalogue's names; of several prices of a device the latest counts."""
    from pathlib import Path

    if not os.path.exists(path):  # noqa: PTH110 - pathlib's ends in an error for a long name
        raise UsageError(
            f"price={path!r:.40} makes no sense: expected dollars an hour, or a TOML file"
        )
    entries = read_toml(Path(path)).get("price")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path} has no prices: expected {ENTRIES}")
    prices: dict[str, Price] = {}
    for entry in entries:
        name, price = _entry(path, entry)
        if name not in prices or price.date >= prices[name].date:
            prices[name] = price
    return prices


def _entry(path: str, entry: Any) -> tuple[str, Price]:
    dollars = entry.get("dollars_per_hour") if isinstance(entry, dict) else None
    if not is_between(dollars, 0, 1e6):
        raise InputError(f"{path}: {entry!r:.60} is no price: expected {ENTRIES}")
    device = find_device(str(entry.get("device", "")))
    return device.name, Price(
        float(dollars), str(entry.get("date", "")), str(entry.get("source", ""))
    )
