"""What a scrape says of boards, GPUs and runs, and what it no longer says when they are gone."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.board_lines import Pty, sample_line, seal, settings_line
from kit.run_folder import mark, write
from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from thermoflop.pico import ports as ports_module
from thermoflop.pico.ports import PortInfo, Target
from thermoflop.pico.track import HostEvent
from thermoflop.runs.folder.phase import PhaseFollower
from thermoflop.runs.folder.store import encode
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.record.fleet import FleetBoard
from thermoflop.web.export import room as room_module
from thermoflop.web.export.exposition import Exposition
from thermoflop.web.export.metrics import RoomCollector, registry_of
from thermoflop.web.export.room import Room, open_room
from thermoflop.web.live import board as board_module
from thermoflop.web.live.board import BoardSource
from thermoflop.web.live.recordings import Recording
from thermoflop.web.live.sources import LiveSources
from thermoflop.web.site import Site

Series = dict[tuple[str, ...], float]


def exposition(room: Room) -> Exposition:
    """What answers the scrapes of a room."""
    return Exposition(RoomCollector(room))


def scraped(page: Exposition) -> dict[str, Series]:
    """name -> the values of its labels, in order of their names -> value; read by Prometheus' own
    parser."""
    series: dict[str, Series] = {}
    for family in text_string_to_metric_families(page.answer("", "")[1].decode()):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            assert labels not in series.setdefault(sample.name, {})
            series[sample.name][labels] = sample.value
    return series


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must come."""
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


@pytest.fixture
def port() -> Pty:
    """A board that says what the test wants."""
    return Pty()


@pytest.fixture
def sources(port: Pty, tmp_path: Path) -> Iterator[LiveSources]:
    """That board alone."""
    sources = LiveSources(Site(tmp_path, gpu="none"))
    board = BoardSource("board1", Target(port.path))
    sources.boards["board1"] = board
    board.open()
    yield sources
    sources.boards["board1"].end()


def hello(text: str, boot: str = "3fa2c1") -> bytes:
    """A board that calls itself ``text``; short enough for the wire."""
    return seal(
        f'{{"k":"hello","proto":1,"fw":"0.1.0","board":"{text}","uid":"e66","boot":"{boot}",'
        '"reset":"power","boots":4,"crashes":0,"safe":0,"up_s":0.000'
    )


def test_a_board_that_is_heard_has_its_state_in_base_units(sources: LiveSources, port: Pty) -> None:
    page = exposition(Room(sources, {port.path: "rack 1"}))
    port.say(hello("Pico W") + settings_line(on_c=29, off_c=28))
    port.say(
        sample_line(0) + sample_line(4, temp_c=31.5, fan=1, flags=("hot",), drops=1, mode="hot")
    )
    until(lambda: scraped(page)["thermoflop_board_samples_total"][("rack 1",)] == 2)
    now = scraped(page)
    assert now["thermoflop_board_up"] == {("rack 1",): 1}
    assert now["thermoflop_board_temperature_celsius"] == {("rack 1",): 31.5}
    assert now["thermoflop_board_fan_on"] == {("rack 1",): 1}
    assert now["thermoflop_board_threshold_celsius"] == {
        ("rack 1", "on"): 29,
        ("rack 1", "off"): 28,
    }
    assert {labels for labels, v in now["thermoflop_board_mode"].items() if v} == {
        ("rack 1", "hot")
    }
    assert {labels for labels, v in now["thermoflop_board_fault"].items() if v} == {
        ("rack 1", "hot")
    }
    # 1, 2 and 3 are missing; the board says that it dropped one of them
    assert now["thermoflop_board_lost_samples_total"] == {("rack 1",): 2}
    assert now["thermoflop_board_dropped_samples_total"] == {("rack 1",): 1}
    # board, firmware, model, uid
    assert now["thermoflop_board_info"] == {("rack 1", "0.1.0", "Pico W", "e66"): 1}


def test_two_boards_with_one_serial_number_are_two_series(tmp_path: Path) -> None:
    """Prometheus refuses a scrape that says a series twice; a broker keeps what came last."""
    sources = LiveSources(Site(tmp_path, gpu="none"))
    sources.boards = {
        port: BoardSource(port, Target(port, "E66")) for port in ("/dev/ttyACM0", "/dev/ttyACM1")
    }
    room = Room(sources)
    names = {name for name, _ in room.sources()}
    assert names == {"/dev/ttyACM0, E66", "/dev/ttyACM1, E66"}
    assert set(scraped(exposition(room))["thermoflop_board_up"]) == {(name,) for name in names}


