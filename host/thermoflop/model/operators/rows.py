"""A table as rows of plain values: what JSON, CSV and the printed table are all made of."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.operators.kinds import Operator
    from thermoflop.model.operators.table import OperatorTable


def operator_row(table: OperatorTable, operator: Operator, all_flops: int) -> dict[str, Any]:
    """One operator: what it is, its shape, its work, its bytes, its share of the FLOPs."""
    traffic = table.traffic_of(operator)
    flops, small = operator.flops, operator.elementwise_flops
    moved = traffic.total
    return {
        "part": operator.part,
        "times": operator.times,
        "operator": operator.name,
        "class": operator.kind,
        "group": operator.group,
        "shape": operator.shape,
        "multiplications": operator.multiplications,
        "flops": flops,
        "elementwise_flops": small,
        "weight_bytes": traffic.weights,
        "activation_bytes": traffic.activations,
        "kv_read_bytes": traffic.kv_read,
        "kv_write_bytes": traffic.kv_written,
        "flops_per_byte": (flops + small) / moved if moved else None,
        "share_of_flops": flops / all_flops if all_flops else 0.0,
    }


def table_rows(table: OperatorTable) -> list[dict[str, Any]]:
    """All operators, in the order in which they run."""
    all_flops = table.flops
    return [operator_row(table, operator, all_flops) for operator in table]


def table_totals(table: OperatorTable) -> dict[str, Any]:
    """The totals of the columns."""
    traffic = table.traffic
    return {
        "multiplications": table.multiplications,
        "flops": table.flops,
        "elementwise_flops": table.elementwise_flops,
        "weight_bytes": traffic.weights,
        "activation_bytes": traffic.activations,
        "kv_read_bytes": traffic.kv_read,
        "kv_write_bytes": traffic.kv_written,
        "flops_per_byte": table.intensity,
    }


def table_record(table: OperatorTable) -> dict[str, Any]:
    """The whole table as one object for JSON, conventions included."""
    step = table.step
    return {
        "model": table.model_name,
        "step": {name: getattr(step, name) for name in ("batch", "new", "cached", "encoder")},
        "conventions": table.conventions,
        "totals": table_totals(table),
        "flops_by_group": table.by_group(),
        "operators": table_rows(table),
    }
