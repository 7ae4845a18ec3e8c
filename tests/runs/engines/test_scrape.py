"""A server's own metrics: what it did between two answers, and what a server costs that fails."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from kit.run_folder import START_S, trial, write
from thermoflop.errors import UsageError
from thermoflop.pico.track import HostEvent
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.engines.scrape import Scraper, engines, quantities, read_metrics, since
from thermoflop.runs.record.plan import Plan
from thermoflop.runs.record.session import record_command

# docs.sglang.io/references/production_metrics.html, some of its lines
SGLANG = """\
# HELP sglang:prompt_tokens_total Number of prefill tokens processed.
# TYPE sglang:prompt_tokens_total counter
sglang:prompt_tokens_total{model_name="meta-llama/Llama-3.1-8B-Instruct"} 8.128902e+06
# HELP sglang:generation_tokens_total Number of generation tokens processed.
# TYPE sglang:generation_tokens_total counter
sglang:generation_tokens_total{model_name="meta-llama/Llama-3.1-8B-Instruct"} 7.557572e+06
# HELP sglang:token_usage The token usage
# TYPE sglang:token_usage gauge
sglang:token_usage{model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.28
# TYPE sglang:time_to_first_token_seconds histogram
sglang:time_to_first_token_seconds_sum{model_name="meta-llama/Llama-3.1-8B-Instruct"} \
2.3518979474117756e+06
sglang:time_to_first_token_seconds_bucket{le="0.001",\
model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.0
"""


def test_a_published_answer_is_read_by_its_names() -> None:
    assert quantities(read_metrics(SGLANG)) == {
        "tokens": 7_557_572.0, "prompt_tokens": 8_128_902.0, "cache_share": 0.28,
        "ttft_s.sum": 2.3518979474117756e6, "ttft_s.count": 0.0,
    }  # fmt: skip


def test_series_of_several_ranks_add_up_and_what_is_no_sample_is_left_out() -> None:
    text = 'a{r="0"} 1\na{r="1"} 2.5\nb NaN\nc +Inf\nd\n{x} 1\ne 1 1395066363000\nf 1e999\n'
    assert read_metrics(text) == {"a": 3.5, "e": 1.0}


def test_a_stretch_has_the_tokens_of_its_own_and_the_means_of_its_own() -> None:
    """3 first tokens in 0.6 s; 100 tokens more; what runs is what runs now."""
    before = {"tokens": 10.0, "ttft_s.sum": 5.0, "ttft_s.count": 50.0, "batch": 1.0}
    now = {"tokens": 110.0, "ttft_s.sum": 5.6, "ttft_s.count": 53.0, "batch": 8.0}
    assert since(before, now) == {"tokens": 100.0, "ttft_s": pytest.approx(0.2), "batch": 8.0}
    assert since(now, now) == {"tokens": 0.0, "batch": 8.0}


def test_a_server_that_was_started_anew_says_nothing_of_that_stretch() -> None:
    assert since({"tokens": 10.0}, {"tokens": 3.0}) == {}


def test_where_one_counter_fell_those_that_passed_what_they_were_say_nothing_either() -> None:
    """A server that made more tokens since its restart than before it, in fewer requests."""
    before = {"tokens": 10.0, "ttft_s.sum": 5.0, "ttft_s.count": 50.0}
    now = {"tokens": 90.0, "ttft_s.sum": 0.1, "ttft_s.count": 2.0, "batch": 3.0}
    assert since(before, now) == {"batch": 3.0}


def test_llama_cpp_s_seconds_are_those_of_its_tokens() -> None:
    """tools/server/README.md: tokens_predicted_total and tokens_predicted_seconds_total."""
    before = {"tokens": 0.0, "decode_s": 0.0}
    assert since(before, {"tokens": 50.0, "decode_s": 2.0})["token_s"] == pytest.approx(0.04)


def test_every_engine_names_a_source() -> None:
    for engine in engines():
        assert "/" in engine["source"]
        assert all(isinstance(v, list | str) for v in engine.values())


class Server:
    """Answers with what the test says."""

    def __init__(self) -> None:
        answer = self
        self.body, self.status = b"", 200
        self.make: Callable[[], bytes] = lambda: self.body

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(answer.status)
                self.end_headers()
                self.wfile.write(answer.make())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Go away."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server."""
    server = Server()
    yield server
    server.close()


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must come."""
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def vllm(tokens: int, running: int) -> bytes:
    """Names of docs.vllm.ai/en/v0.8.5/serving/metrics.html."""
    return (
        f'vllm:generation_tokens_total{{model_name="m"}} {tokens}\n'
        f'vllm:num_requests_running{{model_name="m"}} {running}\n'
    ).encode()


def test_a_phase_lasts_while_tokens_come(server: Server) -> None:
    """Idle, serving 40 tokens, idle: a mark that begins the phase, and one that ends it."""
    events: list[HostEvent] = []
    server.body = vllm(100, 0)
    with Scraper(server.url, events.extend, every_s=0.02) as scraper:
        until(lambda: scraper.answers >= 3)
        assert not events
        server.body = vllm(140, 2)
        until(lambda: any(event.detail["values"].get("tokens") for event in events))
        server.body = vllm(140, 0)
        until(lambda: events[-1].detail.get("phase", "") is None)
    phases = [event.detail["phase"] for event in events if "phase" in event.detail]
    assert phases == ["serving", None]
    assert sum(event.detail["values"].get("tokens", 0.0) for event in events) == 40
    assert scraper.notice() is None


def test_a_phase_begins_and_ends_where_the_stretch_does_in_which_its_tokens_came(
    server: Server,
) -> None:
    """40 tokens between the second answer and the third are of that time, not of what follows."""
    events: list[HostEvent] = []
    at_s = []
    with Scraper(server.url, events.extend, every_s=1e9) as scraper:
        for tokens, running in ((100, 0), (100, 0), (140, 0), (140, 0)):
            server.body = vllm(tokens, running)
            assert scraper.ask().wait(30)
            at_s.append(time.monotonic())
    begun, noted, ended = events
    assert at_s[0] <= begun.mono_s <= at_s[1] <= noted.mono_s <= at_s[2]
    assert noted.mono_s <= ended.mono_s <= at_s[2]
    assert (begun.detail["phase"], ended.detail["phase"]) == ("serving", None)
    assert noted.detail["values"]["tokens"] == 40


def test_a_phase_of_a_command_begins_with_it(server: Server) -> None:
    """Each command has its own, though the server was never idle."""
    events: list[HostEvent] = []
    server.body = vllm(100, 1)
    with Scraper(server.url, events.extend, every_s=1e9) as scraper:
        begun_s = []
        for _ in range(2):
            assert scraper.ask().wait(30)
            begun_s.append(time.monotonic())
            scraper.begin(begun_s[-1])
            assert scraper.ask().wait(30)
    phases = [event.mono_s for event in events if "phase" in event.detail]
    assert phases[-2:] == begun_s


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [(404, b"", "Not Found"), (200, b"<html>", "there is no metric of vLLM"),
     (200, b"\xff\xfe\0" * 100, "there is no metric")],
)  # fmt: skip
def test_a_server_that_gives_none_is_said_and_costs_nothing_else(
    server: Server, status: int, body: bytes, why: str
) -> None:
    server.status, server.body = status, body
    events: list[HostEvent] = []
    with Scraper(server.url, events.extend, every_s=0.02) as scraper:
        until(lambda: scraper.failures >= 2)
    assert why in (scraper.notice() or "")
    assert not events


def test_a_server_that_is_not_there_is_said() -> None:
    server = Server()
    server.close()
    with Scraper(server.url, lambda _: None, every_s=0.02) as scraper:
        until(lambda: scraper.failures)
    assert "refused" in (scraper.notice() or "")


def test_a_server_that_changes_its_names_is_set_against_itself_alone(server: Server) -> None:
    """vLLM, then SGLang behind the same address, whose counter is a thousand ahead."""
    events: list[HostEvent] = []
    server.body = vllm(100, 1)
    with Scraper(server.url, events.extend, every_s=0.02) as scraper:
        until(lambda: events)
        seen = scraper.answers
        server.body = b"sglang:generation_tokens_total 1100\nsglang:num_running_reqs 1\n"
        until(lambda: scraper.answers >= seen + 3)
    noted = [event.detail["values"] for event in events if "phase" not in event.detail]
    assert {values["tokens"] for values in noted} == {0.0}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nvllm:generation_tokens_total 1", "early"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nvllm:", "IncompleteRead"),
        (b"\0\1no server of this kind\r\n\r\n", "no server of this kind"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"vllm:generation_tokens_total 1\n" * 140_000, "longer than"),
    ],
)
def test_an_answer_that_is_not_whole_is_none(answer: bytes, why: str) -> None:
    """A number that was cut short is another number."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with Scraper(f"http://127.0.0.1:{port}", lambda _: None, every_s=9.0) as scraper:
            peer, _ = listening.accept()
            with peer, contextlib.suppress(OSError):
                peer.recv(4096)
                peer.sendall(answer)
            until(lambda: scraper.failures + scraper.answers)
        assert scraper.answers == 0
        assert why in (scraper.notice() or "")


@pytest.mark.parametrize(
    "url",
    ["", "8000", "file:///etc/passwd", "localhost:8000", "http://", "http://[::1/metrics",
     "http://h:99999/metrics", "http://h/a b", "http://ann:secret@h/metrics"],
)  # fmt: skip
def test_what_is_no_address_is_one_sentence_and_shows_no_password(url: str) -> None:
    with pytest.raises(UsageError, match="--scrape") as refused:
        Scraper(url, lambda _: None)
    assert "secret" not in str(refused.value)


def test_a_command_has_the_tokens_of_its_own_time_and_no_others(
    server: Server, tmp_path: Path
) -> None:
    """The server makes 100 tokens between two questions: it is asked as a command starts and as it
    ends, so each of two short ones has 100, and all of them in its phase."""
    made = iter(range(0, 1_000_000, 100))
    server.make = lambda: vllm(next(made), 1)
    plan = Plan(["true"], out=tmp_path, port="none", gpu="none", echo=(None, None), repeats=2,
                scrape=server.url)  # fmt: skip
    analysis = analyze(record_command(plan).folder)
    assert [trial.window.sums["tokens"] for trial in analysis.trials] == [100, 100]
    assert [phase.window.sums["tokens"] for phase in analysis.phases] == [100, 100]
    assert [phase.window.start_s for phase in analysis.phases] == [
        trial.window.start_s for trial in analysis.trials
    ]


def test_the_mean_of_a_run_is_that_of_its_requests_and_not_of_the_answers(
    server: Server, tmp_path: Path
) -> None:
    """100 first tokens in 0.1 s each, then one in 5 s: 15 s of 101, 0.149 s, not 2.55."""
    seen = iter([(0.0, 0), (10.0, 100), (15.0, 101), (15.0, 101)])

    def make() -> bytes:
        total_s, n = next(seen)
        name = "vllm:time_to_first_token_seconds"
        return vllm(n, 1) + f"{name}_sum {total_s}\n{name}_count {n}\n".encode()

    server.make = make
    events: list[HostEvent] = []
    with Scraper(server.url, events.extend, every_s=1e9) as scraper:
        for _ in range(3):
            assert scraper.ask().wait(30)
    at_s = events[0].mono_s
    moved = [replace(event, mono_s=event.mono_s - at_s + START_S) for event in events]
    predicted = {"quantities": {"ttft_s": {"expected": 0.1}}}
    folder = write(tmp_path, [*trial(0, 60), *moved], predictions=predicted)
    (first,) = analyze(folder).predicted
    assert first.measured == pytest.approx(15 / 101)
    assert first.how == "said as ttft_s=, mean of 101"
