"""What goes on in each recording, for the light in the header of every page."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import inside, is_number
from thermoflop.errors import ThermoflopError
from thermoflop.pico.wire import printable
from thermoflop.runs.folder.phase import PhaseFollower

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from thermoflop.web.live.recordings import Recording
    from thermoflop.web.live.sources import LiveSources

PATH = "/live/recordings"
LOOK_S = 1.0  # however many pages ask
# the phases that a prediction speaks of, and the quantity that is their rate
_RATES = {"decode": "decode_tokens_per_s"}


class Phases:
    """Phase and tokens a second of the recordings that go on; for one who asks at a time."""

    def __init__(self, sources: LiveSources) -> None:
        """Reads nothing yet."""
        self._recordings = sources.recordings
        self._followers: dict[str, PhaseFollower] = {}

    def look(self) -> Iterator[tuple[Recording, str | None, float | None]]:
        """Each recording by now; neither of one whose folder went away."""
        going_on = list(self._recordings.now.values())
        for gone in set(self._followers) - {recording.folder.name for recording in going_on}:
            del self._followers[gone]
        for recording in going_on:
            phase = tokens_per_s = None
            with suppress(OSError, ThermoflopError):
                follower = self._followers.setdefault(
                    recording.folder.name, PhaseFollower(recording.folder)
                )
                phase, tokens_per_s = follower.look(), follower.tokens_per_s
            yield recording, phase, tokens_per_s


class Lights:
    """Phase and rate of the recordings that go on."""

    def __init__(self, sources: LiveSources) -> None:
        """Reads nothing yet."""
        self._phases = Phases(sources)
        self._states: list[dict[str, Any]] = []
        self._looked_s = float("-inf")

    async def respond(self, request: Request) -> Response:
        """The state of every recording as JSON."""
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        del request
        states = await run_in_threadpool(self.states)
        return JSONResponse(states, headers={"cache-control": "no-store"})

    def states(self) -> list[dict[str, Any]]:
        """Name, time, phase, tokens a second and what was predicted, of each recording."""
        if time.monotonic() - self._looked_s > LOOK_S:
            self._looked_s = time.monotonic()
            self._states = [
                {
                    "name": printable(recording.folder.name),
                    "elapsed_s": round(recording.elapsed_s, 1),
                    "phase": printable(phase or "")[:60],
                    "tokens_per_s": tokens_per_s,
                    "expected_per_s": _expected(recording.run, phase),
                }
                for recording, phase, tokens_per_s in self._phases.look()
            ]
        return self._states


def _expected(run: dict[str, Any], phase: str | None) -> float | None:
    """The predicted tokens a second of a phase."""
    value = inside(run, "predictions", "quantities", _RATES.get(phase or "", ""), "expected")
    return float(value) if is_number(value) else None
