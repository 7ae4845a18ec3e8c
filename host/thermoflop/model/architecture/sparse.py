"""Attention to chosen keys and to compressed entries, and several residual streams.

Sources: DeepSeek-V3.2 (2025, section 2.1: lightning indexer), DeepSeek-V4 (2026, sections 2.2:
hyper-connections, and 2.3: compressed entries), MiniMax-M3 (blocks of keys).
"""

from __future__ import annotations

from thermoflop.base.number import Number, kind_of
from thermoflop.base.record import record
from thermoflop.model.architecture.parts import Linear, Norm, Part, Vector


@record
class Compressor:
    """One entry of ``dim`` elements for every ``ratio`` tokens: their sum, weighted by gates.

    ``series`` is 2 where the windows of neighbouring entries overlap, each token then adding to
    two of them (DeepSeek-V4, eq. 9 to 17), else 1. ``group`` and ``role`` as in ``parts.Linear``,
    ``norm_kind`` as in ``parts.Norm``. Nothing is added to the gates for a place in the
    window where they are not ``placed``; an entry of one token is not ``gated`` (DeepSeek-V4.1).
    """

    hidden: Number
    dim: Number
    ratio: Number
    series: int = 1
    group: str = "attn"
    role: str = "attn_proj"
    norm_kind: str = "rms"
    placed: bool = True
    gated: bool = True

    def linears(self) -> tuple[Linear, ...]:
        """What each token adds, and its gate."""
        where = (self.group, self.role, self.hidden, self.series * self.dim)
        values = Linear("compress_kv", *where)
        return (values, Linear("compress_gate", *where)) if self.gated else (values,)

    def norm(self) -> Norm:
        """The norm on the entries."""
        kind = self.norm_kind
        return Norm("compress_norm", self.dim, kind, bias=kind == "layer")

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        width = self.series * self.dim
        bias = Vector("position_bias", self.group, self.ratio * width, bias=True)
        return (*self.linears(), self.norm(), *((bias,) if self.placed else ()))


@record
class Indexer:
    """Scores every key for every query, of which attention then meets the best ``top_k``.

    ``heads`` small queries of ``dim`` elements come from the query latent (``q_rank``) or the
    hidden state (None), and one key from the hidden state, of which ``rotary`` dimensions are
    rotated. ``weighted`` sums up the heads with weights of the token (DeepSeek), else each group of
    query heads chooses for itself, ``block`` keys at a time (MiniMax). ``norm`` is the kind of
    norm on the keys, on the queries too where ``q_norm``. With a ``compressor`` the keys are
    compressed entries, each of which stands for ``block`` tokens (GLM-5.3); ``pooled``, they are
    means of so many keys, and the last tokens, which fill no block, are met as well (Qwen4-Exp).
    ``extras`` are scales, and norms that run. Keys are made of ``latent`` elements of an entry
    (None: of the hidden state), or are those of a layer before where it ``borrows`` them
    (DeepSeek-V4.1).
    """

    hidden: Number
    heads: Number
    dim: Number
    top_k: Number
    rotary: Number
    q_rank: Number | None = None
    weighted: bool = True
    block: Number = 1
    norm: str = "layer"
    q_norm: bool = False
    compressor: Compressor | None = None
    extras: tuple[Part, ...] = ()
    pooled: bool = False
    latent: Number | None = None
    borrows: bool = False

    @property
    def chosen(self) -> Number:
        """Keys that attention meets at most."""
        return self.top_k * self.block + (self.block - 1 if self.pooled else 0)

    @property
    def ratio(self) -> Number:
        """Tokens of one key that is scored."""
        if self.compressor is not None:
            return self.compressor.ratio
        return self.block if self.pooled else 1

    def queries(self) -> Linear:
        """The projection to the small queries."""
        inputs = self.hidden if self.q_rank is None else self.q_rank
        return Linear("index_q", "indexer", "indexer_proj", inputs, self.heads * self.dim)

    def key_linears(self) -> tuple[Linear, ...]:
        """The projection to the small key, or what compresses tokens to it."""
        if self.compressor is not None:
            return self.compressor.linears()
        if self.borrows:
            return ()
        inputs = self.hidden if self.latent is None else self.latent
        return (Linear("index_k", "indexer", "indexer_proj", inputs, self.dim),)

    def weights(self) -> tuple[Linear, ...]:
        """The projection to one weight for each head."""
        if not self.weighted:
            return ()
        return (Linear("index_weights", "indexer", "indexer_proj", self.hidden, self.heads),)

    def norms(self) -> tuple[Norm, ...]:
        """The norms on queries and keys, and those of one family alone."""
        queries = Norm("index_q_norm", self.dim, self.norm, vectors=self.heads)
        if self.compressor is not None:
            keys = self.compressor.norm()
            return (queries, keys) if self.q_norm else (keys,)
        if self.borrows:
            return ()
        keys = Norm("index_k_norm", self.dim, self.norm, bias=self.norm == "layer")
        more = (part for part in self.extras if isinstance(part, Norm))
        return (*((queries, keys) if self.q_norm else (keys,)), *more)

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        if self.compressor is not None:
            own = self.norms()[:-1]  # the last is the compressor's
            return (self.queries(), *self.compressor.parts(), *self.weights(), *own)
        rest = (part for part in self.extras if not isinstance(part, Norm))
        return (self.queries(), *self.key_linears(), *self.weights(), *self.norms(), *rest)