def test_an_invalid_reading_is_no_temperature(sources: LiveSources, port: Pty) -> None:
    page = exposition(Room(sources))
    port.say(sample_line(0, temp_c=None, fan=1, flags=("open",), mode="fault"))
    until(lambda: scraped(page)["thermoflop_board_samples_total"][(port.path,)] == 1)
    now = scraped(page)
    assert "thermoflop_board_temperature_celsius" not in now
    assert now["thermoflop_board_fault"][(port.path, "open")] == 1


def test_a_board_that_falls_silent_loses_its_series_and_keeps_its_counters(
    sources: LiveSources, port: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 8 s as shipped; here within 0.2."""
    assert board_module.STALE_S < 10
    monkeypatch.setattr(board_module, "STALE_S", 0.2)
    page = exposition(Room(sources))
    port.say(sample_line(0))
    until(lambda: "thermoflop_board_temperature_celsius" in scraped(page))
    until(lambda: "thermoflop_board_temperature_celsius" not in scraped(page))
    now = scraped(page)
    assert now["thermoflop_board_up"] == {(port.path,): 0}
    assert now["thermoflop_board_samples_total"] == {(port.path,): 1}
    assert "thermoflop_board_mode" not in now


def test_a_slow_board_is_not_silent_between_two_samples(
    sources: LiveSources, port: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sample a minute: it is heard for two and a half."""
    board = sources.boards["board1"]
    port.say(seal('{"k":"settings","boot":"3fa2c1","part":1,"parts":1,"rate_ms":60000'))
    port.say(sample_line(0))
    until(lambda: board.fresh_sample)
    monkeypatch.setattr(board, "_last_s", time.monotonic() - 149)
    assert board.fresh_sample is not None
    monkeypatch.setattr(board, "_last_s", time.monotonic() - 151)
    assert board.fresh_sample is None


def test_what_a_board_says_of_itself_is_escaped_and_makes_few_series(
    sources: LiveSources, port: Pty
) -> None:
    """Twenty names and boots; one with quotes, a backslash and an escape."""
    room = Room(sources, {port.path: 'my "rack"\\1'})
    page = exposition(room)
    port.say(hello('\\"} 1\\n evil{\\\\') + sample_line(0))
    until(lambda: scraped(page).get("thermoflop_board_info"))
    (labels,) = scraped(page)["thermoflop_board_info"]
    assert labels[0] == 'my "rack"\\1'
    seen = {labels}
    for n in range(20):
        port.say(hello(f"Pico {n}", boot=f"{0xA000 + n:04x}"))
        port.say(sample_line(n, boot=f"{0xA000 + n:04x}"))
        until(lambda n=n: sources.boards["board1"].tracker.boot == f"{0xA000 + n:04x}")
        until(lambda: scraped(page).get("thermoflop_board_info"))
        seen |= set(scraped(page)["thermoflop_board_info"])
    assert len(seen) == room_module._MOST_TEXTS + 1
    assert any(room_module.MANY in each for each in seen)
    assert len(scraped(page)["thermoflop_board_samples_total"]) == 1


class GpusNow:
    """Two readings, as the sampler's newest."""

    def __init__(self) -> None:
        self.each = [
            GpuSample(1.0, 2.0, 0, 61, power_w=284.5, energy_j=12.5, sm_mhz=1980, util=0.97,
                      mem_used_bytes=3 << 30, reasons=0x24),
            GpuSample(1.0, 2.0, 1, 40),
        ]  # fmt: skip

    def now(self) -> list[tuple[dict[str, str], GpuSample]]:
        """Facts and readings."""
        return [({"name": "NVIDIA H100", "uuid": f"GPU-{s.gpu}"}, s) for s in self.each]


@pytest.mark.parametrize(
    ("accept", "written"),
    [
        ("", generate_latest),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", generate_latest),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
            lambda registry: openmetrics.generate_latest(registry, version="1.0.0"),
        ),
    ],
)
def test_a_scrape_is_to_the_byte_what_the_library_writes(
    sources: LiveSources, port: Pty, monkeypatch: pytest.MonkeyPatch, accept: str, written: Any
) -> None:
    """Also the second one, whose lines are known, and when series came and went."""
    monkeypatch.setattr(sources, "gpus", GpusNow())
    collector = RoomCollector(Room(sources, {port.path: 'a "b"\\ c'}))
    page, board = Exposition(collector), sources.boards["board1"]
    lines = [hello("Pico"), sample_line(0), settings_line(), sample_line(1, temp_c=None)]
    for line in lines:
        said = board.tracker.counters.lines
        port.say(line)
        until(lambda said=said: board.tracker.counters.lines == said + 1)
        assert page.answer(accept, "")[1] == written(registry_of(collector))
        assert page.answer(accept, "")[1] == written(registry_of(collector))
    headers, body = page.answer(accept, "gzip, deflate")
    assert gzip.decompress(body) == page.answer(accept, "")[1]
    assert dict(headers)["Content-Encoding"] == "gzip"


