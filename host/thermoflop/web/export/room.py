"""Everything that is exported as it is now: boards, GPUs and runs; what went away is not in it."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from typing import TYPE_CHECKING, Any

from thermoflop.base.record import record
from thermoflop.errors import BoardError, UsageError
from thermoflop.pico.wire import Hello, Sample, printable
from thermoflop.web.live.light import Phases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from thermoflop.pico.track import Counters
    from thermoflop.runs.gpu.sample import GpuSample
    from thermoflop.runs.record.fleet import FleetBoard
    from thermoflop.web.live.board import BoardSource
    from thermoflop.web.live.sources import LiveSources

_MOST_LETTERS = 100  # of any text that a board or a run says
_MOST_TEXTS = 8  # that one board may call itself before it is called MANY
MANY = "(says another every time)"


@record
class BoardNow:
    """A board; ``sample`` is None while it is silent or gone."""

    name: str  # the user's, else its serial number, else its port
    sample: Sample | None
    hello: Hello | None
    settings: dict[str, Any]
    counters: Counters


@record
class GpuNow:
    """A GPU that answers; ``facts`` as run.json has them."""

    index: int
    facts: dict[str, Any]
    sample: GpuSample


@record
class RunNow:
    """A recording that goes on; ``phase`` is empty where none is named."""

    folder: str
    name: str
    phase: str


@contextlib.contextmanager
def open_room(
    ports: list[str],
    gpu: str,
    runs: Path,
    notify: Callable[[str], None],
    fleet: Sequence[FleetBoard] = (),
) -> Iterator[Room]:
    """Open the boards at ``ports`` (``NAME=PORT``, or a port; none: the only board there is) and of
    a fleet, the GPUs and the runs that go on in a folder. What cannot be opened is told, and tried
    again; until then it is a board that is not heard."""
    from thermoflop.web.live.sources import MAX_BOARDS, LiveSources
    from thermoflop.web.site import Site

    named: list[tuple[str, str, str | None]] = [(*_named(port), None) for port in ports]
    named += [(board.name, _place(board), board.serial) for board in fleet]
    names = {port: name for name, port, _ in named if name}
    if len(set(names.values())) < len(names) or len({port for _, port, _ in named}) < len(named):
        raise UsageError("--port names two boards alike, or one board twice")
    sources = LiveSources(
        Site(runs, gpu=gpu), most_boards=max(MAX_BOARDS, len(named)), history=False
    )
    try:
        for _, port, serial in named:
            if why := sources.watch(port, serial):
                notify(f"no board at {printable(port)} yet: {why}")
        sources.start(None)
        sources.gpus.start()
        yield Room(sources, names)
    finally:
        sources.stop()


def _place(board: FleetBoard) -> str:
    """Its port; of a board that is not plugged in, and will be known by its number, that."""
    try:
        return board.find()
    except BoardError:
        return f"serial {board.serial}"


def _named(text: str) -> tuple[str, str]:
    """Name and port of ``NAME=PORT``; an address may have an equals sign of its own."""
    name, sign, port = text.partition("=")
    is_name = sign and name and all(c.isalnum() or c in "-_." for c in name)
    return (name, port) if is_name else ("", text)


class Room:
    """The live sources of a server, to be asked how they are."""

    def __init__(self, sources: LiveSources, names: dict[str, str] | None = None) -> None:
        """``names`` are the user's, by port."""
        self._sources = sources
        self._names = names or {}
        self._phases = Phases(sources)
        self._texts: dict[tuple[str, str], set[str]] = {}

    def boards(self) -> list[BoardNow]:
        """All boards, in the order in which they were named."""
        return [_now(name, board) for name, board in self.sources()]

    def sources(self) -> list[tuple[str, BoardSource]]:
        """The boards by name, to be commanded."""
        boards = list(self._sources.boards.values())
        names = [self._name(board) for board in boards]
        often = Counter(names)  # some makers give all their chips one serial number
        return [
            (name if often[name] == 1 else _text(f"{_port(board)}, {name}"), board)
            for name, board in zip(names, boards, strict=True)
        ]

    def gpus(self) -> list[GpuNow]:
        """The GPUs that answer."""
        return [GpuNow(sample.gpu, facts, sample) for facts, sample in self._sources.gpus.now()]

    def runs(self) -> list[RunNow]:
        """The recordings that go on, those of other programs as well."""
        return [
            RunNow(
                _text(recording.folder.name),
                _text(str(recording.run.get("name", ""))),
                _text(phase or ""),
            )
            for recording, phase, _ in self._phases.look()
        ]

    def said(self, board: BoardNow, what: str, text: str) -> str:
        """A text that a board says of itself, printable and short, and few different ones: a board
        that lies names no more than ``_MOST_TEXTS`` series."""
        texts, text = self._texts.setdefault((board.name, what), set()), _text(text)
        if text not in texts and len(texts) >= _MOST_TEXTS:
            return MANY
        texts.add(text)
        return text

    def _name(self, board: BoardSource) -> str:
        port = _port(board)
        return _text(self._names.get(port) or board.target.serial_number or port)


def _port(board: BoardSource) -> str:
    return board.simulated.url if board.simulated else board.target.url


def _now(name: str, board: BoardSource) -> BoardNow:
    tracker = board.tracker
    return BoardNow(
        name=name,
        sample=board.fresh_sample,
        hello=tracker.board.hello,
        settings=dict(tracker.board.settings),
        counters=tracker.counters,
    )


@functools.lru_cache(maxsize=4096)  # a hundred boards say the same in every scrape
def _text(text: str) -> str:
    return printable(text)[:_MOST_LETTERS]