@record
class CompressedAttention:
    """``heads`` query heads on one head whose keys are its values, ``head_dim`` wide.

    They meet the last ``window`` tokens, and with a ``compressor`` its entries: all of them, or
    those that the ``indexer`` chooses. The heads' results go through ``o_groups`` matrices side by
    side to ``o_rank`` elements each. ``rotary`` dimensions of a head are rotated. Where it
    ``shares`` they are the entries of a layer before, of which ``top_k`` are met without an indexer
    of its own; an indexer scores those of ``candidates`` alone (None: all; DeepSeek-V4.1).
    """

    hidden: Number
    heads: Number
    head_dim: Number
    q_rank: Number
    o_groups: Number
    o_rank: Number
    window: Number
    rotary: Number
    compressor: Compressor | None = None
    indexer: Indexer | None = None
    head_norms: bool = True
    shares: bool = False
    top_k: Number | None = None
    candidates: Number | None = None

    @property
    def chosen(self) -> Number | None:
        """Entries that a query meets at most."""
        return self.top_k if self.indexer is None else self.indexer.chosen

    @property
    def limits(self) -> tuple[Number, ...]:
        """Lengths of a context from which on a query meets no more tokens, or entries, and scores
        no more of them."""
        if self.compressor is None:
            return (self.window,)
        most = (each for each in (self.chosen, self.candidates) if each is not None)
        return (self.window, *(each * self.compressor.ratio for each in most))

    @property
    def entry(self) -> Number:
        """Elements that are kept of an entry, the key of an indexer among them."""
        if self.compressor is None or self.shares:
            return 0
        return self.head_dim + (self.indexer.dim if self.indexer else 0)

    @property
    def state_elements(self) -> Number:
        """Elements that wait to be compressed, and their gates, at the most."""
        own = None if self.shares else self.compressor
        total: Number = 0
        for each in (own, self.indexer.compressor if self.indexer else None):
            if each is not None and each.gated:
                total = total + 2 * each.ratio * each.dim * (2 * each.series - 1)
        return total

    def inward(self) -> tuple[Linear, ...]:
        """Queries through their latent, and the one vector that is key and value."""
        where = ("attn", "attn_proj")
        return (
            Linear("q_a_proj", *where, self.hidden, self.q_rank),
            Linear("q_b_proj", *where, self.q_rank, self.heads * self.head_dim),
            Linear("kv_proj", *where, self.hidden, self.head_dim),
        )

    def outward(self) -> tuple[Linear, Linear]:
        """The grouped output projection, and what mixes the groups."""
        width = self.heads * self.head_dim
        each = width / self.o_groups if kind_of(width) == "sympy" else width // self.o_groups
        where = ("attn", "attn_proj")
        return (
            Linear("o_a_proj", *where, each, self.o_rank, copies=self.o_groups),
            Linear("o_b_proj", *where, self.o_groups * self.o_rank, self.hidden),
        )

    def norms(self) -> tuple[Norm, ...]:
        """The norms on query latent, query heads (without weights) and the key."""
        heads = Norm("q_b_norm", self.head_dim, weight=False, vectors=self.heads)
        around = Norm("q_a_norm", self.q_rank), Norm("kv_norm", self.head_dim)
        return (around[0], heads, around[1]) if self.head_norms else around

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        compressor = self.compressor.parts() if self.compressor and not self.shares else ()
        indexer = self.indexer.parts() if self.indexer else ()
        sinks = Vector("sinks", "attn", self.heads)
        return (*self.inward(), *self.outward(), *self.norms(), sinks, *compressor, *indexer)


@record
class Streams:
    """``count`` residual streams: each block reads a weighted sum of them, and adds to all.

    The weights come from the streams themselves; the ones by which streams are mixed are made
    doubly stochastic in ``iterations`` steps. Without ``mixing`` there are none of those (Hy 4).
    With a ``rank`` every element that is read has a weight of its own, through so many elements,
    and the norm before it has weights (Qwen4-Exp); ``writes`` is false for the last reading.
    """

    hidden: Number
    count: Number
    iterations: int = 0
    mixing: bool = True
    rank: Number | None = None
    writes: bool = True

    @property
    def weights(self) -> Number:
        """Weights for each token, one for a stream: to read, to add, and to mix."""
        if self.rank is not None:
            return self.count
        return (2 + self.count) * self.count if self.mixing else 2 * self.count

    def norm(self) -> Norm:
        """The norm on all streams, or on each."""
        if self.rank is None:
            return Norm("stream norm", self.count * self.hidden, weight=False)
        return Norm("stream norm", self.hidden, vectors=self.count, copies=self.count)

    def mappings(self, group: str, role: str) -> tuple[Linear, ...]:
        """From all streams to the weights, never quantized."""
        width = self.count * self.hidden
        inject = Linear("stream weights", group, role, width, self.weights, unquantized=True)
        if self.rank is None:
            return (inject,)
        down = Linear("stream gate down", group, role, width, self.rank, unquantized=True)
        up = Linear("stream gate up", group, role, self.rank, width, unquantized=True)
        return (down, up, inject) if self.writes else (down, up)

    def parts(self, group: str) -> tuple[Part, ...]:
        """Everything here that holds parameters: the mapping, its bias and a scale for each use."""
        if self.rank is not None:
            return (self.norm(), *self.mappings(group, group))
        scales = self.weights + 2 + int(self.mixing)
        bias = Vector("stream base, scale", group, scales, bias=True)
        return (*self.mappings(group, group), bias)
