"""``thermoflop validate memory``: bytes predicted against bytes that others report.

Measured rows hold weights, cache and activations; where an engine reports the whole device, also
what it keeps besides (``WHOLE``). What vLLM, SGLang and llama.cpp print when they start is held
against what ``fit`` answers with their options; rows that a constant of ``engines.footprint`` was
read from are ``fitted``, the others judge it. Rows of training are a device's memory as BigScience
and torchtitan report it, adapters as LitGPT and unsloth do, and what formulas of Korthikanti et al.
give, which leave embeddings out; all are held against what ``train`` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from thermoflop.base.plain import is_number
from thermoflop.base.progress import tracked
from thermoflop.base.record import record, replace
from thermoflop.base.units import table
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.data import published
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.memory import activation_bytes, kv_bytes, weight_bytes
from thermoflop.cost.published.files import read_rows
from thermoflop.cost.published.names import config_of, model_of, precision_of
from thermoflop.cost.published.row import Skipped, by_reason, rows_of
from thermoflop.cost.published.training import trainer_of, training_row
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.memory import TrainingMemory, training_memory
from thermoflop.cost.training.train import train
from thermoflop.cost.validate.engines import (
    ALLOCATED,
    LINES,
    Predicted,
    allocated,
    engine_of,
    started,
)
from thermoflop.cost.work.share import Layout, Share
from thermoflop.errors import ThermoflopError
from thermoflop.model.model import Model

GIB = float(2**30)
MEASURED_TRAINING = "training_total_gib"
# Engines that report a whole device: bytes of contexts and workspaces, read off the smallest model
# at batch 1, and the widths (in hidden sizes) of all buffers, none of them used twice, for every
# prompt token, read off the growth with the batch of the same model.
WHOLE = {"FasterTransformer 5.x": (2.7e9, 30.0)}
# Megatron's GPT models: GPT-2's vocabulary, padded so that tp divides it (Narayanan et al. 2021).
MEGATRON_VOCAB = 51200
# A kind is judged from so many rows on.
JUDGED_ROWS, JUDGED = 8, "measured, and no constant read off them"
_UNITS = {"gb": 1e9, "gib": GIB, "mb": 2.0**20}


@record
class MemoryRow:
    """One row: bytes stated and predicted, and which kind it is; tokens where a row counts them.

    ``fitted``: a constant was read off it. ``low_bytes`` and ``high_bytes`` are the ends of an
    80 % interval, where there is one.
    """

    row_id: str
    kind: str
    engine: str
    model: str
    stated_bytes: float
    predicted_bytes: float
    measured: bool
    low_bytes: float | None = None
    high_bytes: float | None = None
    fitted: bool = False

    @property
    def judges(self) -> bool:
        """Whether it was measured and no constant rests on it."""
        return self.measured and not self.fitted

    @property
    def covered(self) -> bool | None:
        """Whether it lies in the 80 % interval; None where none was given."""
        if self.low_bytes is None or self.high_bytes is None:
            return None
        return self.low_bytes <= self.stated_bytes <= self.high_bytes

    @property
    def error(self) -> float:
        """Relative error."""
        return self.predicted_bytes / self.stated_bytes - 1


def memory_row(raw: dict[str, Any]) -> MemoryRow:
    """A row and its prediction. Skipped, with the reason, for one that cannot be compared."""
    kind, value = str(raw.get("kind")), raw.get("value")
    if raw.get("memory_gb_per_gpu"):  # a row of training that states its memory besides
        kind, value = MEASURED_TRAINING, raw["memory_gb_per_gpu"] * 1e9 / GIB
    if not is_number(value) or not value > 0:
        raise Skipped("no value")
    unit, predict = _predictor(kind, raw)
    engine = str(raw.get("engine") or "-")
    if kind == MEASURED_TRAINING and engine == "-":
        engine = trainer_of(str(raw.get("source")))[0]
    answer = predict(raw)
    known = answer if isinstance(answer, Predicted) else Predicted(answer, None, None)
    return MemoryRow(
        str(raw.get("id", "")), kind, engine, str(raw.get("model")), value * unit, known.value,
        raw.get("nature") == "measured" or kind == MEASURED_TRAINING, known.low, known.high,
        bool(raw.get("fitted")),
    )  # fmt: skip


def _predictor(
    kind: str, raw: dict[str, Any]
) -> tuple[float, Callable[[dict[str, Any]], float | Predicted]]:
    """The unit of a kind and what predicts it. Skipped for a kind that is not compared."""
    if kind in LINES:
        return LINES[kind][0], started
    if kind.startswith("inference_"):
        gib = engine_of(raw) in ALLOCATED
        return GIB if gib else _UNITS[kind.rpartition("_")[2]], _inference
    if kind not in _PREDICTED:
        raise Skipped(f"kind {kind[:50]!r} is not compared here")
    return GIB, _PREDICTED[kind]


def _share(row: dict[str, Any]) -> Share:
    model = _catalogued(str(row.get("model"))) or model_of(row)
    try:
        precision = precision_of(str(row.get("precision")), None, None, float(model.params))
    except ThermoflopError as error:
        raise Skipped("format not known") from error
    return Share(model.description, Layout(int(row.get("tp") or 1)), precision)


def _catalogued(name: str) -> Model | None:
    """The catalogue's model of that name: unlike a row's shape it says what is tied."""
    from thermoflop.model.load import load_model

    try:
        return load_model(name.lower().removesuffix("-instruct"))
    except ThermoflopError:
        return None


def _inference(row: dict[str, Any]) -> float | Predicted:
    """Weights, cache, activations, and what the engine keeps besides.

    What allocators of transformers and AutoAWQ are stated to have held in GB is in GiB: 14.38 of a
    model of 7.6e9 parameters in 16 bits.
    """
    share = _share(row)
    prompt = int(row.get("input_len") or row.get("context_len") or 1)
    generate = int(row.get("output_len") or 0)
    batch = int(row.get("batch") or 1)
    context, engine = max(prompt + generate, 1), engine_of(row)
    if engine in ALLOCATED:
        return allocated(row, share, Load(batch, prompt, context), engine)
    kept = weight_bytes(share) + kv_bytes(share, context, batch)
    whole = WHOLE.get(str(row.get("engine")))
    if whole is None:
        return float(kept + activation_bytes(share, prompt, batch))
    constant, widths = whole
    hidden = share.description.stacks[0].hidden
    wide = share.precision.activation_bytes
    return float(kept + constant + widths * hidden * wide * prompt * batch)


def _training(raw: dict[str, Any]) -> TrainingMemory:
    """What ``tf.train`` says of the run, with a batch that fills the pipeline."""
    from thermoflop.model.load import load_model

    stages, heads, hidden = int(raw.get("pp") or 1), raw["heads"], raw["hidden"]
    shape = {"hidden": hidden, "layers": raw["layers"], "heads": heads, "ffn": 4 * hidden,
             "vocab": MEGATRON_VOCAB}  # fmt: skip
    layout = Layout(int(raw["tp"]), stages, sequence=bool(raw.get("sequence_parallel")))
    micro, virtual = float(raw["micro_batch"]), int(raw.get("interleave") or 1)
    return training_memory(
        Iteration(
            "megatron-lm", load_model(config_of(shape)), find_device(raw["gpu_key"]), layout,
            choose_precision(raw["precision"]), micro * stages * virtual, micro, raw["seq_len"],
            virtual, str(raw.get("recompute", "none")), False, 0,
        )
    )  # fmt: skip


def _trained(raw: dict[str, Any]) -> Predicted:
    """Everything that ``tf.train`` counts for a run that was measured."""
    timed = {**raw, "metric": "iteration_time_s", "value": 1.0}
    iteration = training_row(timed).question
    assert isinstance(iteration, Iteration)  # noqa: S101 - what a row of training asks about
    memory = training_memory(iteration)
    return Predicted(memory.total_bytes, memory.low_bytes, memory.high_bytes)


def _adapted(raw: dict[str, Any]) -> Predicted:
    """What ``tf.train`` says of adapters on one device; of what is allocated, without a reserve."""
    micro, base = int(raw["micro_batch"]), str(raw["base"])
    memory = train(
        str(raw["model"]), str(raw["gpu_key"]), lora=raw["lora_rank"],
        lora_targets=raw["lora_targets"], base_dtype=base, sequence=raw["seq_len"],
        micro_batch=micro, global_batch=micro, compiled=False,
        recompute=str(raw.get("activation_recompute", "none")),
        optimizer=str(raw.get("optimizer", "adamw")),
    ).memory  # fmt: skip
    if raw.get("allocated"):
        memory = replace(memory, reserve_bytes=0.0)
    return Predicted(memory.total_bytes, memory.low_bytes, memory.high_bytes)


_PREDICTED: dict[str, Callable[[dict[str, Any]], float | Predicted]] = {
    "weights_gib": lambda row: weight_bytes(_share(row)),
    MEASURED_TRAINING: _trained,
    "training_lora_gib": _adapted,
    # Korthikanti et al. 2022, figure 1
    "training_activation_gib_first_pipeline_stage": lambda row: _training(row).activation_bytes,
    "training_param_plus_optimizer_gib_per_gpu": lambda row: _training(row).state_bytes,
}


@record
class MemoryReport:
    """Every row compared, and what was left out."""

    rows: int
    compared: tuple[MemoryRow, ...]
    skipped: tuple[tuple[str, str], ...]

    def groups(self) -> dict[str, list[MemoryRow]]:
        """Rows by kind and engine."""
        groups: dict[str, list[MemoryRow]] = {}
        for each in self.compared:
            groups.setdefault(f"{each.kind} | {each.engine}", []).append(each)
        return groups

    def judged(self) -> dict[str, list[MemoryRow]]:
        """Measured rows that no constant rests on, by kind, where there are at least 8."""
        kinds: dict[str, list[MemoryRow]] = {}
        for each in self.compared:
            if each.judges:
                kinds.setdefault(each.kind, []).append(each)
        return {kind: rows for kind, rows in kinds.items() if len(rows) >= JUDGED_ROWS}

    def json_text(self) -> str:
        """One JSON object."""
        import json

        shown = {
            "rows": self.rows,
            "compared": len(self.compared),
            "skipped": {"rows": len(self.skipped), "reasons": by_reason(self.skipped)},
            "by_kind": {name: _summary(group) for name, group in self.groups().items()},
            "judged": {name: _summary(group) for name, group in self.judged().items()},
        }
        return json.dumps(shown, ensure_ascii=False, indent=1)

    def text(self, *, each: bool = False) -> str:
        """A table by kind and engine, or of every row."""
        rows = [["", "n", "median", "p90", "bias", "in 80 %"]]
        for name, group in self.groups().items():
            rows.append([name[:64], *_cells(group)])
            if each:
                rows += [
                    [f"  {one.row_id} {one.model}", "", f"{100 * one.error:+.1f} %", "", "", ""]
                    for one in group
                ]
        judged = self.judged()
        rows.append([JUDGED, *_cells([row for group in judged.values() for row in group])])
        rows += [[f"  {kind}", *_cells(group)] for kind, group in judged.items()]
        skips = "\n".join(f"skipped {n}: {why}" for why, n in by_reason(self.skipped).items())
        shown = table(rows, least=("bias", "p90"))
        return f"{shown}\n\n{self.rows} rows, {len(self.compared)} compared\n{skips}"


def _cells(group: Sequence[MemoryRow]) -> list[str]:
    """A summary as the cells of a line."""
    if not group:
        return ["0", "", "", "", ""]
    totals = _summary(group)
    shares = [f"{100 * totals[key]:.1f} %" for key in ("median", "p90", "bias")]
    covered = f"{100 * totals['coverage_80']:.0f} %" if "coverage_80" in totals else ""
    return [str(len(group)), *shares, covered]


def _summary(group: Sequence[MemoryRow]) -> dict[str, float]:
    errors = sorted(abs(each.error) for each in group)
    place = min(len(errors) - 1, int(0.9 * len(errors)))
    inside = [each.covered for each in group if each.covered is not None]
    coverage = {"coverage_80": round(sum(inside) / len(inside), 3)} if inside else {}
    return {
        "rows": len(group),
        "median": round(median(errors), 5),
        "p90": round(errors[place], 5),
        "bias": round(median(each.error for each in group), 5),
        **coverage,
    }


def _carried() -> list[dict[str, Any]]:
    """The carried rows of memory, and those of training that state theirs."""
    training = [raw for raw in published("training") if "memory_gb_per_gpu" in raw]
    return [*published("memory"), *published("engine_logs"), *training]


def validate_memory(files: Sequence[str] = ()) -> MemoryReport:
    """The carried rows, or those of files."""
    raw_rows = [raw for path in files for raw in read_rows(path)] if files else _carried()
    rows, skipped = rows_of(tracked(raw_rows, "comparing memory"), memory_row)
    return MemoryReport(len(raw_rows), tuple(rows), tuple(skipped))
