"""The catalogue and the families as lists that a person reads."""

from __future__ import annotations

from thermoflop.model.catalogue import entry, names
from thermoflop.model.families import FAMILY_NAMES
from thermoflop.model.load import read_model
from thermoflop.model.render import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def model_rows(pattern: str = "") -> list[dict[str, Any]]:
    """Every named model whose name contains ``pattern``: family, sizes, source."""
    rows = []
    for name in names():
        if pattern.lower() not in name:
            continue
        found = entry(name) or {}
        model = read_model(found["config"], name, found["source"])
        rows.append(
            {
                "name": name,
                "family": model.family,
                "parameters": model.params,
                "active_parameters": model.active_params,
                "kv_bytes_per_token_bf16": model.kv_bytes(1),
                "source": found["source"],
                "recalled": bool(found.get("recalled")),
            }
        )
    return rows


def models_text(pattern: str = "", as_json: bool = False) -> str:
    """The catalogue, for a person or as JSON."""
    rows = model_rows(pattern)
    if as_json:
        import json

        return json.dumps({"models": rows}, indent=2)
    lines = [
        f"{'name':<26} {'family':<14} {'parameters':>17} {'active':>7} {'KV/token':>9}  source"
    ]
    for row in rows:
        source = f"{row['source']}{' (recalled)' if row['recalled'] else ''}"
        active = short(row["active_parameters"])
        cache = short(row["kv_bytes_per_token_bf16"])
        lines.append(
            f"{row['name']:<26} {row['family']:<14} {row['parameters']:>17,} {active:>7} "
            f"{cache:>8}B  {source}"[:140]
        )
    lines.append(f"{len(rows)} models; KV bytes in bf16; recalled: written from memory, then")
    lines.append("checked against the published total of parameters where one is known.")
    return "\n".join(lines)


def families_text(pattern: str = "", as_json: bool = False) -> str:
    """The model_types that can be read."""
    found = [name for name in FAMILY_NAMES if pattern.lower() in name]
    if as_json:
        import json

        return json.dumps({"families": found}, indent=2)
    return "\n".join([*found, f"{len(found)} families"])
