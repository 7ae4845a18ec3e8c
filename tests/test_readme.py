"""What the README shows is what the program does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
HELP = "$ thermoflop --help\n"


def program(*words: str) -> str:
    """What the program prints, on a page of 100 columns."""
    command = [sys.executable, "-m", "thermoflop", *words]
    env = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


def test_the_help_page_in_the_readme_is_the_programs() -> None:
    shown = [block for block in BLOCKS if block.startswith(HELP)]
    assert shown == [HELP + program("--help")]


def test_every_command_that_the_readme_types_exists() -> None:
    from thermoflop.cli import COMMANDS

    typed = set(re.findall(r"`thermoflop ([a-z]+)", README))
    for block in BLOCKS:
        if not block.startswith(HELP):
            typed |= set(re.findall(r"\bthermoflop ([a-z]+)", block))
    assert len(typed) > 5
    assert typed <= COMMANDS.keys(), typed - COMMANDS.keys()


def test_ci_runs_the_readmes_test_command_to_the_letter() -> None:
    tests = [block.strip() for block in BLOCKS if "pytest" in block]
    assert len(tests) == 1
    assert f"\n{tests[0]}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_file_that_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).is_file(), target


def test_versions_agree_wherever_they_stand() -> None:
    import json
    import tomllib

    import thermoflop

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert thermoflop.__version__ == project["version"]
    package = json.loads((ROOT / "firmware" / "package.json").read_text(encoding="utf-8"))
    source = (ROOT / "firmware" / "app.py").read_text(encoding="utf-8")
    assert f'FIRMWARE = "{package["version"]}"' in source


if __name__ == "__main__":  # write the help page into the README anew
    page = README.replace(
        next(block for block in BLOCKS if block.startswith(HELP)), HELP + program("--help")
    )
    (ROOT / "README.md").write_text(page, encoding="utf-8")
