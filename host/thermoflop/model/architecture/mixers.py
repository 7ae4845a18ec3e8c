"""What mixes tokens in a layer: attention in its forms, alone or beside a recurrence.

Each lists its ``parts()`` (what holds parameters); ``operators.build`` turns it into operators.
Sources: Vaswani 2017 (multi-head), Shazeer 2019 (multi-query), Ainslie 2023 (grouped), DeepSeek-V2
2024 (latent), He 2021 (disentangled: DeBERTa).
"""

from __future__ import annotations

from thermoflop.base.number import Number, minimum
from thermoflop.base.record import record
from thermoflop.model.architecture.parts import Linear, Norm, Part, Vector, in_groups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from thermoflop.model.architecture.recurrences import Recurrence
    from thermoflop.model.architecture.sparse import CompressedAttention, Indexer


# Maps among an attention's extras that run on every key that is met, not on the new tokens alone.
KEY_MAPS = frozenset({"dt_proj"})


@record
class Relative:
    """Scores of content and ``rows`` relative positions, whose embeddings the layers share.

    ``keys``: queries of the content meet projected positions; ``queries``: projected positions
    meet keys of the content. The projections to ``width`` are the attention's own where they are
    ``shared``. Of a sequence shorter than the positions reach, ``clipped`` projects what it needs.
    ``rows`` None: two for each token, computed anew and projected for every sequence (XLNet), or
    ``once`` for all (Funnel); ``fewer`` of them where a distance of none is met once (Parakeet).
    """

    hidden: Number
    width: Number
    rows: Number | None
    keys: bool
    queries: bool
    shared: bool = False
    key_bias: bool = True
    clipped: bool = False
    once: bool = False
    fewer: int = 0

    def linears(self) -> tuple[Linear, ...]:
        """The projections of positions; both where they are the attention's own."""
        where = ("attn", "attn_proj", self.hidden, self.width)
        key = Linear("pos_key_proj", *where, self.key_bias, tied=self.shared)
        query = Linear("pos_query_proj", *where, True, tied=self.shared)
        chosen = ((key, self.keys), (query, self.queries))
        return tuple(linear for linear, runs in chosen if runs or self.shared)

    def met(self, tokens: Number) -> Number:
        """Relative positions that sequences of so many tokens meet."""
        if self.rows is None:
            return 2 * tokens - self.fewer
        return minimum(self.rows, 2 * tokens) if self.clipped else self.rows

    def parts(self) -> tuple[Part, ...]:
        """What holds parameters beside the attention's own."""
        return () if self.shared else self.linears()


