"""``thermoflop ops``: an operator table together with the parameters of its model."""

from __future__ import annotations

from thermoflop.base.units import wrapped
from thermoflop.model.operators.table_text import csv_text, short
from thermoflop.model.sizes import beyond

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.model.model import Model
    from thermoflop.model.operators.table import OperatorTable


def table_report(model: Model, table: OperatorTable, form: str) -> str:
    """The table with the model's parameters: ``text``, ``json`` or ``csv``."""
    if form == "csv":
        return csv_text(table.rows(), table.conventions)
    if form == "json":
        import json

        known = {"parameters": model.params, "active_parameters": model.active_params}
        known["notes"] = list(model.notes)
        if model.quantization is not None:
            known["quantization"] = {
                "method": model.quantization.method,
                "kv_cache": model.quantization.kv_cache,
                "parameters": model.quantization.by_group(model.description),
            }
        groups = {"parameters_by_group": model.params_by_group}
        return json.dumps({**table.record(), **known, **groups}, indent=2)
    sizes = sorted(model.params_by_group.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{group} {short(count)}" for group, count in sizes)
    head = f"{model.params:,} parameters ({model.active_params:,} active on a token): {listed}"
    notes = (wrapped(f"  note: {note}", "    ") for note in (*model.notes, *_beyond(model, table)))
    return "\n".join([wrapped(head), str(table), *notes])


def _beyond(model: Model, table: OperatorTable) -> Iterator[str]:
    """A note where the step is longer than the model was made for."""
    length = table.step.cached + table.step.new
    if isinstance(length, int) and (said := beyond(model.max_positions, length)):
        yield said
