"""The catalogue and the families as lists that a person reads."""

from __future__ import annotations

from thermoflop.base.units import table, wrapped
from thermoflop.errors import InputError
from thermoflop.model.config.catalogue import canonical, entry, names, sized_names
from thermoflop.model.config.families import FAMILY_NAMES
from thermoflop.model.load import read_model
from thermoflop.model.operators.table_text import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


_MOST_OTHERS = 6
_SOURCES = (
    "measured: what transformers builds of it; published: a config.json that was read; checked: "
    "written from memory, and held against a published total or sizes (--json says where); "
    "memory, or the name of a repository: its config.json, written from memory alone."
)
_OLLAMA = (
    "A name of these is the model as it was published; a name of Ollama's library (mistral, qwen3, "
    "qwen3:4b) is what Ollama downloads, in 4 bits as a rule."
)


def model_rows(pattern: str = "") -> list[dict[str, Any]]:
    """The named models whose names contain each word of ``pattern``, or that it means: sizes,
    source. InputError where there is none."""
    rows, meant, words = [], canonical(pattern), pattern.lower().split()
    for name in names():
        if name != meant and not all(word in name for word in words):
            continue
        named = entry(name) or {}
        model = read_model(named["config"], name, named["source"])
        rows.append(
            {
                "name": name,
                "family": model.family,
                "parameters": model.params,
                "active_parameters": model.active_params,
                "kv_bytes_per_token_bf16": model.kv_bytes(1),
                "quantization": model.quantization and str(model.quantization.method),
                "source": named["source"],
                "recalled": bool(named.get("recalled")),
                "checked": named.get("checked"),
            }
        )
    if not rows:
        none, other = f"no model has {pattern!r:.60} in its name", _sized(pattern)
        raise InputError(f"{none}; {other}" if other else _none(none, pattern, names()))
    return rows


def models_text(rows: list[dict[str, Any]], pattern: str = "") -> str:
    """The models of the catalogue that a pattern means, for a person."""
    other = _sized(pattern)
    wide = max([6, *(len(_where(row)) for row in rows)])
    source = "source".ljust(wide)  # to the left, unlike figures
    cells = [["name", "family", "parameters", "active", "KV/token", source]]
    for row in rows:
        where = _where(row).ljust(wide)
        active, cache = short(row["active_parameters"]), short(row["kv_bytes_per_token_bf16"])
        cells.append([row["name"], row["family"], f"{row['parameters']:,}", active, cache, where])
    lines = table(cells, left=2, gap=" ", least=(source, "family", "KV/token")).splitlines()
    count = f"{len(rows)} model{'s' * (len(rows) != 1)}; KV/token: bytes in bf16."
    meant = [count, *([other] if other else [])]
    if source.strip() in lines[0]:  # a narrow page goes without that column
        meant.append(_SOURCES)
    return "\n".join([*lines, *(wrapped(each, indent="") for each in (*meant, _OLLAMA))])


def _sized(pattern: str) -> str:
    """Which names with all words of a pattern are counted as a model of another name."""
    words = pattern.lower().split()
    other = sized_names(words) if words else {}
    said = [f"{name} as {meant}" for name, meant in other.items()]
    few = ", ".join(said[:_MOST_OTHERS]) + (", ..." if len(said) > _MOST_OTHERS else "")
    return f"counted by the sizes of another: {few}" if said else ""


def _none(said: str, pattern: str, known: Iterable[str]) -> str:
    """That nothing is called so, with the name that may be meant."""
    from thermoflop.base.messages import nearest

    near = nearest(pattern.lower(), known)
    return f"{said}; the nearest name is {near}" if near else said


def _where(row: dict[str, Any]) -> str:
    """In a word where an entry is from, after the format that its weights are stored in."""
    source = row["source"]
    if row["checked"]:
        where = "checked"
    elif row["recalled"]:
        of = source.removeprefix("config.json of ")
        where = "memory" if of == source else of
    else:
        where = "measured" if source.startswith("measured") else "published"
    return f"{row['quantization']}; {where}"[:40] if row["quantization"] else where[:40]


def families_named(pattern: str = "") -> list[str]:
    """The model_types that can be read. InputError where none has the pattern in it."""
    families = [name for name in FAMILY_NAMES if pattern.lower() in name]
    if not families:
        raise InputError(_none(f"no family has {pattern!r:.60} in its name", pattern, FAMILY_NAMES))
    return families
