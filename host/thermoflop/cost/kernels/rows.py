"""Measured kernels that the package carries, as columns that the forms read.

The rows were measured by NVIDIA (``data/kernels.json.gz`` names source and license). What a rule
leaves out says nothing of a device in a serving step: operands that lie in the cache on the chip,
and floors that the host sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from thermoflop.base.number import Array, Flags, Indices, Words
from thermoflop.base.record import record
from thermoflop.cost.data import read_data
from thermoflop.cost.hardware.device import Device, is_switched
from thermoflop.cost.kernels.columns import FORMATS, sizes_of
from thermoflop.cost.kernels.form import Form
from thermoflop.cost.kernels.forms import FORMS
from thermoflop.cost.kernels.sheet import architecture_of, sheet_of

# A row faster than its bytes come from memory read them on the chip, if they are about that many.
ON_CHIP, SLOWEST_ON_CHIP_S = 1.2, 5e-6
FAMILIES = ("triton", "marlin", "cutlass", "trtllm", "deepgemm")


@record
class Kernels:
    """Measured kernels of one class: ``sizes`` by name, ``measured_s``, and what each belongs to.

    ``labels`` are columns of words: engine, version, format, kernel, device, architecture, family.
    ``left_out`` counts rows by the rule that left them out.
    """

    form: Form
    sizes: dict[str, Array]
    measured_s: Array
    labels: dict[str, Words]
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.measured_s)

    def pick(self, rows: Indices | Flags) -> Kernels:
        """Some rows alone."""
        return Kernels(
            self.form,
            {name: values[rows] for name, values in self.sizes.items()},
            self.measured_s[rows],
            {name: values[rows] for name, values in self.labels.items()},
            self.left_out,
        )

    def groups(self) -> list[tuple[str, ...]]:
        """What may move the rates of each row: see ``group_names``."""
        names = [self.labels[name] for name in ("engine", "format", "architecture", "family")]
        return [
            group_names(self.form, *(str(value) for value in row))
            for row in zip(*names, strict=True)
        ]


def group_names(
    form: Form, engine: str, number: str, architecture: str, family: str = ""
) -> tuple[str, ...]:
    """The groups of a kernel among those whose rates may differ: ``engine:vllm``, ..."""
    key = family if "family" in form.offsets else engine
    all_of = {
        "engine": engine,
        "family": family,
        "format": number,
        "cell": f"{key}/{number}",
        "architecture": architecture,
        "kind": f"{architecture}/{key}/{number}",
    }
    return tuple(f"{name}:{all_of[name]}" for name in form.offsets if all_of[name])


def carried_kernels(devices: Mapping[str, Device]) -> dict[str, Kernels]:
    """Every class of the carried rows; ``devices`` by the name that the rows have."""
    tables = read_data("kernels")["tables"]
    return {name: kernels_of(form, tables[form.table], devices) for name, form in FORMS.items()}


def kernels_of(form: Form, columns: Mapping[str, Any], devices: Mapping[str, Device]) -> Kernels:
    """The rows of one table, those left out taken away.

    A column is a list; one of words may be kept as its different ``names`` and the number ``of``
    each row's.
    """
    plain = {
        name: np.array(column["names"])[column["of"]]
        if isinstance(column, dict)
        else np.array(column)
        for name, column in columns.items()
    }
    words = {name: column for name, column in plain.items() if column.dtype.kind == "U"}
    numbers = {
        name: column.astype(float) for name, column in plain.items() if column.dtype.kind in "if"
    }
    used = [devices[name] for name in words["gpu_key"]]
    sheets = [sheet_of(device) for device in used]
    sizes = {name: np.array([sheet[name] for sheet in sheets]) for name in sheets[0]}
    kv = words.get("kv_dtype")
    formats = words["dtype"] if kv is None else np.char.add(np.char.add(words["dtype"], "/"), kv)
    sizes["peak"] = np.array(
        [_peak(device, str(name)) for device, name in zip(used, words["dtype"], strict=True)]
    )
    # what is kept in 8 bits may be multiplied in 8 bits, whatever the other operand has
    narrow = np.char.find(formats, "fp8") >= 0
    best = np.array([device.peaks.get("fp8", 0.0) for device in used])
    sizes["peak_best"] = np.maximum(sizes["peak"], narrow * best)
    sizes |= sizes_of(form.table, numbers, words)
    if "devices" in sizes:
        # a switch adds up all-reduces alone, of engines and of NCCL, among more than two
        adds = np.array([is_switched(device) for device in used]) & (sizes["devices"] > 2)
        sizes["switched"] = (adds & (sizes["passes"] == 2)).astype(float)
    labels = {
        "engine": words["backend"],
        "version": words["version"],
        "format": formats,
        "kernel": words["kernel"],
        "device": np.array([device.name for device in used]),
        "architecture": np.array([architecture_of(device) for device in used]),
        "family": np.array([_family(str(kernel)) for kernel in words["kernel"]]),
    }
    linked = np.array([device.link_bytes_s is not None for device in used])
    kernels = Kernels(form, sizes, numbers["us"] * 1e-6, labels, {})
    return _without(kernels, linked)


def _peak(device: Device, number: str) -> float:
    """FLOP/s of the unit that multiplies a format; of 16 bits where the device lacks it."""
    for name in FORMATS[number].units:
        if name in device.peaks:
            return device.peaks[name]
    return device.peaks.get("bf16") or max(device.peaks.values())


def _family(kernel: str) -> str:
    """Whose kernels they are, which moves experts more than the engine that calls them."""
    low = kernel.lower()
    if "min_latency" in low:
        return "min latency"
    return next((name for name in FAMILIES if name in low), low.partition("_")[0])


def _without(kernels: Kernels, linked: Flags) -> Kernels:
    """Rules in turn, each with the number of rows that it leaves out."""
    left_out: dict[str, int] = {}
    keep = np.ones(len(kernels), dtype=bool)
    for reason, rule in (
        ("operands on the chip", _on_chip(kernels)),
        ("time of the host", _of_host(kernels)),
        ("no links but PCIe", ~linked if "link" in kernels.form.parameters else ~keep),
    ):
        count = int(np.sum(keep & rule))
        if count:
            left_out[reason] = count
        keep &= ~rule
    chosen = kernels.pick(keep)
    return Kernels(chosen.form, chosen.sizes, chosen.measured_s, chosen.labels, left_out)


def _on_chip(kernels: Kernels) -> Flags:
    """Faster than the bytes of weights or cache come from memory, and small enough."""
    if "read_bytes" not in kernels.sizes:
        return np.zeros(len(kernels), dtype=bool)
    read = kernels.sizes["read_bytes"]
    least_s = read / kernels.sizes["bandwidth"]
    on_chip: Flags = read < ON_CHIP * kernels.sizes["on_chip_bytes"]
    on_chip &= (least_s > SLOWEST_ON_CHIP_S) & (kernels.measured_s < least_s)
    return on_chip


def _of_host(kernels: Kernels) -> Flags:
    """vLLM's products with 128 x 128 scales (a floor of 57 us on H100, 301 on L40S), and
    collectives that were launched one by one (23 to 87 us against 3 to 8 in a graph)."""
    labels = kernels.labels
    eager: Flags = np.char.endswith(labels["kernel"], "_eager")
    if kernels.form.name == "gemm":
        eager |= (labels["engine"] == "vllm") & (labels["format"] == "fp8_block")
    return eager
