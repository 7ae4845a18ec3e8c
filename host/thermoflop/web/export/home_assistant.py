"""A room as Home Assistant knows one: which topics there are, and what stands in them.

The payloads follow https://www.home-assistant.io/integrations/mqtt/ (discovery, availability) and
its pages for sensor, binary_sensor, fan and number. A topic is made of letters, digits, dashes and
underscores of ours; what a board says of itself stands in payloads alone.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from thermoflop.base.record import record
from thermoflop.runs.gpu.throttle import throttling

if TYPE_CHECKING:
    from thermoflop.web.export.room import BoardNow, GpuNow, Room

ONLINE, OFFLINE = "online", "offline"
FAN, PRESET, SETPOINT = "fan", "preset", "setpoint"  # what can be commanded
_MAX_SETPOINT_C = 60.0  # the firmware's own t_max_c where the board has not said it


@record
class Topics:
    """The topics of one exporter: ``prefix`` of its own, and Home Assistant's for discovery."""

    prefix: str = "thermoflop"
    discovery: str = "homeassistant"

    @property
    def status(self) -> str:
        """Whether the exporter is there; its last will."""
        return f"{self.prefix}/status"

    def of(self, thing: str, what: str) -> str:
        """A topic of a board or GPU."""
        return f"{self.prefix}/{thing}/{what}"

    def command(self, thing: str, what: str) -> str:
        """Where a command to a board arrives."""
        return self.of(thing, f"{what}/set")

    def config(self, component: str, thing: str, what: str) -> str:
        """Where Home Assistant looks for what there is."""
        return f"{self.discovery}/{component}/thermoflop_{thing}/{what}/config"


def slug(name: str) -> str:
    """``name`` as a level of a topic: as it is where it may stand there, else with its hash."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)[:40]
    if plain and plain == name:
        return plain
    return f"{plain.strip('_')}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def board_state(board: BoardNow) -> dict[str, Any]:
    """What stands in a board's state topic."""
    sample = board.sample
    if sample is None:
        return {}
    return {
        "temp_c": sample.temp_c,
        "fan": "ON" if sample.fan else "OFF",
        "mode": sample.mode,
        "preset": "auto" if sample.mode not in ("on", "off") else None,
        "fault": "ON" if sample.flags else "OFF",
        "faults": list(sample.flags),
        "on_c": board.settings.get("on_c"),
        "lost_samples": board.counters.lost_samples,
    }


def gpu_state(gpu: GpuNow) -> dict[str, Any]:
    """What stands in a GPU's state topic."""
    sample = gpu.sample
    reasons = throttling(sample.reasons) if sample.reasons is not None else None
    return {
        "temp_c": sample.temp_c,
        "power_w": sample.power_w,
        "util_percent": None if sample.util is None else round(100 * sample.util, 1),
        "throttled": None if reasons is None else "ON" if reasons else "OFF",
        "reasons": list(reasons or ()),
    }


class Discovery:
    """What is announced of each board and GPU."""

    def __init__(self, topics: Topics, room: Room, control: bool) -> None:
        """With ``control`` a board's fan and setpoint can be commanded."""
        self._topics = topics
        self._room = room
        self._control = control

    def board(self, board: BoardNow) -> dict[str, str]:
        """topic -> payload."""
        thing = slug(board.name)
        device: dict[str, Any] = {"identifiers": [f"thermoflop_{thing}"], "name": board.name}
        if board.hello is not None:
            device |= {
                "model": self._room.said(board, "model", board.hello.board),
                "sw_version": self._room.said(board, "firmware", board.hello.fw),
            }
        entities: list[tuple[str, str, dict[str, Any]]] = [
            ("sensor", "temperature", _sensor("Temperature", "temp_c", "temperature", "°C")),
            ("binary_sensor", "fan", _switch("Fan", "fan", "running")),
            ("binary_sensor", "fault", _switch("Fault", "fault", "problem")),
            ("sensor", "lost_samples", _entity(
                "Lost samples", "lost_samples",
                state_class="total_increasing", entity_category="diagnostic",
            )),
        ]  # fmt: skip
        if self._control:
            entities += self._commanded(board, thing)
        return self._messages(thing, device, entities)

    def gpu(self, gpu: GpuNow) -> dict[str, str]:
        """topic -> payload."""
        thing = gpu_thing(gpu)
        name = f"GPU {gpu.index}"
        device = {
            "identifiers": [f"thermoflop_{thing}"],
            "name": name,
            "model": str(gpu.facts.get("name") or name),
        }
        entities = [
            ("sensor", "temperature", _sensor("Temperature", "temp_c", "temperature", "°C")),
            ("sensor", "power", _sensor("Power", "power_w", "power", "W")),
            ("sensor", "utilization", _sensor("Utilization", "util_percent", None, "%")),
            ("binary_sensor", "throttled", _switch("Throttled", "throttled", "problem")),
        ]
        return self._messages(thing, device, entities)

    def _commanded(self, board: BoardNow, thing: str) -> list[tuple[str, str, dict[str, Any]]]:
        state, command = self._topics.of(thing, "state"), self._topics.command
        top = board.settings.get("t_max_c")
        return [
            ("fan", "fan_control", {
                "name": "Fan control", "command_topic": command(thing, FAN),
                "state_value_template": "{{ value_json.fan }}",
                "preset_modes": ["auto"], "preset_mode_command_topic": command(thing, PRESET),
                "preset_mode_state_topic": state,
                "preset_mode_value_template": "{{ value_json.preset }}",
            }),
            ("number", "setpoint", {
                "name": "Fan starts at", "command_topic": command(thing, SETPOINT),
                "value_template": "{{ value_json.on_c }}", "unit_of_measurement": "°C",
                "device_class": "temperature", "min": 0, "step": 0.5, "mode": "box",
                "max": top if isinstance(top, int | float) else _MAX_SETPOINT_C,
            }),
        ]  # fmt: skip

    def _messages(
        self, thing: str, device: dict[str, Any], entities: list[tuple[str, str, dict[str, Any]]]
    ) -> dict[str, str]:
        common = {
            "state_topic": self._topics.of(thing, "state"),
            "availability": [
                {"topic": self._topics.status},
                {"topic": self._topics.of(thing, "availability")},
            ],
            "availability_mode": "all",
            "device": device,
        }
        return {
            self._topics.config(component, thing, what): json.dumps(
                {**common, **entity, "unique_id": f"thermoflop_{thing}_{what}"}
            )
            for component, what, entity in entities
        }


def gpu_thing(gpu: GpuNow) -> str:
    """The name of a GPU in topics: by its UUID, which stays where its number may not."""
    return slug(str(gpu.facts.get("uuid") or f"gpu{gpu.index}"))


def _sensor(name: str, key: str, kind: str | None, unit: str) -> dict[str, Any]:
    more = {} if kind is None else {"device_class": kind}
    return _entity(name, key, unit_of_measurement=unit, state_class="measurement", **more)


def _switch(name: str, key: str, kind: str) -> dict[str, Any]:
    return _entity(name, key, device_class=kind)


def _entity(name: str, key: str, **more: str) -> dict[str, Any]:
    """What shows the value under a key of the state."""
    return {"name": name, "value_template": f"{{{{ value_json.{key} }}}}", **more}
