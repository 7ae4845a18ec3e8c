"""What lies between a tower and the text model where that is more than a few matrices.

Learned queries that attend to the tower's states (a resampler, a Q-Former) are a stack of their
own, behind the tower's: as many positions as queries, whatever the size of an image.
"""

from __future__ import annotations

from itertools import pairwise

from thermoflop.base.record import replace
from thermoflop.model.architecture.description import Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Convolution, Norm, Table, Vector
from thermoflop.model.config.blocks import biased_attention, biased_mlp, layer_norm
from thermoflop.model.config.decoder import activation_kind
from thermoflop.model.config.family import Section
from thermoflop.model.config.projectors import linear
from thermoflop.model.config.readers import read_section

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config


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


def section_of(config: Config, key: str, family: str) -> Config:
    """A section beside those of the text and the towers, read by its family."""
    inner = read_section(config, Section(key, family))
    assert inner is not None  # noqa: S101 - the section is not optional
    inner.check_all()
    return inner


def text_section(config: Config) -> Config:
    """The section of the text model, for sizes that a connector shares with it."""
    inner = read_section(config, config.family.traits["text"])
    assert inner is not None  # noqa: S101 - the text is no optional section
    return inner


def resampled(config: Config, _tower: Config, stack: Stack, hidden: int) -> tuple[Stack, Stack]:
    """Idefics 2: a gated MLP to the width of the text, then queries that meet it and themselves."""
    own = section_of(config, "perceiver_config", "idefics2_perceiver")
    seen, inner = stack.hidden, text_section(config)["intermediate_size"]
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


def latent_queries(
    config: Config, _tower: Config, stack: Stack, hidden: int
) -> tuple[Stack, Stack]:
    """Kosmos: one matrix to the width of the text, and one attention of queries to it."""
    heads = text_section(config)["attention_heads"]
    dense = Placed(linear("dense", stack.hidden, hidden))
    attention = biased_attention(hidden, heads, cross=True, itself=True)
    layer = Layer("attention of queries", hidden, (), cross=attention)
    seeing = replace(stack, tail=(*stack.tail, dense))
    return queries_behind(seeing, (Run(layer, 1),), config["latent_query_num"])


def qformer(config: Config, _tower: Config, stack: Stack, hidden: int) -> tuple[Stack, Stack]:
    """BLIP-2: a BERT on learned queries, some of whose layers attend to the image."""
    own = section_of(config, "qformer_config", config.family.traits["qformer"])
    width, every = own["hidden_size"], own["cross_attention_frequency"]
    layers, heads = own["num_hidden_layers"], own["num_attention_heads"]
    attention = biased_attention(width, heads)
    look = replace(attention, cross=True, source=stack.hidden)
    mlp = biased_mlp(width, own["intermediate_size"], own["hidden_act"])
    told, apart = own["use_qformer_text_input"], config.family.name == "blip-2"
    # a second MLP for the words of a question, which stand beside the queries
    words = (*mlp.parts(), layer_norm("text_norm", width)) if told else ()
    norms = tuple(layer_norm(f"{name}_norm", width) for name in ("self", "cross", "output"))
    seeing = Layer("attention + cross + MLP", width, norms, attention, look, mlp, kept=words)
    plain = replace(seeing, kind="attention + MLP", cross=None, norms=(norms[0], norms[2]))
    crossing = -(-layers // every)
    runs = tuple(
        Run(each, count)
        for each, count in ((seeing, crossing), (plain, layers - crossing))
        if count
    )
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


def aria(config: Config, _tower: Config, stack: Stack, hidden: int) -> tuple[Stack, Stack]:
    """Aria: queries that attend once to the image, projected twice, and an MLP."""
    width, heads = stack.hidden, stack.runs[0].layer.mixer.heads  # type: ignore[union-attr]
    counts = config["projector_patch_to_query_dict"] or {"1225": 128, "4900": 256}
    sizes = {int(patches): queries for patches, queries in counts.items()}
    most = max(sizes.values())
    attention = biased_attention(width, heads, cross=True)
    maps = [linear(f"first {name}", width, width, False) for name in ("q_proj", "k_proj", "v_proj")]
    norms = [layer_norm(name, width) for name in ("norm", "norm_kv", "feed_norm")]
    on_patches = (*(Placed(each) for each in (norms[1], *maps[1:])),)
    after = (
        linear("linear", width, width), norms[2],
        linear("linear_in", width, hidden, False), linear("linear_out", hidden, hidden, False),
    )  # fmt: skip
    layer = Layer("attention of queries", width, (norms[0],), cross=attention)
    seeing = replace(stack, tail=(*stack.tail, *on_patches))
    tail = (Placed(maps[0]), *(Placed(each) for each in after))
    pair = queries_behind(seeing, (Run(layer, 1),), most, *tail)
    left = sizes.get(int(stack.patches), most)
    return replace(pair[0], pooled=left), replace(pair[1], positions=left, pooled=left)


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


def merged_inside(config: Config, tower: Config, stack: Stack, hidden: int) -> tuple[Stack, ...]:
    """MiniCPM-V: neighbouring patches merge between two layers, and again behind the tower."""
    at, mode = config["insert_layer_id"], config["downsample_mode"]
    height, width = tower["window_kernel_size"] or (2, 2)
    (run,), norm = stack.runs, stack.tail[0]
    early = min(run.times, max(0, at + 1)) if type(at) is int else run.times
    merges = _window_merger(run.layer, tower, height * width)
    seen, times = 4 * stack.hidden, config["merger_times"]
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
    attention = layer.mixer.projections()  # type: ignore[union-attr]
    merger = (
        layer_norm("pre_norm", seen),
        linear("linear_1", seen, inner),
        linear("linear_2", inner, width),
    )
    parts = (layer_norm("merger_norm", width), *attention)
    return (
        *(Placed(each) for each in parts),
        *(Placed(each, f"token / {share}") for each in merger),
    )


def pooled_by_attention(config: Config, _tower: Config, stack: Stack, _hidden: int) -> Stack:
    """Molmo 2: the mean of 2 x 2 patches attends to them, in the states of several layers."""
    own = section_of(config, "adapter_config", "molmo2_adapter")
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
