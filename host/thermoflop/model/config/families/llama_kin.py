"""Dense decoders of Llama's kind of 2024 to 2026: other defaults, windows, norms and biases.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.model.config.families import by_vendor, classic  # noqa: F401 - parents are there
from thermoflop.model.config.families.patterns import from_layer_types
from thermoflop.model.config.family import family, maybe, names, spaced, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thermoflop.model.config.keys import Config


def starting(period: int) -> Callable[[Config], Sequence[str]]:
    """``layer_types``, or else every ``period``-th layer full from the first one on."""

    def kinds(config: Config) -> Sequence[str]:
        layers = config["num_hidden_layers"]
        return from_layer_types(config, layers) or [
            "sliding" if index % period else "full" for index in range(layers)
        ]

    return kinds


family(
    "exaone",
    "llama",
    keys={
        "vocab_size": 102400,
        "intermediate_size": 14336,
        "num_key_value_heads": maybe(8),
    },
    aliases={"num_layers": "num_hidden_layers", "activation_function": "hidden_act"},
)
family(
    "internlm3",
    "llama",
    keys={
        "vocab_size": 128512,
        "intermediate_size": 10240,
        "num_hidden_layers": 48,
        "num_key_value_heads": maybe(2),
        "head_dim": maybe(128),
    },
    aliases={"qkv_bias": "attention_bias", "bias": "mlp_bias"},
)
family(
    "iquestcoder",
    "llama",
    keys={
        "vocab_size": 76800,
        "hidden_size": 5120,
        "intermediate_size": 27648,
        "num_hidden_layers": 80,
        "num_attention_heads": 40,
        "num_key_value_heads": maybe(8),
        "head_dim": maybe(128),
    },
)
family(
    "jais2",
    "arcee",
    keys={
        "vocab_size": 150272,
        "hidden_size": 3328,
        "intermediate_size": 26624,
        "num_attention_heads": 26,
        "attention_bias": True,
        "mlp_bias": True,
    },
    traits={"norm": "layer", "norm_bias": True},
)
family(
    "ministral3",
    "mistral",
    keys={
        "vocab_size": 131072,
        "num_hidden_layers": 34,
        "head_dim": maybe(128),
        "sliding_window": None,
    },
    ignored=("attention_bias",),
)
family(
    "cwm",
    "llama",
    keys={
        "vocab_size": 128256,
        "hidden_size": 6144,
        "intermediate_size": 21504,
        "num_hidden_layers": 64,
        "num_attention_heads": 48,
        "num_key_value_heads": maybe(8),
        "head_dim": maybe(128),
        "sliding_window": maybe(8192),
        "layer_types": names(),
    },
    traits={
        "q_bias": False,
        "o_bias": False,
        "kinds": starting(4),
        "window": use("sliding_window"),
    },
    drop=("attention_bias",),
    ignored=("attention_bias",),
)
family(
    "granite_swa",
    "granite",
    keys={
        "vocab_size": 100352,
        "hidden_size": 2560,
        "intermediate_size": 8192,
        "num_hidden_layers": 24,
        "num_attention_heads": 20,
        "num_key_value_heads": maybe(4),
        "tie_word_embeddings": True,
        "sliding_window": maybe(128),
        "layer_types": names(),
    },
    traits={"sinks": True, "kinds": starting(4), "window": use("sliding_window")},
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
    traits={"qk_norm": "head", "up_bias": False},
    drop=("mlp_bias",),
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
    keys={
        "vocab_size": 50304,
        "hidden_size": 768,
        "intermediate_size": 8192,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "hidden_act": "relu2",
    },
    # no norm has weights; the embedding is normalized as well
    traits={
        "norm_weight": False,
        "embed_norm": True,
        "qk_norm": "head",
        "gated": False,
        "up_bias": False,
    },
    drop=("mlp_bias",),
)
family("vaultgemma", "gemma2", traits={"layer_norms": 2})
family(
    "emu3_text_model",
    "llama",
    keys={"vocab_size": 184622, "intermediate_size": 14336, "num_key_value_heads": maybe(8)},
)