@record
class Attention:
    """Multi-head, grouped or multi-query attention over ``heads`` query heads.

    ``window`` keys at most are attended (None: all); ``chunk`` restarts the window at every
    multiple of it instead. ``rotary`` dimensions of each head are rotated (None: no rotation).
    ``gate`` doubles the query projection with an output gate (Qwen3-Next), ``head_gate`` has one
    for each head (Step). ``sinks`` adds one learned logit per head. ``cross`` attention takes its
    keys and values from the encoder, whose states are ``source`` wide (None: as the hidden state),
    and from its own tokens as well where it meets ``itself`` (Idefics 2). It works on ``padded``
    positions where windows at the edge are filled up (SAM). ``near`` attention meets the tokens of
    its window in an image alone. ``output_group`` counts the output projection with another group
    (BERT's is a module called output, counted with the MLP). Values are ``value_dim`` wide
    (None: as keys). With an ``indexer`` the keys that it chooses are attended. ``extras`` are
    parts of one family alone: a map is a gate on every token, a norm runs before the output
    projection. ``relative`` adds scores of relative positions (DeBERTa). ``calls`` times every
    head attends, each time to a part of the values (DiffLlama). It ``projects`` queries, keys
    and values (``qkv``), queries and keys that are the values too (``qk``, Gemma 4), or queries
    alone, to keys and values of a layer before (``q``, Gemma 3n). Its result has ``outputs``
    elements (None: as the hidden state). Its maps read their inputs in so many ``groups`` each.
    Heads are ``filled`` up with so many zeros where queries meet keys (Moonshine). Each ``block``
    of so many tokens, the last filled up, meets itself alone, by content and by distance (Granite).
    ``once``: tokens are the same in every sequence until they have met others, and work once.
    Queries come from a latent of ``q_rank`` elements, and its norm (None: from the hidden state).
    The output projection takes ``joined`` elements (None: the values of all heads), where some
    heads are subtracted from others (Motif).
    """

    hidden: Number
    heads: Number
    kv_heads: Number
    head_dim: Number
    q_bias: bool = False
    k_bias: bool = False
    v_bias: bool = False
    o_bias: bool = False
    window: Number | None = None
    chunk: Number | None = None
    q_norm: Norm | None = None
    k_norm: Norm | None = None
    v_norm: Norm | None = None
    rotary: Number | None = None
    sinks: bool = False
    gate: bool = False
    cross: bool = False
    near: bool = False
    output_group: str | None = None
    value_dim: Number | None = None
    head_gate: bool = False
    indexer: Indexer | None = None
    extras: tuple[Part, ...] = ()
    calls: int = 1
    projects: str = "qkv"
    relative: Relative | None = None
    outputs: Number | None = None
    source: Number | None = None
    itself: bool = False
    padded: Number | None = None
    groups: tuple[int, ...] = ()
    filled: int = 0
    block: Number | None = None
    once: bool = False
    q_rank: Number | None = None
    joined: Number | None = None

    @property
    def keyless(self) -> bool:
        """Whether it meets the keys and values of a layer before it, and keeps none."""
        return self.projects == "q"

    @property
    def group(self) -> str:
        """Row of the parameter table."""
        return "cross_attn" if self.cross else "attn"

    @property
    def q_width(self) -> Number:
        """Elements of all query heads together."""
        return self.heads * self.head_dim

    @property
    def value_width(self) -> Number:
        """Elements of a value head."""
        return self.head_dim if self.value_dim is None else self.value_dim

    @property
    def met(self) -> tuple[Number, Number, Number, Number]:
        """Heads, key heads, and the key and value dimensions in which they meet."""
        dims = (self.head_dim + self.filled, self.value_width + self.filled)
        return (self.heads * self.calls, self.kv_heads, *dims)

    @property
    def kv_width(self) -> Number:
        """Elements of all key heads together."""
        return self.kv_heads * self.head_dim

    @property
    def reach(self) -> Number | None:
        """Tokens of a window or a chunk; None: all."""
        return self.window if self.chunk is None else self.chunk

    @property
    def limits(self) -> tuple[Number, ...]:
        """Lengths of a context from which on a query meets no more keys."""
        if self.indexer is not None:
            return (self.indexer.chosen,)
        return () if self.reach is None else (self.reach,)

    def projections(self) -> tuple[Linear, ...]:
        """Query, key, value and output projections, as far as there are any."""
        group, role = self.group, f"{self.group}_proj"
        queries = self.q_width * (2 if self.gate else 1)
        values, keys = self.value_width, self.hidden if self.source is None else self.source
        inward = (
            Linear("q_proj", group, role, self.q_rank or self.hidden, queries, self.q_bias),
            Linear("k_proj", group, role, keys, self.kv_width, self.k_bias),
            Linear("v_proj", group, role, keys, self.kv_heads * values, self.v_bias),
        )
        linears = (
            *inward[: len(self.projects)],
            Linear(
                "o_proj",
                self.output_group or group,
                self.output_group or role,
                self.heads * values if self.joined is None else self.joined,
                self.hidden if self.outputs is None else self.outputs,
                self.o_bias,
            ),
        )
        if self.q_rank is not None:
            linears = (Linear("q_a_proj", group, role, self.hidden, self.q_rank), *linears)
        return in_groups(linears, self.groups)

    def gates(self) -> tuple[Linear, ...]:
        """The projection to one gate for each head, where there is one."""
        if not self.head_gate:
            return ()
        return (Linear("g_proj", self.group, f"{self.group}_proj", self.hidden, self.heads),)

    def norms(self) -> tuple[Norm, ...]:
        """The norms on queries, keys and values, where a model has them."""
        latent = Norm("q_a_norm", self.q_rank) if self.q_rank is not None else None
        return tuple(norm for norm in (latent, self.q_norm, self.k_norm, self.v_norm) if norm)

    @property
    def norms_over_heads(self) -> bool:
        """Whether a norm on queries or keys is one of all heads together."""
        norms = (norm for norm in (self.q_norm, self.k_norm, self.v_norm) if norm)
        return any(norm.vectors == 1 and norm.width > self.head_dim for norm in norms)

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        sinks = (Vector("sinks", self.group, self.heads),) if self.sinks else ()
        indexer = self.indexer.parts() if self.indexer else ()
        positions = self.relative.parts() if self.relative else ()
        linears = (*self.projections(), *positions, *self.gates())
        return (*linears, *self.norms(), *sinks, *indexer, *self.extras)


