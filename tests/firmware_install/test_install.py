"""The other ways onto a board, as the README gives them, with the real mpremote on the real VM."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import thermoflop
from kit.flash import on_flash
from thermoflop.errors import InputError
from thermoflop.pico import firmware
from thermoflop.pico.flash import await_hello
from thermoflop.pico.ports import Target
from vm import runner
from vm.repl_board import ReplBoard, write_image
from vm.runner import FIRMWARE, ROOT

needs_vm = pytest.mark.skipif(bool(runner.missing()), reason=runner.missing())
PACKAGE = json.loads((FIRMWARE / "package.json").read_text(encoding="utf-8"))


def mpremote(port: str, *words: str) -> None:
    """Run mpremote in the checkout, as a person would."""
    command = [sys.executable, "-m", "mpremote", "connect", port, *words]
    run = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stdout + run.stderr


def sources() -> list[str]:
    return [f"firmware/{path.name}" for path in sorted(FIRMWARE.glob("*.py"))]


@needs_vm
@pytest.mark.parametrize(
    "words",
    [
        ["cp", *sources(), ":"],
        ["mip", "install", "--target", "/", "firmware/package.json"],
    ],
    ids=["cp", "mip install"],
)
@pytest.mark.parametrize("holds", ["nothing", "an older firmware that runs"])
def test_mpremote_installs_a_checkout_and_it_runs(
    tmp_path: Path, words: list[str], holds: str
) -> None:
    image = tmp_path / "flash.image"
    whole = on_flash({path.name: path.read_bytes() for path in FIRMWARE.glob("*.py")})
    older = whole | {"/app.py": whole["/app.py"].replace(b'FIRMWARE = "', b'FIRMWARE = "0.')}
    write_image(image, {} if holds == "nothing" else older)
    with ReplBoard(image) as board:
        mpremote(board.port, *words)
        mpremote(board.port, "resume", "reset")
        hello = await_hello(Target(board.port), PACKAGE["version"], 20.0)
        files = board.files()
    assert hello.reset == "reset"
    assert files == whole


def test_package_json_names_every_firmware_file_once() -> None:
    names = [name for name, _ in PACKAGE["urls"]]
    assert sorted(names) == sorted(path.name for path in FIRMWARE.glob("*.py"))
    assert all(name == source for name, source in PACKAGE["urls"])


def test_firmware_package_and_project_are_of_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    app = (FIRMWARE / "app.py").read_text(encoding="utf-8")
    assert PACKAGE["version"] == project["version"] == thermoflop.__version__
    assert f'FIRMWARE = "{PACKAGE["version"]}"' in app


def test_the_packages_firmware_is_the_checkouts() -> None:
    loaded = firmware.load()
    assert loaded.version == PACKAGE["version"]
    assert {file.name: file.path.read_bytes() for file in loaded.files} == {
        path.name: path.read_bytes() for path in FIRMWARE.glob("*.py")
    }


@pytest.mark.parametrize(
    ("package", "means"),
    [
        ("{}", "not complete"),
        ('{"version": "1", "urls": [["main.py", "main.py"]]}', "not complete"),
        ('{"version": "1", "urls": []}', "no main.py"),
        ("not json", "not complete"),
    ],
)
def test_an_incomplete_firmware_is_refused_in_one_sentence(
    tmp_path: Path, package: str, means: str
) -> None:
    (tmp_path / "package.json").write_text(package)
    with pytest.raises(InputError, match=means):
        firmware.load(tmp_path)
