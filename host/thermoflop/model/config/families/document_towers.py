"""Parts of wrappers that read documents. Defaults: the classes of transformers 5."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Stack
from thermoflop.model.config import connectors
from thermoflop.model.config.families import latent, towers, vision  # noqa: F401 - parents
from thermoflop.model.config.families.patterns import sparse_by_mlp_types
from thermoflop.model.config.families.towers import tower
from thermoflop.model.config.family import (
    Key,
    Section,
    at_least_zero,
    family,
    indices,
    mapping,
    maybe,
    names,
    sizes,
    use,
)
from thermoflop.model.config.keys import Config
from thermoflop.model.config.sam import sam_stack
from thermoflop.model.config.tower import ratio_of, read_tower

SAM = {
    **sizes(hidden=768, layers=12, heads=12, channels=3, image=1024, patch=16),
    "output_channels": 256,
    "hidden_act": "gelu",
    "qkv_bias": True,
    "use_abs_pos": True,
    "use_rel_pos": True,
    "window_size": at_least_zero(14),
    "global_attn_indexes": Key("indices", (2, 5, 8, 11)),
}


def ratio(config: Config) -> int:
    """Neurons: ``mlp_dim``, or a multiple of the hidden size."""
    inner: int = config["mlp_dim"] or int(config["hidden_size"] * ratio_of(config))
    return inner


tower(
    "sam_vision_model",
    keys={**SAM, "mlp_dim": None, "mlp_ratio": Key("any", 4.0)},
    traits={"stack": sam_stack, "inner": ratio},
    ignored=("num_pos_feats", "scale"),
)
for _name in ("got_ocr2_vision", "pp_chart2table_vision", "unlimited_ocr_sam_vision_model"):
    tower(
        _name,
        keys={**SAM, "mlp_dim": 3072, "downsample_channels": indices()},
        traits={"stack": sam_stack, "inner": use("mlp_dim")},
    )

family(
    "unlimited_ocr_vision_encoder",
    "clip_vision_model",
    reader="tower",
    keys=sizes(hidden=1024, inner=4096, layers=24, heads=16, patch=14),
    traits={"post_norm": False},
)


def two_readers(config: Config) -> tuple[Stack, Stack, int]:
    """DeepSeek-OCR: what SAM's tower leaves takes the place of CLIP's patches; its width."""
    sam = config.nested["sam_config"]
    clip = config.nested["encoder_config"]
    first, second = read_tower(sam), read_tower(clip)
    halves = sam["downsample_channels"] or (512, 1024)
    if len(halves) != 2:
        said = quote_value(halves)
        raise InputError(f"downsample_channels is {said} where the widths of two are expected")
    widths = (sam["output_channels"], *halves)
    tail = (*first.tail, *connectors.halved(*widths))
    first = replace(first, tail=tail, pooled=first.patches // 16)
    front = tuple(placed for placed in second.front if placed.part.group != "patch_embed")
    return first, replace(second, front=front), widths[-1]


family(
    "unlimited_ocr_vision",
    reader="tower",
    keys={"sam_config": mapping(), "encoder_config": mapping()},
    traits={
        "stack": lambda config: two_readers(config)[0],
        "sections": (
            Section("sam_config", "unlimited_ocr_sam_vision_model"),
            Section("encoder_config", "unlimited_ocr_vision_encoder"),
        ),
    },
)


family(
    "unlimited_ocr_text",
    "deepseek_v2",
    keys={
        **sizes(vocab=129280, hidden=1280, inner=6848, layers=12, heads=10, kv_heads=maybe(10)),
        "num_experts_per_tok": 6,
        "moe_intermediate_size": 896,
        "mlp_layer_types": names(),
        "sliding_window": maybe(128),
        "first_k_dense_replace": at_least_zero(1),
    },
    traits={"mla": None, "sparse": sparse_by_mlp_types},
    drop=("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "q_lora_rank", "kv_lora_rank"),
    ignored=("layer_types", "head_dim"),
)

# Granite-Docling: a coarse and a fine route, and states of some layers that go deep into the text
family(
    "granite_docling_vision",
    "idefics3_vision",
    keys={
        **sizes(hidden=768, heads=12, image=512, patch=16),
        "out_hidden_size": 1024,
        "scale_factor": 4,
        "deepstack_visual_indexes": Key("indices", (3, 7, 10), nullable=True),
        "use_fine_route": True,
    },
)


family(
    "granite_docling_text",
    "granite",
    keys={
        **sizes(vocab=133800, hidden=1024, inner=2048, layers=28, heads=16, kv_heads=maybe(4)),
        "tie_word_embeddings": True,
    },
)
