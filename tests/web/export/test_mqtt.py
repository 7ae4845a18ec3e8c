"""The exporter with a real broker: what it says there, what it obeys, and what is lost when."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.board_lines import Pty, hello_line, sample_line, seal, settings_line
from kit.commands import ENVIRONMENT, command
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from thermoflop.errors import InputError, UsageError
from thermoflop.pico.ports import Target
from thermoflop.web.export.broker import Broker, read_broker
from thermoflop.web.export.home_assistant import Topics, slug
from thermoflop.web.export.mqtt import MqttExporter
from thermoflop.web.export.orders import board_commands
from thermoflop.web.export.room import Room
from thermoflop.web.live import board as board_module
from thermoflop.web.live.board import BoardSource
from thermoflop.web.live.sources import LiveSources
from thermoflop.web.site import Site

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must come."""
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


class Mosquitto:
    """A broker on a port of its own, which can be killed and started again."""

    def __init__(self, folder: Path, *lines: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._config = folder / "mosquitto.conf"
        allowed = () if any("anonymous" in line for line in lines) else ("allow_anonymous true",)
        self._config.write_text(
            "\n".join([f"listener {self.port} 127.0.0.1", *allowed, *lines]) + "\n"
        )
        self.start()

    def start(self) -> None:
        """Until it answers."""
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stderr=subprocess.DEVNULL
        )
        until(self._answers)

    def kill(self) -> None:
        """At once: nothing that it kept is left."""
        self._process.kill()
        self._process.wait(30)

    def _answers(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0


class Listener:
    """Another client of the broker; the newest payload by topic, and all of them in order."""

    def __init__(self, port: int) -> None:
        self.newest: dict[str, str] = {}
        self.all: list[tuple[str, str]] = []
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = self._take
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()

    def _take(self, _: Any, __: Any, message: Any) -> None:
        self.newest[message.topic] = message.payload.decode()
        self.all.append((message.topic, message.payload.decode()))

    def json(self, topic: str) -> Any:
        """A payload that must be there."""
        return json.loads(self.newest[topic])

    def close(self) -> None:
        """Go."""
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """An open broker."""
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    """Somebody who listens there."""
    listener = Listener(broker.port)
    yield listener
    listener.close()


class Desk:
    """A board on a pseudo-terminal, exported to a broker."""

    def __init__(self, folder: Path, port: int, control: bool = False, **more: Any) -> None:
        self.pty = Pty()
        self.sources = LiveSources(Site(folder, gpu="none"))
        self.board = BoardSource("board1", Target(self.pty.path))
        self.sources.boards["board1"] = self.board
        self.board.open()
        self.pty.say(hello_line() + settings_line() + sample_line(0))
        until(lambda: self.board.fresh_sample)
        self.said: list[str] = []
        room = Room(self.sources, {self.pty.path: "rack 1"})
        self.exporter = MqttExporter(
            room, Broker("127.0.0.1", port, False), Topics(), control, self.said.append, **more
        )
        self.thing = slug("rack 1")
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self.exporter.run, args=(self.stop, 0.02))
        self._thread.start()

    def end(self) -> None:
        """End the exporter in order."""
        self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        self.board.end()


@pytest.fixture
def desk(tmp_path: Path, broker: Mosquitto) -> Iterator[Desk]:
    """With --control."""
    desk = Desk(tmp_path, broker.port, control=True)
    yield desk
    desk.end()


@needs_broker
def test_home_assistant_finds_each_board_and_hears_its_state(
    desk: Desk, listener: Listener
) -> None:
    state, available = (f"thermoflop/{desk.thing}/{what}" for what in ("state", "availability"))
    until(lambda: available in listener.newest)
    assert listener.newest[available] == listener.newest["thermoflop/status"] == "online"
    assert listener.json(state)["temp_c"] == 25.31
    desk.pty.say(sample_line(1, temp_c=31.0, fan=1, flags=("hot",), mode="hot"))
    until(lambda: listener.json(state)["temp_c"] == 31.0)
    now = listener.json(state)
    assert (now["fan"], now["fault"], now["faults"]) == ("ON", "ON", ["hot"])
    configs = {t: p for t, p in listener.newest.items() if t.startswith("homeassistant/")}
    kinds = {topic.split("/")[1] for topic in configs}
    assert kinds == {"sensor", "binary_sensor", "fan", "number"}
    ids = set()
    for topic in configs:
        config = listener.json(topic)
        assert config["state_topic"] == state
        assert {each["topic"] for each in config["availability"]} == {
            "thermoflop/status", available,
        }  # fmt: skip
        assert config["device"]["name"] == "rack 1"
        ids.add(config["unique_id"])
    assert len(ids) == len(configs)


