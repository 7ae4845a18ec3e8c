"""The commands on models: what they print, in which form, with which exit code."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from thermoflop.cli import main

Run = tuple[int, str, str]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]):
    """Run a command; its exit code, what it printed and what it said."""

    def run(*words: str) -> Run:
        try:
            code = main(list(words))
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("ops", "gpt2"),
        ("ops", "deepseek-v3", "--decode", "4096", "--batch", "64", "--mla", "absorbed"),
        ("ops", "qwen3-next-80b-a3b", "--prefill", "100"),
        ("ops", "whisper-tiny"),
        ("ops", "t5-small", "--encoder", "10", "--decode", "3"),
        ("ops", "clip-vit-large-patch14"),
        ("ops", "vit-base", "--images", "3"),
        ("ops", "bert-base"),
        ("ops", "t5-small", "--encode", "12"),
        ("ops", "nemotron-h-8b", "--weights", "int4-g64"),
    ],
)
def test_a_table_fits_100_columns_and_adds_up(command, words: tuple[str, ...]) -> None:
    code, out, err = command(*words)
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines()) <= 100
    assert "conventions" in out
    code, out, _ = command(*words, "--json")
    found = json.loads(out)
    for name in ("multiplications", "flops", "elementwise_flops", "weight_bytes", "kv_read_bytes"):
        assert sum(row[name] for row in found["operators"]) == found["totals"][name]
    assert sum(row["share_of_flops"] for row in found["operators"]) == pytest.approx(1)
    assert found["totals"]["flops"] == 2 * found["totals"]["multiplications"]
    assert found["conventions"]["attention"] == "full"
    code, out, _ = command(*words, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert sum(int(row["flops"]) for row in rows) == found["totals"]["flops"]
    assert "attention=full" in rows[0]["conventions"]


def test_the_readme_numbers(command) -> None:
    _, out, _ = command("ops", "llama-3-8b")
    assert "8,030,261,248 parameters" in out
    _, out, _ = command("mults", "gpt2")
    for number in ("278,396,928", "246,215,424", "142,406,400", "123,532,032"):
        assert number in out
    _, out, _ = command(
        "mults", "llama-3.1-70b", "--context", "8192", "--vocab", "128000", "--json"
    )
    assert json.loads(out)["exact_model"] == 80_239_132_672


def test_a_step_longer_than_the_model_is_noted(command) -> None:
    _, out, _ = command("ops", "gpt2", "--decode", "1024")
    assert "more than the 1,024" in out
    _, out, _ = command("ops", "gpt2", "--decode", "1023")
    assert "more than" not in out
    _, out, _ = command("ops", "clip-vit-large-patch14")
    assert "77 new tokens" in out
    _, out, _ = command("ops", "vit-base", "--images", "2")
    assert "2 images" in out


def test_explain(command) -> None:
    code, out, _ = command("explain", "gpt2")
    assert code == 0
    assert "12h² + 13h" in out
    code, out, _ = command("explain", "deepseek-v3", "--json", "--tokens", "7", "--batch", "2")
    assert json.loads(out)["symbols"]["s"]["value"] == 7


def test_models(command) -> None:
    code, out, _ = command("models", "llama")
    assert code == 0
    assert "llama-3.1-405b" in out
    _, out, _ = command("models", "--json")
    assert len(json.loads(out)["models"]) >= 60
    _, out, _ = command("models", "--families")
    assert "deepseek_v3" in out


def test_validate(command, tmp_path: Path) -> None:
    code, out, _ = command("validate", "counts")
    assert code == 0
    assert out.splitlines()[-1].split()[-1] == "0"
    from thermoflop.model.validate import PUBLISHED

    record = json.loads(Path(PUBLISHED).read_text())["records"][0]
    record["params_total"] += 1
    path = tmp_path / "records.json"
    path.write_text(json.dumps([record]))
    code, out, _ = command("validate", "counts", str(path))
    assert code == 1
    total = record["params_total"]
    assert f"parameters: counted {total - 1}, recorded {total}" in out.splitlines()[-1]
    assert out.splitlines()[-1].startswith(f"DIFFERS {record['name']} #2 ")
    code, out, _ = command("validate", "counts", str(path), "--json")
    assert len(json.loads(out)["differences"]) == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("ops", "no-such-model"), 3),
        (("ops", "gpt2", "--decode", "-1"), 2),
        (("ops", "gpt2", "--batch", "0"), 2),
        (("ops", "gpt2", "--prefill", "0"), 2),
        (("ops", "gpt2", "--dtype", "fp3"), 2),
        (("ops", "gpt2", "--prefill", "x"), 2),
        (("ops", "gpt2", "--prefill", "1", "--decode", "1"), 2),
        (("ops", "gpt2", "--encoder", "1"), 2),
        (("ops", "bert-base", "--decode", "1"), 2),
        (("mults", "mamba-130m"), 2),
        (("mults", "gpt2", "--context", "0"), 2),
        (("explain", "gpt2", "--batch", "0"), 2),
        (("validate", "counts", "/no/such/file"), 3),
        (("validate", "counts", __file__), 3),
    ],
)
def test_what_makes_no_sense_is_one_sentence(command, words: tuple[str, ...], code: int) -> None:
    found, out, err = command(*words)
    assert found == code
    assert out == ""
    assert "Traceback" not in err


def test_help_of_each_command(command) -> None:
    for name in ("ops", "explain", "mults", "models", "validate"):
        code, out, _ = command(name, "--help")
        assert code == 0
        assert "usage: thermoflop" in out


def test_latent_attention_is_counted_as_engines_run_it(capsys):
    """Absorbed in a decode step, expanded in a prompt; each form on request."""

    def flops(*words: str) -> str:
        assert main(["ops", "deepseek-v3", *words]) == 0
        return next(
            line for line in capsys.readouterr().out.splitlines() if line.startswith("FLOPs (2 x)")
        )

    assert flops("--decode", "4096") == flops("--decode", "4096", "--mla", "absorbed")
    assert flops("--decode", "4096") != flops("--decode", "4096", "--mla", "latent")
    assert flops("--prefill", "64") == flops("--prefill", "64", "--mla", "expanded")
    assert main(["explain", "deepseek-v3", "--mla", "latent"]) == 0
    assert "Latent attention latent." in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [("ops",), ("fit", "--gpu", "h100"), ("estimate", "--gpu", "h100")]
)
def test_what_a_file_says_and_is_left_out_is_said_once(
    command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    file = tmp_path / "config.json"
    sizes = {"hidden_size": 512, "num_hidden_layers": 2, "num_attention_heads": 8}
    config = {"model_type": "llama", "use_qk_norm": True, "intermediate_size": 64, **sizes}
    file.write_text(json.dumps(config))
    code, out, err = command(words[0], str(file), *words[1:])
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines()) <= 100
    lines = " ".join(out.split())
    assert lines.count("use_qk_norm means nothing to llama") == 1
    assert lines.count("leaves out vocab_size: taken from the class of llama (32,000)") == 1


def test_a_models_own_layers_draft_without_being_asked_for_twice(capsys) -> None:
    """As in serving, of which one user alone has the tokens of a batch of one."""
    typed = ["deepseek-v3", "--gpu", "h200", "--devices", "8", "--draft", "mtp", "--json"]
    sizes = ["--prompt", "1000", "--generate", "100"]
    found = []
    for more in ([], ["--mtp"]):
        assert main(["estimate", *typed, *sizes, *more]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert main(["serving", *typed, *sizes, "--users", "1"]) == 0
    served = json.loads(capsys.readouterr().out)["token_s"][1]
    assert found[0]["speculation"]["per_token_s"] == pytest.approx(served, rel=0.01)
    assert found[0]["speculation"]["plain_step_s"] == found[0]["per_token"]["expected_s"]
