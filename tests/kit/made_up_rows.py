"""Measured rows that are made up: times that the rates of ``TRUTH`` give, by a factor off."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.arguments import Workload
from thermoflop.cost.inference.question import Question, answer
from thermoflop.cost.published.row import Row
from thermoflop.cost.work.share import Layout

from kit.made_up import DEVICE, decoder, rates

MODELS = {layers: decoder(num_hidden_layers=layers) for layers in (2, 4, 8, 16)}
OTHER = replace(DEVICE, name="other", bandwidth_bytes_s=2e12, cores=100, boost_mhz=1500.0)
TRUTH = rates(matmul=0.6, attention=0.3, weights=0.7, cache=0.5, activations=0.5, kernel_gap_s=8e-6,
              step_s=2e-4)  # fmt: skip


def row(
    engine: str, layers: int, phase: str, batch: int = 4, prompt: int = 200, factor: float = 1.0,
    device: Device = DEVICE, mixes: bool = False, date: str = "2026-04",
) -> Row:  # fmt: skip
    """A time that the made-up rates give, by a factor off."""
    load = Workload(batch, prompt, 50, 0)
    question = Question(engine, MODELS[layers], device, Layout(), choose_precision("bf16"), load,
                        phase, mixes, date)  # fmt: skip
    seconds = answer(question, TRUTH).expected_s * factor
    return Row(f"{engine} {layers} {phase}", "made up", f"{layers} layers", phase, seconds,
               question)  # fmt: skip


def rows_of_engine(
    engine: str, layers: tuple[int, ...], factor: float = 1.0, **options: object
) -> list[Row]:
    """Tokens and prompts of each model, at two batches."""
    return [
        row(engine, each, phase, batch, factor=factor, **options)
        for each in layers for phase in ("prefill", "token") for batch in (1, 16)
    ]  # fmt: skip


def served(
    engine: str, layers: tuple[int, ...], factor: float = 1.0, **options: object
) -> list[Row]:
    """Steps of a full server of each model, and first tokens that clients saw."""
    return [
        row(engine, each, phase, batch, 400, factor, mixes=True, **options)
        for each in layers for phase in ("token", "client") for batch in (4, 32)
    ]  # fmt: skip
