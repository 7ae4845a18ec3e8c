"""NVML that fails in every way it can: a table of faults against what each may cost.

Four GPUs; what fails, fails on GPU 2 or for the library as a whole. In every row the command runs,
its exit code is passed through, the other GPUs are read in full, and the reason is kept.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from thermoflop.pico.track import HostEvent
from thermoflop.runs.folder.reader import RunReader
from thermoflop.runs.gpu import sampler
from thermoflop.runs.gpu.nvml import Gpus
from thermoflop.runs.gpu.sample import MEASURED, GpuSample
from thermoflop.runs.gpu.sampler import Watch
from thermoflop.runs.gpu.simulated import Body, SimulatedError, SimulatedNvml
from thermoflop.runs.record.plan import Plan
from thermoflop.runs.record.session import Outcome, record_command

BAD_GPU, N_GPUS = 2, 4
NAME = b"NVIDIA \xff H100"
DECODE = UnicodeDecodeError("utf-8", NAME, 7, 8, "invalid start byte")


class Hang:
    """A call that does not return before the test ends."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def __call__(self) -> None:
        self.end.wait(10)


class FaultyNvml(SimulatedNvml):
    """Four GPUs at half load; ``call`` on GPU 2, or of the library, raises or returns ``fault``."""

    def __init__(self, call: str, fault: Any, **options: Any) -> None:
        super().__init__([Body()] * N_GPUS, lambda _: 0.5, **options)
        self.call, self.fault = call, fault

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if not name.startswith("nvml") or name != self.call:
            return value

        def faulty(*args: Any) -> Any:
            if args and args[0] != BAD_GPU:
                return value(*args)
            if isinstance(self.fault, Hang):
                self.fault()
            if isinstance(self.fault, Exception):
                raise self.fault
            return self.fault

        return faulty


FIELDS_OF = {
    "nvmlDeviceGetTemperature": {"temp_c": "temp_c"},
    "nvmlDeviceGetTotalEnergyConsumption": {"energy_j": "energy_j"},
    "nvmlDeviceGetUtilizationRates": {"util": "util", "mem_util": "util"},
    "nvmlDeviceGetMemoryInfo": {"mem_used_bytes": "mem_used_bytes"},
    "nvmlDeviceGetCurrentClocksEventReasons": {"reasons": "reasons"},
    "nvmlDeviceGetClockInfo": {"sm_mhz": "sm_mhz", "mem_mhz": "mem_mhz"},
}
FACT_OF = {
    "nvmlDeviceGetName": "name",
    "nvmlDeviceGetUUID": "uuid",
    "nvmlDeviceGetEnforcedPowerLimit": "power_limit_w",
    "nvmlDeviceGetMaxClockInfo": "sm_max_mhz",
    "nvmlDeviceGetTemperatureThreshold": "slowdown_c",
}
UNKNOWN, TIMEOUT, LOST = SimulatedError(999), SimulatedError(10), SimulatedError(15)
VALUE, SYSTEM, RUNTIME = ValueError("surprise"), OSError("no such library"), RuntimeError("odd")
INIT, COUNT, HANDLE = "nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"
# the call that fails, how, what it costs, and a part of the reason that is kept
ROWS: list[tuple[str, Any, str, str]] = [
    (INIT, UNKNOWN, "all", "NVML did not start"),
    (INIT, SYSTEM, "all", "OSError: no such library"),
    (INIT, DECODE, "all", "UnicodeDecodeError"),
    (INIT, VALUE, "all", "ValueError: surprise"),
    (INIT, "hang", "all", "NVML has not answered for"),
    (COUNT, UNKNOWN, "all", "NVML named no GPU"),
    (COUNT, SYSTEM, "all", "OSError: no such library"),
    (COUNT, "hang", "all", "NVML has not answered for"),
    (COUNT, None, "all", "None is no reading"),
    (COUNT, 0, "all", "found no GPU"),
    (COUNT, 2**31, "all", "2147483648 GPUs"),
    ("nvmlSystemGetDriverVersion", VALUE, "nothing", ""),
    ("nvmlShutdown", RUNTIME, "nothing", ""),
    ("nvmlShutdown", "hang", "nothing", ""),
    (HANDLE, UNKNOWN, "gpu", "?"),
    (HANDLE, SYSTEM, "gpu", "OSError: no such library"),
    (HANDLE, DECODE, "gpu", "UnicodeDecodeError"),
    (HANDLE, VALUE, "gpu", "ValueError: surprise"),
    (HANDLE, "hang", "gpu", "no answer for"),
    ("nvmlDeviceGetName", UNKNOWN, "fact", "?"),
    ("nvmlDeviceGetName", SYSTEM, "fact", "OSError: no such library"),
    ("nvmlDeviceGetName", VALUE, "fact", "ValueError: surprise"),
    ("nvmlDeviceGetName", "hang", "gpu", "no answer for"),
    ("nvmlDeviceGetUUID", RUNTIME, "fact", "RuntimeError: odd"),
    ("nvmlDeviceGetEnforcedPowerLimit", 0xFFFFFFFF, "fact", "4294967295 is no reading"),
    ("nvmlDeviceGetMaxClockInfo", math.nan, "fact", "nan is no reading"),
    ("nvmlDeviceGetTemperatureThreshold", "hot", "fact", "'hot' is no reading"),
    ("nvmlDeviceGetTemperature", LOST, "gpu", "GPU is lost"),
    ("nvmlDeviceGetTemperature", VALUE, "field", "ValueError: surprise"),
    ("nvmlDeviceGetTemperature", DECODE, "field", "UnicodeDecodeError"),
    ("nvmlDeviceGetTemperature", "hang", "gpu", "no answer for"),
    ("nvmlDeviceGetTemperature", None, "field", "None is no reading"),
    ("nvmlDeviceGetTotalEnergyConsumption", TIMEOUT, "field", "?"),
    ("nvmlDeviceGetTotalEnergyConsumption", SYSTEM, "field", "OSError: no such library"),
    ("nvmlDeviceGetTotalEnergyConsumption", "hang", "gpu", "no answer for"),
    ("nvmlDeviceGetTotalEnergyConsumption", 2**64 - 1, "field", "18446744073709551615 is no"),
    ("nvmlDeviceGetUtilizationRates", VALUE, "field", "ValueError: surprise"),
    ("nvmlDeviceGetUtilizationRates", None, "field", "AttributeError"),
    ("nvmlDeviceGetMemoryInfo", DECODE, "field", "UnicodeDecodeError"),
    ("nvmlDeviceGetMemoryInfo", SimpleNamespace(total=-1, used=-1), "field", "-1 is no reading"),
    ("nvmlDeviceGetCurrentClocksEventReasons", RUNTIME, "field", "RuntimeError: odd"),
    ("nvmlDeviceGetCurrentClocksEventReasons", 1.5e400, "field", "inf is no reading"),
    ("nvmlDeviceGetClockInfo", True, "field", "True is no reading"),
    ("nvmlDeviceGetClockInfo", "hang", "gpu", "no answer for"),
    ("nvmlDeviceGetFieldValues", VALUE, "nothing", ""),
    ("nvmlDeviceGetFieldValues", [None, None], "nothing", ""),
    ("nvmlDeviceGetFieldValues", "hang", "gpu", "no answer for"),
]


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hang]:
    """Short patience, and an end for what hangs."""
    patience = {"OPEN_S": 0.15, "HANG_S": 0.15, "CLOSE_S": 0.05, "_LOOK_S": 0.02}
    for name, seconds in patience.items():
        monkeypatch.setattr(sampler, name, seconds)
    fault = Hang()
    yield fault
    fault.end.set()


