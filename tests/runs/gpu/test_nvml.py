"""NVML through a simulated library: all fields, old drivers, GPUs that are lost and come back."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from thermoflop.runs.folder.reader import parse
from thermoflop.runs.gpu.nvml import Gpu, GpuLost, Gpus, NoGpu
from thermoflop.runs.gpu.sample import MEASURED, GpuSample, encode_gpu, parse_gpu
from thermoflop.runs.gpu.sampler import GpuSampler, Watch
from thermoflop.runs.gpu.simulated import Body, SimulatedError, SimulatedNvml


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def library(load: float = 1.0, clock: Clock | None = None, **options: Any) -> SimulatedNvml:
    """One GPU at a constant load."""
    return SimulatedNvml(load=lambda _: load, clock=clock or Clock(), **options)


def run_for(clock: Clock, gpu: Gpu, seconds: float, every_s: float = 0.1) -> list[GpuSample]:
    """Samples of simulated time."""
    samples = []
    for _ in range(round(seconds / every_s)):
        clock.now_s += every_s
        samples.append(gpu.read())
    return samples


def test_every_field_is_read() -> None:
    """In watts, joules, degrees and shares of one."""
    clock = Clock()
    gpu = Gpus(library(clock=clock)).open(0)
    sample = run_for(clock, gpu, 2.0)[-1]
    assert {n for n in MEASURED if getattr(sample, n) is None} == {"mem_temp_c"}
    assert sample.power_w == pytest.approx(300, abs=3)
    assert sample.util == 1.0
    assert sample.reasons == 4
    assert gpu.facts()["power_limit_w"] == 300.0
    assert gpu.facts()["slowdown_c"] == 92


def test_a_driver_without_the_new_name_is_asked_by_the_old_one() -> None:
    """EventReasons, then ThrottleReasons."""
    old = library(without=["nvmlDeviceGetCurrentClocksEventReasons"])
    assert Gpus(old).open(0).read().reasons is not None


def test_what_an_old_driver_lacks_costs_its_field_only() -> None:
    """With the reason in the facts, and asked once."""
    old = library(
        without=[
            "nvmlDeviceGetCurrentClocksEventReasons",
            "nvmlDeviceGetCurrentClocksThrottleReasons",
            "nvmlDeviceGetTotalEnergyConsumption",
            "nvmlDeviceGetFieldValues",
        ]
    )
    gpu = Gpus(old).open(0)
    sample = gpu.read()
    assert (sample.reasons, sample.energy_j, sample.power_avg_w) == (None, None, None)
    assert sample.power_w is not None
    assert gpu.missing["energy_j"] == "not in this driver"
    assert set(gpu.missing) == {"energy_j", "reasons"}
    assert gpu.facts()["power_source"] == "nvmlDeviceGetPowerUsage"


def test_an_old_python_package_lacks_functions_altogether() -> None:
    """AttributeError is a missing field, too."""
    real = library()
    names = [
        n for n in dir(real) if n.startswith("nvml") and "Reasons" not in n and "Field" not in n
    ]
    old = SimpleNamespace(NVMLError=SimulatedError, **{n: getattr(real, n) for n in names})
    sample = Gpus(old).open(0).read()
    assert sample.reasons is None
    assert sample.power_w is not None


def test_no_driver_is_a_reason_not_a_crash() -> None:
    """NoGpu says what NVML said."""

    def fail() -> None:
        raise SimulatedError(9)

    broken = SimpleNamespace(NVMLError=SimulatedError, nvmlInit=fail)
    with pytest.raises(NoGpu, match="NVML did not start: Driver Not Loaded"):
        Gpus(broken)
    with pytest.raises(NoGpu, match="found no GPU"):
        Gpus(library(bodies=[]))


def test_a_lost_gpu_is_noticed_at_the_next_reading() -> None:
    """And other GPUs go on."""
    clock = Clock()
    gpus = Gpus(library(clock=clock, bodies=[Body(), Body()], lost={1: (5.0, float("inf"))}))
    lost = gpus.open(1)
    clock.now_s += 6.0
    assert gpus.open(0).read().temp_c is not None
    with pytest.raises(GpuLost, match="GPU is lost"):
        lost.read()


def test_a_watch_says_lost_once_and_back_once() -> None:
    """A GPU that comes back is read again."""
    clock = Clock()
    seen: list[Any] = []
    fake = library(clock=clock, lost={0: (10.0, 20.0)})
    watch = Watch(Gpus(fake), 0, seen.extend, clock)
    for _ in range(7):
        clock.now_s += 7.0
        watch.turn()
    events = [item.ev for item in seen if not isinstance(item, GpuSample)]
    assert events == ["gpu_lost", "gpu_back"]
    assert isinstance(seen[-1], GpuSample)
    assert watch.lost == 1


def test_the_sampler_keeps_its_rate_and_shuts_the_library_down() -> None:
    """At least ten a second, by count; the library's users are balanced."""
    import time

    seen: list[Any] = []
    fake = SimulatedNvml(load=lambda _: 0.5)
    with GpuSampler(fake, seen.extend, rate_hz=100):
        time.sleep(0.5)
    assert 15 <= len(seen) <= 60
    assert fake.started == 0


def test_a_reading_survives_its_record() -> None:
    """Encode and parse."""
    sample = GpuSample(1.5, 2.5, 3, temp_c=61.0, power_w=284.112, reasons=36, mem_used_bytes=7)
    record = encode_gpu(sample)
    assert parse(record.rstrip(b"\n")) == sample
    assert record.count(b"\n") == 1


@pytest.mark.parametrize("bad", [{}, {"gpu": 0, "temp_c": "hot"}, {"gpu": 0, "power_w": True}])
def test_a_record_that_is_none_is_refused(bad: dict[str, Any]) -> None:
    """Foreign lines are counted, not believed."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        parse_gpu(0.0, 0.0, bad)


def test_the_same_seed_gives_the_same_answers() -> None:
    """Tests can rely on the simulation."""

    def figures(seed: int) -> Sequence[GpuSample]:
        clock = Clock()
        gpu = Gpus(library(clock=clock, seed=seed)).open(0)
        return [s.power_w for s in run_for(clock, gpu, 3.0)]

    assert figures(1) == figures(1)
    assert figures(1) != figures(2)


def test_the_simulated_gpu_warms_throttles_and_counts_its_energy() -> None:
    """Counter and integral of power agree; too hot lowers the clock and says so."""
    clock = Clock()
    hot = Body(k_per_w=0.30, tau_s=5.0)
    gpu = Gpus(library(clock=clock, bodies=[hot])).open(0)
    samples = run_for(clock, gpu, 60.0)
    assert samples[-1].reasons is not None
    assert samples[-1].reasons & 0x020
    assert samples[-1].sm_mhz is not None
    assert samples[-1].sm_mhz < 1980
    integral_j = sum(s.power_w or 0.0 for s in samples[1:]) * 0.1
    counted_j = (samples[-1].energy_j or 0.0) - (samples[0].energy_j or 0.0)
    assert integral_j == pytest.approx(counted_j, rel=0.01)
