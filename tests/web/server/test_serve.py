"""``thermoflop serve`` as a command: what it says, and with which exit code it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from kit import commands, website

needs_server = pytest.mark.skipif(bool(website.no_server()), reason=website.no_server())


@needs_server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well_when_it_is_asked_to(tmp_path: Path, number: signal.Signals) -> None:
    with website.Site(tmp_path / "runs", "--port", "sim://", "--gpu", "sim") as site:
        assert site.stop(number) == 0
        assert site.said().strip() == f"the page is at {site.url}"


@needs_server
def test_its_metrics_are_those_of_the_page_s_own_sources(tmp_path: Path) -> None:
    """In Prometheus' text format, behind the page's own guard."""
    with website.Site(tmp_path / "runs", "--port", "sim://", "--gpu", "none") as site:
        with urllib.request.urlopen(f"{site.url}metrics", timeout=30) as answer:
            kind, text = answer.headers["content-type"], answer.read().decode()
        assert kind.startswith("text/plain; version=")
        assert 'thermoflop_board_up{board="sim://"}' in text
        asked = urllib.request.Request(f"{site.url}metrics", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="421"):
            urllib.request.urlopen(asked, timeout=30)


@needs_server
def test_a_port_that_is_taken_is_exit_code_4(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = commands.run("serve", "--http-port", port, "--in", str(tmp_path))
    assert done.returncode == 4
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--http-port" in done.stderr
    assert done.stderr.count("\n") == 1


@needs_server
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--port", "/dev/no-such-port"), 4, "there is no port /dev/no-such-port"),
        (("--port", "sim://?heat=lots"), 4, "heat 'lots'"),
        (("--port", "8765"), 2, "for the page's own say --http-port 8765"),
        (("--http-port", "99999"), 2, "99999"),
        (("--http-port", "-1"), 2, "-1"),
        (("--host", "192.0.2.7"), 4, "192.0.2.7"),
        (("--gpu", "many"), 2, "many"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    tmp_path: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    http_port = () if "--http-port" in options else ("--http-port", "0")
    done = commands.run("serve", "--in", str(tmp_path / "runs"), *http_port, *options)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@needs_server
def test_nothing_is_read_from_the_folder_that_it_is_started_in(tmp_path: Path) -> None:
    """NiceGUI keeps its own data in ./.nicegui; a pipe there would hold it up for good."""
    (tmp_path / ".nicegui").mkdir()
    os.mkfifo(tmp_path / ".nicegui" / "storage-general.json")
    with website.Site(tmp_path / "runs", "--gpu", "none", "--port", "none", cwd=tmp_path) as site:
        assert "the page is at" in site.said()


def test_without_nicegui_it_says_how_to_get_it(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['nicegui'] = None; from thermoflop.cli import main; "
    options = ["serve", "--in", str(tmp_path), "--http-port", "0"]
    done = subprocess.run(
        [sys.executable, "-c", f"{hide} sys.exit(main({options!r}))"],
        capture_output=True, text=True, timeout=60, env=commands.ENVIRONMENT, check=False,
    )  # fmt: skip
    assert done.returncode == 7
    assert (
        done.stderr == "thermoflop serve: the page needs NiceGUI: pip install 'thermoflop[web]'\n"
    )
