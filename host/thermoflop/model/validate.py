"""The self-check: every count against records of what libraries really count.

A record has a ``config`` and what was measured on it: parameters in all and by group, FLOPs of
several steps in all and by group, bytes of cache per token. Everything is compared exactly, but
for what the measurement itself defines otherwise:

- ``ssm_scan`` and ``linear_attn_scan`` are left out: the library's slow path is no algorithm.
- bytes of cache are compared with what the library keeps. Only Falcon's class keeps more than
  the architecture needs (it repeats key heads first): there, with what the architecture needs.
  A record leaves out the keys of an indexer, and counts a vector that is key and value twice.
- a decode step of a state space that was run on a cache without a past convolves the whole window
  once more, as in a prefill of so many tokens: it is held against that, to the last unit.
- a table that is the head's matrix too may stand under the head's name.
- ``other`` in a record is what its author found no name for: it is held against the sum of all
  groups that the record does not name.

What cannot be read or run is one failed comparison, and the rest goes on.
"""

from __future__ import annotations

import os

from thermoflop.base.files import load_json, read_bytes
from thermoflop.base.progress import tracked
from thermoflop.base.record import record
from thermoflop.errors import InputError, ThermoflopError
from thermoflop.model.architecture.recurrences import Recurrence
from thermoflop.model.load import read_model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from thermoflop.base.number import Number
    from thermoflop.model.model import Model
    from thermoflop.model.operators.table import OperatorTable

PUBLISHED = os.path.join(os.path.dirname(__file__), "data", "published.json")  # noqa: PTH118, PTH120
NOT_COMPARED = frozenset({"ssm_scan", "linear_attn_scan"})
# records of Kimi Linear: the author's rule of names takes its latent attention for linear, and its
# forget gate for a router
_CALLED_LINEAR = {
    "attn": "linear_attn",
    "attn_proj": "linear_attn_proj",
    "attn_score": "linear_attn_scan",
    "attn_value": "linear_attn_scan",
    "forget_gate": "router",
}
LARGEST_FILE_BYTES = 256 * 2**20
RECORDS = "records of counts in JSON"


@record
class Comparison:
    """One number of a record: what was counted here and what the record says."""

    record_name: str
    family: str
    what: str
    counted: Any
    recorded: Any

    @property
    def equal(self) -> bool:
        """Whether both are the same, to the last unit."""
        return bool(self.counted == self.recorded)


def compare_record(entry: dict[str, Any]) -> Iterator[Comparison]:
    """All comparisons of one record."""
    name, family = str(entry.get("name", "?")), str(entry["config"].get("model_type"))

    def compared(what: str, counted: Any, recorded: Any) -> Comparison:
        return Comparison(name, family, what, counted, recorded)

    try:
        model = read_model(entry["config"], name)
    except ThermoflopError as error:
        yield compared("reading", f"refused: {error}", "a model")
        return
    yield compared("parameters", model.params, entry["params_total"])
    for group, counted, recorded in _by_group(model.params_by_group, entry["params_by_group"]):
        yield compared(f"parameters.{group}", counted, recorded)
    if "moe" in entry:
        recorded = entry["moe"]["params_active_with_embeddings"]
        yield compared("active parameters", model.active_params, recorded)
    cache = _recorded_cache(entry, family)
    if cache is not None:
        yield compared("KV bytes per token", _library_cache(model), cache)
    for case_name, case in entry["flops"].items():
        try:
            found = list(_compare_case(model, case))
        except Exception as error:  # whatever a step of a new kind meets in a model of another
            why = f"not run: {type(error).__name__}: {error}"
            yield compared(case_name, why, case["kind"])
            continue
        for what, counted, recorded in found:
            yield compared(f"{case_name}.{what}", counted, recorded)


