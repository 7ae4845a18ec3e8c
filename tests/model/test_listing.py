"""The catalogue and the families as lists: which rows a word finds, and what each says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from thermoflop.cli import main
from thermoflop.errors import InputError
from thermoflop.model.config.catalogue import entry
from thermoflop.model.config.families import FAMILY_NAMES
from thermoflop.model.listing import families_named, model_rows, models_text
from thermoflop.model.load import read_model
from thermoflop.model.report import table_report
from thermoflop.model.validate import Report, compare_record, read_records

FUZZ = str(Path(__file__).resolve().parents[1] / "data" / "fuzz.json.gz")


def listed(pattern: str) -> str:
    """What `thermoflop models` prints."""
    return models_text(model_rows(pattern), pattern)


def test_a_row_has_the_sizes_of_its_model() -> None:
    rows = {row["name"]: row for row in model_rows("gpt2")}
    assert set(rows) == {"distilgpt2", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"}
    row = rows["gpt2-xl"]
    # 2 (keys, values) x 48 layers x 1600 x 2 bytes
    assert row["parameters"] == row["active_parameters"] == 1_557_611_200
    assert row["kv_bytes_per_token_bf16"] == 2 * 48 * 1600 * 2
    assert (row["family"], row["quantization"]) == ("gpt2", None)
    named = entry("gpt2-xl")
    assert named is not None
    assert row["source"] == named["source"]
    assert row["recalled"] == bool(named.get("recalled"))


def test_a_mixture_has_fewer_active_parameters() -> None:
    """Mixtral 8x7B: 46.7 billion, of which 12.9 work on a token (Jiang et al. 2024)."""
    row = {row["name"]: row for row in model_rows("mixtral 8x7b")}["mixtral-8x7b"]
    assert round(row["parameters"] / 1e9, 1) == 46.7
    assert round(row["active_parameters"] / 1e9, 1) == 12.9


def test_every_word_has_to_be_in_a_name() -> None:
    assert {row["name"] for row in model_rows("gpt2 large")} == {"gpt2-large"}
    assert {row["name"] for row in model_rows("bert uncased base")} == {
        "bert-base-uncased", "distilbert-base-uncased",
    }  # fmt: skip


def test_the_list_says_how_many_there_are_and_where_each_is_from() -> None:
    text = listed("gpt2")
    assert "\n5 models; KV/token: bytes in bf16.\n" in text
    line = next(each for each in text.splitlines() if each.startswith("gpt2-xl "))
    assert line.split()[:5] == ["gpt2-xl", "gpt2", "1,557,611,200", "1.558G", "307.2k"]
    assert "\n1 model; KV/token" in listed("gpt2-xl")
    assert max(map(len, text.splitlines())) <= 100
    assert [each["name"] for each in model_rows("gpt2-xl")] == ["gpt2-xl"]
    for name, where in (("gpt-oss-20b", "mxfp4; "), ("gpt2", "")):
        text = listed(name)
        line = next(each for each in text.splitlines() if each.startswith(f"{name} "))
        source = line.split(maxsplit=5)[5].strip()
        assert source.startswith(where)
        assert source.removeprefix(where) in ("measured", "published", "checked", "memory")


def test_a_name_that_is_none_names_the_nearest() -> None:
    for name in ("gpt2-xxl", "gpt2 zebra"):
        with pytest.raises(InputError, match=f"no model has '{name}' in its name; the nearest"):
            model_rows(name)
    with pytest.raises(InputError, match=r"in its name$"):
        model_rows("?" * 80)
    with pytest.raises(InputError, match="no family has 'gpt3' in its name; the nearest"):
        families_named("gpt3")


def test_families_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    main(["models", "--families", "gpt2"])
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[-1]) == ("gpt2", f"{len(lines) - 1} families")
    assert families_named() == list(FAMILY_NAMES)


def test_json_is_written_for_people_to_read() -> None:
    """Two spaces a level, of operators and of their comparison."""
    model = read_model({"model_type": "llama", "num_hidden_layers": 1})
    for text in (
        table_report(model, model.decode(8), "json"),
        Report((*compare_record(read_records(FUZZ)[0]),)).json_text(),
    ):
        assert text == json.dumps(json.loads(text), indent=2, ensure_ascii="\\u" in text)


def test_names_that_another_models_sizes_are_counted_for_are_listed_with_it() -> None:
    text = listed("qwen3.6")
    assert "\ncounted by the sizes of another: qwen3.6-27b as qwen3.5-27b\n" in text
    assert "counted by the sizes" not in listed("gpt2")
    assert "counted by the sizes" not in listed("")
    with pytest.raises(InputError, match="in its name; counted by the sizes of another: athene-v2"):
        model_rows("athene")
    few, many = (
        " ".join(listed(name).partition("of another: ")[2].split()).partition(" measured: ")[0]
        for name in ("vicuna", "deepseek")
    )
    assert (few.count(" as "), few[-12:]) == (5, " as llama-7b")
    assert (many.count(" as "), many[-5:]) == (6, ", ...")


def test_a_narrow_list_explains_no_sources_that_it_does_not_show(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for columns, shown in (("50", False), ("140", True)):
        monkeypatch.setenv("COLUMNS", columns)
        main(["models", "kimi-k3"])
        text = capsys.readouterr().out
        assert ("source" in text.splitlines()[0], "measured: what" in text) == (shown, shown)
