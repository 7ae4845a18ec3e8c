"""Frames of the live websocket: bounded, shared, and no viewer waits for another."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

from thermoflop.web.live.readings import Readings
from thermoflop.web.live.sources import LiveSources
from thermoflop.web.live.stream import FIRST_POINTS, MAX_VIEWERS, Stream
from thermoflop.web.site import Site


class Viewer:
    """A websocket whose far end may be slow: a frame is taken when ``ready`` is set."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.ready = asyncio.Event()
        self.ready.set()
        self.gone = asyncio.Event()
        self.waiting = 0
        self.closed: int | None = None

    async def accept(self) -> None:
        pass

    async def close(self, code: int = 1000, _: str = "") -> None:
        self.closed = self.closed or code

    async def receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "websocket.disconnect"}

    async def send_text(self, text: str) -> None:
        self.waiting += 1
        await self.ready.wait()
        self.waiting -= 1
        self.frames.append(json.loads(text))

    def numbers(self) -> list[float]:
        """The readings of the one board that came, in order."""
        told = [frame["points"]["board1"] for frame in self.frames if "board1" in frame["points"]]
        return [point[1] for news in told for point in news["points"]]


class FakeBoard:
    """A board on a sources that says what the test wants."""

    def __init__(self) -> None:
        self.readings = Readings(6000)
        self.version = 0
        self.said = ""

    def state(self) -> dict[str, Any]:
        return {"key": "board1", "said": self.said}


def make(tmp_path: Path) -> tuple[Stream, FakeBoard]:
    sources = LiveSources(Site(runs=tmp_path / "runs", gpu="none"))
    board = FakeBoard()
    sources.boards["board1"] = board  # type: ignore[assignment]
    return Stream(sources), board


async def until(condition: Any) -> None:
    """Wait for something that must come; half a minute is for a machine that is very busy."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_slow_viewer_holds_up_nobody_and_misses_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        stream, board = make(tmp_path)
        fast, slow = Viewer(), Viewer()
        tasks = [asyncio.create_task(stream.serve(v)) for v in (fast, slow)]  # type: ignore[arg-type]
        await until(lambda: fast.frames and slow.frames)
        slow.ready.clear()
        for number in range(30):
            board.readings.add((number, number, 0))
            seen = len(fast.frames)
            await until(lambda seen=seen: len(fast.frames) > seen)
        assert fast.numbers() == list(range(30))
        assert slow.waiting == 1  # one frame is on its way, none is queued
        assert stream.held_back == 0  # the fast one missed no turn
        slow.ready.set()
        await until(lambda: slow.numbers() == list(range(30)))
        assert len(slow.frames) < len(fast.frames)
        assert stream.held_back >= 29  # turns while the slow one took a frame
        for viewer in (fast, slow):
            viewer.gone.set()
        await until(lambda: stream.viewers == 0)
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_a_viewer_who_was_away_for_long_gets_what_is_kept() -> None:
    """A hundred of 250 are kept, and which they are does not hang on where the buffer turned."""
    readings = Readings(100)
    for number in range(250):
        readings.add((number,))
    for number, until, first in ((0, 250, 150), (160, 240, 160), (240, 250, 240), (250, 250, 250)):
        start, text = readings.since(number, until)
        assert (start, json.loads(text)) == (first, [[n] for n in range(first, until)])
    assert readings.since(0, 99) == (99, "[]")  # said of a turn whose readings are gone by now


def test_readings_are_told_as_they_were_and_what_is_no_number_as_null() -> None:
    """Milliwatts of a GPU after a year: eleven digits and three more; JSON has no infinity."""
    readings = Readings(2)
    rows = [[31536000.123, 45, 123.456, None, -0.5], [31536000.223, None, 1e-7, 1980, 2**40]]
    for row in ([0.0] * 5, *rows):
        readings.add(row)
    assert json.loads(readings.since(1, 3)[1]) == rows
    readings.add([31536001.0, math.inf, -math.inf, math.nan, 1])
    assert json.loads(readings.since(3, 4)[1]) == [[31536001.0, None, None, None, 1]]


def test_hours_of_the_past_are_kept_a_reading_every_few_seconds() -> None:
    """Four hours, two a second: of what the newest do not hold, one every 5 s; of three kept hours
    the first is gone."""
    for kept, first_s in ((7200, 0.0), (3 * 720, 3600.0)):
        readings = Readings(6000, kept)
        for tick in range(4 * 7200):
            readings.add((tick / 2, tick))
        past = json.loads(readings.before(readings.next - 1500))
        assert [point[0] for point in past[:3]] == [first_s, first_s + 5, first_s + 10]
        assert past[-1][0] == 4 * 3600 - 750 - 5
        assert len(past) == (past[-1][0] - first_s) / 5 + 1
    assert json.loads(readings.before(readings.next))[-1][0] == 4 * 3600 - 5
    assert Readings(1, past=0).before(0) == Readings(1).before(0) == "[]"


def test_a_frame_says_of_the_state_what_changed_since_the_viewer_s_last(tmp_path: Path) -> None:
    """The first all of it; the GPUs, of which a second's news is enough, not with every reading."""

    async def run() -> None:
        stream, board = make(tmp_path)
        early, late = Viewer(), Viewer()
        tasks = [asyncio.create_task(stream.serve(early))]  # type: ignore[arg-type]
        await until(lambda: early.frames)
        for number in range(3):
            board.readings.add((number, number, 0))
            await until(lambda n=number: len(early.numbers()) > n)
        tasks.append(asyncio.create_task(stream.serve(late)))  # type: ignore[arg-type]
        await until(lambda: late.frames)
        everything = {"now_s", "boards", "recordings", "gpus", "gpu_absent", "past", "points"}
        assert set(early.frames[0]) == set(late.frames[0]) == everything
        assert {name for frame in early.frames[1:] for name in frame} == {"now_s", "points"}
        board.said = "something new"
        await until(lambda: "boards" in early.frames[-1] and "boards" in late.frames[-1])
        assert early.frames[-1]["boards"] == [{"key": "board1", "said": "something new"}]
        for viewer in (early, late):
            viewer.gone.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_viewers_in_step_share_their_text_and_new_ones_get_a_bounded_past(tmp_path: Path) -> None:
    async def run() -> None:
        stream, board = make(tmp_path)
        for number in range(5000):
            board.readings.add((number, number, 0))
        viewers = [Viewer() for _ in range(3)]
        tasks = [asyncio.create_task(stream.serve(v)) for v in viewers]  # type: ignore[arg-type]
        await until(lambda: all(v.frames for v in viewers))
        for viewer in viewers:
            assert viewer.numbers()[:FIRST_POINTS] == list(range(5000 - FIRST_POINTS, 5000))
            viewer.gone.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_there_is_room_for_so_many_viewers_and_no_more(tmp_path: Path) -> None:
    async def run() -> None:
        stream, _ = make(tmp_path)
        stream.viewers = MAX_VIEWERS
        late = Viewer()
        await stream.serve(late)  # type: ignore[arg-type]
        assert late.closed == 1013
        assert late.frames == []

    asyncio.run(run())
