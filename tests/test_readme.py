"""What the README shows is what the program does."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PICTURE = Path("host/frontier.svg")


def program(*words: str) -> str:
    """What the program prints, on a page of 100 columns."""
    command = [sys.executable, "-m", "thermoflop", *words]
    env = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


def answers() -> dict[str, list[str]]:
    """The questions of the README's opening: the block that shows each, and its command."""
    opening = README[README.index("## Three questions") : README.index("## Two commands")]
    blocks = [block for block in BLOCKS if block in opening]
    return {
        block: shlex.split(block.splitlines()[0].removeprefix("$ thermoflop ")) for block in blocks
    }


def answered(block: str, words: list[str], picture: Path) -> str:
    """The block as it should be; what the command draws goes to a file."""
    typed = [str(picture) if word == str(PICTURE) else word for word in words]
    return block.splitlines()[0] + "\n" + program(*typed)


def test_the_three_questions_are_answered_as_shown(tmp_path: Path) -> None:
    picture = tmp_path / "frontier.svg"
    shown = answers()
    assert len(shown) == 3
    for block, words in shown.items():
        assert block == answered(block, words, picture), "python tests/test_readme.py"
    assert picture.read_bytes() == (ROOT / PICTURE).read_bytes(), "python tests/test_readme.py"


def test_the_readme_is_short_and_shows_few_pictures() -> None:
    """Long tables belong to the commands' help."""
    assert len(README.splitlines()) <= 260
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert 0 < len(pictures) <= 4
    assert all(name.startswith("host/") for name in pictures)


def test_every_command_that_the_readme_types_exists() -> None:
    from thermoflop.cli import COMMANDS

    typed = set(re.findall(r"`thermoflop ([a-z]+)", README))
    for block in BLOCKS:
        typed |= set(re.findall(r"(?<!import )\bthermoflop ([a-z]+)", block))
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


if __name__ == "__main__":  # write the three answers into the README anew
    page = README
    for block, words in answers().items():
        page = page.replace(block, answered(block, words, ROOT / PICTURE))
    (ROOT / "README.md").write_text(page, encoding="utf-8")
