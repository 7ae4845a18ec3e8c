"""Zamba 2: a state space in every layer, and blocks of attention that several layers share."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.mixers import Attention, Mamba2
from thermoflop.model.architecture.parts import Linear, Norm, Table
from thermoflop.model.config.decoder import DEFAULTS, activation_kind, head_of
from thermoflop.model.config.keys import Traits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from thermoflop.model.config.keys import Config


def read_zamba2(config: Config) -> Description:
    """Layers of a state space; the hybrid ones run a shared block before it, with maps of their
    own beside it."""
    hidden = config["hidden_size"]
    if not config["tie_word_embeddings"]:
        raise UnknownModel(
            f"tie_word_embeddings = false is not understood for {config.family.name}: the class "
            "then unties the shared blocks, too"
        )
    kinds = _kinds(config)
    at = tuple(index for index, kind in enumerate(kinds) if kind == "hybrid")
    mamba = Layer("state space", hidden, (Norm("norm", hidden),), _mamba(config))
    runs = [Run(mamba, len(kinds))]
    if at:
        blocks = min(config["num_mem_blocks"], len(at))
        own = Layer("maps of a hybrid layer", hidden, (), others=tuple(_own_maps(config)))
        runs += [Run(_shared(config), len(at), blocks), Run(own, len(at))]
    table = Table("embed_tokens", "embed_tokens", config["vocab_size"], hidden)
    tail = (Placed(Norm("final_norm", hidden)),)
    stack = Stack("decoder", hidden, tuple(runs), front=(Placed(table),), tail=tail)
    traits = Traits(config, DEFAULTS)
    return Description((stack,), **head_of(config, traits, config["vocab_size"], hidden))


def _inner(config: Config) -> int:
    inner: int = config["intermediate_size"] or 4 * config["hidden_size"]
    return inner


def _shared(config: Config) -> Layer:
    """A block of attention and MLP, of which there are a few."""
    hidden, bias = config["hidden_size"], config["add_bias_linear"]
    activation = activation_kind(config["hidden_act"])
    feed = Mlp(hidden, _inner(config), True, bias, bias, activation)
    norms = (Norm("norm 1", 2 * hidden), Norm("norm 2", hidden))
    return Layer("shared attention + MLP", hidden, norms, _attention(config), feed=feed)


def _own_maps(config: Config) -> Iterator[Placed]:
    """What a hybrid layer has for itself: adapters of the shared block, and a map of its result."""
    hidden, rank = config["hidden_size"], config["adapter_rank"]
    adapted = [("mlp", "mlp", "gate_up", hidden, 2 * _inner(config))]
    if config["use_shared_attention_adapter"]:
        wide = 2 * hidden
        adapted += [("attn", "attn_proj", name, wide, wide) for name in "qkv"]
    for group, role, name, inputs, outputs in adapted:
        yield Placed(Linear(f"{name}_adapter_down", group, role, inputs, rank))
        yield Placed(Linear(f"{name}_adapter_up", group, role, rank, outputs))
    yield Placed(Linear("hybrid_proj", "hybrid_proj", "hybrid_proj", hidden, hidden))


def _mamba(config: Config) -> Mamba2:
    """The state space of every layer."""
    names = ("hidden_size", "n_mamba_heads", "add_bias_linear")
    hidden, heads, bias = (config[name] for name in names)
    inner = config["mamba_expand"] * hidden
    dim = config["mamba_headdim"] or inner // heads
    if heads * dim != inner:
        raise InputError(f"{heads} heads of {dim} are not the {inner} channels of the state space")
    rest = (config["mamba_ngroups"], config["mamba_d_state"], config["mamba_d_conv"])
    return Mamba2(hidden, heads, dim, *rest, bias)


def _kinds(config: Config) -> Sequence[str]:
    """``mamba`` or ``hybrid`` for each layer: those of Zamba2-2.7B where the file says nothing."""
    kinds = config["layers_block_type"]
    if kinds is None:
        hybrid = {*range(6, 48, 6), 47, 51}
        kinds = ["hybrid" if index in hybrid else "mamba" for index in range(54)]
    if len(kinds) != config["num_hidden_layers"]:
        raise InputError(
            f"layers_block_type names {len(kinds)} layers, num_hidden_layers says "
            f"{config['num_hidden_layers']}"
        )
    table = {"mamba": "mamba", "linear_attention": "mamba", "m": "mamba", "g": "hybrid"}
    table["hybrid"] = "hybrid"
    unknown = next((kind for kind in kinds if kind not in table), None)
    if unknown is not None:
        raise InputError(f"layers_block_type holds {quote_value(unknown)}, no kind known here")
    return [table[kind] for kind in kinds]


def _attention(config: Config) -> Attention:
    """Attention of the shared blocks, on the last state beside the embedding."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    kv_heads = config["num_key_value_heads"] or heads
    if 2 * hidden % heads or heads % kv_heads:
        raise InputError(
            f"2 x {hidden} does not divide into {heads} heads, or they into {kv_heads} key heads"
        )
    dim = 2 * hidden // heads
    rotary = dim if config["use_mem_rope"] else None
    return Attention(2 * hidden, heads, kv_heads, dim, rotary=rotary, outputs=hidden)
