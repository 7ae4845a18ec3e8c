"""Collectives inside a node: an engine's own all-reduce, and NCCL's collectives.

Latency and bytes overlap a little (the term of the root). Switches that add (NVLS, from Hopper on
among more than two) send less. What several devices reach over PCIe depends on how they are
connected, which no sheet says: measure it.
"""

from __future__ import annotations

from thermoflop.base.number import Number
from thermoflop.cost.kernels.form import Form, Parameter, Values


def seconds(kernel: Values, rates: Values) -> Number:
    """Sizes ``devices``, ``message_bytes``, ``passes`` (2 for an all-reduce, else 1), ``switched``
    0 or 1: whether the switch adds."""
    devices = kernel["devices"]
    latency = rates["fixed_s"] + rates["device_s"] * (devices - 2.0)
    sent = kernel["passes"] * (devices - 1.0) / devices * kernel["message_bytes"]
    rate = kernel["link"] * rates["link"] * rates["switch"] ** kernel["switched"]
    sending = sent / rate
    return latency + sending + rates["overlap"] * (latency * sending) ** 0.5


def bound_s(kernel: Values) -> Number:
    """A message once over the links: a switch that adds halves an all-reduce (NVIDIA SHARP)."""
    devices = kernel["devices"]
    return (devices - 1.0) / devices * kernel["message_bytes"] / kernel["link"]


def _form(name: str, label: str, table: str, fixed_s: float, device_s: float, link: float) -> Form:
    return Form(
        name,
        label,
        table,
        {
            "link": Parameter(link, 0.3, 1.0),
            "switch": Parameter(1.1, 0.1),
            "fixed_s": Parameter(fixed_s, 0.7),
            "device_s": Parameter(device_s, 0.7),
            "overlap": Parameter(1.1, 0.5),
        },
        seconds,
        bound_s,
        offsets=("engine", "architecture"),
        elsewhere=("engine",),
    )


ALL_REDUCE = _form(
    "all-reduce", "all-reduce of engines, NVLink", "all_reduce", 3.5e-6, 2.4e-7, 0.687
)
NCCL = tuple(
    _form(f"NCCL {name}", f"{name} of NCCL, NVLink", f"nccl_{table}", 8.3e-6, 1.5e-6, 0.7)
    for name, table in (
        ("all-reduce", "all_reduce"), ("all-gather", "all_gather"),
        ("reduce-scatter", "reduce_scatter"), ("all-to-all", "alltoall"),
    )
)  # fmt: skip
