"""Every unit of a plan: layouts in the formats that devices have and an engine runs there."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.engines.at_once import check_on_device, tokens_apart, tokens_asked
from thermoflop.cost.engines.engine import is_ollama
from thermoflop.cost.inference.arguments import checked_whole, written
from thermoflop.cost.inference.formats import check_understood, unread
from thermoflop.cost.inference.room import Room, engine_of, room_of
from thermoflop.cost.plan.layouts import formats, layouts
from thermoflop.cost.plan.unit import Unit, units
from thermoflop.cost.serving.lengths import Lengths
from thermoflop.cost.serving.policy import Policy, policy_of
from thermoflop.cost.serving.replica import load_of
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.hardware.device import Device
    from thermoflop.model.model import Model


class Search:
    """What all units share; ``asked`` is the profile by the name that it was asked for."""

    def __init__(
        self, model: Model, devices: list[Device], profile: Profile, asked: str | Profile,
        lengths: Lengths, prefix: float, budget: int | None, options: dict[str, Any] | None,
    ) -> None:  # fmt: skip
        self.options, self.asked = options, asked
        self.model, self.devices, self.profile = model, devices, profile
        self.lengths, self.prefix = lengths, prefix
        self._made: dict[tuple[int, tuple[str | None, ...]], list[Unit]] = {}
        self.refused: dict[str, None] = {}  # why formats were not tried on a device
        # of the engines that are started here, vLLM alone splits a prompt over devices
        self._split_prompt = lengths.prompt if profile.engine.name == "vllm" else 0.0
        if budget is not None:
            budget = checked_whole("budget", written("budget", budget), 16, 2**20)
        self.budget = budget
        for device in devices:
            engine = engine_of(asked, device, options)[0]
            if engine is not None:
                engine.check(load_of(lengths))
                tokens_asked(engine, options)

    def policy(self, room: Room, layout: Layout) -> Policy:
        """What the engine does on a device of a layout, with as many tokens in a step as were asked
        for, or as an option says."""
        tokens = self.budget
        if tokens is None:
            asked = tokens_asked(room.engine, self.options)
            tokens, _ = tokens_apart(room.engine, asked, layout)
        return policy_of(self.profile.engine, room.device, tokens)

    def units(
        self, most: int, dtypes: Sequence[str | None] | None, kv_dtype: str | None
    ) -> list[Unit]:
        """Every unit that holds a sequence, on so many devices at most."""
        key = most, tuple(dtypes or ())
        if key in self._made:
            return self._made[key]
        made = self._made.setdefault(key, [])
        engine = self.profile.engine
        for rooms in self._rooms(dtypes, kv_dtype):
            tried = dict.fromkeys(
                layout
                for room in rooms
                for layout in layouts(self.model, room.device, most, self._split_prompt, engine)
                if layout.tp == 1 or not is_ollama(self.asked)  # it divides layers alone
            )
            for layout in tried:
                joined = layout.node_size
                here = [room for room in rooms if room.device.network.node_size == joined]
                with suppress(UsageError):  # the layout does not divide the model
                    made += units(
                        here, layout, self.profile, self.lengths, self.policy, self.prefix,
                        self.options,
                    )  # fmt: skip
        return made

    def formats(self) -> list[str | None]:
        """The formats that are tried where none is named; None is the published one."""
        check_understood(self.model)
        engine = self.profile.engine.name
        names = (name for each in self.devices for name in formats(self.model, each, engine))
        return list(dict.fromkeys(names))

    def in_4_bits(self, usual: Sequence[str | None]) -> list[str | None]:
        """The usual formats and 4-bit weights beside 16-bit inputs, where all of them are wider
        and the engine loads such; else none."""
        if self.model.named_format is not None or self.profile.engine.alone:
            return []
        device, engine = self.devices[0], self.profile.engine
        rooms = [
            room_of(self.model, device, name, None, None, self.asked, self.options)
            for name in usual
            if not unread(engine, self.model, device, name)
        ]
        return [] if any(each.precision.weight_bits < 5 for each in rooms) else [*usual, "int4"]

    def _rooms(self, dtypes: Sequence[str | None] | None, kv_dtype: str | None) -> list[list[Room]]:
        """The rooms of each format, on the devices that have it. UsageError where none has one
        that was asked for."""
        groups: dict[str | None, list[Room]] = {}
        engine = self.profile.engine.name
        lacking: list[Room] = []
        for device in self.devices:
            for name in dtypes or formats(self.model, device, engine):
                if why := unread(self.profile.engine, self.model, device, name):
                    self.refused[why] = None
                    continue
                room = room_of(self.model, device, name, kv_dtype, None, self.asked, self.options)
                check_on_device(room.engine, room.share(Layout()))
                if not device.has_peak(room.precision.compute):
                    lacking.append(room)
                    continue
                groups.setdefault(name, []).append(room)
        if not groups and lacking:
            lacking[0].device.peak(lacking[0].precision.compute)  # says what it computes in
        if not groups and self.refused:
            raise UsageError(next(iter(self.refused)))
        return list(groups.values())
