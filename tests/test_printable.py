"""What stands in anybody's file reaches no terminal as it is: no escape, no bell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import thermoflop as tf
from thermoflop.cli import main
from thermoflop.errors import InputError, printable

EVIL = "\x1b[2J\x1b]0;owned\x07"
LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "vocab_size": 100,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"architectures": [EVIL]},
        {f"{EVIL}_size": 7},
        {"model_type": EVIL},
        {"hidden_size": EVIL},
        {"layer_types": [EVIL, EVIL]},
        {"text_config": {EVIL: 7}},
        {"_name_or_path": EVIL},
    ],
)
def test_a_configuration_steers_no_terminal(
    change: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"{EVIL.replace('/', '')}.json"
    path.write_text(json.dumps({**LLAMA, **change}))
    main(["ops", str(path)])
    captured = capsys.readouterr()
    assert captured.out + captured.err
    assert printable(captured.out + captured.err) == captured.out + captured.err


def test_records_and_devices_of_others_steer_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {"name": EVIL, "config": LLAMA, "params_total": 1, "params_by_group": {EVIL: 1},
              "flops": {EVIL: {"kind": EVIL, "by_group": {}, "total_without_rope": 1}}}  # fmt: skip
    path = tmp_path / "records.json"
    path.write_text(json.dumps([record]))
    assert main(["validate", "counts", str(path), "--each"]) == 1
    out = capsys.readouterr().out
    assert "DIFFERS" in out
    assert printable(out) == out


def test_the_name_of_a_model_and_of_an_error_are_printable() -> None:
    assert tf.load_model({**LLAMA, "_name_or_path": EVIL}).name == "\\x1b[2J\\x1b]0;owned\\x07"
    assert str(InputError("Größe\n\x1b")) == "Größe\n\\x1b"
