"""``thermoflop validate memory``: bytes predicted against bytes that others report.

Measured rows hold weights, cache and activations; where an engine reports the whole device, also
what it keeps besides (``WHOLE``). Analytic rows are formulas and must
come out exactly, to the digits given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record
from thermoflop.base.units import table
from thermoflop.cost.data import published
from thermoflop.cost.memory import activation_bytes, kv_bytes, weight_bytes
from thermoflop.cost.published.files import read_rows
from thermoflop.cost.published.names import Skipped, model_of, precision_of
from thermoflop.cost.training.activations import layer_activation_bytes
from thermoflop.cost.work.share import Layout, Share
from thermoflop.errors import ThermoflopError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from thermoflop.model.model import Model

GIB = float(2**30)
# Engines that report a whole device: bytes of contexts and workspaces, read off the smallest model
# at batch 1, and the widths (in hidden sizes) of all buffers, none of them used twice, for every
# prompt token, read off the growth with the batch of the same model.
WHOLE = {"FasterTransformer 5.x": (2.7e9, 30.0)}
_UNITS = {"gb": 1e9, "gib": GIB, "mb": 2.0**20}


@record
class MemoryRow:
    """One row: bytes stated and predicted, and which kind it is."""

    row_id: str
    kind: str
    engine: str
    model: str
    stated_bytes: float
    predicted_bytes: float
    measured: bool

    @property
    def error(self) -> float:
        """Relative error."""
        return self.predicted_bytes / self.stated_bytes - 1


def memory_row(row: dict[str, Any]) -> MemoryRow:
    """A row and its prediction. Skipped, with the reason, for one that cannot be compared."""
    kind, value = str(row.get("kind")), row.get("value")
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise Skipped("no value")
    if kind.startswith("inference_"):
        unit = _UNITS[kind.rsplit("_", 1)[-1]]
        predicted, stated = _inference(row), value * unit
    elif kind == "weights_gib":
        predicted, stated = _weights(row), value * GIB
    elif kind == "training_activation_gib_first_pipeline_stage":
        predicted, stated = _first_stage(row), value * GIB
    elif kind == "training_param_plus_optimizer_gib_per_gpu":
        predicted, stated = _states(row), value * GIB
    else:
        raise Skipped(f"kind {kind[:50]!r} is not compared here")
    return MemoryRow(
        str(row.get("id", "")), kind, str(row.get("engine") or "-"), str(row.get("model")),
        stated, predicted, row.get("nature") == "measured",
    )  # fmt: skip


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


def _inference(row: dict[str, Any]) -> float:
    """Weights, cache, activations, and what the engine keeps besides."""
    share = _share(row)
    prompt = int(row.get("input_len") or row.get("context_len") or 1)
    generate = int(row.get("output_len") or 0)
    batch = float(row.get("batch") or 1)
    context = max(prompt + generate, 1)
    kept = weight_bytes(share) + kv_bytes(share, context, batch)
    whole = WHOLE.get(str(row.get("engine")))
    if whole is None:
        return float(kept + activation_bytes(share, prompt, batch))
    constant, widths = whole
    hidden = share.description.stacks[0].hidden
    wide = share.precision.activation_bytes
    return float(kept + constant + widths * hidden * wide * prompt * batch)


def _weights(row: dict[str, Any]) -> float:
    """Weights alone; a bare bits-a-weight format holds for every matrix."""
    return weight_bytes(_share(row))


def _first_stage(row: dict[str, Any]) -> float:
    """Korthikanti et al. 2022, figure 1: L layers' worth, as many micro-batches as stages."""
    split = bool(row.get("sequence_parallel"))
    form = "tensor+sequence" if split else "tensor"
    if row.get("recompute") == "selective":
        form += ", selective"
    elif row.get("recompute") == "full":
        form = "full"
    one = layer_activation_bytes(
        form, row["seq_len"], row["micro_batch"], row["hidden"], row["heads"], row["tp"]
    )
    stages, virtual = int(row.get("pp") or 1), int(row.get("interleave") or 1)
    more = 1.0 if virtual == 1 else 1 + (stages - 1) / (stages * virtual)
    return float(one * row["layers"] * more)


def _states(row: dict[str, Any]) -> float:
    """Weights, gradients, moments and master weights of the layers: 18 bytes a parameter.

    Figure 1 counts 12 h^2 parameters a layer, over tensor and pipeline ranks.
    """
    params = 12 * row["hidden"] ** 2 * row["layers"] / row["tp"] / int(row.get("pp") or 1)
    return float(18 * params)


@record
class MemoryReport:
    """Every row compared, and what was left out."""

    rows: int
    compared: tuple[MemoryRow, ...]
    skipped: tuple[tuple[str, str], ...]

    def groups(self) -> dict[str, list[MemoryRow]]:
        """Rows by kind and engine."""
        found: dict[str, list[MemoryRow]] = {}
        for each in self.compared:
            found.setdefault(f"{each.kind} | {each.engine}", []).append(each)
        return found

    def json_text(self) -> str:
        """One JSON object."""
        import json

        shown = {
            "rows": self.rows,
            "compared": len(self.compared),
            "skipped": {"rows": len(self.skipped), "reasons": _counted(self.skipped)},
            "by_kind": {name: _summary(group) for name, group in self.groups().items()},
        }
        return json.dumps(shown, ensure_ascii=False, indent=1)

    def text(self, *, each: bool = False) -> str:
        """A table by kind and engine, or of every row."""
        rows = [["", "n", "median", "p90", "bias"]]
        for name, group in self.groups().items():
            found = _summary(group)
            shown = (f"{100 * found[key]:.1f} %" for key in ("median", "p90", "bias"))
            rows.append([name[:70], str(len(group)), *shown])
            if each:
                rows += [
                    [f"  {one.row_id} {one.model}", "", f"{100 * one.error:+.1f} %", "", ""]
                    for one in group
                ]
        skips = "\n".join(f"skipped {n}: {why}" for why, n in _counted(self.skipped).items())
        return f"{table(rows)}\n\n{self.rows} rows, {len(self.compared)} compared\n{skips}"


def _counted(skipped: Sequence[tuple[str, str]]) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for _, reason in skipped:
        reasons[reason] = reasons.get(reason, 0) + 1
    return reasons


def _summary(group: Sequence[MemoryRow]) -> dict[str, float]:
    errors = sorted(abs(each.error) for each in group)
    signed = sorted(each.error for each in group)
    place = min(len(errors) - 1, int(0.9 * len(errors)))
    return {
        "rows": len(group),
        "median": round(_median(errors), 5),
        "p90": round(errors[place], 5),
        "bias": round(_median(signed), 5),
    }


def _median(values: Sequence[float]) -> float:
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def validate_memory(files: Sequence[str] = ()) -> MemoryReport:
    """The carried rows, or those of files."""
    rows = [row for path in files for row in read_rows(path)] if files else published("memory")
    compared, skipped = [], []
    for number, row in enumerate(rows):
        try:
            compared.append(memory_row(row))
        except Skipped as reason:
            skipped.append((f"row {number}", str(reason)))
        except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
            skipped.append((f"row {number}", f"malformed: {error!r:.80}"))
    return MemoryReport(len(rows), tuple(compared), tuple(skipped))
