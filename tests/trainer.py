"""The transformers callback on a real, tiny Trainer, under ``record``: a campaign, not a test.

    python -m venv v && v/bin/pip install . torch transformers accelerate
    v/bin/python tests/trainer.py

Trains a random GPT-2 of two layers for six steps on random tokens, with an evaluation after each
three, and checks what the run holds of it. Exit code 0: the phases, steps and losses are there.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path


def train() -> None:
    """The command that is recorded."""
    import torch
    from thermoflop.hooks import trainer_callback
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    tokens = torch.randint(0, 100, (24, 16))
    data = [{"input_ids": row, "labels": row} for row in tokens]
    model = GPT2LMHeadModel(GPT2Config(vocab_size=100, n_embd=32, n_layer=2, n_head=2))
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            folder, max_steps=6, per_device_train_batch_size=4, logging_steps=1, eval_steps=3,
            eval_strategy="steps", report_to=[], use_cpu=True, save_strategy="no",
        )  # fmt: skip
        Trainer(
            model,
            options,
            train_dataset=data,
            eval_dataset=data[:8],
            callbacks=[trainer_callback()],
        ).train()


def main() -> int:
    """Record it, and look."""
    from thermoflop.runs.analysis.analyze import analyze

    with tempfile.TemporaryDirectory() as folder:
        words = ["record", "--port", "none", "--gpu", "none", "--no-report", "--out", folder, "--"]
        done = subprocess.run(
            [sys.executable, "-m", "thermoflop", *words, sys.executable, __file__, "train"],
            check=False,
        )
        (run,) = Path(folder).iterdir()
        phases = [phase.window for phase in analyze(run).phases]
    names = [window.name for window in phases]
    steps = sum(window.sums.get("steps", 0) for window in phases)
    losses = sum(len([note for note in window.notes if "loss" in note.values]) for window in phases)
    print(f"exit code {done.returncode}, phases {names}, {steps:g} steps, {losses} losses")
    return int(names != ["train", "evaluate", "train", "evaluate", "train"][: len(names)]
               or len(names) < 4 or steps != 6 or losses < 6)  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:] == ["train"]:
        train()
    else:
        sys.exit(main())