@needs_broker
def test_a_board_that_falls_silent_is_offline(
    desk: Desk, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    available = f"thermoflop/{desk.thing}/availability"
    until(lambda: listener.newest.get(available) == "online")
    monkeypatch.setattr(board_module, "STALE_S", 0.0)
    until(lambda: listener.newest[available] == "offline")
    assert listener.newest["thermoflop/status"] == "online"


def answer(pty: Pty, n: int) -> list[str]:
    """Say yes to the next ``n`` commands; what they were."""
    commands = []
    while len(commands) < n:
        for line in os.read(pty.master, 200).decode().splitlines():
            number, _, text = line[1:].partition(" ")
            commands.append(text)
            pty.say(seal(f'{{"k":"r","id":{number},"ok":true'))
    return commands


@needs_broker
def test_orders_reach_the_board_with_control(desk: Desk, listener: Listener) -> None:
    """The setpoint keeps the distance of its thresholds and never crosses them."""
    until(lambda: "thermoflop/status" in listener.newest)
    order = f"thermoflop/{desk.thing}/{{}}/set".format
    for what, payload, expected in (
        ("fan", "ON", ["fan on"]),
        ("fan", "OFF", ["fan off 600"]),
        ("preset", "auto", ["fan auto"]),
        ("setpoint", "40", ["set on_c 40.00", "set off_c 39.00", "get"]),
        ("setpoint", "20.5", ["set off_c 19.50", "set on_c 20.50", "get"]),
    ):
        listener.client.publish(order(what), payload, qos=1)
        assert answer(desk.pty, len(expected)) == expected
    listener.client.publish(order("setpoint"), "hot!", qos=1)
    until(lambda: any("'hot!' is no temperature" in text for text in desk.said))


@needs_broker
def test_no_order_is_listened_to_without_control_and_none_that_the_broker_kept(
    tmp_path: Path, broker: Mosquitto, listener: Listener
) -> None:
    """An order that is retained would be given again at every start."""
    thing = slug("rack 1")
    listener.client.publish(f"thermoflop/{thing}/fan/set", "OFF", qos=1, retain=True)
    until(lambda: f"thermoflop/{thing}/fan/set" in listener.newest)
    for control in (True, False):
        desk = Desk(tmp_path, broker.port, control=control)
        try:
            until(lambda desk=desk: any("connected" in text for text in desk.said))
            if not control:
                listener.client.publish(f"thermoflop/{thing}/fan/set", "ON", qos=1)
            time.sleep(0.3)
            os.set_blocking(desk.pty.master, False)
            with pytest.raises(BlockingIOError):
                os.read(desk.pty.master, 200)
        finally:
            desk.end()


@needs_broker
def test_what_waits_while_the_broker_is_away_arrives_and_the_rest_is_counted(
    tmp_path: Path, broker: Mosquitto, listener: Listener
) -> None:
    """40 messages fit: each of them is taken by the broker in the end; the others are counted."""
    desk = Desk(tmp_path, broker.port, most_queued=40)
    state = f"thermoflop/{desk.thing}/state"
    try:
        until(lambda: state in listener.newest)
        broker.kill()
        until(lambda: any("no connection" in text for text in desk.said))
        until(lambda: desk.exporter.dropped >= 20)
        assert 0 < desk.exporter.published - desk.exporter.taken <= 40
        broker.start()
        until(lambda: any("dropped before" in text for text in desk.said))
        dropped = desk.exporter.dropped
        until(lambda: listener.newest.get("thermoflop/status") == "online")
        until(lambda: desk.exporter.taken > 100)
    finally:
        desk.end()
    assert desk.exporter.taken == desk.exporter.published
    assert dropped <= desk.exporter.dropped <= dropped + 5  # until the broker has taken the first
    assert desk.said[-1] == (
        f"{desk.exporter.taken} messages taken by the broker, {desk.exporter.dropped} dropped"
    )


@needs_broker
def test_an_exporter_that_is_killed_is_said_to_be_gone_by_its_last_will(
    tmp_path: Path, listener: Listener, broker: Mosquitto
) -> None:
    """And one that ends says it itself; the command, with a password that is in no output."""
    secret = tmp_path / "secret.toml"
    secret.write_text('username = "me"\npassword = "hunter2"\n')
    words = ("export", "mqtt", "--broker", f"mqtt://127.0.0.1:{broker.port}", "--gpu", "none",
             "--port", "desk=sim://", "--credentials", str(secret), "--every", "100ms")  # fmt: skip
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(
            command(*words), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        until(lambda: listener.newest.get("thermoflop/status") == "online")
        until(lambda: listener.newest.get("thermoflop/desk/availability") == "online")
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
        until(lambda: listener.newest["thermoflop/status"] == "offline")
        assert "hunter2" not in out
        assert "Traceback" not in out
    assert process.returncode == 0


@needs_broker
def test_a_broker_that_refuses_is_said_once_and_asked_again(tmp_path: Path) -> None:
    """Not authorized: the sentence, not the password."""
    closed = Mosquitto(tmp_path, "allow_anonymous false")
    desk = Desk(tmp_path, closed.port)
    try:
        until(lambda: any("it refuses" in text for text in desk.said))
        assert sum("it refuses" in text for text in desk.said) == 1
    finally:
        desk.end()
        closed.kill()


def test_a_refusal_is_one_sentence_however_often_it_comes(tmp_path: Path) -> None:
    """CONNACK with return code 5, not authorized (MQTT 3.1.1, 3.2.2.3), and the end, twice."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        desk = Desk(tmp_path, listening.getsockname()[1])
        try:
            for _ in range(2):
                peer, _ = listening.accept()
                with peer:
                    peer.recv(4096)
                    peer.sendall(b"\x20\x02\x00\x05")
            with listening.accept()[0]:  # it comes a third time: both were heard
                assert len(desk.said) == 1
                assert "it refuses: Not authorized" in desk.said[0]
            until(lambda: any("mqtts://" in text for text in desk.said))  # closed, unanswered
        finally:
            desk.end()


def test_no_connection_is_said_with_the_reason_of_the_system(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        desk = Desk(tmp_path, taken.getsockname()[1])
        try:
            until(lambda: any("(Connection refused)" in text for text in desk.said))
        finally:
            desk.end()


@pytest.mark.parametrize(
    ("url", "address", "tls"),
    [
        ("mqtt://broker", "broker:1883", False),
        ("mqtts://broker", "broker:8883", True),
        ("broker:1884", "broker:1884", False),
        ("mqtt://[::1]:1", "::1:1", False),
    ],
)
def test_an_address_of_a_broker(url: str, address: str, tls: bool) -> None:
    broker = read_broker(url)
    assert (broker.address, broker.tls) == (address, tls)


@pytest.mark.parametrize(
    "url", ["", "http://broker", "mqtt://", "mqtt://b:99999", "mqtt://b/topic", "mqtt://me:pw@b"]
)
def test_what_is_no_address_of_a_broker_is_one_sentence_without_its_password(url: str) -> None:
    with pytest.raises(UsageError, match="--broker") as refused:
        read_broker(url)
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize("text", ["password = 'x'", "no toml hunter2", "username = 3", "\xff"])
def test_credentials_that_make_no_sense_are_one_sentence_that_quotes_nothing(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "secret.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="username") as refused:
        read_broker("mqtt://b", path)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", ["a/b", "#", "+", "ü", "rack 1", "", "x" * 99, "\x1b[1m"])
def test_no_name_is_more_than_one_level_of_a_topic(name: str) -> None:
    level = slug(name)
    assert level
    assert all(c.isascii() and (c.isalnum() or c in "-_") for c in level)
    assert len(level) <= 47
    assert level != slug(name + "x")


def test_thresholds_without_a_setting_keep_a_degree_between_them() -> None:
    assert board_commands("setpoint", "30", None, None) == [
        ("set", "off_c", "29.00"), ("set", "on_c", "30.00"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "payload"),
    [("fan", "on"), ("fan", ""), ("preset", "eco"), ("setpoint", "nan"), ("setpoint", "1e9"),
     ("reset", "1")],
)  # fmt: skip
def test_an_order_that_is_none_is_refused(what: str, payload: str) -> None:
    with pytest.raises(UsageError, match="is no"):
        board_commands(what, payload, 29.0, 28.0)
