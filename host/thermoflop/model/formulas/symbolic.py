"""A model with letters in place of its sizes: the same description, built of sympy symbols.

Equal sizes in the same role get the same letter; ratios that textbooks write down are kept (an MLP
four times as wide, heads that split the hidden size), so that a GPT-2 layer says 12h² + 13h.
"""

from __future__ import annotations

from thermoflop.base.record import record, replace
from thermoflop.errors import MissingExtra
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp, Moe
from thermoflop.model.architecture.linear import (
    GatedDelta,
    GeneralizedDelta,
    KimiDelta,
    Lightning,
    MatrixMemory,
)
from thermoflop.model.architecture.mixers import Attention, LatentAttention, SideBySide
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Probe, Table, Vector
from thermoflop.model.architecture.recurrences import (
    GatedRecurrence,
    Mamba,
    Mamba2,
    ShortConvolution,
    TimeMix,
)
from thermoflop.model.architecture.sparse import CompressedAttention, Compressor, Indexer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.model import Model

# Roles of the stacks that see and hear, beside one that reads and writes text.
PERCEIVING = ("image", "audio", "video")
MEANINGS = {
    "L": "layers",
    "h": "hidden size",
    "h_c": "state and embedding together",
    "n": "query heads",
    "g": "key-value heads",
    "d": "head dimension",
    "f": "MLP width",
    "V": "vocabulary",
    "P": "positions",
    "T": "token types",
    "w": "window",
    "c": "attention chunk",
    "E": "experts",
    "k": "experts for each token",
    "f_e": "expert width",
    "f_s": "shared expert width",
    "l": "latent of the experts",
    "r": "key-value latent",
    "r_q": "query latent",
    "d_c": "plain key dimensions",
    "d_r": "rotary key dimensions",
    "d_v": "value dimension",
    "n_i": "indexer heads",
    "d_i": "indexer dimension",
    "k_i": "keys chosen for a query",
    "B_i": "keys in a block",
    "g_o": "output groups",
    "r_o": "rank of an output group",
    "m_c": "tokens in a compressed entry",
    "n_s": "residual streams",
    "e": "another width, such as an embedding's",
    "p": "width in which texts and images are compared",
    "R": "rows of a table, such as relative positions",
    "C": "sets of weights",
    "i": "state-space channels",
    "N": "states",
    "q": "convolution taps",
    "r_t": "time-step rank",
    "n_m": "state-space heads",
    "d_m": "state-space head dimension",
    "G": "state-space groups",
    "n_k": "linear key heads",
    "n_v": "linear value heads",
    "d_k": "linear key dimension",
    "b": "batch",
    "s": "new tokens",
    "s_i": "positions of an image",
    "s_a": "positions of a clip",
    "s_e": "positions of the source",
    "s_c": "positions that are left",
    "t": "cached tokens",
    "S": "source positions",
    "m": "key length",
}


def meaning_of(symbol: Any) -> str:
    """What a letter stands for, with or without a number of its kind behind it."""
    name = str(symbol)
    return MEANINGS.get(name) or MEANINGS.get(name.rpartition("_")[0], "size")


def require_sympy() -> Any:
    """The sympy module, or MissingExtra with the command that installs it."""
    try:
        import sympy
    except ImportError:
        raise MissingExtra(
            "the formulas need sympy, which is not installed: pip install 'thermoflop[explain]'"
        ) from None
    return sympy


@record
class Symbolic:
    """A description in symbols, and the value of each symbol."""

    description: Description
    values: dict[Any, int]


class _Letters:
    """Hands out symbols: the same for the same value in the same role."""

    def __init__(self) -> None:
        self.sympy = require_sympy()
        self.values: dict[Any, int] = {}

    def letter(self, role: str, value: Any) -> Any:
        """The symbol of a size; a second value in the same role gets a number behind it."""
        if value is None or (isinstance(value, int) and value <= 1):
            return value
        suffix = 1
        while True:
            name = role if suffix == 1 else f"{role}_{suffix}"
            symbol = self.sympy.Symbol(name, positive=True, integer=True)
            known = self.values.setdefault(symbol, value)
            if known == value:
                return symbol
            suffix += 1


def symbolize(model: Model) -> Symbolic:
    """The model in symbols: those without a number behind them are the text's, where there is."""
    letters = _Letters()
    description = model.description
    text, made = description.stack("decoder"), {}
    outer = {} if text is None else {text.hidden: letters.letter("h", text.hidden)}
    for stack in sorted(description.stacks, key=lambda each: each.role in PERCEIVING):
        made[id(stack)] = _stack(letters, stack, outer)
    stacks = tuple(made[id(stack)] for stack in description.stacks)
    head = None if description.head is None else _part(letters, description.head, {})
    hidden = {
        stack.hidden: new.hidden for stack, new in zip(description.stacks, stacks, strict=True)
    }
    head = head if head is None else replace(head, inputs=_known(letters, head.inputs, hidden, "e"))
    contrast = letters.letter("p", description.contrast)
    changed = replace(description, stacks=stacks, head=head, contrast=contrast)
    return Symbolic(changed, letters.values)


