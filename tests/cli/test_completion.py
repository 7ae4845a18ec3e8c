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


def complete(script: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "--norc", "-c", ASK, "bash", str(script), "thermoflop", *words],
        capture_output=True, text=True, check=True, timeout=60,
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
        (["completion", ""], {"bash", "zsh", "tcsh"}),
    ],
)
def test_bash_offers_commands_options_and_choices(
    script: Path, words: list[str], offered: set[str]
) -> None:
    assert complete(script, *words) == offered


def test_every_command_is_offered(script: Path) -> None:
    from thermoflop.cli import COMMANDS

    assert complete(script, "") >= COMMANDS.keys()


def test_another_shell_is_a_usage_error() -> None:
    assert run("completion", "cmd.exe").returncode == 2
