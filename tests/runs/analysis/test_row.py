"""A run in a row: figures by arithmetic, kept beside the run as long as it is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit.run_folder import decoding
from thermoflop.errors import InputError, StorageError
from thermoflop.runs.analysis import row
from thermoflop.runs.folder.index import entries
from thermoflop.runs.folder.notes import MAX_LETTERS, NOTE, read_note, write_note


def test_the_figures_of_a_run_are_those_of_its_trial(tmp_path: Path) -> None:
    """320 tokens in 21 s; 0.9 s at 50 W, 20 s at 300 W and the step between them; 61 degrees."""
    figures = row.row_of(decoding(tmp_path, 60.0))
    assert figures.tokens_per_s == pytest.approx(320 / 21)
    assert figures.decode_tokens_per_s == pytest.approx(16)  # 320 in the phase's 20 s
    assert figures.joules_per_token == pytest.approx((0.9 * 50 + 0.1 * 175 + 20 * 300) / 320, 0.01)
    assert (figures.peak_c, figures.throttled) == (61.0, None)  # no reason was read


def test_what_is_kept_is_taken_until_the_run_changes(tmp_path: Path) -> None:
    folder = decoding(tmp_path, 60.0)
    first = row.row_of(folder)
    assert row.kept_row(folder) == first
    kept = json.loads((folder / row.KEPT).read_text())
    (folder / row.KEPT).write_text(json.dumps(kept | {"peak_c": "<b>", "tokens_per_s": 1e999}))
    assert row.kept_row(folder) == row.RunRow(
        None, None, first.joules_per_token, first.throttled, first.decode_tokens_per_s
    )
    (folder / row.KEPT).write_text(json.dumps({"of": kept["of"]}))  # as an older version kept it
    assert row.kept_row(folder) is None
    (folder / row.KEPT).write_text(json.dumps(kept))
    with (folder / "samples.jsonl").open("ab") as file:
        file.write(b"{}\n")
    assert row.kept_row(folder) is None
    assert row.row_of(folder) == first


@pytest.mark.parametrize("laid", [b"", b"[]", b"{", b"\xff", b"[" * 9000, b"{}" + b" " * 20_000])
def test_what_else_lies_in_its_place_costs_an_analysis_alone(tmp_path: Path, laid: bytes) -> None:
    folder = decoding(tmp_path, 60.0)
    (folder / row.KEPT).write_bytes(laid)
    assert row.row_of(folder).peak_c == 61.0


def test_a_folder_that_cannot_be_written_to_is_read(tmp_path: Path) -> None:
    """A folder lies where the file would: nobody's rights get past that, not even root's."""
    folder = decoding(tmp_path, 60.0)
    (folder / row.KEPT).mkdir()
    (folder / row.KEPT / "x").touch()
    assert row.row_of(folder).peak_c == 61.0


def test_a_note_is_kept_beside_the_evidence_which_stays_as_it_is(tmp_path: Path) -> None:
    folder = decoding(tmp_path, 60.0)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert write_note(folder, " two\r\nlines \x1b[31m<b>\ud800 ") == "two\nlines  [31m<b>"
    assert read_note(folder) == "two\nlines  [31m<b>"
    assert before.items() <= {path.name: path.read_bytes() for path in folder.iterdir()}.items()
    assert [entry.folder for entry in entries(tmp_path)] == [folder]
    assert write_note(folder, "  ") == read_note(folder) == ""


def test_a_note_that_cannot_be_kept_is_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = decoding(tmp_path, 60.0)
    with pytest.raises(InputError, match=f"at most {MAX_LETTERS} letters, and this has 2001"):
        write_note(folder, "x" * 2001)
    (folder / NOTE).mkdir()
    (folder / NOTE / "x").touch()
    with pytest.raises(StorageError, match=r"cannot write .*note\.txt"):
        write_note(folder, "x")
    assert read_note(folder) == ""


def test_no_link_is_read_or_written_through(tmp_path: Path) -> None:
    folder, secret = decoding(tmp_path / "runs", 60.0), tmp_path / "secret"
    secret.write_text("secret")
    (folder / NOTE).symlink_to(secret)
    assert read_note(folder) == ""
    write_note(folder, "mine")
    assert secret.read_text() == "secret"
    assert read_note(folder) == "mine"
