"""One candidate: a replica of a layout, in a format, on a device; every load of it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from thermoflop.base.record import fields_of, record, replace
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.inference.room import Room
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.memory import memory_of
from thermoflop.cost.serving.lengths import Lengths
from thermoflop.cost.serving.mixing import Mixing, between, mixing_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.replica import load_of
from thermoflop.cost.serving.steady import at_sequences
from thermoflop.cost.serving.times import StepTimes
from thermoflop.cost.work.share import Layout, Share
from thermoflop.errors import UsageError

# Sequences of a group that are tried; the same everywhere, so that a layout's operators are built
# once for all devices.
MOST, POINTS = 4096, 40


@record
class Loads:
    """A unit under rising loads, arrays: ``sequences`` that decode in a group, seconds between a
    sequence's tokens and to the first, requests a second and users of the whole unit, and the
    ``share`` of the time that goes to prompts."""

    sequences: Any
    token_s: Any
    first_s: Any
    rate: Any
    users: Any
    share: Any


class Unit:
    """A replica: ``groups`` of sequences (stages, and attention under data parallelism) with
    ``slots`` each on ``devices`` devices, whose memory holds so many (``held``)."""

    def __init__(
        self,
        setting: Setting,
        held: int,
        lengths: Lengths,
        policy: Policy,
        prefix: float,
        grid: Any,
    ) -> None:
        self.setting, self.lengths, self.policy, self.prefix = setting, lengths, policy, prefix
        self.layout: Layout = setting.plan
        self.devices, self.groups = self.layout.devices, self.layout.pp * self.layout.dp
        self.largest_batch = held
        self.slots = min(held, policy.slots) // self.layout.pp
        self.mixing = mixing_of(StepTimes(setting), lengths, policy, grid, prefix)

    def loads(self, sequences: Any = None) -> Loads:
        """The steady states of so many sequences a group; those of the table without, up to the
        load at which every slot is taken: a prompt that is read has one, too."""
        mixing = self.mixing
        if sequences is not None:
            return self._at(between(mixing, sequences), sequences)
        known = mixing.sequences
        sequences = np.append(known[known < self.slots], float(self.slots))
        return up_to(self._at(between(mixing, sequences), sequences), self.slots * self.groups)

    def _at(self, mixing: Mixing, sequences: Any) -> Loads:
        seen = at_sequences(mixing, self.lengths, sequences, self.policy.name != "passes")
        groups = self.groups
        rate, users = seen.rate * groups, seen.users * groups
        return Loads(sequences, seen.step_s, seen.first_s, rate, users, seen.share)


def up_to(loads: Loads, users: float) -> Loads:
    """The loads of at most so many users, the last one of as many."""
    if loads.users[-1] <= users:
        return loads
    kept = loads.users < users
    ends = {
        name: np.append(values[kept], np.interp(users, loads.users, values))
        for name, values in fields_of(loads).items()
    }
    ends["users"][-1] = users
    return Loads(**ends)


def largest_batch(room: Room, share: Share, lengths: Lengths, grid: Any) -> int:
    """Sequences of mean length that memory holds on a replica; 0 where not one fits.

    Without an engine's own rule, bytes grow evenly between the points of the grid.
    """
    if room.engine is not None:
        held = room.engine.running(share, load_of(lengths))
        return MOST if held is None else int(min(held, MOST))
    memory = memory_of(share, room.device, lengths.prompt, lengths.tokens, grid)
    total = np.broadcast_to(memory.total_bytes, grid.shape)
    most = float(np.min(memory.capacity_bytes))
    return int(np.interp(most, total, grid)) if total[0] <= most else 0


def grid() -> Any:
    """The numbers of sequences that are tried."""
    return np.unique(np.rint(np.geomspace(1, MOST, POINTS)))


def units(
    rooms: list[Room], layout: Layout, profile: Profile, lengths: Lengths,
    policy_on: Callable[[Room, Layout], Policy], prefix: float, given: Mapping[str, Any] | None,
) -> list[Unit]:  # fmt: skip
    """The unit of a layout in one format on each of some devices, with the engine's options that
    were given. UsageError where it does not divide the model; a device that lacks the format is
    left out."""
    share, made = rooms[0].share(layout), []
    points = grid()
    for room in rooms:
        try:
            setting = Setting(
                room.model, room.device, layout, room.precision, profile, room.checkpoint,
                asked=room.asked, share=share,
            )  # fmt: skip
        except UsageError:
            continue
        policy = policy_on(room, layout)
        room = room.in_passes(policy.budget, layout)
        room = room.running_more(share, load_of(lengths), MOST, given)
        held = largest_batch(room, share, lengths, points)
        most, _ = room.limit(share, load_of(lengths))
        policy = replace(policy, slots=most or policy.slots)
        if min(held, policy.slots) >= layout.pp:
            made.append(Unit(setting, held, lengths, policy, prefix, points))
    return made
