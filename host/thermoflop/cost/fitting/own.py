"""A user's own kernels as the rates of an engine on a device, one class at a time.

The rates are those of the estimate's own terms (``roofline.formula``): the mode of a posterior
around what the engine's profile expects, wide enough that five kernels outweigh it. What one
launch alone costs is a parameter of the fit, and not kept: between kernels of a recorded graph it
is another, which only whole steps show.

Where B200 or H100 was left out of the fit to serving rows, alone or with its architecture, 20
kernels of each class (NVIDIA's, of the same engines) brought the medians of eight engines and
devices from 9.4 to 8.4 % on average: products bring 1.1, caches nothing, and attention of prompts,
whose form is the coarsest, takes 0.5 back. Moving the fitted rates by measured over expected
kernels instead of replacing them brought 0.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, log2
from typing import Any

import numpy as np

from thermoflop.base.record import replace
from thermoflop.base.units import table, wrapped
from thermoflop.cost.catalogue.machine import FORMAT
from thermoflop.cost.catalogue.own_kernels import ALIKE, KIND, REPLACED
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.fitting.design_matrix import DesignMatrix
from thermoflop.cost.fitting.kernel_file import kernels_from
from thermoflop.cost.fitting.regression import Problem, logs_of, points_of, solve
from thermoflop.cost.hardware.device import Device, device_from
from thermoflop.cost.hardware.precision import Precision, choose_precision
from thermoflop.cost.kernels.forms import FORMS
from thermoflop.cost.kernels.rows import Kernels
from thermoflop.cost.roofline.formula import PARAMETERS, Efficiency
from thermoflop.cost.roofline.rates import rates_of
from thermoflop.cost.work.network import network_work
from thermoflop.cost.work.work import Work
from thermoflop.errors import InputError, UsageError

LEAST_KERNELS = 5
# How far a rate is likely from the engine's, as a logarithm, and the noise of what is measured;
# what is not asked for stays where it is.
REACH, NOISE, STAYS = 1.5, 0.15, 1e-6
MOST_BYTES = 1e13  # a core and cycle: taking weights in never binds beside the memory
# What the tables of kernels call a format, and ``choose_precision`` does.
NAMES = {
    "bfloat16": "bf16", "half": "fp16", "float32": "fp32", "fp8": "fp8", "fp8_block": "fp8",
    "nvfp4": "nvfp4", "sq": "int8", "int8": "int8", "int8_wo": "int8-wo", "int4_wo": "int4",
    "w4a16_mxfp4": "mxfp4",
}  # fmt: skip
CALLED = {"tensorrt-llm": "trtllm"}


def own_profile(kernels: Any, path: str, engine: str | None, name: str) -> dict[str, Any]:
    """The profile, as its JSON object, that the kernels of a file and an engine's rates give.

    InputError for a file that holds no kernels; UsageError for kernels of several devices, or too
    few of every class.
    """
    profile = find_profile(engine)
    if profile.machine is not None or profile.own is not None:
        raise UsageError(f"--engine {engine} is a profile of your own: expected an engine's name")
    file = kernels_from(kernels, path)
    devices = {str(name) for kernels in file.tables.values() for name in kernels.labels["device"]}
    if not devices:
        raise InputError(f"{path} has no kernels that are judged")
    if len(devices) > 1:
        names = ", ".join(sorted(devices))
        raise UsageError(f"{path} has kernels of {names}: expected those of one device")
    sheet = file.sheets[devices.pop()]
    device = device_from(sheet)
    classes = [
        _replaced(part, alike, device, profile)
        for kernels in file.tables.values()
        if kernels.form.name in REPLACED
        for alike, part in _alike(_of_engine(kernels, profile.engine.name))
        if len(part) >= LEAST_KERNELS
    ]
    if not classes:
        raise UsageError(f"{path} has fewer than {LEAST_KERNELS} kernels of every class")
    return {
        "format": FORMAT, "kind": KIND, "name": name.strip().lower(),
        "engine": engine or "default", "made": file.made, "device": sheet, "classes": classes,
    }  # fmt: skip


def own_text(raw: dict[str, Any]) -> str:
    """The classes of such a profile, with the rates that replace the engine's beside those."""
    profile, device = find_profile(raw["engine"]), device_from(raw["device"])
    rows = [["", "format", "kernels", "missed", "rate", "measured", raw["engine"]]]
    for each in raw["classes"]:
        precision = _precision(each["number"].partition(" and ")[0])
        fitted = profile.efficiency(device, precision)
        first = [FORMS[each["class"]].label, each["number"], str(each["kernels"]),
                 f"{100 * each['missed']:.1f} %"]  # fmt: skip
        for name, value in each["rates"].items():
            rows.append([*first, name, f"{value:.3g}", f"{getattr(fitted, name):.3g}"])
            first = [""] * len(first)
    note = (
        f"{device.name}: rates of products of one's own kernels, and those of {raw['engine']} that "
        "they replace there in these formats. missed: half of the kernels, by more than that"
    )
    return f"{table(rows, left=2, least=('missed', 'kernels'))}\n\n{wrapped(note)}"