def recorded(out: Path, library: Any) -> Outcome:
    """A command of 0.15 s and exit code 3, recorded with this NVML."""
    plan = Plan(
        command=["sh", "-c", "echo it ran; sleep 0.15; exit 3"],
        out=out,
        port="none",
        gpu_library=library,
        rate_hz=40,
        echo=(None, None),
    )
    return record_command(plan)


def readings(outcome: Outcome) -> dict[int, list[GpuSample]]:
    """The readings of each GPU."""
    found: dict[int, list[GpuSample]] = {}
    for item in RunReader(outcome.folder):
        if isinstance(item, GpuSample):
            found.setdefault(item.gpu, []).append(item)
    return found


def given(sample: GpuSample) -> set[str]:
    """The fields that a reading has."""
    return {name for name in MEASURED if getattr(sample, name) is not None}


ALL = set(MEASURED) - {"mem_temp_c"}  # which the simulated GPU lacks


@pytest.mark.parametrize(("call", "fault", "cost", "why"), ROWS)
def test_a_fault_of_nvml_costs_what_it_must_and_nothing_else(
    tmp_path: Path, hang: Hang, call: str, fault: Any, cost: str, why: str
) -> None:
    """The table: source, GPU, field or fact, each with its reason; never the command."""
    outcome = recorded(tmp_path, FaultyNvml(call, hang if fault == "hang" else fault))
    assert outcome.exit_code == 3
    assert (outcome.folder / "child.log").read_bytes() == b"it ran\n"
    by_gpu = readings(outcome)
    if cost == "all":
        assert by_gpu == {}
        assert why in outcome.absent["gpu"]
        return
    assert "gpu" not in outcome.absent
    for gpu in {*range(N_GPUS)} - {BAD_GPU}:
        assert by_gpu[gpu]
        assert all(given(sample) == ALL for sample in by_gpu[gpu])
    device = outcome.run["gpu"]["devices"][BAD_GPU]
    last = by_gpu.get(BAD_GPU, [])[-1:]
    if cost == "gpu":
        assert why in device["lost"]
        assert any(f"GPU {BAD_GPU} was lost" in notice for notice in outcome.notices)
        events = [item for item in RunReader(outcome.folder) if isinstance(item, HostEvent)]
        assert [e.detail["gpu"] for e in events if e.ev == "gpu_lost"] == [BAD_GPU]
    elif cost == "field":
        fields = FIELDS_OF[call]
        assert given(last[0]) == ALL - set(fields)
        assert all(why in device["faults"][field]["why"] for field in fields.values())
        assert any(f"GPU {BAD_GPU} gave no " in notice for notice in outcome.notices)
    elif cost == "fact":
        assert given(last[0]) == ALL
        assert FACT_OF[call] not in device
        assert why in device["faults"][FACT_OF[call]]["why"]
    else:
        assert given(last[0]) >= ALL - {"power_avg_w"}