def _known(letters: _Letters, value: Any, sizes: dict[Any, Any], role: str) -> Any:
    """A size that has a letter already, or the next letter of the role."""
    return sizes[value] if value in sizes else letters.letter(role, value)


def _stack(letters: _Letters, stack: Stack, outer: dict[Any, Any]) -> Stack:
    """A stack, of which what is before and behind the layers may be as wide as the text."""
    sizes = {stack.hidden: letters.letter("h", stack.hidden)}
    runs = tuple(
        Run(
            _layer(letters, run.layer, sizes),
            letters.letter("L", run.times),
            None if run.copies is None else letters.letter("C", run.copies),
        )
        for run in stack.runs
    )
    front, tail = (_placed(letters, ends, {**outer, **sizes}) for ends in (stack.front, stack.tail))
    return replace(stack, hidden=sizes[stack.hidden], runs=runs, front=front, tail=tail)


def _placed(
    letters: _Letters, placed: tuple[Placed, ...], sizes: dict[Any, Any]
) -> tuple[Placed, ...]:
    return tuple(replace(each, part=_part(letters, each.part, sizes)) for each in placed)


def _layer(letters: _Letters, layer: Layer, sizes: dict[Any, Any]) -> Layer:
    inner = dict(sizes)
    blocks = {name: _mixer(letters, getattr(layer, name), inner) for name in ("mixer", "cross")}
    feed = _feed(letters, layer.feed, inner)
    norms = tuple(_part(letters, norm, inner) for norm in layer.norms)
    idle = _mixer(letters, layer.idle, inner)
    streams, hidden = layer.streams, inner[layer.hidden]
    if streams is not None:
        streams = replace(streams, hidden=hidden, count=letters.letter("n_s", streams.count))
    blocks |= {"feed": feed, "idle": idle, "streams": streams}
    kept = tuple(_part(letters, part, inner) for part in layer.kept)
    others = _placed(letters, layer.others, inner)
    return replace(layer, hidden=hidden, norms=norms, kept=kept, others=others, **blocks)


# field of a mixer -> the letter of its role
_ROLES: dict[type, dict[str, str]] = {
    LatentAttention: {
        "heads": "n",
        "kv_rank": "r",
        "nope": "d_c",
        "rope": "d_r",
        "value_dim": "d_v",
        "q_rank": "r_q",
        "limit": "k_i",
    },
    Indexer: {
        "heads": "n_i",
        "dim": "d_i",
        "top_k": "k_i",
        "rotary": "d_r",
        "q_rank": "r_q",
        "block": "B_i",
    },
    CompressedAttention: {
        "heads": "n",
        "head_dim": "d",
        "q_rank": "r_q",
        "o_groups": "g_o",
        "o_rank": "r_o",
        "window": "w",
        "rotary": "d_r",
    },
    Mamba: {"inner": "i", "state": "N", "kernel": "q", "dt_rank": "r_t"},
    Mamba2: {"heads": "n_m", "head_dim": "d_m", "groups": "G", "state": "N", "kernel": "q"},
    ShortConvolution: {"kernel": "q"},
    KimiDelta: {"heads": "n_k", "dim": "d_k", "kernel": "q"},
    Lightning: {"heads": "n_k", "dim": "d_k"},
    GeneralizedDelta: {"heads": "n_k", "dim": "d_k"},
    MatrixMemory: {"heads": "n_k", "key_dim": "d_k", "value_dim": "d_v"},
    TimeMix: {"inner": "i"},
    GatedRecurrence: {"inner": "i", "heads": "n", "kernel": "q"},
    GatedDelta: {
        "key_heads": "n_k",
        "value_heads": "n_v",
        "key_dim": "d_k",
        "value_dim": "d_v",
        "kernel": "q",
    },
}


def _compressor(letters: _Letters, compressor: Compressor, sizes: dict[Any, Any]) -> Compressor:
    """Its entries are as wide as keys of its kind, of attention or of an indexer."""
    dim = letters.letter("d_i" if compressor.group == "indexer" else "d", compressor.dim)
    ratio = letters.letter("m_c", compressor.ratio)
    return replace(compressor, hidden=sizes[compressor.hidden], dim=dim, ratio=ratio)


def _mixer(letters: _Letters, mixer: Any, sizes: dict[Any, Any]) -> Any:
    if mixer is None:
        return None
    if isinstance(mixer, Compressor):
        return _compressor(letters, mixer, sizes)
    if isinstance(mixer, Attention):
        return _attention(letters, mixer, sizes)
    if isinstance(mixer, SideBySide):
        mixers = tuple(_mixer(letters, each, sizes) for each in mixer.mixers)
        return replace(mixer, hidden=sizes[mixer.hidden], mixers=mixers)
    changes = {
        name: letters.letter(role, getattr(mixer, name))
        for name, role in _ROLES[type(mixer)].items()
    }
    for name in ("indexer", "compressor"):
        if getattr(mixer, name, None) is not None:
            changes[name] = _mixer(letters, getattr(mixer, name), sizes)
    return replace(mixer, hidden=_known(letters, mixer.hidden, sizes, "h_c"), **changes)


