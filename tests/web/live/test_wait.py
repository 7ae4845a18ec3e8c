"""A recording of the page ends when its time is over, whatever runs in it."""

from __future__ import annotations

import sys
import time

import pytest
from thermoflop.runs.command import command_text
from thermoflop.web.live import wait
from thermoflop.web.live.recordings import RecordingRequest


@pytest.fixture(autouse=True)
def _keep_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process of the tests keeps its own way of ending."""
    monkeypatch.setattr(wait.signal, "signal", lambda *_: None)


def test_a_command_that_runs_on_is_ended_when_the_time_is_over() -> None:
    """A minute of sleep in half a second: exit code 0, as for a recording that was stopped."""
    started_s = time.monotonic()
    assert wait.main(0.5, [sys.executable, "-c", "import time; time.sleep(60)"]) == 0
    assert time.monotonic() - started_s < 30


def test_a_command_that_ends_sooner_gives_its_own_exit_code() -> None:
    """Nothing waits for the rest of the time."""
    assert wait.main(600, [sys.executable, "-c", "raise SystemExit(3)"]) == 3


@pytest.mark.parametrize(
    ("request_", "end"),
    [
        (RecordingRequest(), ["thermoflop.web.live.wait"]),
        (RecordingRequest(duration_s=30), ["thermoflop.web.live.wait", "30"]),
        (RecordingRequest(bench="gpt2"), ["thermoflop", "bench", "gpt2"]),
        (
            RecordingRequest(bench="gpt2", duration_s=30),
            ["thermoflop.web.live.wait", "30", sys.executable, "-P", "-m", "thermoflop", "bench",
             "gpt2"],
        ),
    ],
)  # fmt: skip
def test_the_duration_goes_along_with_the_operators(
    request_: RecordingRequest, end: list[str]
) -> None:
    """The command that is recorded knows both."""
    assert request_.command()[3:] == end


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (RecordingRequest(), "recorded from the page until it was stopped"),
        (RecordingRequest(duration_s=30), "recorded from the page for 30 s"),
        (RecordingRequest(bench="gpt2"), "thermoflop bench gpt2"),
        (
            RecordingRequest(bench="gpt2", duration_s=30),
            "recorded from the page for 30 s, meanwhile: thermoflop bench gpt2",
        ),
    ],
)
def test_a_recording_of_the_page_is_listed_by_what_was_chosen(
    request_: RecordingRequest, text: str
) -> None:
    """Not by the module that waits."""
    assert command_text(request_.command()) == text
