"""Predictions are made before the command starts, or nothing starts at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from thermoflop.errors import InputError, UsageError
from thermoflop.pico.track import HostEvent
from thermoflop.runs.folder.reader import RunReader, read_run
from thermoflop.runs.gpu.known import catalogue_device
from thermoflop.runs.gpu.simulated import Body, SimulatedNvml
from thermoflop.runs.predict import Wish, predict
from thermoflop.runs.record.plan import Plan
from thermoflop.runs.record.session import record_command

H200 = {"name": "NVIDIA H200", "memory_bytes": 143771 << 20}
SIZES = {"batch": 8, "prompt": 2048, "generate": 256}


def ask(model: Any = "llama-3-8b", hardware: Any = None, **options: Any) -> dict[str, Any]:
    """A prediction for this machine's H200."""
    return predict(Wish(model, hardware, {**SIZES, **options}), [H200])


@pytest.mark.parametrize(
    ("name", "mib", "device"),
    [
        ("NVIDIA H200", 143771, "H200-SXM-141GB"),
        ("NVIDIA H100 80GB HBM3", 81559, "H100-SXM-80GB"),
        ("NVIDIA H100 PCIe", 81559, "H100-PCIe-80GB"),
        ("NVIDIA A100-SXM4-80GB", 81920, "A100-SXM-80GB"),
        ("NVIDIA A100-PCIE-40GB", 40960, "A100-PCIe-40GB"),
        ("Tesla V100-SXM2-32GB", 32768, "V100-SXM2-32GB"),
        ("Tesla T4", 15360, "T4"),
        ("NVIDIA GeForce RTX 4090", 24564, "RTX 4090"),
        ("NVIDIA RTX 6000 Ada Generation", 49140, "RTX 6000 Ada"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 16376, "RTX 4090 Laptop"),
        ("NVIDIA GeForce RTX 3080", 10240, "RTX 3080"),
        ("NVIDIA GeForce RTX 3080", 12288, "RTX 3080 12GB"),
        ("NVIDIA GeForce RTX 4060 Ti", 16380, "RTX 4060 Ti 16GB"),
        ("NVIDIA GeForce RTX 5090", 32607, "RTX 5090"),
    ],
)
def test_nvmls_names_lead_to_the_catalogue(name: str, mib: int, device: str) -> None:
    """Word for word, or by the list of exceptions."""
    found = catalogue_device(name, mib << 20)
    assert found is not None
    assert found.name == device


@pytest.mark.parametrize(
    ("name", "mib"),
    [
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 24564),  # the memory of the desktop's
        ("NVIDIA GeForce RTX 3080", 20480),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 9984),
        ("NVIDIA H100 80GB HBM3", 9984),
        ("", 0),
    ],
)
def test_a_device_that_is_like_another_is_not_taken_for_it(name: str, mib: int) -> None:
    """A wrong prediction is worse than a question."""
    assert catalogue_device(name, mib << 20) is None


def test_what_is_written_is_what_estimate_says() -> None:
    """The same numbers, with rates turned round so that low stays below high."""
    import thermoflop as tf

    said = ask()
    found = tf.estimate("llama-3-8b", "h200", **SIZES)
    quantities = said["quantities"]
    assert said["hardware"] == "H200-SXM-141GB"
    assert quantities["ttft_s"]["expected"] == found.first_token.expected_s
    assert quantities["token_s"]["bound"] == found.per_token.bound_s
    assert quantities["tokens_per_s"]["expected"] == found.tokens_per_s
    assert quantities["memory_bytes"]["expected"] == found.memory.total_bytes
    assert found.energy is not None
    assert quantities["power_w"]["high"] == found.energy.power_high_w
    for values in quantities.values():
        if values["low"] is not None:
            assert values["low"] <= values["expected"] <= values["high"]


