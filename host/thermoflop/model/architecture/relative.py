"""Disentangled attention: content meets relative positions, and they meet it (He 2021, DeBERTa)."""

from __future__ import annotations

from thermoflop.base.number import minimum
from thermoflop.base.record import record
from thermoflop.model.architecture.parts import Linear

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.base.number import Number
    from thermoflop.model.architecture.parts import Part


@record
class Relative:
    """Scores of ``rows`` relative positions, whose embeddings the layers share.

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
