"""DeepSeek-OCR-2: learned queries read what SAM's tower leaves of an image, in a decoder's layers.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Norm, Table, Vector
from thermoflop.model.config import connectors
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families import document_towers
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.families.towers import tower
from thermoflop.model.config.family import Key, Section, family, mapping, maybe, sizes, spaced
from thermoflop.model.config.projectors import linear
from thermoflop.model.config.sam import sam_stack
from thermoflop.model.config.tower import read_tower

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config

# queries for an image of 1,024 pixels, and for a tile of 768: as many as SAM's tower leaves
_QUERIES = (256, 144)

family(
    "deepseek_ocr2_text",
    "unlimited_ocr_text",
    keys={
        **sizes(vocab=102400, hidden=4096, inner=11008, layers=32, heads=32, kv_heads=maybe(32)),
        "num_experts_per_tok": None,
        "moe_intermediate_size": 1407,
    },
    drop=("sliding_window", "first_k_dense_replace", "moe_layer_freq"),
)
tower(
    "deepseek_ocr2_sam_vision_model",
    keys={
        **document_towers.SAM,
        "mlp_dim": None,
        "mlp_ratio": Key("any", 4.0),
        "downsample_channels": Key("indices", (512, 896), nullable=True),
    },
    traits={"stack": sam_stack, "inner": document_towers.ratio},
    ignored=("scale",),
)


def _reader(config: Config) -> Stack:
    """A decoder's layers on what is seen and as many queries, each behind all that is seen."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    dim, kv_heads = head_width(hidden, heads), config["num_key_value_heads"] or heads
    if heads % kv_heads:
        raise InputError(f"{heads} query heads do not divide into {kv_heads} key-value heads")
    attention = Attention(hidden, heads, kv_heads, dim, True, True, True, rotary=dim)
    mlp = Mlp(hidden, config["intermediate_size"], activation=config["hidden_act"])
    norms = (Norm("norm 1", hidden), Norm("norm 2", hidden))
    layer = Layer("attention + MLP", hidden, norms, attention, feed=mlp)
    queries = Table("queries", "embed_pos", sum(_QUERIES), hidden, lookups=False)
    positions = 2 * _QUERIES[0]
    return Stack(
        "image", hidden, (Run(layer, config["num_hidden_layers"]),), (Placed(queries, "none"),),
        (Placed(Norm("final_norm", hidden)),), False, positions=positions, patches=positions,
        pooled=_QUERIES[0], shared=8,
    )  # fmt: skip


tower(
    "deepseek_ocr2_encoder",
    keys={
        **sizes(hidden=4096, inner=22016, layers=32, heads=32, kv_heads=maybe(32)),
        "hidden_act": "silu",
    },
    traits={"stack": _reader},
    ignored=spaced("max_window_layers sliding_window use_sliding_window layer_types"),
)


def _both(config: Config) -> tuple[Stack, Stack]:
    sam, queries = (config.nested[key] for key in ("sam_config", "encoder_config"))
    first, second = read_tower(sam), read_tower(queries)
    halves = sam["downsample_channels"] or (512, 896)
    if len(halves) != 2 or halves[-1] != second.hidden:
        raise InputError(
            f"downsample_channels does not end in the {second.hidden} elements that are read"
        )
    tail = (*first.tail, *connectors.halved(sam["output_channels"], *halves))
    return replace(first, tail=tail, pooled=first.patches // 16), second


family(
    "deepseek_ocr2_vision",
    reader="tower",
    keys={"sam_config": mapping(), "encoder_config": mapping()},
    traits={
        "stack": lambda config: _both(config)[0],
        "sections": (
            Section("sam_config", "deepseek_ocr2_sam_vision_model"),
            Section("encoder_config", "deepseek_ocr2_encoder"),
        ),
    },
)


def _projected(_config: Config, eyes: Config, _stack: Stack, hidden: int) -> tuple[Stack, Stack]:
    """One matrix on what each query has read, and a vector between views."""
    first, second = _both(eyes)
    project = Placed(linear("multi_modal_projector", second.hidden, hidden), "pooled")
    between = Placed(Vector("view_separator", "other", hidden), "none")
    return first, replace(second, tail=(*second.tail, project, between))


wrapper(
    "deepseek_ocr2",
    text_of("deepseek_ocr2_text", fixed=True),
    eyes_of("deepseek_ocr2_vision", fixed=True),
    _projected,
    # as its image processor cuts: up to six tiles of 768 pixels
    traits={"grid": {"rule": "crops", "limits": (6,), "sizes": ((768, 768),)}},
)
