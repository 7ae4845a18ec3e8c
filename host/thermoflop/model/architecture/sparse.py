"""What attention to chosen keys is made of: the indexer that chooses them.

Sources: DeepSeek-V3.2 (2025, section 2.1: lightning indexer), DeepSeek-V4 (2026, section 2.3:
compressed entries), MiniMax-M3 (blocks of keys).
"""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.model.architecture.parts import Linear, Norm, Vector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.base.number import Number
    from thermoflop.model.architecture.parts import Part


@record
class Compressor:
    """One entry of ``dim`` elements for every ``ratio`` tokens: their sum, weighted by gates.

    ``series`` is 2 where the windows of neighbouring entries overlap, each token then adding to
    two of them (DeepSeek-V4, eq. 9 to 17), else 1. ``group`` and ``role`` as in ``parts.Linear``,
    ``norm_kind`` as in ``parts.Norm``.
    """

    hidden: Number
    dim: Number
    ratio: Number
    series: int = 1
    group: str = "attn"
    role: str = "attn_proj"
    norm_kind: str = "rms"

    def linears(self) -> tuple[Linear, Linear]:
        """What each token adds, and its gate."""
        where = (self.group, self.role, self.hidden, self.series * self.dim)
        return Linear("compress_kv", *where), Linear("compress_gate", *where)

    def norm(self) -> Norm:
        """The norm on the entries."""
        kind = self.norm_kind
        return Norm("compress_norm", self.dim, kind, bias=kind == "layer")

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        width = self.series * self.dim
        bias = Vector("position_bias", self.group, self.ratio * width, bias=True)
        return (*self.linears(), self.norm(), bias)


@record
class Indexer:
    """Scores every key for every query, of which attention then meets the best ``top_k``.

    ``heads`` small queries of ``dim`` elements come from the query latent (``q_rank``) or the
    hidden state (None), and one key from the hidden state, of which ``rotary`` dimensions are
    rotated. ``weighted`` sums up the heads with weights of the token (DeepSeek), else each group of
    query heads chooses for itself, ``block`` keys at a time (MiniMax). ``norm`` is the kind of
    norm on the keys, on the queries too where ``q_norm``. With a ``compressor`` the keys are
    compressed entries, each of which stands for ``block`` tokens (GLM-5.3). ``extras`` are scales,
    and norms that run.
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

    @property
    def chosen(self) -> Number:
        """Keys that attention meets at most."""
        return self.top_k * self.block

    def queries(self) -> Linear:
        """The projection to the small queries."""
        inputs = self.hidden if self.q_rank is None else self.q_rank
        return Linear("index_q", "indexer", "indexer_proj", inputs, self.heads * self.dim)

    def key_linears(self) -> tuple[Linear, ...]:
        """The projection to the small key, or what compresses tokens to it."""
        if self.compressor is not None:
            return self.compressor.linears()
        return (Linear("index_k", "indexer", "indexer_proj", self.hidden, self.dim),)

    def weights(self) -> tuple[Linear, ...]:
        """The projection to one weight for each head."""
        if not self.weighted:
            return ()
        return (Linear("index_weights", "indexer", "indexer_proj", self.hidden, self.heads),)

    def norms(self) -> tuple[Norm, ...]:
        """The norms on queries and keys, and those of one family alone."""
        if self.compressor is not None:
            return (self.compressor.norm(),)
        keys = Norm("index_k_norm", self.dim, self.norm, bias=self.norm == "layer")
        queries = Norm("index_q_norm", self.dim, self.norm, vectors=self.heads)
        more = (part for part in self.extras if isinstance(part, Norm))
        return (*((queries, keys) if self.q_norm else (keys,)), *more)

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        if self.compressor is not None:
            return (self.queries(), *self.compressor.parts(), *self.weights())
        rest = (part for part in self.extras if not isinstance(part, Norm))
        return (self.queries(), *self.key_linears(), *self.weights(), *self.norms(), *rest)
