"""What users are promised, and the most of them to whom it is kept."""

from __future__ import annotations

from math import inf

from thermoflop.base.record import record
from thermoflop.cost.serving.replica import Replica
from thermoflop.cost.serving.simulation import Arrivals

HALVINGS = 11  # of a rate that misses its target, to a part in 2,048


@record
class Targets:
    """Seconds that a first token and the time between tokens may take; None: any."""

    first_s: float | None = None
    token_s: float | None = None

    def met(self, first_s: float, token_s: float) -> bool | None:
        """Whether both are kept; None where there are none."""
        if self.first_s is None and self.token_s is None:
            return None
        return first_s <= (self.first_s or inf) and token_s <= (self.token_s or inf)


def most_users(replica: Replica, targets: Targets) -> float:
    """The most users with a slot each that meet the targets; 0 where not one does."""
    slots = replica.slots * replica.setting.plan.dp
    return most_within(replica, Arrivals(users=slots + 1), targets)


def limit_beyond(replica: Replica, targets: Targets, users: float) -> str | None:
    """The target that one user more would miss; None where there is no slot for one more."""
    if not 0 < users < replica.slots * replica.setting.plan.dp:
        return None
    more = float(replica.with_users(users + 1).token_s) / replica.lengths.step_tokens
    return "first" if targets.token_s is None or more <= targets.token_s else "target"


def most_within(replica: Replica, load: Arrivals, targets: Targets) -> float:
    """The most users, or requests a second, that would meet the targets; 0 where not one would."""

    def meets(asked: float) -> bool:
        of_users = load.users is not None
        steady = replica.with_users(asked) if of_users else replica.at_rate(asked)
        if steady is None:
            return False
        token_s = float(steady.token_s) / replica.lengths.step_tokens
        return targets.met(float(steady.first_s), token_s) is True

    if load.users is not None:
        most, misses = 0, load.users
        while misses - most > 1:
            users = (most + misses) // 2
            most, misses = (users, misses) if meets(users) else (most, users)
        return most
    low, high = 0.0, load.rate or 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if meets(middle) else (low, middle)
    return low