def test_a_name_that_is_not_utf8_is_read_with_replacement(tmp_path: Path, hang: Hang) -> None:
    """The bytes are in the exception that the Python package raises; others give bytes."""
    for name in (DECODE, NAME, NAME + b"\0"):
        outcome = recorded(tmp_path, FaultyNvml("nvmlDeviceGetName", name))
        names = [device["name"] for device in outcome.run["gpu"]["devices"]]
        assert names == ["Simulated GPU 300W"] * 2 + ["NVIDIA \ufffd H100", "Simulated GPU 300W"]


def test_a_library_that_cannot_be_loaded_is_a_reason(
    tmp_path: Path, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its import raises."""
    for text, why in (
        ("raise OSError('libnvidia-ml.so.1')", "OSError: libnvidia-ml.so.1"),
        ("raise ValueError('surprise')", "ValueError: surprise"),
        ("(", "SyntaxError"),
    ):
        (tmp_path / "pynvml.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "pynvml", raising=False)  # another test may have it
        outcome = recorded(tmp_path / "runs", None)
        assert outcome.exit_code == 3
        assert why in outcome.absent["gpu"]


def test_gpus_that_answer_late_join_the_run(tmp_path: Path, hang: Hang) -> None:
    """NVML starts in 0.2 s, the command after 0.15: the readings begin while it runs."""
    threading.Timer(0.2, hang.end.set).start()
    outcome = recorded(tmp_path, FaultyNvml(INIT, hang))
    assert sorted(readings(outcome)) == [*range(N_GPUS)]
    assert "gpu" not in outcome.absent


class Clock:
    """Time that passes when the test says so."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


EXCEPTIONS = (UNKNOWN, SYSTEM, DECODE, VALUE, RUNTIME, KeyError("x"), StopIteration("y"))


@pytest.mark.parametrize("call", [*FIELDS_OF, HANDLE, "nvmlDeviceGetPowerUsage"])
@pytest.mark.parametrize("fault", EXCEPTIONS, ids=lambda fault: type(fault).__name__)
def test_a_gpu_that_failed_is_read_again_when_it_answers(call: str, fault: Exception) -> None:
    """Each call with each kind of exception, from the first second to the third of five."""
    clock = Clock()
    without = ["nvmlDeviceGetFieldValues"] if call == "nvmlDeviceGetPowerUsage" else []
    library = FaultyNvml(call, fault, clock=clock, without=without)
    seen: list[Any] = []
    watch = Watch(Gpus(library), BAD_GPU, seen.extend, clock)
    library.call = ""
    complete: list[set[str]] = []
    for turn in range(12):
        library.call = call if 2 <= turn < 5 else ""
        clock.now_s += 1 if turn < 6 else sampler.RETRY_S
        watch.turn()
        complete.append(given(watch.latest) if watch.latest else set())
    assert complete[0] == complete[-1] >= ALL - {"power_avg_w"}
    assert [item.ev for item in seen if isinstance(item, HostEvent)] in (
        [],
        ["gpu_lost", "gpu_back"],
    )


def test_a_gpu_that_hangs_is_lost_once_and_back_when_it_returns() -> None:
    """Its late reading is of no moment; the one after it counts."""
    clock = Clock()
    seen: list[Any] = []
    library = FaultyNvml("", None, clock=clock)

    def hold(look: Callable[[], None]) -> Any:
        for _ in range(3):
            clock.now_s += 1.5 * sampler.HANG_S
            look()
        return 40

    watch = Watch(Gpus(library), BAD_GPU, seen.extend, clock)
    watch.turn()
    setattr(library, "nvmlDeviceGetTemperature", lambda *_: hold(watch.look))  # noqa: B010
    watch.turn()
    delattr(library, "nvmlDeviceGetTemperature")
    watch.turn()
    kinds = [item.ev if isinstance(item, HostEvent) else "reading" for item in seen]
    assert kinds == ["reading", "gpu_lost", "gpu_back", "reading"]