def _of_engine(kernels: Kernels, engine: str) -> Kernels:
    """Those that the engine itself ran, where there are any; else all."""
    mine = kernels.labels["engine"] == CALLED.get(engine, engine)
    return kernels.pick(mine) if mine.any() else kernels


def _alike(kernels: Kernels) -> Iterator[tuple[str | float | None, Kernels]]:
    """The kernels that speak for the same questions: see ``ALIKE``. Formats that no question can
    have are left out."""
    of = [_alike_of(kernels.form.name, str(label)) for label in kernels.labels["format"]]
    for alike in sorted({each for each in of if each != ""}, key=str):
        yield alike, kernels.pick(np.array([each == alike for each in of]))


def _alike_of(name: str, label: str) -> str | float | None:
    """What the format of a kernel is to a question; "" for one that no question has."""
    if name not in ALIKE:
        return None
    dtype, _, cache = label.partition("/")
    if dtype not in NAMES or (cache and cache not in NAMES):
        return ""
    precision = choose_precision(NAMES[dtype], NAMES.get(cache))
    value: str | float = getattr(precision, ALIKE[name])
    return value


def _replaced(
    kernels: Kernels, alike: str | float | None, device: Device, profile: Profile
) -> dict[str, Any]:
    """The rates of one class in one format, and how they meet what was measured."""
    name = kernels.form.name
    side = -1 if ALIKE.get(name) == "kv_bytes" else 0  # of "bfloat16/fp8", that of the cache
    numbers = sorted({str(each).split("/")[side] for each in kernels.labels["format"]})
    precisions = [_precision(str(label)) for label in kernels.labels["format"]]
    start = profile.efficiency(device, precisions[0])
    start = replace(start, weight_bytes_per_core_cycle=MOST_BYTES)
    free = dict.fromkeys((*REPLACED[name], "kernel_gap_s"), REACH)
    centre = points_of(np.array([max(value, 1e-12) for value in start.__dict__.values()]))
    matrix = _matrix(kernels, precisions, device, profile)
    reach = np.array([free.get(each, STAYS) for each in PARAMETERS])
    count = len(PARAMETERS)
    problem = Problem(
        matrix, np.log(kernels.measured_s), np.ones((len(kernels), count)), np.arange(count),
        centre, reach, noise=NOISE,
    )  # fmt: skip
    point = solve(problem, centre.copy())
    logs = logs_of(np.tile(point, (len(kernels), 1)))[0]
    missed = np.abs(matrix.seconds(logs)[0] / kernels.measured_s - 1)
    values = dict(zip(PARAMETERS, np.exp(logs[0]).tolist(), strict=True))
    return {
        "class": name, "number": " and ".join(numbers), "alike": alike,
        "kernels": len(kernels), "missed": round(float(np.median(missed)), 3),
        "rates": {each: float(f"{values[each]:.4g}") for each in REPLACED[name]},
    }  # fmt: skip


