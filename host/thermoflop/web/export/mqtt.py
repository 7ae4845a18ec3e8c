"""A room on an MQTT broker, announced to Home Assistant.

States are published at a steady rate, at least once (QoS 1) and retained. While the broker is away
they wait in a bounded queue, oldest first; what does not fit any more is counted and said. The
broker itself says that the exporter is gone, by its last will.
"""

from __future__ import annotations

import json
import queue
import ssl
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from thermoflop.errors import InputError, MissingExtra, ThermoflopError
from thermoflop.pico.wire import printable
from thermoflop.web.export.home_assistant import (
    FAN,
    OFFLINE,
    ONLINE,
    PRESET,
    SETPOINT,
    Discovery,
    Topics,
    board_state,
    gpu_state,
    gpu_thing,
    slug,
)
from thermoflop.web.export.orders import obey

if TYPE_CHECKING:
    from thermoflop.web.export.broker import Broker
    from thermoflop.web.export.room import Room

MISSING = "MQTT needs paho-mqtt: pip install 'thermoflop[export]'"
MOST_QUEUED = 10_000  # states of 100 boards for 100 s; 300 bytes each
MOST_ORDERS = 32
UNANSWERED = "it closes the connection without an answer; a broker that wants TLS is mqtts://"
_RETRY_FROM_S, _RETRY_TO_S = 1, 10
_MOST_UNANSWERED = 500  # of 100 boards, five seconds of a broker that is slow to answer
_CLOSE_S = 2.0


