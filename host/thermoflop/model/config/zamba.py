"""Zamba: a state space in every layer, and blocks of attention that several layers share."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Linear, Norm, Table
from thermoflop.model.architecture.recurrences import Mamba, Mamba2
from thermoflop.model.config.decoder import DEFAULTS, activation_kind
from thermoflop.model.config.heads import head_of
from thermoflop.model.config.keys import Config, Traits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def read_zamba2(config: Config) -> Description:
    """Layers of a state space; the hybrid ones run a shared block before it, with maps of their
    own beside it."""
    at = _hybrid(_kinds(config))
    parts = (_mamba(config), _shared(config), tuple(_own_maps(config)))
    return _described(config, at, parts, min(config["num_mem_blocks"], len(at)))


def read_zamba(config: Config) -> Description:
    """Zamba 1: Mamba's state space (its heads change no count), one block for all."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    wide, kv_heads = config["attention_hidden_size"] or 2 * hidden, config["num_key_value_heads"]
    inner, rank = config["mamba_expand"] * hidden, config["mamba_dt_rank"]
    if inner % config["n_mamba_heads"] or heads % kv_heads or wide != 2 * hidden:
        raise InputError(
            f"zamba of hidden_size {hidden} with n_mamba_heads {config['n_mamba_heads']}, "
            f"{heads} heads and {kv_heads} for keys, attention_hidden_size {wide}: expected heads "
            "that divide evenly, and twice the width"
        )
    rank = -(-hidden // 16) if rank in (None, "auto") else rank
    if type(rank) is not int or rank < 1:
        raise InputError(f"mamba_dt_rank is {quote_value(rank)} where a number or auto is expected")
    own = (config["mamba_d_state"], config["mamba_d_conv"], rank)
    mamba = Mamba(hidden, inner, *own, config["mamba_proj_bias"], config["mamba_conv_bias"])
    dim = config["attention_head_dim"] or wide // heads
    attention = Attention(wide, heads, kv_heads, dim, outputs=hidden)
    feed = Mlp(
        hidden, config["intermediate_size"], activation=activation_kind(config["hidden_act"])
    )
    norms = (Norm("norm 1", wide), Norm("norm 2", hidden))
    shared = Layer("shared attention + MLP", hidden, norms, attention, feed=feed)
    maps = (Placed(Linear("hybrid_proj", "hybrid_proj", "hybrid_proj", hidden, hidden)),)
    return _described(config, _periodic(config), (mamba, shared, maps), 1)


def _periodic(config: Config) -> tuple[int, ...]:
    """Hybrid layers of Zamba 1: the third, and one of each period of the rest."""
    if config["layers_block_type"] is not None:
        return _hybrid(_kinds(config))
    step, first = config["attn_layer_period"], config["attn_layer_offset"]
    if config["num_hidden_layers"] < 3:
        raise InputError("zamba with fewer than 3 layers needs layers_block_type")
    rest = range(config["num_hidden_layers"] - 3)
    return (2, *(at + 3 for at in rest if at % step == first))


def _hybrid(kinds: Sequence[str]) -> tuple[int, ...]:
    """Where the hybrid layers are."""
    return tuple(index for index, kind in enumerate(kinds) if kind == "hybrid")


def _described(
    config: Config,
    at: tuple[int, ...],
    parts: tuple[Mamba | Mamba2, Layer, tuple[Placed, ...]],
    blocks: int,
) -> Description:
    """The whole, of a state space, a shared block, and what a hybrid layer has beside it."""
    hidden, (space, shared, maps) = config["hidden_size"], parts
    if not config["tie_word_embeddings"]:
        raise UnknownModel(
            f"tie_word_embeddings = false is not understood for {config.family.name}: the class "
            "then unties the shared blocks, too"
        )
    mamba = Layer("state space", hidden, (Norm("norm", hidden),), space)
    runs = [Run(mamba, config["num_hidden_layers"])]
    if at:
        own = Layer("maps of a hybrid layer", hidden, (), others=maps)
        runs += [Run(shared, len(at), blocks), Run(own, len(at))]
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
