"""A file of kernels that somebody measured, in the format of the published ones."""

from __future__ import annotations

from typing import Any

from thermoflop.base.record import record
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.sheets import sheet
from thermoflop.cost.hardware.device import device_from
from thermoflop.cost.kernels.forms import FORMS
from thermoflop.cost.kernels.rows import Kernels, kernels_of
from thermoflop.errors import InputError

MOST_US = 1e12


@record
class KernelFile:
    """Its kernels by class, the data sheets of their devices by name as JSON objects, and when
    and with what they were ``made``, where it says so."""

    tables: dict[str, Kernels]
    sheets: dict[str, dict[str, Any]]
    made: dict[str, Any]


def read_kernels(path: str) -> KernelFile:
    """The kernels of a file. InputError for another."""
    from thermoflop.base.files import read_json

    return kernels_from(read_json(path, "measured kernels"), path)


def kernels_from(raw: Any, path: str) -> KernelFile:
    """The kernels of a file's JSON object. InputError for another."""
    try:
        tables = {
            name: {
                column: [row[place] for row in each["rows"]]
                for place, column in enumerate(each["columns"])
            }
            for name, each in raw["tables"].items()
            if each["rows"]
        }
        times = [us for columns in tables.values() for us in columns["us"]]
        if not times or not all(0 < us < MOST_US for us in times):
            raise ValueError("no times" if not times else "us must be above 0 and below 1e12")
        known = {
            name: _sheet(name, raw.get("devices", {}))
            for columns in tables.values()
            for name in columns["gpu_key"]
        }
        devices = {name: device_from(sheet) for name, sheet in known.items()}
        return KernelFile(
            {
                name: kernels_of(form, tables[form.table], devices)
                for name, form in FORMS.items()
                if form.table in tables
            },
            {devices[name].name: sheet for name, sheet in known.items()},
            dict(raw.get("made", {})),
        )
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path} holds no measured kernels: {error!r:.80} "
            '(expected {"tables": {"gemm": {"columns": [...], "rows": [[...], ...]}, ...}})'
        ) from error


def _sheet(name: str, own: dict[str, Any]) -> dict[str, Any]:
    """The data sheet of a device: the file's own, or the catalogue's."""
    return {"confidence": "own", **own[name]} if name in own else sheet(find_device(name).name)