def test_an_encoder_has_no_tokens_to_speak_of() -> None:
    """It reads; nothing is generated that a time or an energy could be divided by."""
    said = ask("bert-base-uncased", prompt=128, generate=0)["quantities"]
    assert said.keys() == {"ttft_s", "power_w", "memory_bytes"}


def test_a_tokens_work_is_that_of_the_exact_counter() -> None:
    """FLOPs of contractions; tensor parallel devices together do what one would."""
    import thermoflop as tf

    model = tf.load_model("llama-3-8b")
    step = model.operators(batch=8, new=1, cached=2048 + 128)
    products = sum(o.flops for o in step if o.kind in ("contraction", "attention"))
    assert ask()["work"]["decode"]["flops_per_token"] == pytest.approx(products / 8, rel=1e-3)
    four = ask(hardware="h200", devices=4)
    assert four["work"]["decode"]["flops_per_token"] == pytest.approx(products / 8, rel=1e-3)
    assert four["work"]["peak_flops_per_s"] == 4 * ask()["work"]["peak_flops_per_s"]


@pytest.mark.parametrize(
    ("wish", "gpus", "words"),
    [
        (Wish("llama-3-8b"), [], "there is no GPU to predict for"),
        (Wish("llama-3-8b"), [{"name": "My GPU"}], "'My GPU' is not in the catalogue"),
        (Wish("llama-3-8b"), [H200, {"name": "Tesla T4"}], "differ"),
        (Wish("no-such-model", "h200"), [], "no-such-model"),
        (Wish("llama-3-8b", "no-such-device"), [], "no-such-device"),
        (Wish("llama-3-8b", "h200", {"batch": -1}), [], "batch=-1"),
        (Wish("llama-3-8b", "h200", {"devices": 4, "tp": 3}), [], "tp=3"),
        (Wish("gpt2", "h200", {"prompt": 4000}), [], "positions"),
        (Wish("llama-3-8b", "v100", {"dtype": "fp8"}), [], "fp8"),
    ],
)
def test_a_prediction_that_cannot_be_made_is_one_sentence(
    wish: Wish, gpus: list[dict[str, Any]], words: str
) -> None:
    """With the code of what was wrong: 3 for a name that nothing has, else 2."""
    with pytest.raises((InputError, UsageError), match="no prediction can be made") as refused:
        predict(wish, gpus)
    assert words in str(refused.value)
    assert refused.value.exit_code == (3 if words.startswith("no-such") else 2)


def record(out: Path, wish: Wish, command: list[str], name: str = "NVIDIA H200") -> Any:
    """A recording on a simulated GPU of that name."""
    fake = SimulatedNvml([Body(name=name, memory_bytes=143771 << 20)])
    plan = Plan(command, out=out, port="none", gpu="auto", gpu_library=fake, wish=wish,
                echo=(None, None))  # fmt: skip
    return record_command(plan)


def test_it_stands_in_the_run_before_the_command_starts(tmp_path: Path) -> None:
    """The command itself can read it there."""
    copy = tmp_path / "copy.json"
    script = f"cp {tmp_path}/runs/*/run.json {copy}"
    outcome = record(tmp_path / "runs", Wish("gpt2", options={"prompt": 64}), ["sh", "-c", script])
    assert '"ttft_s"' in copy.read_text()
    run = read_run(outcome.folder)
    starts = [
        item.mono_s
        for item in RunReader(outcome.folder)
        if isinstance(item, HostEvent) and item.ev == "child_start"
    ]
    assert run["predictions"]["hardware"] == "H200-SXM-141GB"
    assert run["predictions"]["made"]["mono_s"] < starts[0]


def test_a_refused_prediction_starts_nothing(tmp_path: Path) -> None:
    """Neither the command nor a folder."""
    ran = tmp_path / "ran"
    with pytest.raises(UsageError, match="not in the catalogue"):
        record(tmp_path / "runs", Wish("gpt2"), ["touch", str(ran)], name="Some GPU")
    assert not ran.exists()
    assert not (tmp_path / "runs").exists()