def _by_group(counted: dict[str, Any], recorded: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Both sides of every group; a record's ``other`` takes all that it has no name for."""
    counted = _as_recorded(counted, recorded)
    mine = {group: value for group, value in counted.items() if group in recorded}
    unnamed = {group: value for group, value in counted.items() if group not in recorded}
    if "other" in recorded:
        mine["other"] = mine.get("other", 0) + sum(unnamed.values())
        unnamed = {}
    for group in sorted({*mine, *unnamed, *recorded} - NOT_COMPARED):
        yield group, {**mine, **unnamed}.get(group, 0), recorded.get(group, 0)


def _as_recorded(counted: dict[str, Any], recorded: dict[str, Any]) -> dict[str, Any]:
    """The count under a record's names: of a tied table, of mixers all called linear, of gates."""
    if "lm_head" in recorded and "embed_tokens" not in recorded:
        head = counted.get("lm_head", 0) + counted.get("embed_tokens", 0)
        counted = {**counted, "lm_head": head, "embed_tokens": 0}
    if any(group.startswith("attn") or group == "forget_gate" for group in recorded):
        return counted
    if not any(group.startswith("linear_attn") for group in recorded):
        return counted
    sums: dict[str, Any] = {}
    for group, value in counted.items():
        name = _CALLED_LINEAR.get(group, group)
        sums[name] = sums.get(name, 0) + value
    return sums


def _recorded_cache(entry: dict[str, Any], family: str) -> int | None:
    """Bytes of cache per token that the count is held against."""
    keys = ("kv_bytes_per_token_bf16", "kv_bytes_per_token_bf16_theory")
    library, needed = (entry.get(key) for key in keys)
    expected: int | None = needed if family == "falcon" or library is None else library
    return expected


def _library_cache(model: Model) -> Number:
    """Bytes of keys and values for one token in bf16, as records count them."""
    from thermoflop.model.architecture.cache import unrecorded_elements

    return model.kv_bytes(1) - 2 * unrecorded_elements(model.description)


def _table(model: Model, case: dict[str, Any], **options: Any) -> OperatorTable:
    """The operator table of one recorded step."""
    if "images" in case:
        images, texts = case["images"], case["texts"]
        return model.operators(texts, case["text_len"], images=images, **options)
    batch, source = case["batch"], case.get("enc_len", 0)
    if case["kind"] == "encoder" and source:
        return model.operators(batch, 0, 0, source, **options)
    new = case.get("q_len", case.get("samples", 1))
    cached = case.get("kv_len_before", 0)
    return model.operators(batch, new, cached, source, **options)


def _flops_by_group(model: Model, table: OperatorTable, case: dict[str, Any]) -> dict[str, Any]:
    """FLOPs by group; of a convolution by its whole window where the record ran it so.

    On a cache without a past, transformers' Mamba classes fill the window of ``taps`` positions
    with zeros and the token, and pad it as a prefill: 2 taps - 1 positions in place of two.
    """
    groups: dict[str, Any] = dict(table.by_group())
    counted, recorded = (each.get("ssm_conv", 0) for each in (groups, case["by_group"]))
    if case["kind"] == "decode" and counted != recorded:
        mixers = model.description.mixers
        windows = (each.convolution() for each in mixers if isinstance(each, Recurrence))
        if any(2 * recorded == (2 * each.kernel - 1) * counted for each in windows if each):
            groups["ssm_conv"] = recorded
    return groups


def _compared_flops(groups: dict[str, Any], recorded: dict[str, Any]) -> int:
    """FLOPs of all groups that are compared, as a record names them."""
    groups = _as_recorded(groups, recorded)
    return sum(flops for group, flops in groups.items() if group not in NOT_COMPARED)


def _tower_flops(table: OperatorTable) -> dict[str, int]:
    """FLOPs by group of what runs before the text model: towers and projectors."""
    groups: dict[str, int] = {}
    for operator in table.operators:
        if operator.flops and not operator.part.startswith(("decoder", "head")):
            groups[operator.group] = groups.get(operator.group, 0) + operator.flops
    return groups


def _compare_case(model: Model, case: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Total and groups of one step, and the totals under other conventions."""
    everyone = {"experts": "all"} if case.get("experts_all_computed_by_hf") else {}
    table, recorded = _table(model, case, **everyone), case["by_group"]
    scanned = sum(recorded.get(group, 0) for group in NOT_COMPARED)
    groups = _flops_by_group(model, table, case)
    yield "flops", _compared_flops(groups, recorded), case["total_without_rope"] - scanned
    for group, counted, flops in _by_group(groups, recorded):
        yield f"flops.{group}", counted, flops
    if "tower_by_group" in case:
        for group, counted, flops in _by_group(_tower_flops(table), case["tower_by_group"]):
            yield f"tower flops.{group}", counted, flops
    others = {
        "total_if_last_token_logits_only": {**everyone, "logits": "last"},
        "total_if_expanded_kv_cached": {"mla": "expanded"},
        "total_if_only_top_k_experts": {},
    }
    for name, options in others.items():
        if name in case:
            other = _flops_by_group(model, _table(model, case, **options), case)
            yield name, _compared_flops(other, recorded), case[name] - scanned


@record
class Report:
    """All comparisons that were made."""

    comparisons: tuple[Comparison, ...]

    @property
    def differences(self) -> list[Comparison]:
        """The comparisons that differ."""
        return [comparison for comparison in self.comparisons if not comparison.equal]

    @property
    def all_equal(self) -> bool:
        """Whether there was something to compare, and all of it was equal."""
        return bool(self.comparisons) and not self.differences

    def by(self, field: str) -> dict[str, tuple[int, int, int]]:
        """Records, comparisons and differences by ``family`` or ``record_name``."""
        groups: dict[str, list[Comparison]] = {}
        for each in self.comparisons:
            groups.setdefault(getattr(each, field), []).append(each)
        return {
            key: (len({each.record_name for each in some}), len(some),
                  sum(not each.equal for each in some))
            for key, some in sorted(groups.items())
        }  # fmt: skip

    def text(self, each: bool = False) -> str:
        """The table of comparisons, and every difference."""
        field = "record_name" if each else "family"
        lines = [
            f"{'record' if each else 'family':<34} {'records':>8} {'compared':>9} {'differ':>7}"
        ]
        for name, (records, compared, differ) in self.by(field).items():
            lines.append(f"{name:<34.34} {records:>8} {compared:>9,} {differ:>7}")
        records = len({comparison.record_name for comparison in self.comparisons})
        lines.append(
            f"{'all':<34} {records:>8} {len(self.comparisons):>9,} {len(self.differences):>7}"
        )
        for differing in self.differences[:200]:
            lines.append(
                f"DIFFERS {differing.record_name} {differing.what}: counted {differing.counted}, "
                f"recorded {differing.recorded}"
            )
        left = len(self.differences) - 200
        if left > 0:
            lines.append(f"... and {left} more differences")
        return "\n".join(lines)

    def json_text(self) -> str:
        """The same as JSON."""
        import json

        families = {
            name: dict(zip(("records", "compared", "differ"), counts, strict=True))
            for name, counts in self.by("family").items()
        }
        different = [dict(each.__dict__) for each in self.differences]
        compared = len(self.comparisons)
        summary = {"compared": compared, "families": families, "differences": different}
        return json.dumps(summary, indent=2)


def read_records(path: str) -> list[Any]:
    """The records in a file: a list, or an object with ``records``; gzip is unpacked."""
    content = _read_any(path)
    records = content.get("records") if isinstance(content, dict) else content
    if not isinstance(records, list) or not records:
        raise InputError(f"{path} holds no list of records")
    return records


def _what_lacks(entry: Any) -> str | None:
    """What a record lacks of all that the comparisons read, or None."""
    required = {"config": dict, "params_total": int, "params_by_group": dict, "flops": dict}
    for key, kind in required.items():
        if not isinstance(entry, dict) or not isinstance(entry.get(key), kind):
            return f"a record without {key}"
    needed = ("by_group", "kind", "total_without_rope")
    for case in entry["flops"].values():
        if not isinstance(case, dict) or not all(key in case for key in needed):
            return f"a step without {', '.join(needed)}"
    return None


def _compare_any(entry: Any, name: str) -> list[Comparison]:
    """The comparisons of what stands in a file of records; one that failed for what is none."""
    lacks = _what_lacks(entry)
    if lacks is None:
        try:
            return list(compare_record({**entry, "name": name}))
        except Exception as error:  # a value of another type, deep in what somebody wrote by hand
            lacks = f"{type(error).__name__}: {error}"
    return [Comparison(name, "?", "reading", f"not in the format of records: {lacks}", "a record")]


def _read_any(path: str) -> Any:
    import gzip
    import zlib

    data = read_bytes(path, RECORDS, LARGEST_FILE_BYTES)
    try:
        data = gzip.decompress(data) if path.endswith(".gz") else data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    return load_json(data, path, RECORDS)


def validate_counts(files: Sequence[str] = ()) -> Report:
    """Compare the published records that the package carries, and those in ``files``."""
    comparisons: list[Comparison] = []
    seen: dict[str, int] = {}
    for path in (PUBLISHED, *files):
        for entry in tracked(read_records(path), "counting"):
            name = str(entry.get("name", "?")) if isinstance(entry, dict) else "?"
            seen[name] = seen.get(name, 0) + 1
            unique = name if seen[name] == 1 else f"{name} #{seen[name]}"
            comparisons.extend(_compare_any(entry, unique))
    return Report(tuple(comparisons))
