"""Live data over a websocket for each viewer, at most ten frames a second.

A frame is one JSON object: the state of every board, GPU and recording, and the readings that this
viewer has not had yet. A viewer's next frame is made when it has taken the last one, so that a slow
viewer costs one frame of memory, gets fewer and longer frames, and misses nothing that is still
kept. Viewers who are in step share the text of their frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from thermoflop.web.live.readings import Readings

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from thermoflop.web.live.sources import LiveSources

PATH = "/live/stream"
FRAME_S = 0.1
HEARTBEAT_S = 1.0
SEND_S = 30.0  # a viewer that takes nothing for so long is let go
MAX_VIEWERS = 200
FIRST_POINTS = 1500  # of each source, for a viewer who has just come
_TRY_AGAIN_LATER = 1013


class Stream:
    """All viewers of one server."""

    def __init__(self, sources: LiveSources) -> None:
        """Frames are made only while there are viewers."""
        self.viewers = 0
        self.frames = 0
        self.held_back = 0  # turns that a viewer missed because it was still taking the last frame
        self._live = sources
        self._tick: asyncio.Future[int] | None = None
        self._turn = 0
        self._ticker: asyncio.Task[None] | None = None
        self._head = ""
        self._sources: dict[str, Readings] = {}
        self._texts: dict[tuple[str, int], tuple[str, int]] = {}

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one viewer until it disconnects."""
        await websocket.accept()
        if self.viewers >= MAX_VIEWERS:
            await websocket.close(_TRY_AGAIN_LATER, "too many viewers")
            return
        self.viewers += 1
        self._begin()
        listener = asyncio.create_task(_until_gone(websocket))
        try:
            await self._feed(websocket, listener)
        finally:
            self.viewers -= 1
            listener.cancel()
            with contextlib.suppress(Exception):
                await websocket.close()

    async def _feed(self, websocket: WebSocket, listener: asyncio.Task[None]) -> None:
        cursors: dict[str, int] = {}
        while not listener.done() and self._tick is not None:
            turn = await asyncio.shield(self._tick)
            text = self.frame(cursors)
            self.frames += 1
            try:
                await asyncio.wait_for(websocket.send_text(text), SEND_S)
            except Exception:  # it went away, or takes nothing: each server of sockets has its own
                return
            self.held_back += max(0, self._turn - turn)

    def frame(self, cursors: dict[str, int]) -> str:
        """The next frame of a viewer; advances its cursors."""
        parts: list[str] = []
        past: list[str] = []
        for key, readings in self._sources.items():
            if key not in cursors:
                cursors[key] = max(0, readings.next - FIRST_POINTS)
                past.append(self._past(key, readings, cursors[key]))
            text, cursors[key] = self._points(key, readings, cursors[key])
            parts.append(text)
        of_past = f',"past":{{{",".join(past)}}}' if past else ""
        return f'{self._head}{of_past},"points":{{{",".join(parts)}}}}}'

    def _past(self, key: str, readings: Readings, number: int) -> str:
        """The hours before a new viewer's first point, cached for all who come in this turn."""
        known = self._texts.get((f"past {key}", number))
        if known is None:
            body = json.dumps(readings.before(number), separators=(",", ":"))
            known = self._texts[f"past {key}", number] = (f"{json.dumps(key)}:{body}", number)
        return known[0]

    def _points(self, key: str, readings: Readings, number: int) -> tuple[str, int]:
        """The readings from ``number`` on as JSON, cached for all viewers at that number."""
        known = self._texts.get((key, number))
        if known is None:
            first, points = readings.since(number)
            body = json.dumps({"from": first, "points": points}, separators=(",", ":"))
            known = self._texts[key, number] = (f"{json.dumps(key)}:{body}", first + len(points))
        return known

    def _begin(self) -> None:
        if self._ticker is None:
            self._tick = asyncio.get_running_loop().create_future()
            self._ticker = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Ten turns a second while there are viewers and news."""
        last, sent_s = None, 0.0
        while True:
            await asyncio.sleep(FRAME_S)
            if not self.viewers:
                continue
            now = self._look()
            if now == last and time.monotonic() - sent_s < HEARTBEAT_S:
                continue
            last, sent_s = now, time.monotonic()
            try:
                self._next_turn()
            except Exception:  # one source that cannot be told must not end the others' frames
                logging.getLogger(__name__).exception("a frame could not be made")

    def _next_turn(self) -> None:
        self._texts.clear()
        self._head = json.dumps(self._state(), separators=(",", ":"), allow_nan=False)[:-1]
        self._turn += 1
        tick, self._tick = self._tick, asyncio.get_running_loop().create_future()
        if tick is not None and not tick.done():
            tick.set_result(self._turn)

    def _look(self) -> Any:
        """A value that changes whenever there is something new to send."""
        sources = self._live
        self._sources = {key: board.readings for key, board in list(sources.boards.items())}
        for index, readings in list(sources.gpus.readings.items()):
            self._sources[f"gpu{index}"] = readings
        for index, readings in list(sources.gpus.slow.items()):
            self._sources[f"gpu{index} slow"] = readings
        boards = tuple(board.version for board in list(sources.boards.values()))
        return self.viewers, sources.version, boards, tuple(r.next for r in self._sources.values())

    def _state(self) -> dict[str, Any]:
        sources = self._live
        return {
            "now_s": round(time.monotonic(), 3),
            "sources": sources.version,
            "boards": [board.state() for board in list(sources.boards.values())],
            "gpus": sources.gpus.states(),
            "gpu_absent": sources.gpus.absent,
            "recordings": [
                {
                    "name": r.folder.name,
                    "elapsed_s": round(r.elapsed_s, 1),
                    "duration_s": r.request.duration_s if r.request else None,
                }
                for r in list(sources.recordings.now.values())
            ],
        }


async def _until_gone(websocket: WebSocket) -> None:
    """Wait until a viewer disconnects; it sends nothing."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
