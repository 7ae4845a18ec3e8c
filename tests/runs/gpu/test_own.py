"""Whose GPUs: CUDA_VISIBLE_DEVICES as CUDA reads it, ``--gpu 0,3``, and the energy of each."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kit.run_folder import START_S, mark, trial, write
from thermoflop.errors import UsageError
from thermoflop.report.html.page import page
from thermoflop.report.terminal.terminal import lines
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.gpu.own import asked_gpus, own_gpus
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.gpu.simulated import Body, SimulatedNvml
from thermoflop.runs.record.plan import Plan
from thermoflop.runs.record.queue import ItemQueue
from thermoflop.runs.record.session import record_command
from thermoflop.runs.record.sources import open_gpus, simulated_gpus, simulated_library

DEVICES: list[dict[str, Any]] = [
    {"index": 0, "uuid": "GPU-aa10", "name": "H100"},
    {"index": 1, "uuid": "GPU-aa20", "name": "H100", "mig": ["MIG-1", "MIG-2"]},
    {"index": 2, "uuid": "GPU-bb30", "name": "H100"},
    {"index": 3, "uuid": "GPU-cc40", "name": "H100"},
]


@pytest.mark.parametrize(
    ("visible", "own"),
    [
        ("3", [3]),
        ("0,3", [0, 3]),
        ("3, 0", [0, 3]),
        ("GPU-bb30", [2]),
        ("GPU-bb", [2]),  # enough of it to tell
        ("GPU-aa", []),  # two begin like that
        ("GPU-zz", []),
        ("0,GPU-cc40", [0, 3]),
        ("", []),
        ("-1", []),
        ("0,-1,3", [0]),  # what comes after the first that is none is not visible
        ("7", []),
        ("1,9,2", [1]),
        ("MIG-2", [1]),
        ("MIG-GPU-cc40/1/0", [3]),
        ("MIG-9", None),  # a slice that NVML does not name
        ("NoDevFiles", []),
    ],
)
def test_the_own_gpus_are_those_that_cuda_gives(visible: str, own: list[int] | None) -> None:
    """By index, by UUID or its beginning, by slice; the variable is named."""
    found = own_gpus(DEVICES, None, {"CUDA_VISIBLE_DEVICES": visible})
    assert found.gpus == own
    assert found.source == f"CUDA_VISIBLE_DEVICES={visible}"
    if own == []:
        assert found.note == "the command can use no GPU"


def test_without_the_variable_all_are_its_own_and_what_is_asked_for_wins() -> None:
    """``--gpu`` is said by the user of this very run."""
    assert own_gpus(DEVICES, None, {}).gpus is None
    assert own_gpus(DEVICES, [0, 3], {"CUDA_VISIBLE_DEVICES": "1"}).gpus == [0, 3]


def test_what_an_index_or_a_slice_cannot_say_is_noted() -> None:
    """CUDA's order is by speed unless it is told otherwise; a slice has no power of its own."""
    mixed = [{**DEVICES[0], "name": "RTX 4090"}, *DEVICES[1:]]
    by_speed = own_gpus(mixed, None, {"CUDA_VISIBLE_DEVICES": "0"})
    assert "fastest GPU first" in str(by_speed.note)
    by_bus = {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert own_gpus(mixed, None, by_bus).note is None
    assert own_gpus(mixed, None, {"CUDA_VISIBLE_DEVICES": "GPU-aa10"}).note is None
    assert "whole GPU" in str(own_gpus(DEVICES, None, {"CUDA_VISIBLE_DEVICES": "MIG-1"}).note)


@pytest.mark.parametrize(
    ("text", "indices"), [("0,3", [0, 3]), ("3 , 0", [0, 3]), ("2", [2]), ("", None), ("0,", None),
                          ("-1", None), ("a", None), ("²", None), ("99999", None)],
)  # fmt: skip
def test_a_list_of_gpus_is_indices(text: str, indices: list[int] | None) -> None:
    """And nothing else."""
    assert asked_gpus(text) == indices


def four_gpus(tmp_path: Path, **gpu: Any) -> Path:
    """4 s: GPU 3 idles at 30 W, as do 1 and 2; GPU 0 draws 300 W for somebody else, and throttles.

    30 W x 4 s = 120 J; the others (300 + 30 + 30) W x 4 s = 1440 J.
    """
    samples = [
        GpuSample(
            START_S + n / 10, 0.0, index, power_w=300.0 if index == 0 else 30.0,
            temp_c=70.0 if index == 0 else 35.0, reasons=4 if index == 0 else 0,
        )
        for n in range(-5, 46) for index in range(4)
    ]  # fmt: skip
    records = [*trial(0, 4), mark(0, "decode"), mark(3.9, tokens=100), *samples]
    return write(tmp_path, records, gpu={"devices": DEVICES, **gpu})


def test_the_energy_is_the_own_gpus_and_the_neighbours_is_apart(tmp_path: Path) -> None:
    """120 J, 1.2 J a token; 1440 J of the neighbours; nothing of theirs in the other figures."""
    folder = four_gpus(tmp_path, own=[3], own_from="CUDA_VISIBLE_DEVICES=3", own_note=None)
    analysis = analyze(folder)
    (figures,) = analysis.trials
    assert figures.joules == pytest.approx(120)
    assert figures.joules_per_token == pytest.approx(1.2)
    assert figures.neighbours_joules == pytest.approx(1440)
    assert (figures.max_gpu_c, figures.throttled_s) == (35.0, 0.0)
    names = [heat.name for heat in analysis.heat]
    assert names == [f"GPU {n} (neighbour)" for n in range(3)] + ["GPU 3"]
    for text in ("\n".join(lines(analysis)), page([analysis])):
        assert "own GPUs (3: CUDA_VISIBLE_DEVICES=3)" in text
        assert "neighbours" in text
        assert "1.44 kJ" in text


def test_a_run_that_does_not_say_has_all_gpus_for_its_own(tmp_path: Path) -> None:
    """As runs from before: 390 W for 4 s."""
    (figures,) = analyze(four_gpus(tmp_path)).trials
    assert figures.joules == pytest.approx(1560)
    assert figures.neighbours_joules is None


def test_a_command_that_can_use_no_gpu_has_no_energy(tmp_path: Path) -> None:
    """Whatever the others draw."""
    (figures,) = analyze(four_gpus(tmp_path, own=[])).trials
    assert (figures.joules, figures.joules_why) == (None, "the command can use no GPU")
    assert figures.neighbours_joules == pytest.approx(1560)


def test_an_own_gpu_that_was_never_read_leaves_no_figure(tmp_path: Path) -> None:
    """Half of the energy is not the energy."""
    (figures,) = analyze(four_gpus(tmp_path, own=[3, 7])).trials
    assert (figures.joules, figures.joules_why) == (None, "GPU 7: it was not read")


@pytest.mark.parametrize(("spec", "own"), [("auto", [1]), ("0,3", [0, 3])])
def test_a_run_keeps_the_variable_and_whose_gpus_are_whose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, own: list[int]
) -> None:
    """In run.json; all GPUs are read, the neighbours warm the same box."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    outcome = record_command(plan(tmp_path, spec))
    assert outcome.run["environment"]["CUDA_VISIBLE_DEVICES"] == "1"
    assert outcome.run["gpu"]["own"] == own
    assert len(outcome.run["gpu"]["devices"]) == 4


@pytest.mark.parametrize(("spec", "text"), [("0,9", "there is no GPU 9"), ("x", "such as 0,3")])
def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path, spec: str, text: str) -> None:
    """Before the command starts."""
    with pytest.raises(UsageError, match=text):
        record_command(plan(tmp_path, spec))


@pytest.mark.parametrize("spec", ["4090", "0,5090", "h100"])
def test_a_model_in_place_of_an_index_is_refused_where_no_gpu_is_either(spec: str) -> None:
    """Without NVML nothing else would contradict it, and the run would be of no GPU."""
    with pytest.raises(UsageError, match=f"record --gpu-model {spec}"):
        open_gpus(spec, ItemQueue(), 10.0, None)


def test_a_gpu_by_number_is_refused_where_no_driver_answers() -> None:
    """A run that somebody wants of GPU 0 is none without it; auto records without."""

    def fail() -> None:
        raise OSError("no driver")

    broken = SimpleNamespace(NVMLError=OSError, nvmlInit=fail)
    with pytest.raises(UsageError, match=r"--gpu 0: there is none to read: .*no driver"):
        open_gpus("0", ItemQueue(), 10.0, broken)
    sampler, why = open_gpus("auto", ItemQueue(), 10.0, broken)
    assert sampler is None
    assert "no driver" in str(why)


def plan(out: Path, spec: str) -> Plan:
    """A command that does nothing on a machine of four GPUs."""
    library = SimulatedNvml([Body()] * 4)
    return Plan(
        command=["true"], out=out, port="none", gpu=spec, gpu_library=library, echo=(None, None)
    )


class WithProcesses(SimulatedNvml):
    """One GPU on which somebody computes; later somebody else."""

    pids = (17,)

    def nvmlDeviceGetComputeRunningProcesses(self, _: int) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=pid, usedGpuMemory=1 << 30) for pid in self.pids]


def test_who_computes_is_written_down_at_start_and_end() -> None:
    """Asked for again once a second."""
    from thermoflop.runs.gpu.nvml import Gpus
    from thermoflop.runs.gpu.sampler import Watch

    now_s = [0.0]
    library = WithProcesses()
    watch = Watch(Gpus(library), 0, lambda _: None, lambda: now_s[0])
    for now_s[0], library.pids in ((0.0, (17,)), (0.5, (18,)), (2.0, (17, 19))):
        watch.turn()
    processes = watch.facts["processes"]
    assert [each["pid"] for each in processes["start"]] == [17]
    assert [each["pid"] for each in processes["end"]] == [17, 19]


def test_a_simulated_gpu_begins_as_warm_as_it_is_told() -> None:
    """A recording that a page starts goes on where the page's own simulation is."""
    assert simulated_library(start_c=70.0).nvmlDeviceGetTemperature(0, 0) == 70
    row = simulated_gpus("8xsim:70")
    assert row.nvmlDeviceGetCount() == 8
    assert row.nvmlDeviceGetTemperature(7, 0) == 70
    for wrong in ("0xsim", "17xsim", "8xsim:hot", "sim:900"):
        with pytest.raises(UsageError, match="--gpu"):
            simulated_gpus(wrong)
    for spec, named in (("sim:hot", "sim:hot"), ("sim:500", "sim:500"), ("sim:", "sim:")):
        with pytest.raises(UsageError, match=named):
            open_gpus(spec, ItemQueue(), 10.0)
