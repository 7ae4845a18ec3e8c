"""The records of models in service in autumn 2026: each is equal, or stands in ``NOT_YET``.

The records (tests/data/published_2026.json.gz) were made with transformers 5.24.0 on torch's meta
device. A name in ``NOT_YET`` whose record has become equal fails, so that the list only shrinks.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from thermoflop.model.validate import compare_record, read_records, validate_counts

RECORDS = {
    str(entry["name"]): entry
    for entry in read_records(
        str(Path(__file__).resolve().parents[3] / "data" / "published_2026.json.gz")
    )
}
# One name a line, by kind, so that two changes at once meet on no line.
NOT_YET = frozenset({
    # decoders
    # sparse attention
    # hybrids
    # with eyes or ears
    # encoders, and encoders with decoders
})  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_counted_exactly_or_stands_in_the_list(name: str) -> None:
    differing = [f"{each}" for each in compare_record(RECORDS[name]) if not each.equal]
    if name in NOT_YET:
        assert differing, f"{name} is equal now: take it out of NOT_YET"
    else:
        assert differing == []


def test_the_list_names_records_only() -> None:
    assert len(RECORDS) == 91
    assert set(RECORDS) >= NOT_YET


def test_what_is_no_record_is_one_failed_line_and_the_others_go_on(tmp_path: Path) -> None:
    good = {
        "name": "good",
        "config": {"model_type": "helium", "num_hidden_layers": 1},
        # 48000 x 2560 twice; 4 h^2 + 3 h 7040 + 2 h in the layer; the last norm
        "params_total": 2 * 48_000 * 2560 + 4 * 2560**2 + 3 * 2560 * 7040 + 3 * 2560,
        "params_by_group": {
            "embed_tokens": 48_000 * 2560,
            "lm_head": 48_000 * 2560,
            "attn": 4 * 2560**2,
            "mlp": 3 * 2560 * 7040,
            "norm": 3 * 2560,
        },
        "flops": {},
    }
    unknown_step = {"flops": {"x": {"kind": "taste", "by_group": {}, "total_without_rope": 1}}}
    bad = [
        7,
        {"name": "no config"},
        {**good, "name": "unknown type", "config": {"model_type": "nobody"}},
        {**good, "name": "words for numbers", "params_by_group": {"attn": []}, "moe": 7},
        {**good, "name": "a step of no kind", **unknown_step},
    ]
    path = tmp_path / "records.json"
    path.write_text(json.dumps([*bad, good]))
    found = validate_counts([str(path)]).by("record_name")
    for name in ("?", "no config", "unknown type", "words for numbers"):
        assert found[name] == (1, 1, 1)
    assert found["a step of no kind"] == (1, 7, 1)
    assert found["good"] == (1, 6, 0)


def test_other_in_a_record_is_held_against_all_that_it_does_not_name() -> None:
    entry = {
        "config": {"model_type": "helium", "num_hidden_layers": 1},
        "params_total": 0,
        "params_by_group": {"other": 4 * 2560**2 + 3 * 2560, "embed_tokens": 48_000 * 2560,
                            "lm_head": 48_000 * 2560, "mlp": 3 * 2560 * 7040},
        "flops": {},
    }  # fmt: skip
    assert [each.what for each in compare_record(entry) if not each.equal] == ["parameters"]


def test_a_convolution_of_the_whole_window_is_the_only_other_count_of_a_decode_step() -> None:
    """Mamba with 4 taps convolves 2 positions in a step, 7 where its cache has no past."""
    record = RECORDS["falcon-mamba-7b"]
    for positions, equal in ((2, True), (6, False), (7, True)):
        case = json.loads(json.dumps(record["flops"]["decode_b2_kv24"]))
        one = case["by_group"]["ssm_conv"] // 7
        case["by_group"]["ssm_conv"] = positions * one
        case["total_without_rope"] += (positions - 7) * one
        found = list(compare_record({**record, "flops": {"decode": case}}))
        assert all(each.equal for each in found) is equal


def test_a_tied_table_under_the_heads_name_has_its_size_still() -> None:
    record = RECORDS["jina-embeddings-v3"]
    groups = record["params_by_group"]
    changed = {**record, "params_by_group": {**groups, "lm_head": groups["lm_head"] + 1}}
    wrong = [each.what for each in compare_record({**changed, "flops": {}}) if not each.equal]
    assert wrong == ["parameters.lm_head"]
