"""Live data over a websocket for each viewer, at most ten frames a second.

A frame is one JSON object: the moment, the readings since the turn that this viewer had last, and
of the state of boards, GPUs and recordings what changed since then; a viewer's first frame holds
all of it. A viewer's next frame is made when it has taken the last one, so that a slow viewer costs
one frame of memory, gets fewer and longer frames, and misses nothing that is still kept. Viewers
who are in step share the text of their frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thermoflop.web.live.readings import Readings

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from thermoflop.web.live.sources import LiveSources

PATH = "/live/stream"
FRAME_S = 0.1
HEARTBEAT_S = 1.0
GPUS_S = 1.0  # between two looks at what is said of the GPUs besides their readings
SEND_S = 30.0  # a viewer that takes nothing for so long is let go
MAX_VIEWERS = 200
FIRST_POINTS = 1500  # of each source, for a viewer who has just come
_TRY_AGAIN_LATER = 1013


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of all viewers, and how far the readings of each source had come."""

    number: int = 0
    reached: dict[str, int] = field(default_factory=dict)


class Stream:
    """All viewers of one server."""

    def __init__(self, sources: LiveSources) -> None:
        """Frames are made only while there are viewers."""
        self.viewers = 0
        self.held_back = 0  # turns that a viewer missed because it was still taking the last frame
        self._live = sources
        self._come = asyncio.Event()  # the next turn
        self._turn = Turn()
        self._ticker: asyncio.Task[None] | None = None
        self._sources: dict[str, Readings] = {}
        self._state: dict[str, tuple[int, str]] = {}  # by name: the turn it changed in, its text
        self._gpus_s = float("-inf")
        self._frames: dict[int, str] = {}  # of this turn, by the turn that a viewer had last

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one viewer until it disconnects."""
        await websocket.accept()
        if self.viewers >= MAX_VIEWERS:
            await websocket.close(_TRY_AGAIN_LATER, "too many viewers")
            return
        self.viewers += 1
        if self._ticker is None:
            self._ticker = asyncio.create_task(self._run())
        listener = asyncio.create_task(_until_gone(websocket))
        try:
            await self._feed(websocket, listener)
        finally:
            self.viewers -= 1
            listener.cancel()
            with contextlib.suppress(Exception):
                await websocket.close()

    async def _feed(self, websocket: WebSocket, listener: asyncio.Task[None]) -> None:
        had = Turn()
        while not listener.done():
            await self._come.wait()
            text, had = self.frame(had), self._turn
            try:
                async with asyncio.timeout(SEND_S):
                    await websocket.send_text(text)
            except Exception:  # it went away, or takes nothing: each server of sockets has its own
                return
            self.held_back += self._turn.number - had.number

    def frame(self, had: Turn) -> str:
        """What is new since the turn that a viewer had last, for all who had that one."""
        text = self._frames.get(had.number)
        if text is None:
            text = self._frames[had.number] = self._text(had)
        return text

    def _text(self, had: Turn) -> str:
        parts = [f'"now_s":{time.monotonic():.3f}']
        parts += [text for changed, text in self._state.values() if changed > had.number]
        past, points = [], []
        for key, until in self._turn.reached.items():
            readings, name = self._sources[key], json.dumps(key)
            number = had.reached.get(key)
            if number is None:
                number = max(0, until - FIRST_POINTS)
                past.append(f"{name}:{readings.before(number)}")
            if number < until:
                first, news = readings.since(number, until)
                points.append(f'{name}:{{"from":{first},"points":{news}}}')
        if past:
            parts.append(f'"past":{{{",".join(past)}}}')
        return f'{{{",".join(parts)},"points":{{{",".join(points)}}}}}'

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
        number = self._turn.number + 1
        for name, value in self._told().items():
            text = f'"{name}":{json.dumps(value, separators=(",", ":"), allow_nan=False)}'
            if self._state.get(name, (0, ""))[1] != text:
                self._state[name] = (number, text)
        self._turn = Turn(number, {key: each.next for key, each in self._sources.items()})
        self._frames.clear()
        come, self._come = self._come, asyncio.Event()
        come.set()

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

    def _told(self) -> dict[str, Any]:
        """The state of boards and recordings, and now and then of GPUs."""
        sources = self._live
        told: dict[str, Any] = {
            "boards": [board.state() for board in list(sources.boards.values())],
            "recordings": [
                {
                    "name": r.folder.name,
                    "elapsed_s": round(r.elapsed_s, 1),
                    "duration_s": r.request.duration_s if r.request else None,
                }
                for r in list(sources.recordings.now.values())
            ],
        }
        if time.monotonic() - self._gpus_s >= GPUS_S:
            self._gpus_s = time.monotonic()
            told |= {"gpus": sources.gpus.states(), "gpu_absent": sources.gpus.absent}
        return told


async def _until_gone(websocket: WebSocket) -> None:
    """Wait until a viewer disconnects; it sends nothing."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
