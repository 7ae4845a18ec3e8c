"""Cohere Compass, of Command R7B's text and Qwen3-VL's tower, and Granite Vision 4.

Structure and defaults: the classes of transformers 5.24.
"""

from __future__ import annotations

import re

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Placed, Stack
from thermoflop.model.architecture.parts import Linear, Part, Vector
from thermoflop.model.config.blocks import biased_attention, biased_mlp, layer_norm
from thermoflop.model.config.families import dense, early_towers, qwen_towers  # noqa: F401 - parents
from thermoflop.model.config.families.patterns import by_place
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.families.wrappers import any_resolution, newline
from thermoflop.model.config.family import Key, Section, anything, family, mapping, names
from thermoflop.model.config.projectors import ending, linear

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config

# every layer attends to all unless the file names those that slide
family(
    "cohere_compass_text",
    "cohere2",
    keys={"layer_types": names()},
    traits={"kinds": by_place(lambda _config, _at: "full"), "head_dim": None},
    drop=("sliding_window_pattern",),
    ignored=("pooling", "head_dim"),
)
family("cohere_compass_vision", "qwen3_vl_vision")
wrapper(
    "cohere_compass",
    text_of("cohere_compass_text", fixed=True),
    eyes_of("cohere_compass_vision", fixed=True),
)


def _rate(config: Config) -> tuple[int, int]:
    """Queries and patches of a window, a side each: ``"4/8"``."""
    rate = config["downsample_rate"]
    match = re.fullmatch(r"([1-9]\d?)/([1-9]\d?)", rate) if isinstance(rate, str) else None
    if match is None:
        raise InputError(
            f"downsample_rate is {quote_value(rate)} where two counts are expected: 4/8"
        )
    return int(match[1]), int(match[2])


def _windows(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Queries of each window of patches meet one another and the window: a Q-Former of its own for
    each state of the tower that goes into a layer of the text, and for four offsets of the last."""
    layers = config["deepstack_layer_map"]
    if not isinstance(layers, list) or not all(isinstance(each, list) for each in layers):
        said = quote_value(layers)
        raise InputError(f"granite4_vision needs pairs of layers: deepstack_layer_map is {said}")
    queries, patches = (side**2 for side in _rate(config))
    if stack.patches % patches:
        raise InputError(
            f"downsample_rate is {quote_value(config['downsample_rate'])}: {stack.patches:,} "
            "patches are no whole number of such windows"
        )
    own, width = config.nested["qformer_config"], stack.hidden
    if own["use_qformer_text_input"] or own["cross_attention_frequency"] != 1:
        raise UnknownModel(
            "granite4_vision is described with queries that all layers let see alone"
        )
    one = _window_former(own, width, queries, patches)
    out = linear("out_linear", width, hidden)
    kept = Vector("queries, places", "other", (queries + patches) * width)
    parts = (*one, Placed(out, "pooled"), Placed(kept, "none"))
    left = stack.patches * queries // patches
    return ending(stack, *(parts * (len(layers) + 4)), left=left)


def _window_former(own: Config, width: int, queries: int, patches: int) -> tuple[Placed, ...]:
    """The layers of one, and what reads the patches of its windows."""
    heads = max(1, width // 64)
    attention = biased_attention(width, heads)
    *ins, last = attention.projections()

    def met(name: str, inputs: int, outputs: int) -> Linear:
        """A product of two activations: without weights."""
        return Linear(name, "attn", name, inputs, outputs, tied=True)

    def attending(keys: int, maps: list[Linear]) -> tuple[Part, ...]:
        products = met("attn_score", width, keys), met("attn_value", keys, width)
        return (*maps, *products, last, layer_norm("norm", width))

    mlp = biased_mlp(width, own["intermediate_size"], own["hidden_act"])
    on_queries = (
        *attending(queries, ins), *attending(patches, ins[:1]),
        *mlp.linears(), layer_norm("output_norm", width),
    )  # fmt: skip
    layers = own["num_hidden_layers"]
    return (
        Placed(layer_norm("norm", width), "patch"),
        *(Placed(part, "patch") for part in ins[1:] * layers),
        Placed(layer_norm("query_norm", width), "pooled"),
        *(Placed(part, "pooled") for part in on_queries * layers),
    )


family("granite4_vision_text", "granite")
_FORMER = {
    "num_hidden_layers": 1,
    "intermediate_size": 3072,
    "cross_attention_frequency": 1,
    "max_position_embeddings": 2048,
    "use_qformer_text_input": False,
}
wrapper(
    "granite4_vision",
    text_of("granite"),
    eyes_of("clip_vision_model"),
    _windows,
    keys={
        "qformer_config": mapping(),
        "downsample_rate": anything(),
        "deepstack_layer_map": anything(),
        "vision_feature_layer": Key("any", -2),
    },
    traits={
        "extras": newline,
        "grid": any_resolution,
        "sections": (Section("qformer_config", "blip_2_qformer", _FORMER),),
    },
    ignored=("spatial_vision_layer", "spatial_target_layers", "use_spatial_sampling"),
)
