"""What a step of a full server is made of: sequences that decode, and the prompts of others.

With ``sequences`` in flight that each read ``prompt`` tokens and write ``generate`` of them, a step
finishes y = sequences / generate of them, and as many prompts have to be read. Engines read them

* in chunks: a step takes up to ``budget`` tokens, those of the sequences that decode among them;
  one step in so many carries a chunk, and reads each matrix once for both. A step's mean time is
  tD + f (tM - tD) + y prompt_s, with tD the time of a step that only decodes, tM that of one that
  carries a chunk of T tokens, f = sequences * prompt / generate / T;
* in passes of their own between the steps: tD + y (tP + prompt_s), with tP that of the prompt.

Prompts come whole: a share of a prompt in every step would hide behind the weights that decoding
reads anyway, which measured servers do not show.
"""

from __future__ import annotations

from typing import TypeAlias

from thermoflop.base.number import Number, maximum, minimum
from thermoflop.base.record import record, replace
from thermoflop.cost.engines.engine import Engine
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.roofline.bound import Sums, bound_s, sums_of
from thermoflop.cost.work.mixed import Mixed
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.model.operators.step import Step

AnyStep: TypeAlias = "Step | Mixed"

# The parts of the time to a client's first token (``waiting_parts``), as ``Profile.waiting`` has
# what each is multiplied by.
WAITING = ("request_s", "token_s", "carrying", "mean_step", "burst")
# Before anything was measured: a few hundredths of a second of HTTP and scheduling, most of the
# step that carries the prompt, a step until it starts, and a tenth of the requests in the first
# burst, which wait for half of the others (10 C requests of C clients).
UNMEASURED = (0.03, 1e-5, 0.7, 1.0, 0.05)


def chunk_of(prompt: Number, cached: Number, tokens: Number) -> Step:
    """The step that reads ``tokens`` of prompts: whole ones, or a part from the middle of one."""
    count = maximum(tokens / prompt, 1.0)
    left = maximum(prompt - tokens, 0.0) / 2
    return prefill_step(minimum(tokens, prompt), count, cached + left)


@record
class InFlight:
    """What one replica of a full server has at work.

    Attributes:
        sequences: sequences that decode, or clients whose requests are in flight.
        prompt: tokens of each prompt that have to be read, those in ``cached`` not among them.
        generate: tokens that each sequence is given.
        context: cached tokens of a sequence that decodes, on average.
        cached: tokens of each prompt that are in the cache already.
        held: steps for which a prompt is held back, to be read with those that come meanwhile
            (``batch_wait_timeout_iters`` of TensorRT-LLM).
    """

    sequences: Number
    prompt: Number
    generate: Number
    context: Number
    cached: Number = 0
    held: Number = 0

    @property
    def ends(self) -> Number:
        """Sequences that a step finishes."""
        return self.sequences / maximum(self.generate, 1)

    @property
    def decode(self) -> Step:
        """The step that only decodes."""
        return decode_step(self.context, self.sequences)

    @property
    def read(self) -> Step:
        """The step that reads one prompt alone."""
        return prefill_step(self.prompt, 1, self.cached)


def steady_steps(engine: Engine, load: InFlight) -> list[tuple[Number, AnyStep]]:
    """The steps that a mean step of a full server is made of, each with its share."""
    if engine.reads == "passes":
        return [(1.0, load.decode), (load.ends, load.read)]
    arriving = load.ends * load.prompt
    waiting = maximum(load.prompt + load.held * arriving, arriving)
    tokens = minimum(waiting, maximum(engine.budget - load.sequences, 1.0))
    share = arriving / tokens
    mixed = Mixed(load.decode, chunk_of(load.prompt, load.cached, tokens))
    return [(maximum(1.0 - share, 0.0), load.decode), (share, mixed)]


def steady_s(setting: Setting, load: InFlight) -> tuple[Number, Number]:
    """Bound and expectation of the mean seconds between two tokens of a sequence."""
    expected: Number = 0.0
    if setting.profile.counts_prompts:
        expected = load.ends * setting.rates.efficiency.prompt_s
    for share, step in steady_steps(setting.profile.engine, load):
        works, recorded = setting.works(step), setting.records(step)
        each = setting.rates.step_s(works, step.batch, recorded=recorded)
        expected = expected + share * each
    return steady_bound_s(setting, load), expected


def waiting_parts(setting: Setting, load: InFlight) -> tuple[tuple[Number, ...], Number]:
    """What the time to a client's first token is made of: one part for each of ``WAITING``, and
    seconds that no engine multiplies.

    The parts are 1, tokens of the prompt, seconds of the step that carries it, of a mean step, and
    by how much all clients' prompts at once prolong their steps. These three are met in the share
    of the requests that are others', of C requests (C - 1) / C; the rest reads its prompt alone.
    """
    engine, clients, prompt = setting.profile.engine, load.sequences, load.prompt
    decode = setting.step_s(load.decode)
    apart = engine.reads == "passes"
    room = maximum(engine.budget - (0 if apart else clients), 1.0)

    def read_s(tokens: Number) -> Number:
        chunk = chunk_of(prompt, load.cached, tokens)
        if apart:
            return setting.step_s(chunk)
        return setting.step_s(Mixed(load.decode, chunk)) - decode

    carrying = decode + read_s(minimum(prompt, room)) * maximum(prompt / room, 1.0)
    several = minimum(clients * prompt, room)  # short prompts of several share a step
    burst = read_s(several) * clients * prompt / several
    _, mean = steady_s(setting, replace(load, held=0))
    alone = 1 / maximum(clients, 1)
    others = 1 - alone
    parts = (1.0, prompt, others * carrying, others * mean, others * burst)
    return parts, alone * alone_s(setting, prompt, load.cached) + load.held * others * mean


def alone_s(setting: Setting, prompt: Number, cached: Number = 0) -> Number:
    """Seconds to read one prompt where nothing else runs."""
    return setting.rates.efficiency.prompt_s + setting.steps_s(
        setting.prompt_steps(prompt, 1, cached)
    )


def lone_client_s(setting: Setting, prompt: Number, cached: Number = 0) -> Number:
    """Seconds to the first token of a client that meets no other: the way and its own prompt."""
    waiting = setting.profile.waiting
    way = waiting["request_s"] + waiting["token_s"] * prompt if waiting else 0.0
    return way + alone_s(setting, prompt, cached)


def client_s(setting: Setting, load: InFlight) -> tuple[Number, Number]:
    """Bound and expectation of the seconds from a request to its first token at the client.

    Besides the prefill it holds the request's way through the server, waiting for a step of the
    others, and the prompts of those that came at once: benchmarks start all clients together.
    """
    parts, own = waiting_parts(setting, load)
    waiting = setting.profile.waiting or dict(zip(WAITING, UNMEASURED, strict=True))
    expected = own + sum(waiting[name] * part for name, part in zip(WAITING, parts, strict=True))
    read = sums_of(setting.least_reading(load.read))
    return bound_s(read, setting.limits, 1), expected


def steady_bound_s(setting: Setting, load: InFlight) -> Number:
    """The bound: computing and moving overlap over all steps, and prompts read no weights again."""
    decode = sums_of(setting.least_works(load.decode))
    read, ends = sums_of(setting.least_reading(load.read)), load.ends
    both = Sums(
        decode.flops + ends * read.flops, decode.weight_bytes,
        decode.kv_bytes + ends * read.kv_bytes, decode.wire_bytes + ends * read.wire_bytes,
    )  # fmt: skip
    return bound_s(both, setting.limits, load.sequences)
