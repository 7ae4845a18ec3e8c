"""From the traits of a decoder-only family to a description: every such family, one reader.

Layers may differ in anything. ``kinds`` names what mixes tokens in each layer, ``sparse`` which
layers are mixtures, and ``shapes`` gives for each layer a mapping of the traits that are its own to
their values: head counts, head dimensions, key heads, inner widths, windows, what attention
projects, other parts. Layers that come out equal are counted once.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import FeedForward, Mlp, Moe
from thermoflop.model.architecture.mixers import Attention, LatentAttention, Mixer
from thermoflop.model.architecture.parts import Linear, Norm, Part, Table
from thermoflop.model.config import usual
from thermoflop.model.config.expert_groups import expert_groups
from thermoflop.model.config.family import spaced, use
from thermoflop.model.config.heads import head_kind, head_of
from thermoflop.model.config.keys import Config, Traits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


# The traits of a family of decoders that names no other; each line is one trait.
DEFAULTS: dict[str, Any] = {
    "vocab": use("vocab_size"),
    "embed_rows": None,  # None: vocab
    "hidden": use("hidden_size"),
    "layers": use("num_hidden_layers"),
    "heads": use("num_attention_heads"),
    "kv_heads": use("num_key_value_heads"),  # None: as many as heads
    "head_dim": use("head_dim"),  # None: hidden / heads
    "inner": use("intermediate_size"),
    "activation": usual.activation,
    "gated": True,
    "norm": "rms",  # rms or layer
    "norm_weight": True,
    "norm_bias": False,
    "layer_norms": 2,  # norms on the hidden state in each layer
    "norm_names": None,  # None: numbered
    "moe_norms": 0,  # more of them in layers with a mixture
    "final_norm": True,
    "q_bias": use("attention_bias", False),
    "k_bias": None,  # None: as q_bias
    "v_bias": None,
    "o_bias": use("attention_bias", False),
    "up_bias": use("mlp_bias", False),
    "down_bias": None,  # None: as up_bias
    "qk_norm": None,  # head: one weight for all heads; heads: one each; full: over all; l2: none
    "qk_norm_bias": False,
    "qk_norm_kind": None,  # None: as norm
    "v_norm": False,  # a norm without weights on the values
    "projects": "qkv",  # qk: keys are the values too; q: keys and values of a layer before
    "norms_again": False,  # whether keys of a layer before have a norm here as well
    "sinks": False,
    "relative": None,  # function of the configuration giving scores of relative positions
    "output_gate": False,
    "head_gate": False,  # one gate for each head
    "value_dim": None,  # None: as head_dim
    "q_rank": None,  # elements of a latent that queries come from
    "groups": (),  # in how many the attention's four maps read their inputs; none: in one
    "mlp_groups": (),
    "output_group": None,  # where the attention's output projection is counted
    "attention_extras": None,  # parts of one family alone, a function of heads and dimensions
    "attention_calls": 1,  # times that a head attends
    "rotary": True,
    "kinds": None,  # full, sliding, chunked, none, or a mixer of its own, for each layer
    "shapes": None,  # for each layer the traits that are its own, with their values
    "others": (),  # parts beside mixer and feed-forward
    "cross": None,  # function giving an attention to images behind that to words (BLIP)
    "window": usual.window,
    "chunk": None,
    "mla": None,  # function of the configuration giving a LatentAttention
    "recurrent": None,  # function of the configuration giving a recurrent mixer
    "indexer": None,  # an Indexer, which chooses the keys that are attended
    "mixers": None,  # function giving a mixer and its name for each kind of layer of its own
    "ahead": None,  # function giving the layers of modules that predict further; None: the last
    "ahead_norm": True,  # whether each of them ends in a norm of its own
    "kept": (),  # function giving parts of each layer whose work is not listed
    "streams": None,  # function giving the residual streams that stand in place of one
    "collapse": (),  # function giving what makes one state of them before the last norm
    "mlp_extras": (),  # parts of one family alone, in the dense feed-forward
    "extras": (),  # and outside the layers: they are kept and do no work
    "loops": None,  # executions of each layer; None: one
    "blocks": False,  # a layer is a mixer or a feed-forward, not both
    "experts": usual.experts,
    "top_k": use("num_experts_per_tok", 0),
    "expert_inner": use("moe_intermediate_size"),  # None: as inner
    "expert_latent": None,  # width of the latent that experts work on; None: hidden
    "expert_latent_norm": False,
    "expert_bias": False,
    "router_bias": False,
    "shared_inner": usual.shared_inner,
    "shared_gate": False,
    "shared_bias": use("mlp_bias", False),
    "mlp_group": "mlp",  # row of the parameter table
    "idle_experts": 0,  # among which a router chooses too, and which compute nothing
    "beside_mlp": False,  # whether a mixture runs beside the dense feed-forward of the layer
    "router_scales": False,
    "router_width": None,  # elements on which a narrow router works
    "sparse": None,  # which layers are mixtures; None: all, where there are experts
    "front": (),  # parts behind the embedding
    "tail": (),  # parts before the last norm
    "positions": 0,  # rows of a learned position table
    "causal": lambda config: config.raw.get("is_causal") is not False,  # masking_utils.py
    "embed_norm": False,
    "embed_width": None,  # None: hidden
    "tied": use("tie_word_embeddings"),
    "head_bias": False,
    "head_parts": (),  # what the language head has before its matrix
}


def read_decoder(config: Config) -> Description:
    """The description of a decoder-only model."""
    traits = Traits(config, DEFAULTS)
    hidden, vocab = traits["hidden"], traits["vocab"]
    width = traits["embed_width"] or hidden
    stack = Stack(
        "decoder",
        hidden,
        decoder_runs(traits),
        front=_front(traits, width),
        tail=_tail(traits, width, head_kind(config)),
        causal=traits["causal"],
    )
    return Description((stack,), **head_of(config, traits, vocab, width))


def _front(traits: Traits, width: int) -> tuple[Placed, ...]:
    """Token embedding, its norm and projection, learned positions."""
    hidden = traits["hidden"]
    rows = traits["embed_rows"] or traits["vocab"]
    front = [Placed(Table("embed_tokens", "embed_tokens", rows, width))]
    front.extend(Placed(part, "none") for part in traits["extras"])
    if width != hidden:
        front.append(Placed(Linear("project_in", "embed_proj", "embed_proj", width, hidden)))
    if traits["positions"]:
        front.append(Placed(Table("embed_positions", "embed_pos", traits["positions"], hidden)))
    if traits["embed_norm"]:
        front.append(Placed(norm_of(traits, "embed_norm", hidden)))
    return (*front, *traits["front"])


def _tail(traits: Traits, width: int, kind: str) -> tuple[Placed, ...]:
    """Final norm, the projection back to a narrower embedding, a reward model's first map."""
    hidden = traits["hidden"]
    tail = [Placed(part) for part in traits["collapse"]]
    if traits["final_norm"]:
        tail.append(Placed(norm_of(traits, "final_norm", hidden)))
    if width != hidden:
        tail.append(Placed(Linear("project_out", "embed_proj", "embed_proj", hidden, width)))
    if kind == "reward":
        dense = Linear("score_dense", "classifier", "classifier", hidden, hidden, True)
        tail.append(Placed(dense))
    if kind == "ranking":
        role = "projection"
        tail.append(Placed(Linear("half", role, role, hidden, hidden // 2, unquantized=True)))
    if kind in ("causal", "generation"):
        tail.extend(Placed(part) for part in traits["head_parts"])
    return (*traits["tail"], *tail)


def norm_of(traits: Traits, name: str, width: int) -> Norm:
    """A norm on the hidden state, of the family's kind."""
    return Norm(name, width, traits["norm"], traits["norm_weight"], traits["norm_bias"])


def decoder_runs(traits: Traits) -> tuple[Run, ...]:
    """The layers, equal ones counted once, in the order in which each kind first appears."""
    names = ("layers", "kinds", "sparse", "shapes", "loops")
    layers, kinds, sparse, shapes, loops = (traits[name] for name in names)
    if not (kinds or sparse is not None or shapes or loops):
        return (Run(layer_of(traits, "full", bool(traits["experts"])), layers),)
    kinds = kinds or ["full"] * layers
    sparse = [bool(traits["experts"])] * layers if sparse is None else sparse
    own = [tuple(sorted(shape.items())) for shape in shapes] if shapes else [()] * layers
    places: dict[tuple[str, bool, Any], list[int]] = {}
    for index, key in enumerate(zip(kinds, sparse, own, strict=True)):
        places.setdefault(key, []).append(index)
    merged: dict[Layer, list[int]] = {}
    for (kind, mixture, shape), at in places.items():
        layer = layer_of(traits.changed(dict(shape)), kind, mixture)
        merged.setdefault(layer, []).extend(at)
    if loops:
        times = {layer: sum(loops[index] for index in at) for layer, at in merged.items()}
        return tuple(
            Run(layer, times[layer], len(at), tuple(sorted(at))) for layer, at in merged.items()
        )
    if len(merged) == 1:
        return tuple(Run(layer, len(at)) for layer, at in merged.items())
    return tuple(Run(layer, len(at), at=tuple(sorted(at))) for layer, at in merged.items())


def layer_of(traits: Traits, kind: str, mixture: bool) -> Layer:
    """One layer of a kind, a mixture of experts or not."""
    return (_block if traits["blocks"] else _layer)(traits, kind, mixture)


def _layer(traits: Traits, kind: str, mixture: bool) -> Layer:
    """A layer with a mixer and a feed-forward, or, where a layer lacks one, with the other."""
    hidden = traits["hidden"]
    mixer, name = (None, "") if kind == "none" else _mixer(traits, kind)
    feed: FeedForward | None = None
    if mixture or traits["inner"] != 0:
        feed = mixture_of(traits) if mixture else mlp_of(traits)
    blocks = sum(block is not None for block in (mixer, feed))
    more = traits["moe_norms"] if mixture else 0
    names = traits["norm_names"] or [f"norm {n + 1}" for n in range(traits["layer_norms"] + more)]
    norms = [norm_of(traits, each, hidden) for each in names[: len(names) * blocks // 2]]
    feed_name = "" if feed is None else "MoE" if mixture else "MLP"
    kinds = " + ".join(part for part in (name, feed_name) if part)
    rest = {key: traits[key] for key in ("streams", "kept", "others", "cross")}
    return Layer(kinds, hidden, tuple(norms), mixer, feed=feed, **rest)


def _block(traits: Traits, kind: str, _mixture: bool) -> Layer:
    """A layer with one of both (Nemotron-H, Mamba)."""
    hidden = traits["hidden"]
    norms = (norm_of(traits, "norm", hidden),)
    if kind in ("mlp", "moe"):
        feed = mixture_of(traits) if kind == "moe" else mlp_of(traits)
        return Layer("MoE" if kind == "moe" else "MLP", hidden, norms, feed=feed)
    mixer, name = _mixer(traits, kind)
    return Layer(name, hidden, norms, mixer)


def _mixer(traits: Traits, kind: str) -> tuple[Mixer, str]:
    """The mixer of one kind of layer, and its name."""
    own: Mapping[str, tuple[Mixer, str]] = traits["mixers"] or {}
    if kind in own:
        return own[kind]
    mixer = traits["recurrent"] if kind in ("mamba", "linear") else None
    if mixer is None and kind not in ("full", "sliding", "chunked"):
        raise InputError(f"a layer of kind {kind} makes no sense for this family")
    if mixer is not None:
        return mixer, "linear attention" if kind == "linear" else "state space"
    latent: LatentAttention | None = traits["mla"]
    if latent is not None:
        return latent, "latent attention"
    attention = attention_of(traits)
    if kind == "sliding" and traits["window"] is not None:
        return replace(attention, window=traits["window"]), "sliding attention"
    if kind == "chunked":
        if traits["chunk"] is None:
            raise InputError("chunked_attention needs attention_chunk_size, and there is none")
        return replace(attention, chunk=traits["chunk"]), "chunked attention"
    return attention, "attention" if attention.indexer is None else "indexed attention"


def head_dim_of(traits: Traits) -> int:
    """``head_dim``, or hidden / heads."""
    given: int | None = traits["head_dim"]
    return head_width(traits["hidden"], traits["heads"]) if given is None else given


def head_width(hidden: int, heads: int) -> int:
    """Dimensions of a head where all heads together are as wide as the hidden state."""
    if hidden % heads:
        raise InputError(f"a hidden size of {hidden} does not divide into {heads} heads")
    return hidden // heads


def attention_of(traits: Traits) -> Attention:
    """Full attention with the family's biases and norms."""
    heads, dim = traits["heads"], head_dim_of(traits)
    kv_heads = traits["kv_heads"] or heads
    if heads % kv_heads:
        raise InputError(f"{heads} query heads do not divide into {kv_heads} key-value heads")
    q_bias, projects = traits["q_bias"], traits["projects"]
    k_bias, v_bias = traits["k_bias"], traits["v_bias"]
    values = traits["v_norm"] and projects != "q"
    normed = projects != "q" or traits["norms_again"]
    same = spaced("sinks relative output_group value_dim head_gate indexer groups q_rank")
    return Attention(
        traits["hidden"],
        heads,
        kv_heads,
        dim,
        q_bias,
        q_bias if k_bias is None else k_bias,
        q_bias if v_bias is None else v_bias,
        traits["o_bias"],
        q_norm=_qk_norm(traits, "q_norm", heads, dim),
        k_norm=_qk_norm(traits, "k_norm", kv_heads, dim) if normed else None,
        v_norm=Norm("v_norm", dim, weight=False, vectors=kv_heads) if values else None,
        rotary=dim if traits["rotary"] else None,
        gate=traits["output_gate"],
        extras=_attention_extras(traits, heads, kv_heads, dim),
        calls=traits["attention_calls"],
        projects=projects,
        **{name: traits[name] for name in same},
    )


def _attention_extras(traits: Traits, heads: int, kv_heads: int, dim: int) -> tuple[Part, ...]:
    """The parts that this family's attention has beside what all have."""
    make = traits.table["attention_extras"]
    return make(traits.config, heads, kv_heads, dim) if make else ()


def _qk_norm(traits: Traits, name: str, heads: int, dim: int) -> Norm | None:
    """The norm on queries or keys, if the family has one."""
    form = traits["qk_norm"]
    if form is None:
        return None
    kind = traits["qk_norm_kind"] or traits["norm"]
    weight, bias = traits["norm_weight"], traits["qk_norm_bias"]
    if form == "full":
        return Norm(name, heads * dim, kind, weight, bias)
    if form == "l2":
        return Norm(name, dim, "l2", weight=False, vectors=heads)
    copies = heads if form == "heads" else 1
    return Norm(name, dim, kind, weight, bias, vectors=heads, copies=copies)


def mlp_of(traits: Traits) -> Mlp:
    """The dense feed-forward."""
    up_bias, down_bias = traits["up_bias"], traits["down_bias"]
    return Mlp(
        traits["hidden"],
        traits["inner"],
        traits["gated"],
        up_bias,
        up_bias if down_bias is None else down_bias,
        activation_kind(traits["activation"]),
        traits["mlp_group"],
        extras=traits["mlp_extras"],
        groups=traits["mlp_groups"],
    )


def mixture_of(traits: Traits) -> FeedForward:
    """The mixture of experts."""
    hidden, experts, top_k = traits["hidden"], traits["experts"], traits["top_k"]
    if not top_k or top_k > experts:
        raise InputError(f"{top_k} of {experts} experts per token makes no sense")
    inner = traits["expert_inner"] or traits["inner"]
    activation, bias = activation_kind(traits["activation"]), traits["expert_bias"]
    gated = traits["gated"]
    latent = traits["expert_latent"]
    expert = Mlp(latent or hidden, inner, gated, bias, bias, activation, "experts", copies=experts)
    shared_inner, biased = traits["shared_inner"], traits["shared_bias"]
    shared = (
        Mlp(hidden, shared_inner, gated, biased, biased, activation, "shared_experts")
        if shared_inner
        else None
    )
    if traits["beside_mlp"]:
        shared = mlp_of(traits)
    gate = bool(shared_inner) and traits["shared_gate"]
    rest = (traits["router_bias"], shared, gate, latent is not None, biased)
    latent_norm = latent is not None and traits["expert_latent_norm"]
    scales = traits["router_scales"]
    return Moe(
        hidden, experts, top_k, expert, *rest, latent_norm=latent_norm, router_scales=scales,
        elsewhere=traits["idle_experts"], narrow=traits["router_width"],
        groups=expert_groups(traits.config.raw, experts, traits.config.family.name),
    )  # fmt: skip


def activation_kind(name: str | None) -> str:
    """The activation's kind: relu, relu2, silu or gelu. It decides element-wise work alone."""
    word = (name or "gelu").lower()
    if "relu2" in word or "squared" in word:
        return "relu2"
    if word.startswith("relu"):
        return "relu"
    return "silu" if word in ("silu", "swish", "swiglu", "swiglu-oai") else "gelu"
