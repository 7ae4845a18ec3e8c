"""Text models that exist inside wrappers alone. Defaults: the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Norm, Vector
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families import by_vendor, mixtures  # noqa: F401 - defined there
from thermoflop.model.config.families.patterns import at_indices
from thermoflop.model.config.family import Key, at_least_zero, family, maybe, sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermoflop.model.config.keys import Config

for _name in ("qwen2_vl_text", "qwen2_5_vl_text"):
    family(
        _name,
        "qwen2",
        keys={
            **sizes(vocab=152064, hidden=8192, inner=29568, layers=80, heads=64, kv_heads=maybe(8)),
            "max_window_layers": at_least_zero(80),
        },
        drop=("head_dim",),
    )
_FULL = ("use_sliding_window", "sliding_window", "max_window_layers", "layer_types")
family(
    "qwen3_vl_text",
    "qwen3",
    traits={"kinds": None},
    drop=_FULL,
)
family(
    "qwen3_vl_moe_text",
    "qwen3_moe",
    keys={
        **sizes(inner=5632, heads=16, kv_heads=16),
        "num_experts": at_least_zero(60),
        "num_experts_per_tok": 4,
        "moe_intermediate_size": 1408,
        "tie_word_embeddings": True,
    },
    drop=("use_sliding_window", "sliding_window"),
)
family(
    "glm4v_text",
    "glm4",
    traits={"q_bias": True},
    drop=("head_dim",),
    ignored=("attention_bias",),
)
family(
    "glm4v_moe_text",
    "glm4_moe",
    keys={"vocab_size": 151424, "attention_bias": True},
    traits={"qk_norm": None},
    drop=("use_qk_norm",),
)
family("exaone4_5_text", "exaone4", ignored=("_num_mtp_layers", "mtp_share_layers"))
family(
    "phi4_multimodal_text",
    "phi3",
    keys=sizes(vocab=200064, kv_heads=8),
)


def _cross_mixer(config: Config) -> Mapping[str, tuple[Attention, str]]:
    """Attention to an image, with norms on queries and keys, and gates on both branches."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    dim = head_width(hidden, heads)
    q_norm, k_norm = (Norm(name, dim, vectors=heads) for name in ("q_norm", "k_norm"))
    gates = (Vector("gates", "other", 2),)
    shape = (hidden, heads, config["num_key_value_heads"], dim)
    look = Attention(*shape, q_norm=q_norm, k_norm=k_norm, cross=True, extras=gates)
    return {"cross": (look, "attention to images")}


family(
    "mllama_text_model",
    "llama",
    keys={
        **sizes(vocab=128256, inner=14336, layers=40, kv_heads=8),
        "cross_attention_layers": Key("indices", (3, 8, 13, 18, 23, 28, 33, 38), nullable=True),
    },
    traits={
        "kinds": at_indices("cross_attention_layers", "cross", "full"),
        "mixers": _cross_mixer,
        "embed_rows": lambda config: config["vocab_size"] + 8,
    },
    drop=("attention_bias", "mlp_bias", "head_dim"),
)
family(
    "qwen2_5_omni_text",
    "qwen2",
    keys={
        **sizes(vocab=152064, hidden=3584, inner=18944, layers=28, heads=28, kv_heads=maybe(4)),
        "sliding_window": maybe(32768),
        "tie_word_embeddings": True,
    },
    drop=("head_dim",),
)
family(
    "glm_ocr_text",
    "glm4v_text",
    keys=sizes(vocab=59392, hidden=1024, inner=4096, layers=16, heads=16, kv_heads=8),
    traits={"q_bias": False},
)
family("paddleocr_vl_text", "ernie4_5")