def _precision(label: str) -> Precision:
    """The formats of a kernel as those of a question."""
    dtype, _, cache = label.partition("/")
    return choose_precision(NAMES.get(dtype, "bf16"), NAMES.get(cache))


def _matrix(
    kernels: Kernels, precisions: Sequence[Precision], device: Device, profile: Profile
) -> DesignMatrix:
    """Every kernel as a step of one operator, under the terms of an estimate."""
    matrix = DesignMatrix(len(kernels))
    make = WORKS[kernels.form.name]
    for row, precision in enumerate(precisions):
        sizes = {name: float(values[row]) for name, values in kernels.sizes.items()}
        devices = int(sizes.get("devices", 1))
        rates = rates_of(device, precision, Efficiency(), profile.engine, devices=devices)
        matrix.add(row, 1.0, [make(sizes)], rates, 0.0)
    return matrix.close()


def _product(size: Mapping[str, float]) -> Work:
    row_flops = 2 * size["n"] * size["k"]
    return _work("contraction", size["m"] * row_flops, row_flops,
                 weights=size["n"] * size["k"] * size["weight_bytes"],
                 activations=size["m"] * (size["k"] * size["activation_bytes"] + 2 * size["n"])
    )  # fmt: skip


def _decoding(size: Mapping[str, float]) -> Work:
    heads, positions = size["heads"], size["batch"] * size["context"]
    flops = 4 * positions * heads * size["dim"]
    cache = 2 * positions * size["kv_heads"] * size["dim"] * size["cache_bytes"]
    return _work("attention", flops, flops * size["kv_heads"] / heads, cache=cache,
                 activations=4 * size["batch"] * heads * size["dim"])  # fmt: skip


def _prompt(size: Mapping[str, float]) -> Work:
    """A causal mask's pairs; keys and values are written once and read once."""
    new, heads, widths = size["new"], size["heads"], size["dim"] + size["out_dim"]
    tokens = size["batch"] * new
    flops = tokens * (new + 1) * heads * widths
    row_flops = flops * size["kv_heads"] / (new * heads)
    cache = 2 * tokens * size["kv_heads"] * widths * size["cache_bytes"]
    return _work("attention", flops, row_flops, cache=cache,
                 activations=2 * tokens * heads * widths)  # fmt: skip


def _experts(size: Mapping[str, float]) -> Work:
    """Tokens that choose evenly: of the experts held, so many are met by at least one row."""
    held = size["experts"] / size["ep"]
    rows = size["tokens"] * size["topk"] / size["ep"]
    met = held * (1 - (1 - 1 / held) ** rows) if held > 1 else min(1.0, rows)
    inner = size["inner"] / size["tp"]
    matrix = size["matrices"] * size["hidden"] * inner
    return _work("contraction", 2 * matrix * rows, 2 * matrix * met, group="experts",
                 weights=matrix * size["weight_bytes"] * met,
                 activations=rows * (4 * size["hidden"] + 6 * inner))  # fmt: skip


def _all_reduce(size: Mapping[str, float]) -> Work:
    devices = size["devices"]
    wire = size["passes"] * (devices - 1) / devices * size["message_bytes"]
    return network_work("all-reduce", 1.0, wire, float(ceil(log2(devices))))


def _work(
    kind: str, flops: float, row_flops: float, *, group: str = "", weights: float = 0.0,
    cache: float = 0.0, activations: float = 0.0,
) -> Work:  # fmt: skip
    return Work(kind, kind, group, kind, 1.0, flops, row_flops, weights, cache, activations)


WORKS = {
    "gemm": _product,
    "decode attention": _decoding,
    "prompt attention": _prompt,
    "experts": _experts,
    "all-reduce": _all_reduce,
}
