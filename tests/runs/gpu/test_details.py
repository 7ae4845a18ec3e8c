"""Fan, PCIe and processes of a GPU: given where the driver gives them, and a fault costs itself."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from thermoflop.runs.gpu.details import FIELDS, DetailsWatch, GpuDetails, GpuProcess
from thermoflop.runs.gpu.nvml import Gpus
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.gpu.sampler import GpuSampler
from thermoflop.runs.gpu.simulated import Body, SimulatedError, SimulatedNvml
from thermoflop.web.live.gpus import GpuSource

NOT_GIVEN = 0xFFFFFFFFFFFFFFFF  # NVML_VALUE_NOT_AVAILABLE as an unsigned number


class Driver(SimulatedNvml):
    """Two GPUs at full load; ``answers`` replaces functions by what they return or raise."""

    def __init__(self, **answers: Any) -> None:
        super().__init__([Body()] * 2, lambda _: 1.0)
        self.answers = answers

    def __getattribute__(self, name: str) -> Any:
        answers = super().__getattribute__("__dict__").get("answers", {})
        if name not in answers:
            return super().__getattribute__(name)
        answer = answers[name]
        if isinstance(answer, Exception):
            return lambda *_: (_ for _ in ()).throw(answer)
        return answer if callable(answer) else lambda *_: answer


def watched(driver: Driver) -> DetailsWatch:
    """GPU 1 of this driver, asked once."""
    watch = DetailsWatch(Gpus(driver), 1, lambda *_: None)
    watch.turn()
    return watch


def test_units_are_shares_bytes_a_second_and_bytes() -> None:
    """NVML says percent, and KB a second, sent (0) and received (1) by the GPU."""
    processes = [
        SimpleNamespace(pid=7, usedGpuMemory=5),
        SimpleNamespace(pid=8, usedGpuMemory=None),
    ]
    drawing = [SimpleNamespace(pid=9, usedGpuMemory=6), SimpleNamespace(pid=7, usedGpuMemory=5)]
    driver = Driver(
        nvmlDeviceGetFanSpeed=45,
        nvmlDeviceGetPcieThroughput=lambda _, counter: (1500, 250)[counter],
        nvmlDeviceGetCurrPcieLinkGeneration=3,
        nvmlDeviceGetCurrPcieLinkWidth=8,
        nvmlDeviceGetMaxPcieLinkGeneration=5,
        nvmlDeviceGetMaxPcieLinkWidth=16,
        nvmlDeviceGetComputeRunningProcesses=processes,
        nvmlDeviceGetGraphicsRunningProcesses=drawing,
        nvmlSystemGetProcessName=lambda pid: {7: "/usr/bin/python"}[pid],  # of the others KeyError
    )
    assert watched(driver).latest == GpuDetails(
        fan=0.45,
        link=(3, 8),
        link_max=(5, 16),
        pcie_in=250e3,
        pcie_out=1500e3,
        processes=(GpuProcess(9, "", 6), GpuProcess(7, "/usr/bin/python", 5),
                   GpuProcess(8, "", None)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("call", "answer", "lost", "is_final"),
    [
        ("nvmlDeviceGetFanSpeed", SimulatedError(3), "fan", True),  # no fan: data-centre cards
        ("nvmlDeviceGetFanSpeed", RuntimeError("odd"), "fan", False),
        ("nvmlDeviceGetFanSpeed", -1, "fan", False),
        ("nvmlDeviceGetCurrPcieLinkWidth", SimulatedError(13), "link", True),
        ("nvmlDeviceGetMaxPcieLinkGeneration", 0, "link", False),
        ("nvmlDeviceGetPcieThroughput", NOT_GIVEN, "traffic", False),
        ("nvmlDeviceGetPcieThroughput", SimulatedError(4), "traffic", True),
        ("nvmlDeviceGetComputeRunningProcesses", SimulatedError(15), "processes", False),
        ("nvmlDeviceGetComputeRunningProcesses", None, "processes", False),
    ],
)
def test_a_call_that_fails_costs_its_own_fields(
    call: str, answer: Any, lost: str, is_final: bool
) -> None:
    watch = watched(Driver(**{call: answer}))
    absent = {name for name in GpuDetails.__slots__ if getattr(watch.latest, name) is None}
    assert absent == set(FIELDS[lost])
    assert (lost in watch.missing) == is_final


def test_a_call_that_never_returns_costs_its_own_fields() -> None:
    """The thread that made it is left behind, another one asks for the rest."""
    entered, end, told = threading.Event(), threading.Event(), threading.Event()
    now_s = [0.0]

    def hang(*_: Any) -> int:
        entered.set()
        end.wait(60)
        return 1

    driver = Driver(nvmlDeviceGetPcieThroughput=hang)
    seen: list[GpuDetails] = []

    def sink(_: int, details: GpuDetails) -> None:
        seen.append(details)
        told.set()

    stop = threading.Event()
    watch = DetailsWatch(Gpus(driver), 1, sink, lambda: now_s[0])
    first = watch.start(stop)
    assert entered.wait(30)
    assert watch.look(stop) is None  # not for too long yet
    now_s[0] = 2.1
    second = watch.look(stop)
    assert second is not None
    assert told.wait(30)
    assert watch.missing == {"traffic": "no answer for 2 s"}
    assert seen[0].fan is not None
    assert seen[0].processes is not None
    assert seen[0].pcie_in is None
    stop.set()
    end.set()
    for thread in (first, second):
        thread.join(30)
        assert not thread.is_alive()
    assert watch.latest.pcie_in is None


def test_readings_go_on_where_processes_never_return() -> None:
    """Of a server, which asks for details; a recording notes its processes as before."""
    end, three = threading.Event(), threading.Event()
    seen: list[object] = []

    def sink(items: list[Any]) -> None:
        seen.extend(items)
        if sum(isinstance(item, GpuSample) for item in seen) >= 6:
            three.set()

    driver = Driver(nvmlDeviceGetComputeRunningProcesses=lambda *_: end.wait(60))
    with GpuSampler(driver, sink, 50, details=lambda *_: None):
        assert three.wait(30)
        end.set()
    assert all(isinstance(item, GpuSample) for item in seen)


def test_a_hostile_name_of_a_process_is_shown_as_text_and_short() -> None:
    source = GpuSource("none")
    source._take([GpuSample(1.0, 2.0, 0, temp_c=50, mem_used_bytes=9)])
    names = [
        "/opt/a b/python3",
        "C:\\tools\\llama-server.exe",
        "x\x1b[2J\u202egpj\n" + "y" * 99,
        "/",
    ]
    processes = tuple(GpuProcess(pid, name, 5) for pid, name in enumerate(names))
    source._take_details(0, GpuDetails(fan=0.5, pcie_in=2e6, pcie_out=1e6, processes=processes))
    (state,) = source.states()
    shown = [name for _, name, _ in state["processes"]]
    assert shown[:2] == ["python3", "llama-server.exe"]
    assert shown[2].startswith("x\\x1b[2J\\u202egpj\\ny")
    assert len(shown[2]) <= 40
    assert all(name.isprintable() for name in shown)
    assert source.slow[0].since(0, 1) == (
        0,
        "[[1,null,50,2,1]]",
    )  # without the GPU's memory no share of it
