"""What lies between a tower and the text model where that is more than a few matrices.

Learned queries that attend to the tower's states (a resampler, a Q-Former) are a stack of their
own, behind the tower's: as many positions as queries, whatever the size of an image.
"""

from __future__ import annotations

from itertools import pairwise

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Table, Vector
from thermoflop.model.config.blocks import biased_attention, biased_mlp, layer_norm
from thermoflop.model.config.decoder import activation_kind
from thermoflop.model.config.keys import Config, is_count
from thermoflop.model.config.projectors import linear


def queries_behind(
    stack: Stack,
    layers: tuple[Run, ...],
    queries: int,
    *tail: Placed,
    front: tuple[Placed, ...] = (),
) -> tuple[Stack, Stack]:
    """The tower, and ``queries`` positions that read it; ``tail`` runs on what they found."""
    width = layers[0].layer.hidden
    learned = Placed(Vector("learned queries", "other", queries * width), "none")
    behind = Stack("image", width, layers, (learned, *front), tail, False, queries, pooled=queries)
    return replace(stack, pooled=queries), behind


def resampled(config: Config, _tower: Config, stack: Stack, hidden: int) -> tuple[Stack, Stack]:
    """Idefics 2: a gated MLP to the width of the text, then queries that meet it and themselves."""
    own = config.nested["perceiver_config"]
    seen, inner = stack.hidden, config.nested["text_config"].get("intermediate_size")
    if inner is None:
        raise UnknownModel("text_config states no intermediate_size, which the connector shares")
    ups = [linear(name, seen, inner, False) for name in ("gate_proj", "up_proj")]
    maps = (*ups, linear("down_proj", inner, hidden, False))
    heads, kv_heads = own["resampler_n_heads"], own["num_key_value_heads"]
    attention = Attention(hidden, heads, kv_heads, own["resampler_head_dim"])
    layer = Layer(
        "resampler", hidden, (Norm("latents_norm", hidden), Norm("post_attention_norm", hidden)),
        cross=replace(attention, cross=True, itself=True),
        feed=Mlp(hidden, 4 * hidden, activation=activation_kind(own["hidden_act"])),
        kept=(Norm("context_norm", hidden),),
    )  # fmt: skip
    runs = (Run(layer, own["resampler_depth"]),)
    tail = (*stack.tail, *(Placed(each) for each in maps))
    seeing = replace(stack, tail=tail)
    norm = Placed(Norm("resampler_norm", hidden))
    return queries_behind(seeing, runs, own["resampler_n_latents"], norm)


def maybe_resampled(
    config: Config, tower: Config, stack: Stack, _hidden: int
) -> Stack | tuple[Stack, Stack]:
    """IDEFICS: the text attends to every state of the image, or to those of learned queries."""
    if not config["use_resampler"]:
        return replace(stack, pooled=stack.positions, tokens=0)
    own, width = config.nested["perceiver_config"], tower["embed_dim"]
    heads, dim = own["resampler_n_heads"], own["resampler_head_dim"]
    norms = [layer_norm(name, dim) for name in ("q_norm", "k_norm")]
    normed = norms if own["qk_layer_norms_perceiver"] else ()
    layer = Layer(
        "resampler", width, (layer_norm("latents_norm", width), layer_norm("mlp_norm", width)),
        cross=Attention(width, heads, heads, dim, cross=True, itself=True),
        feed=Mlp(width, 4 * width, gated=False, activation="relu"),
        kept=(layer_norm("context_norm", width), *normed),
    )  # fmt: skip
    last = Placed(layer_norm("resampler_norm", width))
    runs = (Run(layer, own["resampler_depth"]),)
    first, behind = queries_behind(stack, runs, own["resampler_n_latents"], last)
    return replace(first, tokens=0), behind


def latent_queries(
    config: Config, _tower: Config, stack: Stack, hidden: int
) -> tuple[Stack, Stack]:
    """Kosmos: one matrix to the width of the text, and one attention of queries to it."""
    heads = config.nested["text_config"]["attention_heads"]
    dense = Placed(linear("dense", stack.hidden, hidden))
    attention = biased_attention(hidden, heads, cross=True, itself=True)
    layer = Layer("attention of queries", hidden, (), cross=attention)
    seeing = replace(stack, tail=(*stack.tail, dense))
    return queries_behind(seeing, (Run(layer, 1),), config["latent_query_num"])


