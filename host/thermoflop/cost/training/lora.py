"""LoRA and QLoRA: small matrices are trained beside frozen ones (Hu et al. 2021, Dettmers et al.
2023).

Beside a matrix of ``inputs`` x ``outputs`` lie A, inputs x r, and B, r x outputs: r (inputs +
outputs) parameters. The frozen matrix runs forward and passes gradients on, 4 FLOPs a weight and
token; the 2 of its own gradient fall away, and the input of a matrix without an adapter is not
kept for it. A frozen matrix in a narrow format is written out in 16 bits for every product.

bitsandbytes holds what a frozen matrix reads all the same: its int8 (``MatMul8bitLt``) to this day,
its 4 bits (``MatMul4Bit``) until its pull request 1270 of July 2024. It holds it as an attribute of
the graph's node, which the backward pass does not free: a loop that still has its last loss while
it runs forward again (LitGPT's, and most that people write) holds two micro-batches' inputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from thermoflop.base.record import record, replace
from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.training import made
from thermoflop.cost.training.discarded import discarded_norms, neurons, results_of_heads
from thermoflop.cost.training.states import ADAPTER_RECIPE
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.weights import Checkpoint, Uniform, weights_on_fullest
from thermoflop.cost.work.work import Work, pass_work
from thermoflop.errors import UsageError
from thermoflop.model.architecture.description import Description, Layer
from thermoflop.model.architecture.feedforward import FeedForward, Moe
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parameters import mixtures
from thermoflop.model.architecture.parts import Linear, Part, Table
from thermoflop.model.model import Model

ALL = "all-linear"
ADAPTERS = "adapters"  # the part of the model that their works belong to
WRITTEN_OUT = "write out in 16 bits"
# Words for several matrices.
GROUPS = {"attention": "q,k,v,o", "mlp": "gate,up,down"}
WORDS = GROUPS | made.GROUPS
HIGHEST_RANK = 65536
# Micro-batches whose inputs frozen matrices hold, and of which formats unasked.
HELD, HOLDS_INPUTS = (0, 1, 2), ("int8",)
# What reads the input of a layer's mixer, as ``short`` calls it.
ENTERING = frozenset({
    "q", "k", "v", "kv", "q_a", "kv_a", "in", "in_proj_qkvz", "in_proj_ba", "in_proj_qkv",
    "in_proj_z", "in_proj_b", "in_proj_a",
})  # fmt: skip


@record
class Adapters:
    """What is trained beside frozen weights.

    Attributes:
        rank: columns of the first and rows of the second matrix of an adapter.
        targets: the matrices with adapters, by name.
        base: how the frozen weights are kept.
        held_inputs: micro-batches whose inputs they hold.
        dropout: share of what adapters read that is dropped.
        embeddings: parameters of the table of tokens and the head, where these are trained whole.

    Example:
        >>> import thermoflop as tf
        >>> t = tf.train("llama-2-7b", "a100", lora=8, lora_targets="q,v", base_dtype="nf4")
        >>> t.trained_params == 32 * 2 * 8 * (4096 + 4096)
        True
        >>> t.lora.targets, t.lora.base
        (('q_proj', 'v_proj'), 'nf4')
    """

    rank: int
    targets: tuple[str, ...]
    base: str
    held_inputs: int = 0
    dropout: float = 0.0
    embeddings: float = 0.0

    @property
    def ranked(self) -> str:
        """The rank, whether some of what is read is dropped, and what is trained besides."""
        dropout = " with dropout" if self.dropout else ""
        besides = " and embeddings whole," if self.embeddings else ""
        return f"{self.rank}{dropout}{besides}"

    @property
    def frozen(self) -> str:
        """How the frozen weights are kept, as a sentence ends."""
        of = f" of {self.held_inputs} micro-batches" if self.held_inputs > 1 else ""
        return f"{self.base}, and holds what it reads{of}" if self.held_inputs else self.base


@record
class Lora:
    """``rank`` of the adapters, beside the matrices called ``targets``; ``base`` is how the frozen
    weights are kept, matrix by matrix where there is a ``checkpoint``, and ``held_inputs`` the
    micro-batches whose inputs they hold. A share ``dropout`` of what adapters read is dropped: each
    then keeps a result of its own and a mask of bytes (PyTorch, ``native_dropout``; PEFT), and not
    the input that matrices share. ``embeddings`` are parameters trained whole, copies beside the
    frozen ones (PEFT, ``modules_to_save``). ``family`` is the model's, whose class makes the
    matrices."""

    rank: int
    targets: frozenset[str]
    base: Precision
    checkpoint: Checkpoint | None = None
    held_inputs: int = 0
    dropout: float = 0.0
    embeddings: float = 0.0
    family: str = ""

    def record(self, description: Description) -> Adapters:
        """What a result says of it."""
        names = dict.fromkeys(part.name for _, _, part, _ in self.beside(description))
        return Adapters(
            self.rank, tuple(names), self.base.label, self.held_inputs, self.dropout,
            self.embeddings,
        )  # fmt: skip

    def maps(self, layer: Layer) -> list[Linear]:
        """The matrices of a layer that have adapters, each of those that are made as one."""
        return [part for part in made.apart(self.family, layer)
                if part.name in self.targets or short(part.name) in self.targets]  # fmt: skip

    def made(self, layer: Layer) -> list[Linear]:
        """The matrices of a layer beside which adapters lie."""
        return made.together(self.family, self.maps(layer))

    def beside(self, description: Description) -> Iterator[tuple[float, float, Linear, bool]]:
        """The matrices with adapters: how often a step runs one, how many there are, it, and
        whether it runs on the source of an encoder."""
        for stack in description.stacks:
            for run in stack.runs:
                for part in self.made(run.layer):
                    on_source = is_on_source(stack.role, run.layer, part)
                    yield float(run.times), float(run.sets), part, on_source

    def parameters(self, description: Description) -> float:
        """Parameters of all adapters: r x (inputs + outputs) for each matrix."""
        return float(
            sum(
                sets * part.copies * self.rank * (part.inputs + part.outputs)
                for _, sets, part, _ in self.beside(description)
            )
        )

    def embedded_on(self, description: Description, pp: int) -> float:
        """Parameters of embeddings that the fullest device trains whole."""
        return embedded(description, pp) if self.embeddings else 0.0

    def base_bytes(self, description: Description, pp: int) -> float:
        """Bytes of the frozen weights on the fullest device."""
        formats = self.checkpoint or Uniform(self.base.weight_bytes, self.base.kept_bytes)
        return weights_on_fullest(description, pp, formats)

    @property
    def is_narrow(self) -> bool:
        """Whether frozen weights are written out in 16 bits before they are multiplied."""
        return self.base.weight_bytes < 2

    def dropped_elements(self, layer: Layer) -> float:
        """Elements a token that a layer keeps only for gradients of weights that are frozen: the
        inputs of attention's and of the feed-forward's matrices, and of the last one; none where
        frozen matrices hold them."""
        if self.held_inputs:
            return 0.0
        names: set[str] = set() if self.dropout else self._aims(layer)
        hidden, feed = float(layer.hidden), layer.feed
        entering = not names & ENTERING
        upward = feed is not None and not self.reads_feed(layer)
        inner = 0.0 if "down" in names else neurons(feed)
        return hidden * entering + hidden * upward + inner

    def held_elements(self, layer: Layer) -> float:
        """Elements a token of micro-batches before that a layer's frozen matrices still hold: the
        results of its norms, of its heads, and its neurons."""
        heads = sum(mixer.q_width for mixer in layer.mixers if isinstance(mixer, Attention))
        read = layer.hidden * discarded_norms(layer) + heads + results_of_heads(layer)
        return float(max(0, self.held_inputs - 1) * (read + neurons(layer.feed)))

    def reads_feed(self, layer: Layer) -> bool:
        """Whether adapters read what a layer's feed-forward does, and keep it as it is."""
        return not self.dropout and bool(self._aims(layer) & {"gate", "up"})

    def reads_product(self, layer: Layer) -> bool:
        """Whether an adapter keeps the product of a layer's activation and gate."""
        return not self.dropout and "down" in self._aims(layer)

    def dropout_bytes(self, layer: Layer, wide: float, plan: Layout) -> float:
        """Bytes a token that a layer's adapters keep of what they read, some of it dropped; a part
        of an expert reads all of a token (``discarded.dispatched``)."""
        if not self.dropout:
            return 0.0
        read = 0.0
        for part in self.made(layer):
            whole = part.group == "experts" and short(part.name) != "down"
            parts = max(1.0, plan.tp / plan.ep) if whole else 1.0
            read += part.inputs * sets_run(part, layer.feed) * parts
        return float((wide + 1) * read)

    def _aims(self, layer: Layer) -> set[str]:
        """Names of a layer's matrices that have adapters."""
        return {short(part.name) for part in self.maps(layer)}

    def works(self, share: Share, tokens: tuple[float, float], wide: float) -> list[Work]:
        """The forward pass of the adapters of a micro-batch, of so many tokens and those of a
        source: two products, and their sum with the result of the frozen matrix."""
        works, mixture = [], _mixture(share.description)
        for times, _, part, on_source in self.beside(share.description):
            each, outputs = self.rank * (part.inputs + part.outputs), part.outputs
            seen = tokens[on_source] * sets_run(part, mixture)
            moved = seen * (part.inputs + 2 * self.rank + outputs) * wide
            weights = ADAPTER_RECIPE.weight * each * part.copies
            works.append(
                Work(f"adapter {short(part.name)}", ADAPTERS, "adapter", "contraction", times,
                     2.0 * seen * each, 2.0 * each, weights, 0.0, moved,
                     launches=2)
            )  # fmt: skip
            if self.dropout:  # an input is read, its result and mask are written
                dropped = seen * part.inputs * (2 * wide + 1)
                works.append(
                    pass_work(f"drop {short(part.name)}", ADAPTERS, "adapter", times, dropped)
                )
            added = 3.0 * seen * outputs * wide
            works.append(pass_work(f"add {short(part.name)}", ADAPTERS, "adapter", times, added))
        return works

    def flops(self, description: Description, tokens: int, source: int = 0) -> int:
        """FLOPs of a forward pass of the adapters for so many tokens, and those of a source."""
        mixture = _mixture(description)
        each = sum(
            (source if on_source else tokens) * times * self.rank * (part.inputs + part.outputs)
            * sets_run(part, mixture)
            for times, _, part, on_source in self.beside(description)
        )  # fmt: skip
        return 2 * int(each)

    def dequantized(self, works: list[Work]) -> list[Work]:
        """Products in layers as two kernels where the frozen matrix is narrow."""
        if not self.is_narrow:
            return works
        done: list[Work] = []
        for work in works:
            narrow = work.element_bytes or self.base.weight_bytes
            if work.kind == "contraction" and work.weight_bytes and "head" not in work.part:
                elements = work.weight_bytes / narrow
                moved = elements * (narrow + 2.0)
                done.append(pass_work(WRITTEN_OUT, work.part, work.group, work.times, moved))
                work = replace(work, weight_bytes=2.0 * elements)
            done.append(work)
        return done


