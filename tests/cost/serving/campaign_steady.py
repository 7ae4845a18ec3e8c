"""The closed form of serving against the event loop on random settings.

    python tests/cost/serving/campaign_steady.py --settings 200 --requests 400000 --seed 1

Each setting is run at one load, in turn, and with so many users who ask again once answered.
Step times are those of a roofline: weights take ``w`` seconds to read, which is as long as
``ridge`` tokens take to compute; the cache of a full server takes up to twice as long as the
weights. Loads are relative to the rate at which the event loop saturates.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from thermoflop.base.record import replace
from thermoflop.cost.serving.lengths import Lengths, draw_lengths, lengths_of
from thermoflop.cost.serving.loop import Requests, run_loop
from thermoflop.cost.serving.mixing import mixing_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.simulation import cut_short
from thermoflop.cost.serving.steady import TRUSTED_LOAD, closed_loop, limits_of_trust, open_loop
from thermoflop.cost.serving.times import step_table

RANGES = (
    "w 3-25 ms, ridge 150-600 tokens, prompts 200-10,000, outputs 50-2,000, slots 32-256, "
    "budget 2,048-16,384, cache 0-2 w, lengths fixed, uniform or lognormal, chunks or passes"
)
LOADS = (0.4, 0.6, 0.75, 0.85)
WARM = 0.2  # of the requests, before the steady state


class Roofline:
    """Step times of a made-up model: no smoother than a real one's, and no slower to ask."""

    prompt_s = 0.0005

    def __init__(self, w, ridge, kv, pair):
        self.w, self.ridge, self.kv, self.pair = w, ridge, kv, pair

    def _products(self, tokens):
        return self.w * np.maximum(1.0, np.asarray(tokens, float) / self.ridge) + 0.0005

    def decode_s(self, sequences, context):
        return self._products(sequences) + self.kv * sequences * context

    def prompts_s(self, tokens, cached, prompts=1.0):
        pairs = prompts * tokens * (cached + tokens / 2)
        return self._products(prompts * tokens) + self.pair * pairs

    def mixed_s(self, sequences, context, tokens, cached, prompts=1.0):
        pairs = prompts * tokens * (cached + tokens / 2)
        both = self._products(sequences + prompts * tokens)
        return both + self.kv * sequences * context + self.pair * pairs


def draw_setting(random):
    """Step times, lengths, policy and slots of one setting."""
    w, ridge = random.uniform(0.003, 0.025), random.uniform(150, 600)
    prompt = float(round(np.exp(random.uniform(np.log(200), np.log(10_000)))))
    generate = float(round(np.exp(random.uniform(np.log(50), np.log(2000)))))
    slots = int(random.integers(32, 257))
    budget = int(np.exp(random.uniform(np.log(2048), np.log(16_384))))
    lengths = lengths_of(prompt, generate, str(random.choice(["fixed", "uniform", "lognormal"])))
    kv = random.uniform(0, 2) * w / (slots * lengths.context)
    pair = random.uniform(0, 0.3) * w / ridge / prompt
    name = str(random.choice(["mixed", "passes"]))
    return Roofline(w, ridge, kv, pair), lengths, Policy(name, budget, slots, ""), slots


def simulate(table, lengths: Lengths, policy, slots, requests, rate, seed):
    """Mean token time, mean first token and requests a second, after warming up; ``rate`` None:
    all requests wait from the start."""
    prompts, outputs = draw_lengths(lengths, requests, seed)
    gaps = np.random.default_rng(seed + 1).exponential(1.0, requests)
    arrivals = [0.0] * requests if rate is None else (np.cumsum(gaps) / rate).tolist()
    asked = Requests(arrivals, prompts, [0] * requests, outputs)
    done = run_loop(table, asked, slots, policy.budget, passes=policy.name == "passes")
    warm = slice(int(WARM * requests), requests)
    first, last = np.array(done.first_s), np.array(done.last_s)
    steps = np.array(outputs)[warm] - 1
    decoding = (last - first)[warm].sum() / max(1, steps.sum())
    # to the last arrival: what is left then drains without new prompts
    rate_s = len(steps) / (np.array(done.first_s)[-1] - np.array(done.first_s)[warm.start - 1])
    return decoding, float((first - np.array(done.arrivals_s))[warm].mean()), rate_s


def is_trusted(found, lengths):
    """Whether the closed form holds there, waiting for a slot up to its own limit."""
    other = limits_of_trust(replace(found, load=0.0), lengths, at_rate=True)
    return float(found.load) <= TRUSTED_LOAD and not other