@record
class LatentAttention:
    """Multi-head latent attention: keys and values come from a cached latent of ``kv_rank``.

    Each head has ``nope`` plain and ``rope`` rotated key dimensions (the rotated ones are shared
    by all heads) and ``value_dim`` value dimensions. ``q_rank`` None: queries are not compressed.
    ``limit`` keys at most are attended (None: all), those that the ``indexer`` chooses, or that of
    a layer before, where there is none here (GLM-5). ``gate`` multiplies the heads' results by a
    projection of the hidden state (Kimi K3), ``head_gate`` each head's by one number; without
    ``rotation`` the shared key is a plain one. ``extras`` are sinks, scales, and norms that run.
    The last ``window`` tokens at most are attended (None: all); a layer that ``shares`` takes the
    latent of a layer before (Mistral Large 4). With a ``query_gate`` queries and gate are one map
    of the latent before and behind its norm (A.X K2). Its result has ``outputs`` elements (None:
    as the hidden state).
    """

    hidden: Number
    heads: Number
    kv_rank: Number
    nope: Number
    rope: Number
    value_dim: Number
    q_rank: Number | None = None
    bias: bool = False
    norm_kind: str = "rms"
    limit: Number | None = None
    indexer: Indexer | None = None
    gate: bool = False
    rotation: bool = True
    head_gate: bool = False
    extras: tuple[Part, ...] = ()
    window: Number | None = None
    shares: bool = False
    query_gate: bool = False
    outputs: Number | None = None

    @property
    def limits(self) -> tuple[Number, ...]:
        """Lengths of a context from which on a query meets no more keys."""
        return tuple(each for each in (self.limit, self.window) if each is not None)

    @property
    def key_dim(self) -> Number:
        """Dimensions of a query or key head."""
        return self.nope + self.rope

    def queries(self) -> tuple[Linear, ...]:
        """The query projection, in one piece or through its latent."""
        width = self.heads * self.key_dim
        if self.q_rank is None:
            return (Linear("q_proj", "attn", "attn_proj", self.hidden, width),)
        inputs = self.q_rank
        if self.query_gate:
            inputs, width = 2 * inputs, width + self.heads * self.value_dim
        return (
            Linear("q_a_proj", "attn", "attn_proj", self.hidden, self.q_rank, self.bias),
            Linear("q_b_proj", "attn", "attn_proj", inputs, width),
        )

    def compress(self) -> Linear:
        """Hidden state to latent and shared rotary key."""
        width = self.kv_rank + self.rope
        return Linear("kv_a_proj", "attn", "attn_proj", self.hidden, width, self.bias)

    def expand(self) -> Linear:
        """Latent to the keys and values of every head."""
        width = self.heads * (self.nope + self.value_dim)
        return Linear("kv_b_proj", "attn", "attn_proj", self.kv_rank, width)

    def gates(self) -> tuple[Linear, ...]:
        """The projection to the output gate, where there is one."""
        if not (self.gate or self.head_gate):
            return ()
        width = self.heads * (1 if self.head_gate else self.value_dim)
        return (Linear("g_proj", "attn", "attn_proj", self.hidden, width),)

    def output(self) -> Linear:
        """Values of every head back to the hidden state."""
        width, outputs = self.heads * self.value_dim, self.outputs or self.hidden
        return Linear("o_proj", "attn", "attn_proj", width, outputs, self.bias)

    def upward(self) -> tuple[Linear, ...]:
        """What makes queries, keys and values of the latents (queries that are not compressed: of
        the hidden state)."""
        return (self.queries()[-1], self.expand())

    def norms(self) -> tuple[Norm, ...]:
        """The norms on the latents, and those of one family alone."""
        more = (part for part in self.extras if isinstance(part, Norm))
        own = () if self.shares else (Norm("kv_a_norm", self.kv_rank, self.norm_kind),)
        norms = (*own, *more)
        if self.q_rank is None:
            return norms
        return (Norm("q_a_norm", self.q_rank, self.norm_kind), *norms)

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        indexer = self.indexer.parts() if self.indexer else ()
        latent = () if self.shares else (self.compress(),)
        linears = (*self.queries(), *latent, self.expand(), *self.gates(), self.output())
        rest = (part for part in self.extras if not isinstance(part, Norm))
        return (*linears, *self.norms(), *rest, *indexer)


@record
class SideBySide:
    """Mixers of one layer that read the same state, and whose results are summed up (Falcon-H1,
    2025, section 2: attention beside a state space)."""

    hidden: Number
    mixers: tuple[Mixer, ...]

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        return tuple(part for mixer in self.mixers for part in mixer.parts())


Mixer: TypeAlias = "Attention | LatentAttention | CompressedAttention | Recurrence | SideBySide"