def is_on_source(role: str, layer: Layer, part: Part) -> bool:
    """Whether a part of a layer runs on the source: all of an encoder, and what makes keys and
    values of cross attention."""
    if role == "encoder":
        return True
    return layer.cross is not None and part in layer.cross.projections()[1:-1]


def short(name: str) -> str:
    """What people call a matrix: ``q`` of ``q_proj``, ``up`` of ``up_proj`` and ``expert up``."""
    return name.removeprefix("expert ").removeprefix("shared ").removesuffix("_proj")


def sets_run(part: Linear, feed: FeedForward | None) -> float:
    """Sets of a matrix that a token runs: of experts those that it is routed to, of heads (gates of
    RG-LRU) and of groups of outputs all."""
    if part.group == "experts" and isinstance(feed, Moe):
        return float(feed.top_k)
    return float(part.copies)


def _mixture(description: Description) -> Moe | None:
    return next((moe for _, moe in mixtures(description)), None)


def choose_lora(
    model: Model, rank: int | None, targets: str, base: Precision,
    checkpoint: Checkpoint | None, held_inputs: int | None = None, dropout: float = 0.0,
    *, embeddings: bool = False,
) -> Lora | None:  # fmt: skip
    """The adapters that are asked for; None without a rank. UsageError for what makes no sense."""
    if rank is None:
        return None
    if type(rank) is not int or not 1 <= rank <= HIGHEST_RANK:
        raise UsageError(
            f"lora={rank!r:.40} makes no sense: expected a rank, a whole number from 1 to "
            f"{HIGHEST_RANK:,}"
        )
    description, family = model.description, model.family
    layers = [run.layer for run in description.runs]
    matrices = (part.name for layer in layers for part in made.apart(family, layer))
    every = Lora(
        rank, frozenset(matrices), base, checkpoint, _held(held_inputs, base), dropout,
        embedded(description) if embeddings else 0.0, family,
    )  # fmt: skip
    if targets == ALL:
        return every
    known = {short(name) for name in every.targets}
    asked: set[str] = set()
    for word in re.findall(r"[^\s,]+", str(targets).lower()) or [""]:
        names = {short(name) for name in WORDS.get(word, word).split(",")}
        if not names & known:
            raise UsageError(
                f"lora_targets={targets!r:.60} names no matrix of the layers: expected {ALL}, "
                f"{', '.join(GROUPS)} or some of {','.join(sorted(known))}"
            )
        asked |= names & known
    return replace(every, targets=frozenset(asked))


def embedded(description: Description, pp: int = 1) -> float:
    """Parameters of the table of tokens, and of a head that is another; of several stages the first
    has the table and the last the head, and the larger counts."""
    placed = [each.part for stack in description.stacks for each in stack.front]
    tables = {part.name: part for part in placed if isinstance(part, Table)}
    table = float(sum(tables[name].parameters for name in tables if "token" in name))
    head = 0.0 if description.head is None else float(description.head.parameters)
    return table + head if pp == 1 else max(table, head)


def _held(asked: int | None, base: Precision) -> int:
    """Micro-batches whose inputs frozen matrices hold. UsageError for a number that makes no sense,
    or weights that are multiplied as they are, which hold nothing."""
    if asked is None:
        return int(base.name in HOLDS_INPUTS)
    if type(asked) is not int or asked not in HELD:
        raise UsageError(f"held_inputs={asked!r:.40} makes no sense: expected 0, 1 or 2")
    if asked and base.weight_bytes >= 2:
        raise UsageError(
            f"held_inputs={asked} is for frozen weights in 8 or 4 bits, and the base is in "
            f"{base.label}: expected base_dtype nf4 or int8"
        )
    return asked
