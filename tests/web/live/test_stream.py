"""Frames of the live websocket: bounded, shared, and no viewer waits for another."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from thermoflop.web.live.readings import Readings
from thermoflop.web.live.sources import LiveSources
from thermoflop.web.live.stream import FIRST_POINTS, MAX_VIEWERS, Stream
from thermoflop.web.site import Site


class Viewer:
    """A websocket whose far end may be slow: a frame is taken when ``room`` is set."""

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
        return [p[1] for frame in self.frames for p in frame["points"].get("board1", {})["points"]]


class FakeBoard:
    """A board on a sources that says what the test wants."""

    def __init__(self) -> None:
        self.readings = Readings(6000)
        self.version = 0

    def state(self) -> dict[str, Any]:
        return {"key": "board1"}


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
        assert stream.held_back > 0 or slow.waiting
        slow.ready.set()
        await until(lambda: slow.numbers() == list(range(30)))
        assert len(slow.frames) < len(fast.frames)
        for viewer in (fast, slow):
            viewer.gone.set()
        await until(lambda: stream.viewers == 0)
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_a_viewer_who_was_away_for_long_gets_what_is_kept(tmp_path: Path) -> None:
    del tmp_path
    readings = Readings(100)
    for number in range(250):
        readings.add((number,))
    assert readings.since(0) == (150, [(n,) for n in range(150, 250)])
    assert readings.since(240) == (240, [(n,) for n in range(240, 250)])
    assert readings.since(250) == (250, [])
    assert readings.since(9999) == (250, [])


def test_hours_of_the_past_are_kept_a_reading_every_few_seconds(tmp_path: Path) -> None:
    """Four hours at ten a second: of what the newest do not hold, one every 5 s."""
    del tmp_path
    readings = Readings(6000)
    for tick in range(4 * 36000):
        readings.add((tick / 10, tick))
    past = readings.before(readings.next - 1500)
    assert [point[0] for point in past[:3]] == [0.0, 5.0, 10.0]
    assert len(past) == (4 * 3600 - 150) / 5
    assert past[-1][0] < (4 * 36000 - 1500) / 10


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
