"""One replica: a model under a layout on an engine, and what it does with users or a rate.

Pipeline stages hold as many groups of sequences, each of which takes its step in turn: a replica
of pp stages is pp groups with a step of its own, on shared memory. Replicas (dp) share the load
evenly, also where their attention is apart and experts are shared.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profile import Spread
from thermoflop.cost.energy import power_w
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.inference.room import Room
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.inference.speculative import tokens_per_check
from thermoflop.cost.inference.steady import alone_s
from thermoflop.cost.roofline.bound import bound_s, sums_of
from thermoflop.cost.serving.lengths import Lengths, in_steps
from thermoflop.cost.serving.mixing import Mixing, mixing_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.steady import Steady, closed_loop, open_loop
from thermoflop.cost.serving.times import StepTimes
from thermoflop.cost.work.steps import decode_step, prefill_step

MOST_SEQUENCES = 2**20
TABLED = 48  # numbers of sequences that step times are computed at, where more may be in flight


def _held(room: Room, setting: Setting, load: Load) -> int:
    """Sequences that memory holds while they are served: of cards that are not alike, in whole
    layers where the engine splits those, or none is named."""
    cards = setting.cards
    if not cards or not (setting.asked is None or room.splits == "layers"):
        return room.running(setting.share, load)
    from thermoflop.cost.inference.unequal import Split
    from thermoflop.cost.work.share import Layout

    return Split(room, cards, room.share(Layout())).most(load)


class Replica:
    """A setting with its requests and its engine's policy.

    Attributes:
        setting: model, device, layout, formats, rates.
        lengths: prompts and outputs, outputs in steps.
        policy: how prompts are mixed in.
        prefix: share of each prompt that the cache holds already.
        largest_batch: sequences that memory holds in a replica.
        most: sequences that the engine runs at most, whatever memory holds.
        limited_by: the engine's option that says so; "" where none does.
        slots: sequences that it runs at most: the fewer of both.
        groups: groups of sequences that take steps of their own.
    """

    def __init__(
        self, setting: Setting, room: Room, lengths: Lengths, policy: Policy, *,
        prefix: float = 0.0, drafted: int = 0, acceptance: float = 0.0,
        drafting: Setting | None = None,
    ) -> None:  # fmt: skip
        self.setting, self.policy, self.prefix = setting, policy, prefix
        self.checked = 1 + drafted
        self.lengths = lengths
        if drafted:
            self.lengths = in_steps(lengths, tokens_per_check(acceptance, drafted))
        self.steps = StepTimes(
            setting, self.checked, None if drafting is None else StepTimes(drafting)
        )
        load = load_of(lengths)
        self.largest_batch = min(MOST_SEQUENCES, _held(room, setting, load))
        limit, name = room.limit(setting.share, load)
        self.most = policy.slots if limit is None else min(policy.slots, limit)
        self.limited_by = name if limit == self.most else ""
        self.slots = min(self.largest_batch, self.most)
        self.groups = max(1, min(setting.plan.pp, self.slots))
        self._mixing: Mixing | None = None

    @property
    def group_slots(self) -> int:
        """Sequences of one group at most."""
        return max(1, self.slots // self.groups)

    @property
    def shares(self) -> int:
        """Groups in all replicas, which share the load."""
        return self.setting.plan.dp * self.groups

    def mixing(self) -> Mixing:
        """Step times of a group by its number of sequences, with and without prompts."""
        if self._mixing is None:
            known = np.arange(1.0, self.group_slots + 1)
            if len(known) > TABLED:
                known = np.unique(np.rint(np.geomspace(1, self.group_slots, TABLED)))
            self._mixing = mixing_of(
                self.steps, self.lengths, self.policy, known, self.prefix, float(self.checked)
            )
        return self._mixing

    def with_users(self, users: Any) -> Steady:
        """The steady state of one group while so many users in all ask again and again."""
        return closed_loop(
            self.mixing(), self.lengths, users / self.shares, self.group_slots, self.policy
        )

    def at_rate(self, rate: float) -> Steady | None:
        """The steady state of one group at requests a second in all; None where they pile up."""
        return open_loop(
            self.mixing(), self.steps, self.lengths, rate / self.shares, self.group_slots,
            self.policy, self.prefix,
        )  # fmt: skip


def load_of(lengths: Lengths) -> Load:
    """One sequence of mean lengths, as memory is asked for it, and what is met of it."""
    prompt = round(lengths.prompt)
    made = lengths.context - lengths.prompt
    cached = tuple((part, each + made) for part, each in lengths.prompts)
    return Load(1, prompt, prompt + round(lengths.tokens), cached)


def spreads_of(
    setting: Setting, lengths: Lengths, prefix: float, steady: Steady,
    benchmark_s: float | None = None,
) -> tuple[Spread, Spread, Spread]:  # fmt: skip
    """Intervals of the time between tokens, to the first, and to that of a benchmark: no low end
    passes the bound of a step that decodes as many sequences, or of a prompt that is read alone,
    nor that of a benchmark what one without others has."""
    count, new = max(1.0, float(steady.sequences)), max(1.0, lengths.prompt * (1 - prefix))
    decode = sums_of(setting.least_works(decode_step(lengths.context, count)))
    read = sums_of(setting.least_reading(prefill_step(new, 1.0, lengths.prompt - new)))
    step_s = float(bound_s(decode, setting.limits, count))
    read_s = float(bound_s(read, setting.limits, 1.0))
    stream, prompt = setting.stream_spread(float(steady.prompt_share)), setting.spread("prefill")
    if lengths.step_tokens > 1:
        stream = stream.wider(("drafts",))
    client, first_s = setting.spread("client"), float(steady.first_s)
    if benchmark_s is not None:  # a client has nothing before one that is alone, as in estimate
        alone = alone_s(setting, new, lengths.prompt - new)
        least = setting.span("prefill", read_s, alone)
        client = _from(float(least.low_s), client, benchmark_s)
        client = replace(client, high=max(client.high, float(least.high_s) / benchmark_s))
    return (
        _from(step_s, stream, float(steady.token_s)), _from(read_s, prompt, first_s), client
    )  # fmt: skip


def _from(least_s: float, spread: Spread, expected_s: float) -> Spread:
    """An interval that begins no lower than a bound, as long as the expectation does not."""
    return replace(spread, low=max(spread.low, min(1.0, least_s / expected_s)))


def joules_of(
    setting: Setting, lengths: Lengths, prefix: float, shares: int, steady: Steady
) -> float | None:
    """Joules of all devices for an output token, from what they compute and move in a second in
    ``shares`` groups that each are in this state, at work while a request is in flight; None
    without a design power."""
    if setting.device.power_w is None:
        return None
    step, sequences = float(steady.token_s), float(steady.sequences)
    count, decoding = max(sequences, 1.0), min(sequences, 1.0)  # in a step, and of the time
    each = sums_of(setting.plain_works(decode_step(lengths.context, count)))
    new = max(1.0, lengths.prompt * (1 - prefix))
    prompt = sums_of(setting.plain_works(prefill_step(new, 1.0, lengths.prompt - new)))
    rate = float(steady.requests_s)
    share = shares / (setting.plan.dp * setting.plan.pp)  # of the stages, that have a group
    flops = share * (decoding * each.flops / step + rate * prompt.flops)
    moved = decoding * (each.weight_bytes + each.kv_bytes) / step + rate * prompt.kv_bytes
    moved *= share
    working = share * min(1.0, sequences + rate * float(steady.first_s))
    # a group's step runs through all stages, each of which has as many groups in turn
    watts = power_w(setting.device, setting.limits.peak_flops_s, flops, moved, working)
    return float(watts * setting.plan.devices / (shares * rate * lengths.tokens))