class MqttExporter:
    """One connection to a broker; ``run`` until a stop is asked for."""

    def __init__(
        self,
        room: Room,
        broker: Broker,
        topics: Topics,
        control: bool,
        notify: Callable[[str], None],
        most_queued: int = MOST_QUEUED,
    ) -> None:
        """Nothing is connected yet. Raises MissingExtra without paho-mqtt, InputError for
        certificates that cannot be used."""
        self.published = 0  # handed to the connection, or waiting for one
        self.taken = 0  # of these, by the broker
        self.dropped = 0  # states for which there was no place in the queue
        self._room = room
        self._broker = broker
        self._topics = topics
        self._control = control
        self._notify = notify
        self._orders: queue.Queue[tuple[str, str, str]] = queue.Queue(MOST_ORDERS)
        self._discovery = Discovery(topics, room, control)
        self._announced: dict[str, str] = {}
        self._available: dict[str, str] = {}
        self._why_lost: str | None = None
        self._answered = False  # this connection, with a yes or a no
        self._client = self._make_client(most_queued)

    def _make_client(self, most_queued: int) -> Any:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise MissingExtra(MISSING) from error
        broker = self._broker
        client = Client(CallbackAPIVersion.VERSION2)
        client.max_queued_messages_set(most_queued)
        client.max_inflight_messages_set(_MOST_UNANSWERED)
        client.reconnect_delay_set(_RETRY_FROM_S, _RETRY_TO_S)
        client.will_set(self._topics.status, OFFLINE, qos=1, retain=True)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            try:
                client.tls_set(None if broker.ca is None else str(broker.ca))
            except (OSError, ValueError) as error:
                raise InputError(f"--ca {broker.ca}: {error}") from error
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        # called while the error is handled, which is passed to nobody
        client.on_connect_fail = lambda *_: self._lost(_why(sys.exception()))
        client.on_publish = self._taken
        client.on_message = self._heard
        return client

    def run(self, stop: threading.Event, every_s: float) -> None:
        """Publish every ``every_s`` seconds until ``stop`` is set."""
        if self._control:
            threading.Thread(target=self._obey_orders, daemon=True).start()
        self._client.connect_async(self._broker.host, self._broker.port)
        self._client.loop_start()
        try:
            while not stop.wait(every_s):
                self._turn()
        finally:
            self._close()
        waiting = self.published - self.taken
        unsaid = f", {waiting} not known to have arrived" if waiting else ""
        self._notify(f"{self.taken} messages taken by the broker, {self.dropped} dropped{unsaid}")

    def _close(self) -> None:
        """Say that it goes, and wait a little for the answers that are due."""
        if self._client.is_connected():
            self._say_status(OFFLINE)
            until_s = time.monotonic() + _CLOSE_S
            while self.taken < self.published and time.monotonic() < until_s:
                time.sleep(0.01)
        self._client.disconnect()
        self._client.loop_stop()

    def _say_status(self, status: str) -> None:
        """At most once (QoS 0): it waits in no queue, which may be full."""
        self.published += 1
        self._client.publish(self._topics.status, status, qos=0, retain=True)

    def _turn(self) -> None:
        """Say of everything how it is now, and of what is no more that it is gone."""
        here: dict[str, str] = {}
        for board in self._room.boards():
            thing = slug(board.name)
            if board.sample is not None:
                here[thing] = ONLINE
                self._announce(self._discovery.board(board))
                self._publish(self._topics.of(thing, "state"), json.dumps(board_state(board)))
        for gpu in self._room.gpus():
            here[thing := gpu_thing(gpu)] = ONLINE
            self._announce(self._discovery.gpu(gpu))
            self._publish(self._topics.of(thing, "state"), json.dumps(gpu_state(gpu)))
        for thing in {*self._available, *here}:
            now = here.get(thing, OFFLINE)
            availability = self._topics.of(thing, "availability")
            if self._available.get(thing) != now and self._publish(availability, now):
                self._available[thing] = now

    def _announce(self, messages: dict[str, str]) -> None:
        for topic, payload in messages.items():
            if self._announced.get(topic) != payload and self._publish(topic, payload):
                self._announced[topic] = payload

    def _publish(self, topic: str, payload: str) -> bool:
        """Whether there was a place for it."""
        from paho.mqtt.enums import MQTTErrorCode

        info = self._client.publish(topic, payload, qos=1, retain=True)
        is_queued = bool(info.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE)
        self.published += is_queued
        self.dropped += not is_queued
        return is_queued

    # what the broker says -----------------------------------------------------------------------

    def _connected(self, client: Any, _: Any, __: Any, reason: Any, ___: Any) -> None:
        self._answered = True
        if reason.is_failure:
            self._lost(f"it refuses: {printable(str(reason))}")
            return
        self._why_lost = None
        dropped = f"; {self.dropped} messages were dropped before" if self.dropped else ""
        self._notify(f"connected to the broker at {self._broker.address}{dropped}")
        if self._control:  # before it says that it is there: then orders are heard
            for what in (FAN, PRESET, SETPOINT):
                client.subscribe(self._topics.command("+", what), qos=1)
        self._say_status(ONLINE)

    def _taken(self, *_: Any) -> None:
        self.taken += 1

    def _disconnected(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        answered, self._answered = self._answered, False
        if not reason.is_failure or (answered and self._why_lost):
            return  # a refusal was said, and ends in this as well
        self._lost(printable(str(reason)) if answered else UNANSWERED)

    def _lost(self, why: str) -> None:
        if self._why_lost != why:
            self._why_lost = why
            self._notify(f"no connection to the broker at {self._broker.address}: {why}; retrying")

    def _heard(self, _: Any, __: Any, message: Any) -> None:
        """An order; one that the broker has kept is as old as it likes to be, and is none."""
        levels = message.topic.removeprefix(f"{self._topics.prefix}/").split("/")
        if message.retain or len(levels) != 3 or len(message.payload) > 100:
            return
        try:
            payload = message.payload.decode("utf-8", "replace")
            self._orders.put_nowait((levels[0], levels[1], payload))
        except queue.Full:
            self._notify(f"more than {MOST_ORDERS} orders at once: one was dropped")

    def _obey_orders(self) -> None:
        """One after the other, in a thread of its own: a board takes its time to answer."""
        while True:
            thing, what, payload = self._orders.get()
            boards = [board for name, board in self._room.sources() if slug(name) == thing]
            try:
                for board in boards:
                    obey(board, what, payload)
            except ThermoflopError as error:
                self._notify(f"{thing}: {error}")


def _why(error: BaseException | None) -> str:
    """Why no connection came about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); --ca names one that is"
    if isinstance(error, ssl.SSLError):
        return f"it does not speak TLS as expected ({error.reason})"
    reason = error.strerror if isinstance(error, OSError) else None
    return f"it does not answer ({printable(reason)})" if reason else "it does not answer"
