"""Wrappers of autumn 2026, and what reads pages for retrieval."""

from __future__ import annotations

from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear, Norm
from thermoflop.model.config import projectors
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.families import (  # noqa: F401 - the parents are there
    newer_wrappers,
    newest_hybrids,
    per_layer,
    qwen_towers,
    served,
    towers,
)
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.families.served import BLOCKS
from thermoflop.model.config.family import Section, family, mapping, spaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.architecture.description import Stack
    from thermoflop.model.config.keys import Config

for _name, _seeing in (
    ("colpali", "paligemma"),
    ("colqwen2", "qwen2_vl"),
    ("colmodernvbert", "modernvbert"),
):
    family(
        _name,
        reader="retrieval",
        keys={"vlm_config": mapping(), "embedding_dim": 128},
        traits={
            "whole_model": Section("vlm_config", _seeing, fixed=False),
            "class": "ForRetrieval",
            "purpose": "embed",
        },
    )

# Ling 3 with eyes, as bailing_moe_v3_vl.py of vLLM 0.33: Qwen 3's tower ends in its norm
family(
    "qwen3_moe_vit",
    "qwen3_5_vision",
    traits={
        "tail": lambda config: (Placed(layer_norm("merger_norm", config["hidden_size"]), "patch"),)
    },
    ignored=("disable_merger_proj", "out_hidden_size"),
)


def _merged(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    merge = tower["spatial_merge_size"]
    both = projectors.two_layers(stack.hidden * merge**2, hidden)
    return projectors.ending(stack, *both, merge=merge)


wrapper(
    "bailing_moe_v3_vl",
    text_of("bailing_hybrid", fixed=True),
    eyes_of("qwen3_moe_vit", fixed=True),
    _merged,
    ignored=("norm_query_embeds",),
)


def _self_conditioning(config: Config, hidden: int) -> tuple[Linear | Norm, ...]:
    """A feed-forward on what the pass before made of a block, added to its embeddings."""
    inner, name = config.nested["text_config"]["intermediate_size"], "self_conditioning"
    widths = ((hidden, inner), (hidden, inner), (inner, hidden))
    return (Norm(name, hidden), *(Linear(name, name, name, *each) for each in widths))


# one set of layers reads the prompt and removes the noise of a block; full attention always takes
# its keys for values
family(
    "diffusion_gemma_text",
    "gemma4_text",
    keys={"attention_k_eq_v": True},
    traits={"front": (), "others": ()},
    drop=spaced(
        "attention_bias enable_moe_block hidden_size_per_layer_input num_kv_shared_layers"
        " use_double_wide_mlp vocab_size_per_layer_input"
    ),  # its two sets of layers would have biases of their own
)
wrapper(
    "diffusion_gemma",
    text_of("diffusion_gemma_text", fixed=True),
    eyes_of("gemma4_vision"),
    projectors.embedder,
    tie=True,
    traits={
        "extras": _self_conditioning,
        "whole": ("DiffusionGemmaForBlockDiffusion",),
        "note": "its self-conditioning is kept, and what it works on each block is not counted",
        **BLOCKS,
    },
    ignored=("canvas_length",),
)
