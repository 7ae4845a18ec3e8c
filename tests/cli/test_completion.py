"""The script that ``completion`` prints, in a real bash."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from kit.commands import run

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
$(complete -p thermoflop | sed -E 's/.*-F ([^ ]+).*/\\1/') thermoflop "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user would have saved."""
    done = run("completion", "bash")
    assert done.returncode == 0, done.stderr
    path = tmp_path_factory.mktemp("completion") / "thermoflop"
    path.write_text(done.stdout)
    return path


def complete(script: Path, *words: str, folder: Path | None = None) -> set[str]:
    """What bash offers for the last word, typed in a folder."""
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "--norc", "-c", ASK, "bash", str(script), "thermoflop", *words],
        capture_output=True, text=True, check=True, timeout=60,
        cwd=folder,
    )  # fmt: skip
    return {word.strip() for word in done.stdout.splitlines() if word.strip()}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["rec"], {"record"}),
        (["re"], {"record", "report"}),
        (["record", "--gpu-"], {"--gpu-model"}),
        (["record", "--gpu", ""], {"auto", "none", "sim"}),
        (["runs", "de"], {"delete"}),
        (["report", "--p"], {"--png"}),
        (["estimate", "--kv"], {"--kv-dtype"}),
        (["estimate", "--draft"], {"--draft", "--draft-tokens"}),
        (["log", "--fo"], set()),  # the old name of --duration, which still works
        (["completion", ""], {"bash", "zsh", "tcsh", "fish"}),
    ],
)
def test_bash_offers_commands_options_and_choices(
    script: Path, words: list[str], offered: set[str]
) -> None:
    assert complete(script, *words) == offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["fit", "llama-3-8"], {"llama-3-8b"}),
        (["record", "--model", "gpt2-x"], {"gpt2-xl"}),
        (["fit", "gpt2", "--gpu", "h10"], {"h100", "h100-nvl-94gb", "h100-pcie-80gb",
                                           "h100-sxm-80gb"}),
        (["plan", "gpt2", "--hardware", "rtx-2080-t"], {"rtx-2080-ti"}),
        (["estimate", "gpt2", "--profile", "vll"], {"vllm", "vllm@0.11"}),
        (["train", "gpt2", "--profile", "max"], {"maxtext"}),
        (["report", "de"], {"demo-$(touch x)-1", "demo-b"}),
        (["runs", "show", "la"], {"last"}),
        (["runs", "--in", "more", "show", "o"], {"other"}),
    ],
)  # fmt: skip
def test_bash_offers_models_gpus_profiles_and_runs(
    script: Path, tmp_path: Path, words: list[str], offered: set[str]
) -> None:
    """And a run's name, which may be a stranger's, is not obeyed."""
    for name in ("runs/demo-$(touch x)-1", "runs/demo-b", "more/other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "samples.jsonl").touch()
    assert complete(script, *words, folder=tmp_path) == offered
    assert not (tmp_path / "x").exists()


def test_every_gpu_that_is_offered_is_that_gpu() -> None:
    """One word a device, which the options take for it."""
    from thermoflop.cli.completion import _names
    from thermoflop.cost.catalogue.devices import find_device
    from thermoflop.cost.catalogue.sheets import device_names

    gpus = [name for name in _names()["gpus"] if name != "auto"]
    assert {find_device(name).name for name in gpus} == set(device_names())


def test_fish_has_a_script_with_the_same_names() -> None:
    done = run("completion", "fish")
    assert done.returncode == 0, done.stderr
    functions = {"models": "llama-3-8b", "gpus": "rtx-4090", "profiles": "vllm", "runs": "last"}
    for kind, name in functions.items():
        _, _, body = done.stdout.partition(f"function _thermoflop_{kind}")
        assert name in body.partition("\nend")[0].split()


def test_every_command_is_offered(script: Path) -> None:
    from thermoflop.cli import COMMANDS

    assert complete(script, "") >= COMMANDS.keys()


def test_another_shell_is_a_usage_error() -> None:
    assert run("completion", "cmd.exe").returncode == 2
