"""The exporter with the real Prometheus: its checks, its rules, the dashboard's queries."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.commands import ENVIRONMENT, command
from thermoflop.web.export.prometheus import shipped

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed (apt: prometheus)"
)
SILENT = {"Faults", "Held back", "Recordings"}  # panels that are empty while all is well


@pytest.fixture(scope="module")
def exporter() -> Iterator[str]:
    """A simulated board and GPU, exported; the address of the metrics."""
    words = ("export", "prometheus", "--http-port", "0", "--port", "desk=sim://", "--gpu", "sim")
    process = subprocess.Popen(command(*words), env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().split()[-1]
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.stdout.close()


def get(url: str) -> str:
    """What is there; an error's text where it is one."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()


def metrics_of_a_board(url: str) -> str:
    """The metrics, once the board was heard."""
    end_s = time.monotonic() + 30
    while 'temperature_celsius{board="desk"}' not in (text := get(url)):
        assert time.monotonic() < end_s
        time.sleep(0.1)
    return text


def test_an_address_that_is_none_of_the_exporters_is_not_found(exporter: str) -> None:
    assert exporter.endswith("/metrics")
    for path in ("/foo", "/", "/metrics/board"):
        assert get(exporter.removesuffix("/metrics") + path) == (
            "nothing is here: the metrics are at /metrics\n"
        )
    assert "# TYPE" in get(exporter)


@needs_prometheus
def test_promtool_finds_nothing_wrong_with_metrics_and_rules(exporter: str, tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text(shipped("rules"))
    rules = subprocess.run(
        ["promtool", "check", "rules", str(tmp_path / "alerts.yml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert rules.returncode == 0, rules.stderr
    ours = "\n".join(  # dcgm-exporter's names and labels break promtool's rules of style
        line
        for line in metrics_of_a_board(exporter).splitlines()
        if "DCGM" not in line and "gpu_throttled" not in line
    )
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=ours + "\n", capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert checked.stderr == ""


@needs_prometheus
def test_every_panel_of_the_dashboard_has_an_answer_and_every_rule_is_evaluated(
    exporter: str, tmp_path: Path
) -> None:
    """A server of its own scrapes twice a second, with our rules."""
    metrics_of_a_board(exporter)
    (tmp_path / "alerts.yml").write_text(shipped("rules"))
    target = urllib.parse.urlsplit(exporter).netloc
    (tmp_path / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}
rule_files: [alerts.yml]
scrape_configs:
  - {{job_name: thermoflop, static_configs: [{{targets: ['{target}']}}]}}
""")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["prometheus", f"--config.file={tmp_path}/prometheus.yml",
         f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        panels = json.loads(shipped("dashboard"))["panels"]
        unanswered = {(panel["title"], t["expr"]) for panel in panels for t in panel["targets"]}
        end_s = time.monotonic() + 60
        while any(title not in SILENT and "MEMORY_TEMP" not in q for title, q in unanswered):
            assert time.monotonic() < end_s, unanswered
            time.sleep(0.3)
            for title, query in sorted(unanswered):
                answer = _asked(port, "query?query=" + urllib.parse.quote(query))
                assert answer is None or answer["status"] == "success", answer
                if answer is not None and answer["data"]["result"]:
                    unanswered.discard((title, query))
        answer = _asked(port, "rules")
        assert answer is not None
        rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
        assert len(rules) == 6
        assert {rule["health"] for rule in rules} == {"ok"}
    finally:
        server.terminate()
        server.wait(30)


def _asked(port: int, what: str) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = json.loads(get(f"http://127.0.0.1:{port}/api/v1/{what}"))
    except (OSError, ValueError):
        return None  # it has not started yet
    return answer


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            command("export", "prometheus", "--http-port", str(port), "--gpu", "none"),
            env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 4
    assert f"cannot listen at 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_exporter_that_finds_nothing_says_so_and_goes_on(tmp_path: Path) -> None:
    """In a sentence, on standard error; the address alone would look as if all were well."""
    words = ("export", "prometheus", "--http-port", "0", "--gpu", "none", "--in", str(tmp_path))
    process = subprocess.Popen(
        command(*words), env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said = process.stderr.readline()
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.stderr.close()
    assert "no board, no GPU and no recording is found here" in said
