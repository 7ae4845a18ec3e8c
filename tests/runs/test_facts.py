"""What is written down about the folder we stand in: its revision, and nothing in it is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.commands import ENVIRONMENT
from thermoflop.runs.facts import git_revision


def git(folder: Path, *words: str) -> str:
    """What git says, with a name for commits."""
    who = ["-c", "user.email=a@b.example", "-c", "user.name=a"]
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one committed file, which we stand in; no settings of the user's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "file").write_text("a\n")
    git(folder, "add", "file")
    git(folder, "commit", "-qm", "one")
    monkeypatch.chdir(folder)
    return folder


def program(folder: Path, name: str = "program") -> str:
    """A program that leaves a trace beside the repository."""
    path = folder.parent / name
    path.write_text(f"#!/bin/sh\necho ran >> '{folder.parent}/trace'\ncat\n")
    path.chmod(0o755)
    return str(path)


def test_a_repository_is_known_by_its_revision_and_whether_it_was_changed(repository: Path) -> None:
    revision = git(repository, "rev-parse", "HEAD")
    assert git_revision() == {"revision": revision, "changed": False}
    (repository / "new").touch()
    assert git_revision() == {"revision": revision, "changed": False}
    (repository / "file").write_text("b\n")
    assert git_revision() == {"revision": revision, "changed": True}


def test_outside_of_a_repository_there_is_no_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert git_revision() is None


@pytest.mark.parametrize(
    "key",
    ["core.fsmonitor", "filter.x.clean", "filter.x.y=z.clean", "filter.x.process", "hook",
     "pager.status", "diff.external", "core.sshCommand"],
)  # fmt: skip
def test_no_program_that_the_repository_names_is_run(repository: Path, key: str) -> None:
    """By its configuration, its attributes or its hooks; the answer is right all the same."""
    path = program(repository)
    if key == "hook":
        hook = repository / ".git" / "hooks" / "post-index-change"
        hook.parent.mkdir(exist_ok=True)
        hook.symlink_to(path)
    else:
        git(repository, "config", key, path)
    if key.startswith("filter."):
        name = key.split(".", 1)[1].rpartition(".")[0]
        git(repository, "config", f"filter.{name}.required", "true")
        if "=" not in name:
            (repository / ".git" / "info").mkdir(exist_ok=True)
            (repository / ".git" / "info" / "attributes").write_text(f"* filter={name}\n")
    os.utime(repository / "file", (1.0, 1.0))  # or git would not look into it
    answer = git_revision()
    assert answer is not None
    assert answer["changed"] is False
    assert not (repository.parent / "trace").exists()


def test_a_filter_in_an_included_file_is_not_run_either(repository: Path) -> None:
    """Nor that of a work tree of its own."""
    (repository / "more").write_text(f'[filter "x"]\n clean = {program(repository)}\n')
    git(repository, "config", "include.path", "../more")
    (repository / ".gitattributes").write_text("file filter=x\n")
    os.utime(repository / "file", (1.0, 1.0))
    assert git_revision() is not None
    assert not (repository.parent / "trace").exists()


@pytest.mark.parametrize("module", ["serial.py", "secrets.py", "json/__init__.py"])
def test_no_module_of_the_current_folder_is_run(tmp_path: Path, module: str) -> None:
    """By none of our own processes: mpremote, the page's recorder and its simulated board."""
    here = tmp_path / "here"
    trace = tmp_path / "trace"
    (here / module).parent.mkdir(parents=True)
    (here / module).write_text(f"open({str(trace)!r}, 'a').write('ran')\nraise SystemExit(1)\n")
    script = """
from pathlib import Path
from thermoflop.errors import ThermoflopError
from thermoflop.pico.mpremote import Mpremote
from thermoflop.web.live.recordings import RecordingRequest, Recordings
from thermoflop.web.live.simboard import SimBoard
try:
    Mpremote("/dev/none").run("exec", "pass")
except ThermoflopError:
    print("mpremote")
board = SimBoard("sim://?heat=off")
recordings = Recordings(Path("runs"))
recording = recordings.start(RecordingRequest(duration_s=0.1, gpu="none"), "none")
recording.process.wait(30)
board.end()
print("recorded")
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=here, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["mpremote", "recorded"], done.stderr
    assert not trace.exists()
