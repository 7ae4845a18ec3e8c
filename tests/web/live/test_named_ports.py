"""What a viewer may name as a port: nothing that reads a file or a device of the page's owner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kit.board_lines import Pty
from thermoflop.errors import ThermoflopError, UsageError
from thermoflop.pico.ports import list_ports
from thermoflop.runs.folder.store import RunStore
from thermoflop.web.live.sources import LiveSources
from thermoflop.web.site import Site

WORDS = "first line of the owner"


@pytest.fixture
def sources(tmp_path: Path) -> LiveSources:
    """Those of a page; nothing is opened."""
    return LiveSources(Site(runs=tmp_path / "runs", gpu="none"))


@pytest.mark.parametrize(
    "port",
    [
        "sim://?heat={file}",
        " sim://?seed=3&heat={file} ",
        "SIM://?heat={file}",
        "sim://?heat=off&heat={file}",
        "sim://?he\nat={file}",
        "sim://name?heat=.%2F{file}",
        "sim://?heat=/dev/zero",
        "sim://?heat=/dev/stdin",
        "sim://?heat=",
        "sim://[?heat={file}",
        "{file}",
        "spy://loop?file={file}",
        "/dev/zero",
        "/dev/tty",
        "/proc/self/environ",
    ],
)
def test_no_file_is_read_for_a_viewer(sources: LiveSources, tmp_path: Path, port: str) -> None:
    """Neither its words nor whether it is there can be learned from the refusal."""
    file = tmp_path / "secret"
    file.write_text(f"{WORDS}\n")
    with pytest.raises(ThermoflopError) as refused:
        sources.open(sources.named(port.format(file=file)))
    assert WORDS not in str(refused.value)
    assert not sources.boards


def test_a_path_that_is_there_is_refused_like_one_that_is_not(
    sources: LiveSources, tmp_path: Path
) -> None:
    """So nobody learns which files the owner has."""
    there, missing = tmp_path / "there", tmp_path / "where"
    there.touch()
    texts = []
    for path in (there, missing):
        with pytest.raises(UsageError) as refused:
            sources.named(str(path))
        texts.append(str(refused.value).replace(str(path), "PATH"))
    assert texts[0] == texts[1]


def test_the_terminal_of_somebody_is_no_port_for_a_viewer(sources: LiveSources) -> None:
    """A page that read it would steal what is typed there."""
    with Pty() as terminal, pytest.raises(UsageError, match="serve --port"):
        sources.named(terminal.path)


@pytest.mark.parametrize(
    "port",
    ["sim://", "sim://?heat=cpu", "sim://?heat=off&seed=7", "sim://?heat=5 30W, 15 0W every 40",
     "socket://127.0.0.1:4000", "rfc2217://127.0.0.1:4000"],
)  # fmt: skip
def test_boards_without_a_file_are_for_viewers(sources: LiveSources, port: str) -> None:
    """Simulated ones, and those behind an address."""
    assert sources.named(f" {port} ") == port


def test_the_port_that_the_page_was_started_with_and_listed_ones_are_for_viewers(
    tmp_path: Path,
) -> None:
    """Its owner named it, or the system lists it."""
    sources = LiveSources(Site(runs=tmp_path / "runs", board_port=os.devnull, gpu="none"))
    for port in (os.devnull, *(each.device for each in list_ports())):
        assert sources.named(port) == port


@pytest.mark.parametrize("ours", [True, False])
def test_the_port_in_a_run_of_somebody_else_is_not_opened(
    sources: LiveSources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    """Anybody may lay a run into a shared folder; its port would be opened in our name."""
    run = RunStore(tmp_path / "runs")
    run.write_run({"port": {"url": "sim://?heat=/etc/passwd", "serial_number": None}})
    if not ours:
        monkeypatch.setattr(os, "getuid", lambda: run.folder.stat().st_uid + 1)
    sources._meet(sources.recordings.look())
    assert len(sources.recordings.now) == 1
    assert len(sources.boards) == ours
    sources._stop.set()
    for board in sources.boards.values():
        board.end()
    run.close()
