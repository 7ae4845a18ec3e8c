"""Step 5: Step 3.5's layers, those of full attention with an indexer over groups of tokens.

Keys, defaults and parts as in ``vllm/models/step5`` of vLLM 0.33; published files call the text
``step4`` and the whole ``step3p5v``.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.parts import Vector
from thermoflop.model.architecture.sparse import Compressor, Indexer
from thermoflop.model.config import projectors
from thermoflop.model.config.families import by_layer, other_towers  # noqa: F401 - parents
from thermoflop.model.config.families.by_layer import listed_layers, of_sliding, step_sliding
from thermoflop.model.config.families.patterns import by_words
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.family import anything, family, mapping, only, sizes
from thermoflop.model.config.keys import Config, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_KINDS = {"full_attention": "full", "sliding_attention": "sliding"}
# sizes of the indexer, as Step5SparseConfig has them where a file is silent
_SPARSE = {
    "proxy_dim": 256,
    "sparse_indexer_rope_dim": 32,
    "sparse_indexer_num_heads": 16,
    "sparse_indexer_num_k_heads": 1,
    "topk": 512,
    "region_block_size": 8,
}


def _kinds(config: Config) -> Sequence[str]:
    """``layer_types`` (entries beyond the last layer are MTP's), or sliding every other layer."""
    layers = range(config["num_hidden_layers"])
    return by_words(config, _KINDS) or ["full" if at % 2 else "sliding" for at in layers]


def _moe_layers(config: Config) -> Sequence[bool]:
    """The layers that the file lists, or all but the first."""
    listed = listed_layers(config)
    layers = range(config["num_hidden_layers"])
    return [at > 0 if listed is None else at in listed for at in layers]


def _indexer(config: Config) -> Indexer | None:
    """Small queries with weights, in groups of their own for each head of keys, and one key of each
    region of tokens, summed up by gates of its elements."""
    nested = config["sparse_config"]
    if nested is None or nested.get("enabled") is False:
        return None
    found = {key: nested.get(key, default) for key, default in _SPARSE.items()}
    wrong = next((key for key, value in found.items() if not is_count(value)), None)
    if wrong is not None or found["sparse_indexer_num_k_heads"] != 1:
        key = wrong or "sparse_indexer_num_k_heads"
        raise InputError(f"{key} of sparse_config is {quote_value(found[key])}: no such indexer")
    dim, rotary, heads, _, top_k, region = found.values()
    hidden = config["hidden_size"]
    keys = Compressor(hidden, dim, region, 1, "indexer", "indexer_proj", "layer", placed=False)
    return Indexer(
        hidden, heads, dim, top_k, rotary, block=region, norm="rms", q_norm=True, compressor=keys
    )


def _shapes(config: Config) -> list[dict[str, Any]]:
    """Full attention with its indexer and a scale of each head, or sliding heads of their own."""
    indexer, sliding = _indexer(config), step_sliding(config)
    scales = Vector("ssmax_s", "indexer", config["num_attention_heads"])
    full = {"indexer": indexer, "kept": (scales,)} if indexer else {}
    kinds = _kinds(config)
    shapes = of_sliding(kinds, **sliding)
    return [{**shape, **(full if kind == "full" else {})}
            for kind, shape in zip(kinds, shapes, strict=True)]  # fmt: skip


family(
    "step5",
    "step3p5",
    keys={
        **sizes(vocab=65536, hidden=5120, inner=13312, layers=48, heads=40, head_dim=None),
        "moe_intermediate_size": 10240,
        "n_routed_experts": 16,
        "num_experts_per_tok": 4,
        "share_expert_dim": None,
        "use_head_wise_attn_gate": False,
        "sparse_config": mapping(),
        "moe_layers_enum": anything(),
    },
    traits={
        "kinds": _kinds,
        "sparse": _moe_layers,
        "shapes": _shapes,
        "shared_inner": lambda config: (
            config["share_expert_dim"]
            or config["num_experts_per_tok"] * config["moe_intermediate_size"]
        ),
    },
    aliases={
        "moe_layer_list": "moe_layers_enum",
        "swa_num_attention_heads": "num_sliding_attention_heads",
        # which its class does not read, and which say the same again
        "head_dim_full_attention": "head_dim",
        "head_dim_sliding_attention": "head_dim",
        "true_head_dim": "head_dim",
        "num_attention_groups_full_attention": "num_key_value_heads",
        "num_attention_groups_sliding_attention": "num_key_value_heads",
    },
    drop=("mlp_layer_types",),
    ignored=("use_rope_layers", "fp32_residual_connection"),
)
family("step4", "step5")
for _name in ("step5_vl", "step3p5v"):
    wrapper(
        _name,
        text_of("step5"),
        eyes_of("step3p5_vision", fixed=True, optional=True),
        projectors.step,
        keys={"projector_bias": False, "understand_projector_stride": only(2)},
    )
