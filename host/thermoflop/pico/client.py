"""Send one command to a board and wait for its answer.

This is the only place that writes to a board that runs, and only because the user asked. A reply is
known by its id, so those to other commands pass by. When none comes the same text is sent once
more: the board applies the same id and text only once.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from thermoflop.errors import BoardError, BoardRefused
from thermoflop.pico.link import Link
from thermoflop.pico.ports import Target
from thermoflop.pico.track import BoardLine, Item
from thermoflop.pico.wire import (
    MAX_ID,
    Event,
    Hello,
    Message,
    Mults,
    Reply,
    Settings,
    encode_command,
    printable,
)

REPLY_S = 2.0  # a board answers within a tick or two; twice this is waited in all
SETTLE_S = 0.3  # lines that belong to a reply but come before or after it
COUNT_S = 30.0  # a count is made in the spare time of the board's loop
LAST_FORM = "params"
_SEVERAL = {"id": (Hello, Settings), "get": (Settings,), "faults": (Event,)}


@dataclass(frozen=True, slots=True)
class Answer:
    """The board's reply, and the lines that belong to it."""

    id: int
    verb: str
    detail: dict[str, Any]
    mults: tuple[Mults, ...] = ()
    lines: tuple[BoardLine, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The answer as ``thermoflop pico --json`` prints it."""
        counts = {m.form: m.value for m in self.mults}
        return {"id": self.id, "verb": self.verb, "ok": True, **self.detail, **counts}


def ask(target: Target, verb: str, args: Sequence[str] = (), reply_s: float = REPLY_S) -> Answer:
    """Send ``verb args`` and wait for the reply; BoardRefused when it is a no.

    BoardError when there is no answer: the port is not a board's, or the board is not running.
    """
    encode_command(MAX_ID, verb, tuple(args))  # what cannot be encoded opens no port
    with Link(target) as link:
        return say(link, verb, args, reply_s)


def say(link: Link, verb: str, args: Sequence[str] = (), reply_s: float = REPLY_S) -> Answer:
    """The same on a link that is open; samples meanwhile are lost to who reads its ``inbox``."""
    command_id = secrets.randbelow(MAX_ID) + 1
    data = encode_command(command_id, verb, tuple(args))
    conversation = _Conversation(link, command_id)
    reply = conversation.reply(data, reply_s)
    if not reply.ok:
        why = printable(reply.err or "no reason given").replace("usage: ", "it takes ", 1)
        raise BoardRefused(f"the board refused: {why}")
    mults = conversation.mults(COUNT_S) if verb == "mults" else ()
    if verb in _SEVERAL and not args:
        conversation.wait(SETTLE_S)
    kinds = () if args else _SEVERAL.get(verb, ())
    return Answer(command_id, verb, dict(reply.detail), mults, _newest(conversation.heard, kinds))


def _newest(heard: list[BoardLine], kinds: tuple[type, ...]) -> tuple[BoardLine, ...]:
    """The lines of these kinds; of a part that came twice, the newest."""
    lines: dict[object, BoardLine] = {}
    for line in heard:
        message = line.message
        if isinstance(message, kinds):
            part = getattr(message, "n", getattr(message, "part", 0))
            lines[type(message), part] = line
    return tuple(lines.values())


class _Conversation:
    """What was heard since the command was sent."""

    def __init__(self, link: Link, command_id: int) -> None:
        self.heard: list[BoardLine] = []
        self._link = link
        self._id = command_id
        self._waiting: deque[Item] = deque()  # heard in one go with what was waited for

    def reply(self, data: bytes, reply_s: float) -> Reply:
        for _ in range(2):
            self._link.write(data)
            reply = next(filter(self._is_mine, self._messages(reply_s)), None)
            if isinstance(reply, Reply):
                return reply
        raise BoardError(self._silence(2 * reply_s))

    def _is_mine(self, message: Message) -> bool:
        return isinstance(message, Reply) and message.id == self._id

    def mults(self, count_s: float) -> tuple[Mults, ...]:
        counts: dict[str, Mults] = {}

        def note(message: Message) -> bool:
            if isinstance(message, Mults) and message.id == self._id:
                counts[message.form] = message
            return LAST_FORM in counts

        for line in self.heard:  # some may have come before the reply
            note(line.message)
        if LAST_FORM not in counts and not self.wait(count_s, note):
            raise BoardError(f"the board began to count and did not finish in {count_s:g} s")
        return tuple(counts.values())

    def wait(self, seconds: float, done: Callable[[Message], bool] = lambda _: False) -> bool:
        """Listen for ``seconds``, or until ``done`` says so of a message."""
        return any(done(message) for message in self._messages(seconds))

    def _messages(self, seconds: float) -> Iterator[Message]:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and not self._link.gone:
            self._waiting.extend(self._link.inbox.take())
            while self._waiting:
                item = self._waiting.popleft()
                if isinstance(item, BoardLine):
                    self.heard.append(item)
                    yield item.message
            time.sleep(0.01)

    def _silence(self, seconds: float) -> str:
        name = printable(self._link.target.url)
        if self._link.gone:
            return f"port {name} closed before the board answered ({self._link.gone})"
        counters = self._link.tracker.counters
        if counters.samples:
            return f"the board at {name} is heard but did not answer in {seconds:g} s; try again"
        if counters.n_bytes:
            return f"what is at {name} does not speak as a board does: it sent no valid line"
        return (
            f"nothing came from {name} in {seconds:g} s: the firmware is not running; "
            "`thermoflop doctor` looks closer"
        )
