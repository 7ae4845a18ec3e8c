"""Dense decoders of Llama's kind of 2024 to 2026: other defaults, windows, norms and biases.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.model.config.families import by_vendor, classic  # noqa: F401 - parents are there
from thermoflop.model.config.families.patterns import every
from thermoflop.model.config.family import family, maybe, names, sizes, spaced

family(
    "exaone",
    "llama",
    keys=sizes(vocab=102400, inner=14336, kv_heads=maybe(8)),
    aliases={"num_layers": "num_hidden_layers", "activation_function": "hidden_act"},
)
family(
    "internlm3",
    "llama",
    keys=sizes(vocab=128512, inner=10240, layers=48, kv_heads=maybe(2), head_dim=maybe(128)),
    aliases={"qkv_bias": "attention_bias", "bias": "mlp_bias"},
)
family(
    "iquestcoder",
    "llama",
    keys=sizes(
        vocab=76800,
        hidden=5120,
        inner=27648,
        layers=80,
        heads=40,
        kv_heads=maybe(8),
        head_dim=maybe(128),
    ),
)
family(
    "jais2",
    "arcee",
    keys={
        **sizes(vocab=150272, hidden=3328, inner=26624, heads=26),
        "attention_bias": True,
        "mlp_bias": True,
    },
    traits={"norm": "layer", "norm_bias": True},
)
family(
    "ministral3",
    "mistral",
    keys={**sizes(vocab=131072, layers=34, head_dim=maybe(128)), "sliding_window": None},
    ignored=("attention_bias",),
)
family(
    "cwm",
    "llama",
    keys={
        **sizes(vocab=128256, hidden=6144, inner=21504, layers=64, heads=48, kv_heads=maybe(8)),
        "head_dim": maybe(128),
        "sliding_window": maybe(8192),
        "layer_types": names(),
    },
    traits={"kinds": every(4, first=0)},
    ignored=("attention_bias",),
)
family(
    "granite_swa",
    "granite",
    keys={
        **sizes(vocab=100352, hidden=2560, inner=8192, layers=24, heads=20, kv_heads=maybe(4)),
        "tie_word_embeddings": True,
        "sliding_window": maybe(128),
        "layer_types": names(),
    },
    traits={"sinks": True, "kinds": every(4, first=0)},
)
family(
    "hyperclovax",
    "llama",
    keys={"use_post_norm": True},
    traits={"layer_norms": lambda config: 4 if config["use_post_norm"] else 2},
    ignored=("peri_layer_norm",),
)


family(
    "hunyuan_v1_dense",
    "llama",
    keys={"vocab_size": 290943},
    traits={"qk_norm": "head"},
    # the class always normalizes queries and keys
    ignored=spaced(
        "anyres_pooling_size attention_head_dim dense_list cla_share_factor enable_lm_head_fp32"
        " im_end_id im_newline_id im_start_id mask_init_id max_image_size mlp_bias norm_type"
        " num_media_embeds org_vocab_size pad_id pool_type text_end_id text_start_id use_qk_norm"
        " use_rotary_pos_emb use_vit_init_type video_end_id video_start_id vit_input_resolution"
        " vit_mapping_type vit_norm_type vit_patch"
    ),
)
family(
    "nanochat",
    "llama",
    keys={**sizes(vocab=50304, hidden=768, inner=8192, layers=12, heads=6), "hidden_act": "relu2"},
    # no norm has weights; the embedding is normalized as well
    traits={
        "norm_weight": False,
        "embed_norm": True,
        "qk_norm": "head",
        "gated": False,
    },
    drop=("mlp_bias",),
)
family("vaultgemma", "gemma2", traits={"layer_norms": 2})
family(
    "emu3_text_model",
    "llama",
    keys=sizes(vocab=184622, inner=14336, kv_heads=maybe(8)),
)
