"""The event loop: a scheduler of requests, step by step, with jumps over steps that are alike.

First come, first served. ``mixed``: a step decodes every running sequence and fills what is left of
the token budget with prompts. ``passes``: while prompts wait and slots are free they are read in
steps of their own. Between two events (a request ends, or arrives while a slot is free) nothing
changes but the contexts, by one token a step, so the time of k such steps is a quadratic in k.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import ceil, sqrt

from thermoflop.base.record import record
from thermoflop.cost.serving.times import StepTable


@record
class Requests:
    """Requests in order: when they arrive (for clients that wait for their answer, the first of
    each), prompt tokens to read, cached before, and output tokens (steps where a step gives more
    than one)."""

    arrivals_s: list[float]
    prompts: list[int]
    cached: list[int]
    outputs: list[int]
    step_tokens: float = 1.0


@record
class Timings:
    """What happened to each request, in seconds; ``steps`` that ran and ``decoding_s`` of
    sequences together."""

    arrivals_s: list[float]
    first_s: list[float]
    last_s: list[float]
    steps: int
    decoding_s: float


def run_loop(
    table: StepTable, requests: Requests, slots: int, budget: int, *, passes: bool = False
) -> Timings:
    """Serve all requests. Fewer arrivals than prompts: each answer brings the next request."""
    return _Scheduler(table, requests, slots, budget, passes).run()


class _Scheduler:
    """The state of a replica: time, steps run, sequences in flight, the head of the queue."""

    def __init__(
        self, table: StepTable, requests: Requests, slots: int, budget: int, passes: bool
    ) -> None:
        count = len(requests.prompts)
        self.table, self.requests, self.slots, self.budget = table, requests, slots, budget
        self.passes, self.count = passes, count
        self.arrivals = list(requests.arrivals_s)
        self.closed = len(self.arrivals) < count
        self.first, self.last = [0.0] * count, [0.0] * count
        self.now, self.step, self.decoding, self.context = 0.0, 0, 0, 0.0
        self.head, self.read, self.ends = 0, 0, list[int]()
        self.decoding_s = 0.0

    def run(self) -> Timings:
        """Run steps until every request has its last token."""
        # one loop with local names: it runs millions of times
        arrivals, slots, ends, count = self.arrivals, self.slots, self.ends, self.count
        while self.head < count or self.decoding:
            waiting = self.head < len(arrivals)
            free = self.decoding < slots
            if waiting and free and arrivals[self.head] <= self.now:
                self._read_step()
            elif self.decoding:
                until = arrivals[self.head] if waiting and free else None
                self._jump(ends[0] // count - self.step, until)
            else:
                self.now = arrivals[self.head]
        return Timings(arrivals, self.first, self.last, self.step, self.decoding_s)

    def _read_step(self) -> None:
        """A step that reads prompts, beside the decoding sequences unless in a pass."""
        table, requests, arrivals = self.table, self.requests, self.arrivals
        prompts, decoding, now, head = requests.prompts, self.decoding, self.now, self.head
        room = self.budget - (0 if self.passes else decoding)
        budget, pairs, start, read = room, 0.0, head, self.read
        most = min(len(arrivals), head + self.slots - decoding)
        while head < most and room > 0 and arrivals[head] <= now:
            need = prompts[head] - read
            took = need if need <= room else room
            pairs += took * (requests.cached[head] + read + took / 2)
            room -= took
            if took < need:
                read += took
                break
            head, read = head + 1, 0
        at = (budget - room) / table.spacing
        column = int(at)
        row = table.rows[0 if self.passes else decoding]
        left = row[column]
        taken = left + table.square * pairs + table.prompt_s * (head - start)
        if at > column:
            taken += (at - column) * (row[column + 1] - left)
        if decoding and not self.passes:
            taken += table.base[decoding] + table.slope[decoding] * self.context / decoding
            self.step += 1
            self.context += decoding * requests.step_tokens
        self.now, self.head, self.read = now + taken, head, read
        self.decoding_s += decoding * taken
        if not self.passes:
            self._retire()
        for index in range(start, head):
            self._start(index)

    def _start(self, index: int) -> None:
        """A prompt is read: its first token is there, and it decodes from now on."""
        requests, now = self.requests, self.now
        self.first[index] = now
        steps = requests.outputs[index] - 1
        if steps <= 0:
            self.last[index] = now
            self._answered()
            return
        self.decoding += 1
        self.context += requests.cached[index] + requests.prompts[index]
        heappush(self.ends, (self.step + steps) * self.count + index)

    def _jump(self, most: int, until: float | None) -> None:
        """Decode steps up to the next end, or up to the first one that ends after ``until``."""
        table, decoding = self.table, self.decoding
        slope = table.slope[decoding]
        each = table.base[decoding] + slope * self.context / decoding
        growth = slope * self.requests.step_tokens
        steps = most
        taken = steps * each + growth * steps * (steps - 1) / 2
        if until is not None and self.now + taken > until:
            gap, linear = until - self.now, each - growth / 2
            exact = 2 * gap / (linear + sqrt(linear * linear + 2 * growth * gap))
            steps = min(most, max(1, ceil(exact)))
            taken = steps * each + growth * steps * (steps - 1) / 2
        self.now += taken
        self.step += steps
        self.context += decoding * steps * self.requests.step_tokens
        self.decoding_s += decoding * taken
        self._retire()

    def _retire(self) -> None:
        """Sequences whose last token came with this step leave."""
        ends, count, bound = self.ends, self.count, (self.step + 1) * self.count
        requests = self.requests
        while ends and ends[0] < bound:
            index = heappop(ends) % count
            self.last[index] = self.now
            self.decoding -= 1
            grown = (requests.outputs[index] - 1) * requests.step_tokens
            self.context -= requests.cached[index] + requests.prompts[index] + grown
            self._answered()

    def _answered(self) -> None:
        """A client that has its answer asks again at once."""
        if self.closed and len(self.arrivals) < self.count:
            self.arrivals.append(self.now)