def compare(setting, requests, seed, loads=LOADS):
    """One row a load: load, trusted, and the closed form over the event loop, minus 1; and the same
    of users."""
    steps, lengths, policy, slots = setting
    table = step_table(steps, lengths, policy, slots)
    mixing = mixing_of(steps, lengths, policy, np.arange(1.0, slots + 1))
    _, _, most = simulate(table, lengths, policy, slots, max(4 * slots, requests // 10), None, seed)
    rows = []
    for load in loads:
        token, first, _ = simulate(table, lengths, policy, slots, requests, load * most, seed)
        found = open_loop(mixing, steps, lengths, load * most, slots, policy)
        if found is None:
            rows.append((load, False, np.nan, np.nan))
            continue
        trusted = is_trusted(found, lengths)
        rows.append((load, trusted, found.token_s / token - 1, found.first_s / first - 1))
    return rows, closed(setting, mixing, table, requests // 10, seed)


def closed(setting, mixing, table, requests, seed):
    """Throughput, token time and first token of 1 to as many users as slots, closed form over event
    loop, minus 1. They begin in the midst of their answers."""
    _, lengths, policy, slots = setting
    random = np.random.default_rng(seed)
    users = int(np.exp(random.uniform(0, np.log(slots))))
    found = closed_loop(mixing, lengths, users, slots, policy)
    count = max(requests, 60 * users)
    prompts, outputs = draw_lengths(lengths, count, seed)
    outputs[:users] = cut_short(outputs[:users], seed)
    asked = Requests([0.0] * users, prompts, [0] * count, outputs)
    done = run_loop(table, asked, slots, policy.budget, passes=policy.name == "passes")
    first, last = np.array(done.first_s), np.array(done.last_s)
    warm = slice(count // 2, count - users)  # the last ones have ever fewer beside them
    rate = (warm.stop - 1 - warm.start) / (first[warm][-1] - first[warm][0])
    token = (last - first)[warm].sum() / max(1, (np.array(outputs)[warm] - 1).sum())
    wait = (first - np.array(done.arrivals_s))[warm].mean()
    values = zip((found.requests_s, found.token_s, found.first_s), (rate, token, wait), strict=True)
    return users, *(float(one / other - 1) for one, other in values)


def percent(values):
    values = np.abs(np.array(values, float))
    values = values[np.isfinite(values)]
    if not len(values):
        return "-"
    return " / ".join(f"{100 * q:.1f}" for q in np.quantile(values, (0.5, 0.9, 1.0)))


def one(entry):
    """A setting's rows, for a pool of processes."""
    number, setting, requests, seed = entry
    rows, users = compare(setting, requests, seed + number, (LOADS[number % len(LOADS)],))
    return number, setting, rows[0], users


def line(number, setting, row, users):
    """A setting and what was found, on one line."""
    _, lengths, policy, slots = setting
    load, trusted, token, first = row
    sizes = f"{lengths.prompt:.0f}+{lengths.generate:.0f}, {slots} slots, budget {policy.budget}"
    return (
        f"{number} {policy.name} {lengths.shape} {sizes}: load {load} {'yes' if trusted else 'no'} "
        f"token {token:+.3f} first {first:+.3f}; {users[0]} users: throughput {users[1]:+.3f} "
        f"token {users[2]:+.3f} first {users[3]:+.3f}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", type=int, default=200)
    parser.add_argument("--requests", type=int, default=400_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--each", action="store_true")
    args = parser.parse_args()
    print(f"{args.settings} settings, seed {args.seed}, {args.requests} requests a run; {RANGES}")
    random, made = np.random.default_rng(args.seed), []
    entries = [(n, draw_setting(random), args.requests, args.seed) for n in range(args.settings)]
    with ProcessPoolExecutor(args.jobs) as pool:
        for found in pool.map(one, entries):
            made.append(found)
            if args.each:
                print(line(*found), flush=True)
    for at, name in enumerate(("throughput", "token time", "first token"), 1):
        print(f"users, {name}: {percent([users[at] for *_, users in made])} % (median/p90/most)")
    for load in LOADS:
        here = [row for *_, row, _ in made if row[0] == load]
        sure = [row for row in here if row[1]]
        print(
            f"load {load}: {len(here)} settings, trusted {len(sure) / max(1, len(here)):.0%}; of "
            f"those token time {percent([row[2] for row in sure])}, first token "
            f"{percent([row[3] for row in sure])} (all: {percent([row[2] for row in here])}, "
            f"{percent([row[3] for row in here])})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