def test_gpus_have_the_names_and_units_of_dcgm_exporter(
    sources: LiveSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """etc/default-counters.csv of NVIDIA/dcgm-exporter: C, W, mJ, MHz, %, MiB."""
    gpus = GpusNow()
    monkeypatch.setattr(sources, "gpus", gpus)
    page = exposition(Room(sources))
    now = scraped(page)
    keys = [key for key in now["DCGM_FI_DEV_GPU_TEMP"] if "GPU-0" in key]
    (key,) = keys  # Hostname, UUID, device, gpu, modelName
    assert key[1:] == ("GPU-0", "nvidia0", "0", "NVIDIA H100")
    assert now["DCGM_FI_DEV_GPU_TEMP"][key] == 61
    assert now["DCGM_FI_DEV_POWER_USAGE"] == {key: 284.5}
    assert now["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"] == {key: 12_500}
    assert now["DCGM_FI_DEV_SM_CLOCK"] == {key: 1980}
    assert now["DCGM_FI_DEV_GPU_UTIL"] == {key: 97}
    assert now["DCGM_FI_DEV_FB_USED"] == {key: 3072}
    held = {each[-1] for each, value in now["thermoflop_gpu_throttled"].items() if value}
    assert held == {"power_cap", "sw_thermal"}  # 0x4 and 0x20 of nvml.h
    del gpus.each[0]
    assert set(scraped(page)["DCGM_FI_DEV_GPU_TEMP"]) == {
        each for each in now["DCGM_FI_DEV_GPU_TEMP"] if "GPU-1" in each
    }


def test_a_recording_is_named_with_its_phase_while_it_goes_on(
    sources: LiveSources, tmp_path: Path
) -> None:
    folder = write(tmp_path / "runs", [mark(1.0, "prefill")])
    recordings = sources.recordings.now
    recordings[folder.name] = Recording(folder, {"name": "my run"})
    page = exposition(Room(sources))
    assert scraped(page)["thermoflop_run_info"] == {("my run", "prefill", folder.name): 1}
    with (folder / "samples.jsonl").open("ab") as samples:
        samples.write(encode(mark(2.0, "decode")))
        samples.write(encode(HostEvent(3.0, 4.0, "mark", {"by": "mark", "values": {"tokens": 3}})))
    assert scraped(page)["thermoflop_run_info"] == {("my run", "decode", folder.name): 1}
    recordings.clear()
    assert "thermoflop_run_info" not in scraped(page)


def test_the_phase_of_a_long_run_is_read_from_its_end(tmp_path: Path) -> None:
    """A mark further back than what is read at once has no say."""
    folder = write(tmp_path, [mark(0.0, "old")])
    path = folder / "samples.jsonl"
    with path.open("ab") as samples:
        samples.write(encode(GpuSample(1.0, 2.0, 0, 61)) * 40_000)
        samples.write(encode(mark(9.0, "new")))
        samples.write(encode(mark(9.5, "torn"))[:-4])
    follower = PhaseFollower(folder)
    assert follower.look() == "new"
    assert follower.look() == "new"


def test_a_run_whose_folder_went_away_has_no_phase_and_stops_no_scrape(
    sources: LiveSources, tmp_path: Path
) -> None:
    sources.recordings.now["x"] = Recording(tmp_path / "gone", {"name": "gone"})
    now = scraped(exposition(Room(sources)))
    assert now["thermoflop_run_info"] == {("gone", "", "gone"): 1}


def test_a_board_of_a_fleet_that_is_not_plugged_in_is_down_until_it_is(
    port: Pty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alert on ``up`` needs the series; the number finds the board when it comes."""
    said: list[str] = []
    fleet = [FleetBoard("rack-2", "E6614103E7341A2B", None, tmp_path)]
    with open_room([], "none", tmp_path, said.append, fleet) as room:
        page = exposition(room)
        assert scraped(page)["thermoflop_board_up"] == {("rack-2",): 0}
        assert "E6614103E7341A2B" in said[0]
        found = PortInfo(port.path, "Board in FS mode", 0x2E8A, 5, "E6614103E7341A2B")
        monkeypatch.setattr(ports_module, "list_ports", lambda: [found])
        ((name, board),) = room.sources()
        until(lambda: not board.is_idle)  # ports are looked for every few seconds
        port.say(sample_line(0, temp_c=31.5))
        until(lambda: scraped(page)["thermoflop_board_up"] == {("rack-2",): 1})
        assert name == "rack-2"
        assert scraped(page)["thermoflop_board_temperature_celsius"] == {("rack-2",): 31.5}