def _attention(letters: _Letters, attention: Attention, sizes: dict[Any, Any]) -> Attention:
    """As many key heads as heads share the letter; splitting the hidden size, they are h/n wide."""
    hidden = _known(letters, attention.hidden, sizes, "h_c")
    heads = letters.letter("n", attention.heads)
    same = attention.kv_heads == attention.heads
    splits = same and attention.heads * attention.head_dim == attention.hidden
    dim = hidden / heads if splits else letters.letter("d", attention.head_dim)
    kv_heads = heads if same else letters.letter("g", attention.kv_heads)
    known = {
        attention.kv_heads * attention.head_dim: kv_heads * dim,
        attention.head_dim: dim,
        attention.heads * attention.head_dim: heads * dim,
        **sizes,
    }
    counts = {1: 1, attention.heads: heads, attention.kv_heads: kv_heads}

    def norm(plain: Norm | None) -> Norm | None:
        if plain is None:
            return None
        # of a device's share of the heads the norm is of all: a number that has no letter
        return replace(
            plain,
            width=known.get(plain.width, plain.width),
            vectors=counts.get(plain.vectors, plain.vectors),
            copies=counts.get(plain.copies, plain.copies),
        )

    relative = attention.relative
    if relative is not None:
        rows = letters.letter("R", relative.rows)
        relative = replace(relative, hidden=hidden, width=heads * dim, rows=rows)
    return replace(
        attention,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=dim,
        relative=relative,
        window=letters.letter("w", attention.window),
        chunk=letters.letter("c", attention.chunk),
        value_dim=letters.letter("d_v", attention.value_dim),
        indexer=_mixer(letters, attention.indexer, sizes),
        q_norm=norm(attention.q_norm),
        k_norm=norm(attention.k_norm),
        v_norm=norm(attention.v_norm),
        outputs=sizes.get(attention.outputs),
        extras=_extras(attention.extras, {**counts, **known}),
    )


def _extras(parts: tuple[Any, ...], known: dict[Any, Any]) -> tuple[Any, ...]:
    """Parts of one family alone, in the letters of the block that they belong to."""
    sizes = ("inputs", "outputs", "width", "elements")
    return tuple(
        replace(
            part,
            **{
                name: known.get(getattr(part, name), getattr(part, name))
                for name in sizes
                if hasattr(part, name)
            },
        )
        for part in parts
    )


def _mlp(letters: _Letters, mlp: Mlp, sizes: dict[Any, Any], role: str) -> Mlp:
    """An MLP four times as wide as the hidden size is 4h wide."""
    hidden = sizes[mlp.hidden]
    inner = 4 * hidden if mlp.inner == 4 * mlp.hidden else letters.letter(role, mlp.inner)
    extras = _extras(mlp.extras, {**sizes, mlp.inner: inner})
    copies = letters.letter("E", mlp.copies)
    return replace(mlp, hidden=hidden, inner=inner, copies=copies, extras=extras)


def _feed(letters: _Letters, feed: Any, sizes: dict[Any, Any]) -> Any:
    if feed is None:
        return None
    if isinstance(feed, Mlp):
        return _mlp(letters, feed, sizes, "f")
    assert isinstance(feed, Moe)  # noqa: S101 - the type checker's word, there is no third kind
    width = feed.expert.hidden
    inner = {**sizes, width: _known(letters, width, sizes, "l")}
    return replace(
        feed,
        hidden=sizes[feed.hidden],
        experts=letters.letter("E", feed.experts),
        top_k=letters.letter("k", feed.top_k),
        expert=_mlp(letters, feed.expert, inner, "f_e"),
        shared=None if feed.shared is None else _mlp(letters, feed.shared, sizes, "f_s"),
    )


_ROWS = {"embed_tokens": "V", "embed_pos": "P", "embed_type": "T", "rel_pos_bias": "R"}


def _part(letters: _Letters, part: Any, sizes: dict[Any, Any]) -> Any:
    """A part outside mixers and feed-forwards."""
    if isinstance(part, Norm):
        return replace(part, width=_known(letters, part.width, sizes, "e"))
    if isinstance(part, Table):
        rows = letters.letter(_ROWS.get(part.group, "R"), part.rows)
        return replace(part, rows=rows, width=_known(letters, part.width, sizes, "e"))
    if isinstance(part, Linear):
        role = "V" if part.group == "lm_head" else "e"
        outputs = _known(letters, part.outputs, {} if role == "V" else sizes, role)
        if not sizes:
            return replace(part, outputs=outputs)
        return replace(part, inputs=_known(letters, part.inputs, sizes, "e"), outputs=outputs)
    if isinstance(part, Convolution):
        return replace(part, outputs=_known(letters, part.outputs, sizes, "e"))
    if isinstance(part, Vector) and part.name == "head_bias":
        return replace(part, elements=letters.letter("V", part.elements))
    assert isinstance(part, Vector | Probe)  # noqa: S101 - there is no other kind
    return part