def query_layers(own: Config, source: int) -> tuple[Run, ...]:
    """The layers of a Q-Former, of which every so manieth attends to states ``source`` wide."""
    width, every = own["hidden_size"], own["cross_attention_frequency"]
    layers, heads = own["num_hidden_layers"], own["num_attention_heads"]
    attention = biased_attention(width, heads)
    look = replace(attention, cross=True, source=source)
    mlp = biased_mlp(width, own["intermediate_size"], own["hidden_act"])
    # a second MLP for the words of a question, which stand beside the queries
    told = own["use_qformer_text_input"]
    words = (*mlp.parts(), layer_norm("text_norm", width)) if told else ()
    norms = tuple(layer_norm(f"{name}_norm", width) for name in ("self", "cross", "output"))
    seeing = Layer("attention + cross + MLP", width, norms, attention, look, mlp, kept=words)
    plain = replace(seeing, kind="attention + MLP", cross=None, norms=(norms[0], norms[2]))
    crossing = -(-layers // every)
    counts = ((seeing, crossing), (plain, layers - crossing))
    return tuple(Run(each, count) for each, count in counts if count)


def qformer(config: Config, _tower: Config, stack: Stack, hidden: int) -> tuple[Stack, Stack]:
    """BLIP-2: a BERT on learned queries, some of whose layers attend to the image."""
    own = config.nested["qformer_config"]
    width, apart = own["hidden_size"], config.family.name == "blip-2"
    runs = query_layers(own, stack.hidden)
    tables = (
        Table("words", "embed_tokens", own["vocab_size"], width),
        Table("places", "embed_pos", own["max_position_embeddings"], width),
    )
    front = (
        *(Placed(each, "none") for each in (() if apart else tables)),
        Placed(layer_norm("embed_norm", width)),
    )
    tail = Placed(linear("language_projection", width, hidden))
    return queries_behind(stack, runs, config["num_query_tokens"], tail, front=front)


def aria(config: Config, tower: Config, stack: Stack, hidden: int) -> tuple[Stack, Stack]:
    """Aria: queries that attend once to the image, projected twice, and an MLP."""
    width, sizes = stack.hidden, _query_counts(config)
    attention = biased_attention(width, tower["num_attention_heads"], cross=True)
    query, *kept = (
        linear(f"first {name}", width, width, False) for name in ("q_proj", "k_proj", "v_proj")
    )
    on_patches = (Placed(layer_norm("norm_kv", width)), *(Placed(each) for each in kept))
    after = (
        Placed(query),
        Placed(linear("linear", width, width)),
        Placed(layer_norm("feed_norm", width)),
        Placed(linear("linear_in", width, hidden, False)),
        Placed(linear("linear_out", hidden, hidden, False)),
    )
    layer = Layer("attention of queries", width, (layer_norm("norm", width),), cross=attention)
    seeing = replace(stack, tail=(*stack.tail, *on_patches))
    most = config["max_value_projector_patch_to_query_dict"] or max(sizes.values())
    first, behind = queries_behind(seeing, (Run(layer, 1),), most, *after)
    left = sizes.get(int(stack.patches), most)
    return replace(first, pooled=left), replace(behind, positions=left, pooled=left)


def _query_counts(config: Config) -> dict[int, int]:
    """How many queries look at an image of so many patches."""
    key = "projector_patch_to_query_dict"
    counts = config[key] or {"1225": 128, "4900": 256}
    try:
        sizes = {int(patches): queries for patches, queries in counts.items()}
    except ValueError:
        sizes = {}
    if not sizes or not all(map(is_count, sizes.values())):
        raise InputError(f"{key} is {quote_value(counts)} where counts of queries are expected")
    return sizes


def upsampled(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """GOT-OCR 2: two convolutions, each of which halves both sides, and one matrix."""
    seen = tower["output_channels"]
    project = Placed(linear("multimodal_projector", hidden, hidden), "pooled")
    tail = (*stack.tail, *halved(seen, 2 * seen, hidden), project)
    return replace(stack, tail=tail, pooled=stack.patches // 16)


def halved(*channels: int) -> list[Placed]:
    """Two convolutions of 3 x 3 taps with a step of two, without biases."""
    role, pairs = "downsample", pairwise(channels)
    parts = (Convolution(f"half {at}", role, role, *pair, 9) for at, pair in enumerate(pairs, 1))
    rows = ("pooled x 4", "pooled")
    return [Placed(part, where) for part, where in zip(parts, rows, strict=True)]


# each leaves a quarter of the patches, and no image has 4**16 of them
MOST_MERGES = 16


def merged_inside(config: Config, tower: Config, stack: Stack, hidden: int) -> tuple[Stack, ...]:
    """MiniCPM-V: neighbouring patches merge between two layers, and again behind the tower."""
    at, mode = config["insert_layer_id"], config["downsample_mode"]
    sides = tower["window_kernel_size"] or [2, 2]
    if len(sides) != 2 or not all(map(is_count, sides)):
        raise InputError(f"window_kernel_size is {quote_value(sides)}: expected two whole numbers")
    height, width = sides
    (run,), norm = stack.runs, stack.tail[0]
    early = min(run.times, max(0, at + 1)) if type(at) is int else run.times
    merges = _window_merger(run.layer, tower, height * width)
    seen, times = 4 * stack.hidden, config["merger_times"]
    if times > MOST_MERGES:
        raise InputError(f"merger_times is {times}: expected at most {MOST_MERGES}")
    outs = [stack.hidden] * (times - 1) + [hidden]
    maps = [
        part
        for out in outs
        for part in (
            layer_norm("pre_norm", seen),
            linear("linear_1", seen, seen),
            linear("linear_2", seen, out),
        )
    ]
    last = tuple(Placed(part, "pooled") for part in maps)
    left = stack.patches // 4**times
    if mode == "4x" or early == 0:
        idle = (replace(each, rows="none") for each in merges)
        return (replace(stack, tail=(norm, *last, *idle), pooled=left),)
    first = replace(stack, runs=(replace(run, times=early),), tail=merges, pooled=left // 4)
    rest = run.times - early
    runs = (replace(run, times=rest),) if rest else ()
    behind = Stack(
        "image", stack.hidden, runs, (), (norm, *last), False, shared=height * width, positions=left
    )
    return first, behind


def _window_merger(layer: Layer, tower: Config, share: int) -> tuple[Placed, ...]:
    """Attention within windows, whose patches then become one by two matrices."""
    width = layer.hidden
    seen, inner = width * share, tower["intermediate_size"] * share
    *ins, out = layer.mixer.projections()  # type: ignore[union-attr]
    products = (
        Linear(role, "attn", role, inputs, outputs, tied=True)
        for role, inputs, outputs in (("attn_score", width, share), ("attn_value", share, width))
    )
    merger = (
        layer_norm("pre_norm", seen),
        linear("linear_1", seen, inner),
        linear("linear_2", inner, width),
    )
    parts = (layer_norm("merger_norm", width), *ins, *products, out)
    return (
        *(Placed(each) for each in parts),
        *(Placed(each, f"token / {share}") for each in merger),
    )


def pooled_by_attention(config: Config, _tower: Config, stack: Stack, _hidden: int) -> Stack:
    """Molmo 2: the mean of 2 x 2 patches attends to them, in the states of several layers."""
    own = config.nested["adapter_config"]
    layers = own["vision_feature_layer"] or (24, 18)
    width, bias, seen = own["hidden_size"], own["attention_bias"], own["hidden_size"] * len(layers)
    heads, kv_heads, dim = (
        own[key] for key in ("num_attention_heads", "num_key_value_heads", "head_dim")
    )
    inner, out = own["intermediate_size"], own["text_hidden_size"]
    keys = [linear(name, seen, kv_heads * dim, bias) for name in ("k_proj", "v_proj")]
    after = (
        linear("q_proj", seen, heads * dim, bias),
        linear("o_proj", heads * dim, width, bias),
        linear("gate_proj", width, inner, own["mlp_bias"]),
        linear("up_proj", width, inner, own["mlp_bias"]),
        linear("down_proj", inner, out, False),
    )
    tail = (*(Placed(each) for each in keys), *(Placed(each, "pooled") for each in after))
    return replace(stack, tail=(*stack.tail, *tail), pooled=stack.patches // 4)
