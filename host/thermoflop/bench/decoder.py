"""A whole decoder of a model's shape with random weights: embedding, layers, cache, head.

It is built from the same description as the operator table and runs the same operators, so what it
takes can be set beside what the table says. It computes what a decoder of that shape computes
(norms before what they feed); which weights a real checkpoint holds does not change its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thermoflop.base.record import replace
from thermoflop.bench.backend import Backend, Heads
from thermoflop.errors import UsageError
from thermoflop.model.architecture.description import Description, Layer, Run
from thermoflop.model.architecture.feedforward import Mlp, Moe
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Linear, Norm, Table
from thermoflop.model.operators.build import _placed_norms

if TYPE_CHECKING:
    from thermoflop.model.model import Model


def with_layers(model: Model, layers: int | None) -> Model:
    """The model with its first ``layers`` layers alone. UsageError for more than it has."""
    if layers is None:
        return model
    stack = model.description.stack("decoder")
    have = int(sum(run.times for run in stack.runs)) if stack else 0
    if stack is None or not 1 <= layers <= have:
        raise UsageError(f"--layers {layers} makes no sense: {model.name} has {have}")
    runs: list[Run] = []
    left = layers
    for run in stack.runs:
        if left:
            runs.append(replace(run, times=min(left, run.times)))
            left -= min(left, run.times)
    shorter = replace(stack, runs=tuple(runs))
    stacks = tuple(shorter if each is stack else each for each in model.description.stacks)
    return replace(model, description=replace(model.description, stacks=stacks))


def check_runs(model: Model) -> None:
    """UsageError, with the reason, for a model that the benchmark cannot run as a whole."""
    for obstacle in _obstacles(model.description):
        raise UsageError(
            f"bench runs decoders with plain attention, and {model.name} has {obstacle}: "
            "expected a model such as gpt2, llama-3-8b or mixtral-8x7b"
        )


def _obstacles(description: Description) -> Iterator[str]:
    """What keeps it from running, the first of it first."""
    if len(description.stacks) != 1 or not description.stacks[0].causal:
        yield "an encoder"
    if description.head is None:
        yield "no head"
    for stack in description.stacks:
        for placed in (*stack.front, *stack.tail):
            if placed.rows not in ("token", "none") or not isinstance(
                placed.part, Linear | Norm | Table
            ):
                yield f"a {placed.part.name}"
        for run in stack.runs:
            mixer, feed = run.layer.mixer, run.layer.feed
            if not isinstance(mixer, Attention) or run.layer.cross is not None:
                yield f"layers of another kind ({run.layer.kind})"
            elif mixer.window is not None or mixer.chunk is not None:
                yield "a window of attention"
            elif mixer.indexer or mixer.value_dim is not None:
                yield "an indexer, or values narrower than keys"
            elif mixer.gate or mixer.head_gate or mixer.sinks or mixer.extras or mixer.calls != 1:
                yield "gates, sinks or other parts in its attention"
            elif mixer.projects != "qkv" or mixer.v_norm or run.layer.others:
                yield "layers that share keys and values, or have inputs of their own"
            if isinstance(feed, Mlp) and feed.extras:
                yield "more in its feed-forward than matrices"
            if isinstance(feed, Moe) and feed.shared_gate:
                yield "a gate on its shared expert"


@dataclass(slots=True)
class Block:
    """The weights of one layer, by name."""

    layer: Layer
    arrays: dict[str, Any]


class Weights:
    """All weights of a decoder."""

    def __init__(self, description: Description, backend: Backend) -> None:
        """Random weights for every part of the description."""
        self._backend = backend
        stack = description.stacks[0]
        self.front = [self._part(placed.part) for placed in stack.front]
        self.blocks = [
            Block(run.layer, self._layer(run.layer))
            for run in stack.runs
            for _ in range(int(run.times))
        ]
        self.tail = [self._part(placed.part) for placed in stack.tail]
        assert description.head is not None  # noqa: S101 - checked by check_runs
        self.head = self._part(description.head)

    def _layer(self, layer: Layer) -> dict[str, Any]:
        arrays: dict[str, Any] = {}
        for part in layer.parts():
            arrays.setdefault(part.name, self._part(part))
        # norms may share a name: they are kept in their order
        arrays["norms"] = [self._part(norm) for norm in layer.norms]
        return arrays

    def _part(self, part: Any) -> Any:
        backend = self._backend
        if isinstance(part, Linear):
            shape = (int(part.inputs), int(part.outputs))
            many = (int(part.copies),) if part.copies != 1 else ()
            bias = backend.normal(*many, shape[1]) if part.bias else None
            return backend.weights(*many, *shape), bias
        if isinstance(part, Norm):
            wide = int(part.width)
            gain = backend.normal(wide) if part.weight else None
            return gain, backend.normal(wide) if part.bias else None
        if isinstance(part, Table):
            rows, width = int(part.rows), int(part.width)
            return backend.flat(rows * width).reshape(rows, width)  # drawing each anew takes long
        return None

    def onto(self, backend: Backend, source: Backend) -> Weights:
        """The same numbers on another backend; ``source`` must store matrices as numpy does."""
        copy = object.__new__(Weights)
        copy._backend = backend

        def move(value: Any) -> Any:
            if value is None:
                return None
            if isinstance(value, tuple):
                first, second = value
                if first is not None and first.ndim > 1:
                    return backend.put_weights(source.get(first)), move(second)
                return move(first), move(second)
            if isinstance(value, list):
                return [move(each) for each in value]
            if isinstance(value, dict):
                return {name: move(each) for name, each in value.items()}
            return backend.put(source.get(value))

        copy.front, copy.tail, copy.head = map(move, (self.front, self.tail, self.head))
        copy.blocks = [Block(block.layer, move(block.arrays)) for block in self.blocks]
        return copy


class Decoder:
    """``forward(ids, at)`` runs new tokens behind ``at`` cached ones and gives the last logits."""

    def __init__(
        self, model: Model, backend: Backend, sequences: int, capacity: int,
        weights: Weights | None = None,
    ) -> None:  # fmt: skip
        """Random weights unless given; the cache holds ``capacity`` tokens a sequence."""
        check_runs(model)
        self.description, self.backend = model.description, backend
        self.sequences, self.capacity = sequences, capacity
        self.weights = weights or Weights(model.description, backend)
        self._caches: list[tuple[Any, Any]] = []
        self._rotations: dict[int, Any] = {}
        for block in self.weights.blocks:
            mixer = block.layer.mixer
            assert isinstance(mixer, Attention)  # noqa: S101 - checked by check_runs
            shape = (sequences, int(mixer.kv_heads), capacity, int(mixer.head_dim))
            self._caches.append((backend.zeros(*shape), backend.zeros(*shape)))
            if mixer.rotary is not None and int(mixer.rotary) not in self._rotations:
                table = backend.rotation(capacity, int(mixer.rotary))
                self._rotations[int(mixer.rotary)] = table

    def forward(self, ids: Any, at: int) -> Any:
        """Logits of the last of the new tokens, (sequences, vocabulary); ``ids`` by sequence."""
        backend = self.backend
        new = len(ids) // self.sequences
        rows = self._front(ids, at, new)
        for block, cache in zip(self.weights.blocks, self._caches, strict=True):
            rows = self._block(block, cache, rows, at, new)
        for placed, weights in zip(self.description.stacks[0].tail, self.weights.tail, strict=True):
            rows = self._placed(placed.part, weights, rows, placed.rows)
        return backend.matmul(backend.last(rows, self.sequences, new), *self.weights.head)

    def _front(self, ids: Any, at: int, new: int) -> Any:
        backend = self.backend
        rows: Any = None
        for placed, weights in zip(
            self.description.stacks[0].front, self.weights.front, strict=True
        ):
            part = placed.part
            if not isinstance(part, Table):
                rows = self._placed(part, weights, rows, placed.rows)
            elif placed.rows == "token" and part.lookups:
                embedded = backend.lookup(weights, self._indices(part, ids, at, new))
                rows = embedded if rows is None else backend.add(rows, embedded)
        return rows

    def _indices(self, table: Table, ids: Any, at: int, new: int) -> Any:
        if table.group == "embed_tokens":
            return ids
        import numpy as np

        positions = np.tile(np.arange(at, at + new) % int(table.rows), self.sequences)
        return self.backend.ids(positions)

    def _placed(self, part: Any, weights: Any, rows: Any, runs_on: str) -> Any:
        if runs_on == "none":
            return rows
        if isinstance(part, Norm):
            return self._norm(part, weights, rows)
        return self.backend.matmul(rows, *weights)

    def _norm(self, norm: Norm, weights: tuple[Any, Any], rows: Any) -> Any:
        if norm.vectors == 1:
            return self.backend.norm(norm.kind, rows, *weights)
        split = rows.reshape(-1, int(norm.width))
        return self.backend.norm(norm.kind, split, *weights).reshape(rows.shape)

    def _block(self, block: Block, cache: tuple[Any, Any], rows: Any, at: int, new: int) -> Any:
        layer, backend = block.layer, self.backend
        before, after = _placed_norms(layer)
        named = iter(block.arrays["norms"])
        pool = {id(norm): weights for norm, weights in zip(layer.norms, named, strict=True)}

        def through(norms: list[Norm], normed: Any) -> Any:
            for norm in norms:
                normed = self._norm(norm, pool[id(norm)], normed)
            return normed

        fed = through(before[0], rows)
        mixed = self._attention(block, cache, fed, at, new)
        rows = backend.add(rows, through(after[0], mixed))
        if layer.feed is None:
            return rows
        fed = through(before[2], rows) if before[2] else fed
        return backend.add(rows, through(after[2], self._feed(layer.feed, block.arrays, fed)))

    def _attention(self, block: Block, cache: tuple[Any, Any], rows: Any, at: int, new: int) -> Any:
        mixer, arrays, backend = block.layer.mixer, block.arrays, self.backend
        assert isinstance(mixer, Attention)  # noqa: S101 - checked by check_runs
        heads = Heads(
            self.sequences, new, int(mixer.heads), int(mixer.kv_heads), int(mixer.head_dim)
        )
        q, k, v = (backend.matmul(rows, *arrays[name]) for name in ("q_proj", "k_proj", "v_proj"))
        if mixer.q_norm is not None:
            q = self._norm(mixer.q_norm, arrays[mixer.q_norm.name], q)
        if mixer.k_norm is not None:
            k = self._norm(mixer.k_norm, arrays[mixer.k_norm.name], k)
        if mixer.rotary is not None:
            table = backend.rotation_at(self._rotations[int(mixer.rotary)], at, heads)
            q = backend.rotate(q, table, heads.heads, heads.dim)
            k = backend.rotate(k, table, heads.kv_heads, heads.dim)
        return backend.matmul(backend.attention(q, k, v, cache, at, heads), *arrays["o_proj"])

    def _feed(self, feed: Mlp | Moe, arrays: dict[str, Any], rows: Any) -> Any:
        if isinstance(feed, Mlp):
            return self._mlp(feed, arrays, rows)
        fed = self._experts(feed, arrays, rows)
        if feed.shared is not None:
            fed = self.backend.add(fed, self._mlp(feed.shared, arrays, rows))
        return fed

    def _mlp(self, mlp: Mlp, arrays: dict[str, Any], rows: Any, expert: int | None = None) -> Any:
        backend = self.backend

        def linear(part: Linear, fed: Any) -> Any:
            weights, bias = arrays[part.name]
            if expert is None:
                return backend.matmul(fed, weights, bias)
            return backend.matmul(fed, weights[expert], None if bias is None else bias[expert])

        *ups, down = mlp.linears()
        widened = [linear(part, rows) for part in ups]
        gated = widened[1] if mlp.gated else None
        return linear(down, backend.activate(mlp.activation, widened[0], gated))

    def _experts(self, moe: Moe, arrays: dict[str, Any], rows: Any) -> Any:
        backend = self.backend
        logits = backend.matmul(rows, *arrays["router"])
        weights, experts = backend.route(logits, int(moe.top_k))
        mixed = backend.zeros(*rows.shape)
        for expert, many in enumerate(backend.counts(experts, int(moe.experts))):
            if many:
                at, slots = backend.chosen(experts, expert)
                worked = self._mlp(moe.expert, arrays, backend.take(rows, at), expert)
                backend.add_at(mixed, at, worked, weights[at, slots])
        return mixed
